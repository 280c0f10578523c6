//! One run: takes the mutex, decides what must run, sends it in order, proves that it converged, records it.

use std::time::{Duration, Instant};

use postgres::Client;
use postgres::error::SqlState;
use serde_json::json;

use super::catalog::{Catalog, Difference, Fingerprint, ObjectId};
use super::decide::{Actual, Decision, Known, Reason, decide};
use super::executor::{Context, Event, Executor, Failure, is_already_there};
use super::expected::{Expected, State};
use super::failure::{failure, missing_columns, not_converged};
use super::journal::{self, Author, Begun, Ending, Outcome, Run, Step};
use super::mutex;
use super::phases::{Phase, Phases};
use super::snapshot::changes;
use super::statement::{Class, Statement};
use crate::error::{Error, Kind, describe};

/// What shall be brought about.
#[derive(Clone, Copy)]
pub struct Goal<'a> {
    /// The statements.
    pub phases: &'a Phases,
    /// What they leave; none: every statement is sent as it stands.
    pub expected: Option<&'a Expected>,
    /// Send every statement, satisfied or not.
    pub force: bool,
}

/// What a run did.
#[derive(Debug, Default)]
pub struct Summary {
    /// Its number in the journal.
    pub run: i64,
    /// The server's version, for instance `15.18`.
    pub server_version: String,
    /// Statements that were sent.
    pub statements_run: usize,
    /// Statements that were satisfied.
    pub statements_skipped: usize,
    /// Optional statements that could not be run, and statements that found something else there:
    /// `file:line`, and what PostgreSQL answered.
    pub warnings: Vec<(String, String)>,
    /// Objects that differ between the catalog before and after: the state before, and after.
    pub changes: Vec<(ObjectId, State, State)>,
    /// Objects that are there and in no file; empty where the database is known not to have changed.
    pub extra: Vec<ObjectId>,
    /// Time that statements spent waiting for locks.
    pub lock_wait: Duration,
    /// From the beginning to the end, the wait for the database included.
    pub elapsed: Duration,
}

/// The passes after which a database that has not converged is given up: one makes what is missing, another
/// what was found missing only then.
const PASSES: usize = 3;

/// Brings the database to where the phases say, and hands over the session, which still holds the mutex.
///
/// # Errors
/// See [`Kind`]; the run is recorded with its error, as far as the connection allows.
///
/// `author` is asked when the run begins: until then, whoever finds it out has time.
pub fn migrate(
    goal: Goal<'_>,
    author: impl FnOnce() -> Author,
    context: &Context<'_>,
) -> Result<(Summary, Client), Error> {
    let start = Instant::now();
    let mutex::Locked {
        mut client,
        pid,
        server_version,
        journal_version,
    } = mutex::acquire(context)?;
    let expected_hash = goal.expected.map(|expected| expected.hash.as_str());
    let begun = journal::begin(&mut client, journal_version.as_deref(), &author(), expected_hash)?;
    context.tell(Event::Started {
        run: begun.run.id,
        died: &begun.died,
        server_version: &server_version,
    });
    let mut migration = Migration {
        summary: Summary {
            run: begun.run.id,
            server_version,
            ..Summary::default()
        },
        goal,
        executor: Executor::new(client, pid, context),
        context,
        satisfied: vec![None; goal.phases.statements().count()],
        fingerprint: None,
        begun,
    };
    let result = migration.converge();
    migration.finish(result, start)
}

struct Migration<'a> {
    summary: Summary,
    goal: Goal<'a>,
    begun: Begun,
    executor: Executor<'a>,
    context: &'a Context<'a>,
    /// Of each statement that was reached: whether it has been satisfied in every pass so far.
    satisfied: Vec<Option<bool>>,
    /// Of the catalog that has been found to have converged.
    fingerprint: Option<Fingerprint>,
}

impl Migration<'_> {
    fn converge(&mut self) -> Result<(), Error> {
        let fingerprint = self.read_fingerprint()?;
        let Some(expected) = self.goal.expected else {
            let before = self.read_catalog()?;
            self.pass(&before, None)?;
            self.summary.changes = changes(&before, &self.read_catalog()?);
            return Ok(());
        };
        let unchanged = self
            .begun
            .converged
            .as_ref()
            .is_some_and(|(hash, seen)| *hash == expected.hash && *seen == fingerprint.as_str());
        let before = if unchanged {
            Catalog::default()
        } else {
            self.read_catalog()?
        };
        let actual = if unchanged {
            Actual::Converged
        } else {
            Actual::Catalog(&before)
        };
        let known = Known {
            actual,
            seeded: self.begun.seeded,
            force: self.goal.force,
        };
        let mut decisions = decide(self.goal.phases, expected, known);
        self.pass(&before, Some(&decisions))?;
        // What changed no row changed no catalog.
        let mut now = if self.summary.statements_run == 0 {
            fingerprint.clone()
        } else {
            self.read_fingerprint()?
        };
        if unchanged && now == fingerprint {
            self.fingerprint = Some(now);
            return Ok(());
        }
        for pass in 1.. {
            // The fingerprint is older than the catalog: whoever changes something in between changes the next one.
            let after = if now == fingerprint {
                before.clone()
            } else {
                self.read_catalog()?
            };
            let differences = expected.differences(&after);
            if !unchanged {
                self.summary.changes = changes(&before, &after);
                // Roles that no phase makes are other applications' business: they change them meanwhile.
                self.summary
                    .changes
                    .retain(|(id, ..)| !id.is_shared() || expected.objects.contains_key(id));
            }
            if differences.iter().all(Difference::is_extra) {
                self.summary.extra = differences.iter().map(|difference| difference.id().clone()).collect();
                self.fingerprint = Some(now);
                return Ok(());
            }
            let known = Known {
                actual: Actual::Catalog(&after),
                seeded: true,
                force: false,
            };
            let again = decide(self.goal.phases, expected, known);
            if pass == PASSES || again == decisions {
                return Err(not_converged(
                    self.goal.phases,
                    expected,
                    &differences,
                    self.context.connector.settings(),
                ));
            }
            decisions = again;
            self.pass(&after, Some(&decisions))?;
            now = self.read_fingerprint()?;
        }
        Ok(())
    }

    /// Goes through all statements once, and sends those that are decided to run.
    fn pass(&mut self, actual: &Catalog, decisions: Option<&[Decision]>) -> Result<(), Error> {
        let Goal { phases, expected, .. } = self.goal;
        let mut number = 0;
        for phase in &phases.phases {
            let start = Instant::now();
            let before = self.summary.statements_run;
            let numbers = number..number + phase.statements.len();
            number = numbers.end;
            let runs =
                |n: usize| decisions.is_none_or(|decisions| decisions.get(n).is_none_or(|decision| decision.run));
            let count = numbers.clone().filter(|n| runs(*n)).count();
            self.context.tell(Event::Phase {
                phase,
                statements: count,
            });
            // Held until the phase ends.
            let _cluster = if count > 0 && phase.mentions_shared_objects() {
                mutex::acquire_cluster(self.context)?
            } else {
                None
            };
            for (n, statement) in numbers.zip(&phase.statements) {
                if runs(n) {
                    let leaves = expected.and_then(|expected| expected.statements.get(n));
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

    /// Runs a statement, and tells whether there was nothing to do for it.
    fn statement(
        &mut self,
        phase: &Phase,
        statement: &Statement,
        leaves: Option<&super::expected::Leaves>,
        actual: &Catalog,
        reason: Option<&Reason>,
    ) -> Result<bool, Error> {
        let run = self.summary.statements_run;
        let failed = |cause| {
            Err(failure(
                self.goal.phases,
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
            (Some(Reason::Untouched), _) | (_, None) => &[],
            (_, Some(leaves)) => leaves.locks.as_slice(),
        };
        let (mut step, mut result) = self.executor.run(statement, locks);
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
        // That there was nothing to do is not worth a row at each deploy.
        let recorded = match step.outcome {
            Outcome::Satisfied => Ok(()),
            _ => self.record(phase, statement, &step),
        };
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

    /// What to write above a statement that misses a column which an earlier CREATE TABLE IF NOT EXISTS declares.
    fn columns_to_add(&mut self, statement: &Statement) -> Option<String> {
        let Goal { phases, expected, .. } = self.goal;
        let number = phases.statements().position(|other| std::ptr::eq(other, statement))?;
        let lines = missing_columns(expected?, number, &self.read_catalog().ok()?);
        (!lines.is_empty()).then(|| {
            format!(
                "CREATE TABLE IF NOT EXISTS adds no column to a table that is there: add above this statement, then run\n\
                 cargo xtask snapshot and migrate again:\n{}",
                lines.join("\n")
            )
        })
    }

    fn record(&mut self, phase: &Phase, statement: &Statement, step: &Step) -> Result<(), postgres::Error> {
        self.begun.run.step(&mut self.executor.client, phase, statement, step)
    }

    fn finish(mut self, result: Result<(), Error>, start: Instant) -> Result<(Summary, Client), Error> {
        self.summary.statements_skipped = self
            .satisfied
            .iter()
            .filter(|satisfied| **satisfied == Some(true))
            .count();
        let changes = self.summary.changes.iter().map(
            |(id, before, after)| json!({ "kind": id.kind, "identity": id.identity, "before": before, "after": after }),
        );
        let ending = Ending {
            error: result.as_ref().err().map(ToString::to_string),
            interrupted: matches!(
                &result,
                Err(Error {
                    kind: Kind::Interrupted(_),
                    ..
                })
            ),
            run: self.summary.statements_run,
            skipped: self.summary.statements_skipped,
            changes: changes.collect(),
            expected_hash: self
                .goal
                .expected
                .filter(|_| self.fingerprint.is_some())
                .map(|expected| expected.hash.clone()),
            fingerprint: self
                .fingerprint
                .as_ref()
                .map(|fingerprint| fingerprint.as_str().to_owned()),
        };
        let run: &Run = &self.begun.run;
        let recorded = run.finish(&mut self.executor.client, &ending);
        // The error of the run counts for more than that it could not be recorded.
        result?;
        recorded.map_err(|error| {
            Error::new(
                Kind::Failed,
                "everything was run, but the end of the run could not be recorded",
                describe(&error),
            )
            .next("run it again: what is done is not done twice")
        })?;
        self.summary.elapsed = start.elapsed();
        Ok((self.summary, self.executor.client))
    }

    fn read_fingerprint(&mut self) -> Result<Fingerprint, Error> {
        Fingerprint::read(&mut self.executor.client).map_err(|error| cannot_read(&error))
    }

    fn read_catalog(&mut self) -> Result<Catalog, Error> {
        read_catalog(&mut self.executor.client, self.context)
    }
}

/// Reads the catalog, and tries again for as long as somebody holds a lock that a definition needs.
///
/// # Errors
/// Of kind [`Kind::Busy`] after the lock deadline.
pub fn read_catalog(client: &mut Client, context: &Context<'_>) -> Result<Catalog, Error> {
    let start = Instant::now();
    loop {
        let error = match Catalog::read(client, context.lock_timeout) {
            Ok(catalog) => return Ok(catalog),
            Err(error) => error,
        };
        // lock_not_available; internal_error: an object was dropped meanwhile ("cache lookup failed")
        let may_pass = error
            .code()
            .is_some_and(|code| matches!(code.code(), "55P03" | "XX000"));
        if !may_pass
            || (error.code().is_some_and(|code| code.code() == "XX000") && start.elapsed() > Duration::from_secs(5))
        {
            return Err(cannot_read(&error));
        }
        if start.elapsed() >= context.lock_deadline {
            return Err(Error {
                kind: Kind::Busy,
                ..cannot_read(&error)
            }
            .next("somebody holds an ACCESS EXCLUSIVE lock on a table: wait for it, or end it"));
        }
        crate::database::connect::check(context.interrupted, "reading the catalog")?;
        context.tell(Event::Progress {
            text: "waiting to read the catalog: a table is locked",
        });
        std::thread::sleep(Duration::from_millis(50 + fastrand::u64(..100)));
    }
}

fn cannot_read(error: &postgres::Error) -> Error {
    Error::new(Kind::Failed, "cannot read the catalog", describe(error))
}

/// Whether a refusal says no more than that the statement's work is done already: rows that are put in once are
/// there, or some of the objects are there, as `IF NOT EXISTS` would find them. What is missing or different in the
/// end is told when the catalog is compared.
fn forgiven(error: &postgres::Error, leaves: &super::expected::Leaves, actual: &Catalog) -> Option<Outcome> {
    if leaves.once && error.code() == Some(&SqlState::UNIQUE_VIOLATION) {
        return Some(Outcome::Satisfied);
    }
    let some_are_there = leaves.objects.iter().any(|(id, _)| actual.get(id).is_some());
    (is_already_there(error) && some_are_there).then_some(Outcome::Warning)
}
