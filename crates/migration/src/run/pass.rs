//! One pass over all statements, in order: sends those that are planned to run, and records them.

use std::ops::Range;
use std::time::Instant;

use connection::{Error, Hint, Kind, Next, describe};

use super::read::read_catalog;
use super::script::missing_columns;
use super::{Migration, OnceSummary, Warning};
use crate::catalog::Catalog;
use crate::context::Event;
use crate::execute::{Failure, Knowledge};
use crate::expected::Effect;
use crate::failure::{Setting, failure, lines};
use crate::journal::{self, Outcome, Recorded, Step};
use crate::locks::TableLock;
use crate::plan::{Item, Plan, Planned, Reason};
use crate::session::mutex;
use crate::source::phases::Phases;
use crate::source::statement::{Class, Statement};
use crate::sqlstate;
use crate::violations::CleanUp;

/// A pass under way.
pub(super) struct Pass<'p, 'a> {
    plan: &'p Plan<'a>,
    /// The catalog before it.
    pub(super) actual: &'p Catalog,
    /// There is no table at all: nobody can be kept waiting, and nothing can be lost.
    pub(super) empty: bool,
    /// Statements of the file under way that may have changed the session were sent.
    session_is_changed: bool,
    /// Up to this one statements go by themselves: together they failed.
    alone_until: usize,
    /// The statements, which may be in no file.
    phases: &'p Phases,
}

impl Pass<'_, '_> {
    /// Whether the statements are in no file.
    fn is_script(&self, goal: &Phases) -> bool {
        !std::ptr::eq(self.phases, goal)
    }
}

impl Migration<'_> {
    /// Goes through all statements once, and sends those that are planned to run.
    pub(super) fn pass(&mut self, plan: &Plan<'_>, phases_of_plan: &Phases, actual: &Catalog) -> Result<(), Error> {
        let mut pass = Pass {
            phases: phases_of_plan,
            plan,
            actual,
            empty: plan.untouched && !actual.iter().any(|(id, _)| id.kind == "table"),
            session_is_changed: false,
            alone_until: 0,
        };
        let phases = phases(plan);
        // Connecting takes longer than most statements, so it begins before it is needed.
        let mut with_shared = Vec::new();
        for range in &phases {
            let steps = &plan.steps[range.clone()];
            if steps.iter().any(|step| step.runs) && steps[0].phase.mentions_shared_objects() {
                with_shared.push(range.clone());
            }
        }
        let shared = |steps: Range<usize>| {
            let meets = |range: &Range<usize>| range.start < steps.end && steps.start < range.end;
            with_shared.iter().any(meets)
        };
        let terms = self.context.terms();
        let cluster = (!with_shared.is_empty()).then(|| mutex::open_cluster(&terms));
        let mut next = 0;
        for range in phases {
            let start = Instant::now();
            let before = self.summary.statements_run;
            let phase = plan.steps[range.start].phase;
            let count = plan.steps[range.clone()].iter().filter(|step| step.runs).count();
            if !pass.is_script(&self.goal.phases) {
                self.context.tell(Event::Phase {
                    phase,
                    statements: count,
                });
            }
            // A transaction may go on into later phases.
            let end = (range.end..plan.steps.len())
                .take_while(|n| plan.steps[*n].unit.is_some_and(|unit| unit < range.end))
                .last()
                .map_or(range.end, |last| last + 1);
            // Held until the phase ends.
            let _locked = match &cluster {
                Some(begun) if shared(range.start..end) => mutex::acquire_cluster(begun, &terms)?,
                _ => None,
            };
            while next < range.end {
                next = self.go_on(&mut pass, next)?;
            }
            let statements_run = self.summary.statements_run - before;
            if !pass.is_script(&self.goal.phases) {
                self.context.tell(Event::PhaseDone {
                    phase,
                    statements_run,
                    statements_skipped: range.len().saturating_sub(statements_run),
                    elapsed: start.elapsed(),
                });
            }
        }
        Ok(())
    }

    /// Deals with the statement of this number, and with those that are sent with it. Returns the next one.
    fn go_on(&mut self, pass: &mut Pass<'_, '_>, n: usize) -> Result<usize, Error> {
        let steps = &pass.plan.steps;
        let step = &steps[n];
        if !step.runs {
            self.satisfied[n].get_or_insert(true);
            self.end_of_file(pass, n)?;
            return Ok(n + 1);
        }
        let next = match step.unit {
            Some(unit) => {
                let is_other = |step: &Planned<'_>| step.runs && step.unit != Some(unit);
                let rest = steps[n..].iter().position(is_other).map_or(steps.len(), |end| n + end);
                let last = (n..rest).rfind(|n| steps[*n].runs).unwrap_or(n);
                self.unit(pass, n..last + 1)?;
                last + 1
            }
            None => {
                let ahead = if pass.empty && n >= pass.alone_until {
                    self.send_ahead(pass, n)
                } else {
                    n
                };
                if ahead == n {
                    self.single(pass, n)?;
                }
                ahead.max(n + 1)
            }
        };
        let of_session = |step: &Planned<'_>| step.runs && step.statement.class != Class::Ddl;
        pass.session_is_changed |= steps[n..next].iter().any(of_session);
        self.end_of_file(pass, next - 1)?;
        Ok(next)
    }

    /// What the statements of a file have set for the session ends with it.
    fn end_of_file(&mut self, pass: &mut Pass<'_, '_>, n: usize) -> Result<(), Error> {
        let steps = &pass.plan.steps;
        let is_last = steps
            .get(n + 1)
            .is_none_or(|next| next.statement.file != steps[n].statement.file);
        if !(is_last && std::mem::take(&mut pass.session_is_changed)) {
            return Ok(());
        }
        self.executor.end_file().map_err(|error| {
            Error::new(
                Kind::Failed,
                format!("cannot end the session of {}", steps[n].statement.file),
                describe(&error),
            )
            .next("run it again: what is done is not done twice")
        })
    }

    /// In a database that holds nothing yet, runs the statements from this one on that go in one message. Returns the
    /// next one; that may have failed, and says why when it is sent by itself.
    fn send_ahead(&mut self, pass: &mut Pass<'_, '_>, n: usize) -> usize {
        let plan = pass.plan;
        let of_one_file = |step: &&Planned<'_>| {
            step.runs && step.unit.is_none() && step.statement.file == plan.steps[n].statement.file
        };
        let together: Vec<_> = plan.steps[n..].iter().take_while(of_one_file).collect();
        let items: Vec<Item<'_>> = together.iter().map(|step| step.item()).collect();
        let done = match self.executor.run_ahead(&items, &mut self.recorder) {
            Ok(done) => done,
            Err(tried) => {
                pass.alone_until = n + tried;
                return n;
            }
        };
        for (ahead, (planned, step)) in together.iter().zip(&done).enumerate() {
            let statement = planned.statement;
            self.summary.statements_run += 1;
            self.satisfied[n + ahead] = Some(false);
            self.context.tell(Event::Statement { statement });
            self.note_made(planned);
            self.note_once(planned, step);
            self.context.tell(Event::Step { statement, step });
        }
        n + done.len()
    }

    /// Runs a statement by itself, or what is sent in its place.
    fn single(&mut self, pass: &Pass<'_, '_>, n: usize) -> Result<(), Error> {
        let planned = &pass.plan.steps[n];
        let mut was_satisfied = self.satisfied[n] != Some(false);
        if let Some(change) = planned.statement.quarantines().filter(|_| !pass.empty) {
            was_satisfied &= self.keeping(pass, planned, &CleanUp::by(&change))?;
            self.satisfied[n] = Some(was_satisfied);
            return Ok(());
        }
        let clean_up = self.clean_up(pass, planned)?;
        if clean_up.is_none() {
            self.refuse_early(pass, planned)?;
        }
        if planned.instead.is_empty() {
            let locks = planned.effect.map_or(&[][..], |effect| &effect.locks);
            was_satisfied &= self.cleanly(pass, planned, planned.item(), locks, clean_up.as_ref())?;
        }
        for sent in &planned.instead {
            let item = Item {
                statement: &sent.statement,
                ..planned.item()
            };
            // Where new rows are kept out first, old ones are dealt with afterwards.
            let clean_up = clean_up
                .as_ref()
                .filter(|_| sent.statement.keeps_nobody_waiting() || !planned.online);
            was_satisfied &= self.cleanly(pass, planned, item, &sent.locks, clean_up)?;
        }
        self.satisfied[n] = Some(was_satisfied);
        Ok(())
    }

    /// Runs a statement, and tells whether there was nothing to do for it; none if rows are in its way and `again` says
    /// that they shall be dealt with.
    pub(super) fn statement(
        &mut self,
        pass: &Pass<'_, '_>,
        planned: &Planned<'_>,
        item: Item<'_>,
        locks: &[TableLock],
        again: bool,
    ) -> Result<Option<bool>, Error> {
        let statement = item.statement;
        self.check_interrupted(pass, statement)?;
        self.context.tell(Event::Statement { statement });
        let known = Knowledge {
            // Tables that this run has made are nobody's yet: the lock timeout is enough.
            locks: if pass.empty { &[] } else { locks },
            new: pass.empty,
            replaces: false,
            looks_itself: false,
            expected: self.goal.expected.as_ref(),
        };
        let (mut steps, result) = self.execute(item, known);
        let mut step = steps.pop().unwrap_or_default();
        let mut result = result.map_err(|(_, failure)| failure);
        self.summary.lock_wait += step.lock_wait;
        if let (Err(Failure::Refused(error)), Some(effect)) = (&result, planned.effect)
            && is_forgiven(error, effect, pass.actual)
        {
            step.outcome = Outcome::Warning;
            result = Ok(());
        }
        if let (Err(Failure::Refused(error)), true) = (&result, again)
            && sqlstate::is_violation(error)
        {
            return Ok(None);
        }
        if planned.looks()
            && statement.class == Class::Dml
            && step.rows == 0
            && step.outcome == Outcome::Done
            && step.recorded == Recorded::Not
        {
            step.outcome = Outcome::Satisfied;
        }
        let recorded = self.record(&item, &step);
        if let Err(cause) = result {
            return Err(self.failed(pass, statement, cause));
        }
        recorded.map_err(|error| not_recorded(statement, &error))?;
        self.count(planned, &step);
        self.give_back_after(planned)?;
        self.warn_of_restless(planned, &step);
        self.context.tell(Event::Step { statement, step: &step });
        Ok(Some(step.outcome == Outcome::Satisfied))
    }

    /// Runs the statements of one transaction; one by one where PostgreSQL does not take them so.
    fn unit(&mut self, pass: &Pass<'_, '_>, numbers: Range<usize>) -> Result<(), Error> {
        let running: Vec<usize> = numbers.clone().filter(|n| pass.plan.steps[*n].runs).collect();
        for n in numbers {
            self.satisfied[n].get_or_insert(true);
        }
        let planned: Vec<&Planned<'_>> = running.iter().map(|n| &pass.plan.steps[*n]).collect();
        let [first, ..] = planned.as_slice() else { return Ok(()) };
        self.check_interrupted(pass, first.statement)?;
        self.context.tell(Event::Statement {
            statement: first.statement,
        });
        let kept: Vec<Option<Statement>> = planned
            .iter()
            .map(|step| self.kept_at_once(pass, step))
            .collect::<Result<_, _>>()?;
        let items: Vec<Item<'_>> = planned
            .iter()
            .zip(&kept)
            .map(|(step, kept)| Item {
                statement: kept.as_ref().unwrap_or(step.statement),
                ..step.item()
            })
            .collect();
        let locks: Vec<TableLock> = planned
            .iter()
            .filter_map(|step| step.effect)
            .flat_map(|effect| effect.locks.iter().cloned())
            .collect();
        let known = Knowledge {
            locks: &locks,
            new: pass.empty,
            replaces: planned
                .iter()
                .any(|step| matches!(step.reason, Reason::Replaces { .. })),
            looks_itself: true,
            expected: self.goal.expected.as_ref(),
        };
        let (steps, result) = self.executor.execute(&items, known, &self.recorder);
        match result {
            Ok(()) => {}
            Err((_, Failure::Refused(error))) if items.len() > 1 && sqlstate::is_unfit_for_a_transaction(&error) => {
                for n in running {
                    self.single(pass, n)?;
                }
                return Ok(());
            }
            Err((n, cause)) => {
                // The error of the statement counts for more than that it could not be recorded.
                let _ = self.record(&items[n], &steps[n]);
                return Err(self.failed(pass, items[n].statement, cause));
            }
        }
        for ((n, planned), step) in running.into_iter().zip(&planned).zip(&steps) {
            let statement = planned.statement;
            self.record(&planned.item(), step)
                .map_err(|error| not_recorded(statement, &error))?;
            self.summary.lock_wait += step.lock_wait;
            self.satisfied[n] = Some(false);
            if let Some(change) = statement.quarantines().filter(|_| step.rows > 0 && !pass.empty) {
                self.tell_set_aside(statement, &CleanUp::by(&change), step.rows);
            }
            self.count(planned, step);
            self.give_back_after(planned)?;
            self.context.tell(Event::Step { statement, step });
        }
        Ok(())
    }

    pub(super) fn check_interrupted(&mut self, pass: &Pass<'_, '_>, statement: &Statement) -> Result<(), Error> {
        match (self.context.interrupted)() {
            Some(signal) => Err(self.failed(pass, statement, Failure::Interrupted(signal))),
            None => Ok(()),
        }
    }

    /// The error of a statement, in words.
    pub(super) fn failed(&mut self, pass: &Pass<'_, '_>, statement: &Statement, cause: Failure) -> Error {
        let lacks_column = matches!(&cause, Failure::Refused(error) if sqlstate::lacks_column(error));
        let lines = if lacks_column { self.columns_to_add() } else { None };
        let mut error = failure(
            statement,
            cause,
            &Setting {
                phases: pass.phases,
                expected: self.goal.expected.as_ref(),
                actual: pass.actual,
                statements_run: self.summary.statements_run,
                deadline: self.context.lock_deadline,
                is_script: pass.is_script(&self.goal.phases),
            },
        );
        if let Some(lines) = lines {
            error.next = lines.then("\n").followed_by(error.next);
        }
        error
    }

    pub(super) fn count(&mut self, planned: &Planned<'_>, step: &Step) {
        self.note_once(planned, step);
        match step.outcome {
            Outcome::Satisfied => {}
            Outcome::Warning => {
                self.summary.warnings.push(Warning {
                    place: planned.statement.place(),
                    text: step.error.clone().unwrap_or_default(),
                });
                self.summary.statements_run += 1;
            }
            _ => self.summary.statements_run += 1,
        }
    }

    fn note_once(&mut self, planned: &Planned<'_>, step: &Step) {
        if planned.once.is_some() && step.outcome == Outcome::Done {
            self.summary.once.push(OnceSummary {
                place: planned.statement.place(),
                statement: planned.statement.summary(),
                writes: planned.effect.is_some_and(|effect| effect.writes),
                rows: step.rows,
                note: step.note.clone(),
            });
        }
    }

    /// What runs at each deploy and changes rows each time is not clean-up: it undoes what others do, or never ends.
    pub(super) fn warn_of_restless(&mut self, planned: &Planned<'_>, step: &Step) {
        if planned.reason == Reason::Always
            && step.rows > 0
            && journal::changed_rows_before(&mut self.executor.client, self.recorder.run, planned.statement)
                .unwrap_or(false)
        {
            self.summary.restless.push(planned.statement.place());
        }
    }

    /// Records a step, as far as it is not on record. That there was nothing to do is not worth a row at each deploy.
    pub(super) fn record(&mut self, item: &Item<'_>, step: &Step) -> Result<(), postgres::Error> {
        let client = &mut self.executor.client;
        match (step.outcome, step.recorded) {
            (Outcome::Satisfied, _) => Ok(()),
            (_, Recorded::Not) => self.recorder.step(client, item, step),
            _ => self.recorder.recorded(client, step),
        }
    }

    /// What adds the columns that a statement may miss, where no statement could add them.
    fn columns_to_add(&mut self) -> Option<Next> {
        let expected = self.goal.expected.as_ref()?;
        let actual = read_catalog(&mut self.executor.client, self.context, Some(expected)).ok()?;
        let steps = missing_columns(expected, &actual, |_| true).steps;
        (!steps.is_empty()).then(|| {
            Next::from("CREATE TABLE adds no column to a table that is there: ")
                .hint(Hint::Repair)
                .then(format!(" runs\n{}", lines(&steps)))
        })
    }
}

/// The statements of each phase, by their numbers.
fn phases(plan: &Plan<'_>) -> Vec<Range<usize>> {
    let mut phases: Vec<Range<usize>> = Vec::new();
    for (n, step) in plan.steps.iter().enumerate() {
        match phases.last_mut() {
            Some(last) if std::ptr::eq(plan.steps[last.start].phase, step.phase) => last.end = n + 1,
            _ => phases.push(n..n + 1),
        }
    }
    phases
}

pub(super) fn not_recorded(statement: &Statement, error: &postgres::Error) -> Error {
    Error::new(
        Kind::Failed,
        format!("{}: done, but it could not be recorded", statement.place()),
        describe(error),
    )
    .next("run it again: what is done is not done twice")
}

/// Whether a refusal says no more than that some of the objects are there, as `IF NOT EXISTS` would find them. What is
/// missing or different in the end is told when the catalog is compared.
fn is_forgiven(error: &postgres::Error, effect: &Effect, actual: &Catalog) -> bool {
    let some_are_there = effect.objects.iter().any(|(id, _)| actual.get(id).is_some());
    sqlstate::is_already_there(error) && some_are_there
}
