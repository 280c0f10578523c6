//! One pass over all statements, in order: sends those that are decided to run, and records them.

use std::time::Instant;

use postgres::error::SqlState;

use super::read::read_catalog;
use super::{Goal, Migration};
use crate::error::{Error, Kind, describe};
use crate::migration::catalog::Catalog;
use crate::migration::context::Event;
use crate::migration::decide::{Decision, Reason};
use crate::migration::executor::{Failure, is_already_there};
use crate::migration::expected::Leaves;
use crate::migration::failure::{failure, missing_columns};
use crate::migration::journal::{Outcome, Step};
use crate::migration::mutex;
use crate::migration::phases::Phase;
use crate::migration::statement::{Class, Statement};

impl<'a> Migration<'a> {
    /// Goes through all statements once, and sends those that are decided to run.
    pub(super) fn pass(&mut self, actual: &Catalog, decisions: Option<&[Decision]>) -> Result<(), Error> {
        let Goal { phases, expected, .. } = self.goal;
        let runs = |n: usize| decisions.is_none_or(|decisions| decisions.get(n).is_none_or(|decision| decision.run));
        let mut number = 0;
        let work: Vec<_> = phases
            .phases
            .iter()
            .map(|phase| {
                let numbers = number..number + phase.statements.len();
                number = numbers.end;
                let count = numbers.clone().filter(|n| runs(*n)).count();
                (phase, numbers, count)
            })
            .collect();
        let shared = |phase: &Phase, count| count > 0 && phase.mentions_shared_objects();
        // Connecting takes longer than most statements, so it begins before it is needed.
        let cluster = work
            .iter()
            .any(|(phase, _, count)| shared(phase, *count))
            .then(|| mutex::open_cluster(self.context));
        for (phase, numbers, count) in work {
            let start = Instant::now();
            let before = self.summary.statements_run;
            self.context.tell(Event::Phase {
                phase,
                statements: count,
            });
            // Held until the phase ends.
            let _locked = match &cluster {
                Some(begun) if shared(phase, count) => mutex::acquire_cluster(begun, self.context)?,
                _ => None,
            };
            let first = numbers.start;
            let mut ahead = first;
            for (n, statement) in numbers.zip(&phase.statements) {
                let untouched = |n: usize| {
                    let decision = decisions.and_then(|decisions| decisions.get(n));
                    decision.is_some_and(|decision| decision.reason == Reason::Untouched)
                };
                if n >= ahead && untouched(n) {
                    ahead = n + self.send_ahead(phase, &phase.statements[n - first..]);
                }
                if n < ahead {
                    self.satisfied[n] = Some(false);
                } else if runs(n) {
                    let leaves = expected.as_ref().and_then(|expected| expected.statements.get(n));
                    let reason = decisions
                        .and_then(|decisions| decisions.get(n))
                        .map(|decision| &decision.reason);
                    let satisfied = self.statement(phase, statement, leaves, actual, reason)?;
                    self.satisfied[n] = Some(satisfied && self.satisfied[n] != Some(false));
                } else {
                    self.satisfied[n].get_or_insert(true);
                }
            }
            self.context.tell(Event::PhaseDone {
                phase,
                run: self.summary.statements_run - before,
                skipped: phase.statements.len() - (self.summary.statements_run - before),
                elapsed: start.elapsed(),
            });
        }
        Ok(())
    }

    /// On a database that holds nothing yet, runs the statements at the beginning of these that go in one message.
    /// Returns how many are done; of the rest, the first may have failed, and says why when it is sent by itself.
    fn send_ahead(&mut self, phase: &Phase, statements: &'a [Statement]) -> usize {
        let steps = self.executor.run_ahead(phase, statements, &mut self.run);
        for (statement, step) in statements.iter().zip(&steps) {
            self.summary.statements_run += 1;
            self.context.tell(Event::Statement { statement });
            self.context.tell(Event::Step { statement, step });
        }
        steps.len()
    }

    /// Runs a statement, and tells whether there was nothing to do for it.
    fn statement(
        &mut self,
        phase: &Phase,
        statement: &'a Statement,
        leaves: Option<&Leaves>,
        actual: &Catalog,
        reason: Option<&Reason>,
    ) -> Result<bool, Error> {
        let run = self.summary.statements_run;
        let failed = |cause| {
            Err(failure(
                &self.goal.phases,
                statement,
                cause,
                run,
                self.context.lock_deadline,
            ))
        };
        if let Some(signal) = (self.context.interrupted)() {
            return failed(Failure::Interrupted(signal));
        }
        self.context.tell(Event::Statement { statement });
        // Tables that this run has made are nobody's yet: the lock timeout is enough.
        let locks = match (reason, leaves) {
            (Some(Reason::Untouched), _) => None,
            (_, leaves) => Some(leaves.map_or(&[][..], |leaves| &leaves.locks)),
        };
        let (mut step, mut result) = self.executor.run(phase, statement, locks, &mut self.run);
        self.summary.lock_wait += step.lock_wait;
        if let (Err(Failure::Refused(error)), Some(leaves)) = (&result, leaves)
            && let Some(outcome) = forgiven(error, leaves, actual)
        {
            step.outcome = outcome;
            result = Ok(());
        }
        // A statement that only looked whether there is something to do, and found nothing.
        let looked = matches!(reason, Some(Reason::ChangesRows | Reason::Prepares { .. }));
        if looked && statement.class == Class::Dml && step.rows == 0 && step.outcome == Outcome::Done {
            step.outcome = Outcome::Satisfied;
        }
        let recorded = self.record(phase, statement, &step);
        if let Err(cause) = result {
            let lacks_column =
                matches!(&cause, Failure::Refused(error) if error.code() == Some(&SqlState::UNDEFINED_COLUMN));
            return failed(cause).map_err(|mut error| {
                if lacks_column && let Some(lines) = self.columns_to_add(statement) {
                    error.next = format!("{lines}\n{}", error.next);
                }
                error
            });
        }
        recorded.map_err(|error| {
            Error::new(
                Kind::Failed,
                format!("{}: done, but it could not be recorded", statement.place()),
                describe(&error),
            )
            .next("run it again: what is done is not done twice")
        })?;
        match step.outcome {
            Outcome::Satisfied => {}
            Outcome::Warning => {
                self.summary
                    .warnings
                    .push((statement.place(), step.error.clone().unwrap_or_default()));
                self.summary.statements_run += 1;
            }
            _ => self.summary.statements_run += 1,
        }
        self.context.tell(Event::Step { statement, step: &step });
        Ok(step.outcome == Outcome::Satisfied)
    }

    /// Records a step, as far as it is not on record. That there was nothing to do is not worth a row at each deploy.
    pub(super) fn record(&mut self, phase: &Phase, statement: &Statement, step: &Step) -> Result<(), postgres::Error> {
        let client = &mut self.executor.client;
        match (step.outcome, step.recorded) {
            (Outcome::Satisfied, _) => Ok(()),
            (_, false) => self.run.step(client, phase, statement, step),
            (_, true) => self.run.recorded(client, step),
        }
    }

    /// What to write above a statement that misses a column which an earlier CREATE TABLE IF NOT EXISTS declares.
    fn columns_to_add(&mut self, statement: &Statement) -> Option<String> {
        let Goal { phases, expected, .. } = self.goal;
        let number = phases.statements().position(|other| std::ptr::eq(other, statement))?;
        let lines = missing_columns(
            expected.as_ref()?,
            number,
            &read_catalog(&mut self.executor.client, self.context).ok()?,
        );
        (!lines.is_empty()).then(|| {
            format!(
                "CREATE TABLE IF NOT EXISTS adds no column to a table that is there: add above this statement, then run\n\
                 cargo xtask snapshot and migrate again:\n{}",
                lines.join("\n")
            )
        })
    }
}

/// Whether a refusal says no more than that the statement's work is done already: rows that are put in once are
/// there, or some of the objects are there, as `IF NOT EXISTS` would find them. What is missing or different in the
/// end is told when the catalog is compared.
fn forgiven(error: &postgres::Error, leaves: &Leaves, actual: &Catalog) -> Option<Outcome> {
    if leaves.once && error.code() == Some(&SqlState::UNIQUE_VIOLATION) {
        return Some(Outcome::Satisfied);
    }
    let some_are_there = leaves.objects.iter().any(|(id, _)| actual.get(id).is_some());
    (is_already_there(error) && some_are_there).then_some(Outcome::Warning)
}
