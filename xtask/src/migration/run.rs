//! One run: takes the mutex, decides what must run, sends it in order, proves that it converged, records it.

mod pass;
mod read;

use std::time::{Duration, Instant};

use postgres::Client;
use serde_json::json;

use super::catalog::{Catalog, Change, Difference, Fingerprint, ObjectId, changes};
use super::context::{Context, Event};
use super::decide::{Actual, Known, Reason, decide};
use super::executor::{Executor, Watch};
use super::expected::Expected;
use super::failure::not_converged;
use super::journal::{self, Author, Ending, Last, Run};
use super::mutex::{self, Locked, Server};
use super::phases::Phases;
use crate::error::{Error, Kind, describe};
use read::read_fingerprint;

pub use read::read_catalog;

/// What shall be brought about.
pub struct Goal {
    /// The statements.
    pub phases: Phases,
    /// What they leave; none: every statement is sent as it stands.
    pub expected: Option<Expected>,
    /// Send every statement, satisfied or not.
    pub force: bool,
    /// For whom, for the record.
    pub author: Author,
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
    pub changes: Vec<Change>,
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

/// Brings the database to where the phases say, and hands over the session, which still holds the mutex. The goal is
/// asked for while the server is being connected to.
///
/// # Errors
/// Those of `goal`. See [`Kind`]; the run is recorded with its error, as far as the connection allows.
pub fn migrate(goal: impl FnOnce() -> Result<Goal, Error>, context: &Context<'_>) -> Result<(Summary, Client), Error> {
    let start = Instant::now();
    let opening = mutex::open(context);
    let goal = goal()?;
    let Locked { client, server } = mutex::acquire(&opening, context)?;
    let watch = Watch::new(context, server.pid, client.cancel_token());
    std::thread::scope(|scope| {
        scope.spawn(|| watch.run());
        let _end = EndOnDrop(&watch);
        let executor = Executor::new(client, context, &watch);
        let (mut summary, client) = under_watch(&goal, context, executor, &server)?;
        summary.elapsed = start.elapsed();
        summary.server_version = server.version;
        Ok((summary, client))
    })
}

/// Whatever happens, the watch ends with the run: its thread is waited for.
struct EndOnDrop<'w, 'a>(&'w Watch<'a>);

impl Drop for EndOnDrop<'_, '_> {
    fn drop(&mut self) {
        self.0.end();
    }
}

fn under_watch<'a>(
    goal: &'a Goal,
    context: &'a Context<'a>,
    mut executor: Executor<'a>,
    server: &Server,
) -> Result<(Summary, Client), Error> {
    let start = Instant::now();
    let last = if server.journal {
        journal::last(&mut executor.client)?
    } else {
        Last::default()
    };
    let look = Look::at(start, &mut executor.client, goal, &last, server)?;
    if let Some(run) = look.nothing_to_do(&mut executor, goal) {
        context.tell(Event::Started {
            run,
            died: &[],
            server_version: &server.version,
        });
        let summary = Summary {
            run,
            statements_skipped: goal.phases.statements().count(),
            ..Summary::default()
        };
        return Ok((summary, executor.client));
    }
    let (run, died) = journal::begin(&mut executor.client, last.current, &goal.author)?;
    context.tell(Event::Started {
        run: run.id,
        died: &died,
        server_version: &server.version,
    });
    let mut migration = Migration {
        summary: Summary {
            run: run.id,
            ..Summary::default()
        },
        goal,
        executor,
        context,
        satisfied: vec![None; goal.phases.statements().count()],
        converged: None,
        run,
    };
    let result = migration.converge(&look);
    migration.finish(result)
}

/// A first look at the database.
struct Look {
    /// When it began.
    start: Instant,
    /// Its fingerprint; none where there is no other to compare it with.
    fingerprint: Option<Fingerprint>,
    /// Its catalog has not changed since the newest run found it converged to the same expected catalog.
    unchanged: bool,
}

impl Look {
    fn at(start: Instant, client: &mut Client, goal: &Goal, last: &Last, server: &Server) -> Result<Self, Error> {
        let Some(known) = goal
            .expected
            .as_ref()
            .and_then(|expected| last.fingerprint(&expected.hash))
        else {
            return Ok(Self {
                start,
                fingerprint: None,
                unchanged: false,
            });
        };
        // Where nothing at all was written, neither was the catalog.
        let now = if last.unwritten && known.is_by(&server.version_number, &server.role) {
            known.clone()
        } else {
            read_fingerprint(client)?
        };
        Ok(Self {
            start,
            unchanged: now == *known,
            fingerprint: Some(now),
        })
    }

    /// Where the catalog is unchanged and the statements that look for rows to change find none: records the run, and
    /// returns its number. Otherwise nothing was done; they go the usual way then, one by one.
    fn nothing_to_do<'a>(&self, executor: &mut Executor<'a>, goal: &'a Goal) -> Option<i64> {
        let (Some(expected), Some(fingerprint), true) = (&goal.expected, &self.fingerprint, self.unchanged) else {
            return None;
        };
        let known = Known {
            actual: Actual::Converged,
            seeded: true,
            force: goal.force,
        };
        let decisions = decide(&goal.phases, expected, known);
        if decisions
            .iter()
            .any(|decision| decision.run && decision.reason != Reason::ChangesRows)
        {
            return None;
        }
        let statements: Vec<_> = goal
            .phases
            .statements()
            .zip(&decisions)
            .filter_map(|(statement, decision)| decision.run.then_some(statement))
            .collect();
        let record = journal::unchanged(&goal.author, decisions.len(), &expected.hash, fingerprint, self.start);
        executor.find_no_rows(&record, &statements)?.parse().ok()
    }
}

struct Migration<'a> {
    summary: Summary,
    goal: &'a Goal,
    run: Run,
    executor: Executor<'a>,
    context: &'a Context<'a>,
    /// Of each statement that was reached: whether it has been satisfied in every pass so far.
    satisfied: Vec<Option<bool>>,
    /// The fingerprint of the catalog that has been found to have converged.
    converged: Option<Fingerprint>,
}

impl Migration<'_> {
    fn converge(&mut self, look: &Look) -> Result<(), Error> {
        let Some(expected) = &self.goal.expected else {
            let before = self.read_catalog()?;
            self.pass(&before, None)?;
            self.summary.changes = changes(&before, &self.read_catalog()?);
            return Ok(());
        };
        let before = if look.unchanged {
            Catalog::default()
        } else {
            self.read_catalog()?
        };
        let known = Known {
            actual: if look.unchanged {
                Actual::Converged
            } else {
                Actual::Catalog(&before)
            },
            // An error here is one of the connection, which the next statement meets as well.
            seeded: look.unchanged
                || journal::has_converged(&mut self.executor.client, &expected.hash).unwrap_or(false),
            force: self.goal.force,
        };
        let mut decisions = decide(&self.goal.phases, expected, known);
        self.pass(&before, Some(&decisions))?;
        // What changed no row changed no catalog. A fingerprint is always older than the catalog that is read for it:
        // whoever changes something in between changes the next one.
        let seen = look.fingerprint.as_ref().filter(|_| self.summary.statements_run == 0);
        let mut now = match seen {
            Some(seen) => seen.clone(),
            None => self.read_fingerprint()?,
        };
        if look.unchanged && look.fingerprint.as_ref() == Some(&now) {
            self.converged = Some(now);
            return Ok(());
        }
        let mut after = match seen {
            Some(_) => before.clone(),
            None => self.read_catalog()?,
        };
        for pass in 1.. {
            let differences = expected.differences(&after);
            if !look.unchanged {
                self.summary.changes = changes(&before, &after);
                // Roles that no phase makes are other applications' business: they change them meanwhile.
                self.summary
                    .changes
                    .retain(|(id, ..)| !id.is_shared() || expected.objects.contains_key(id));
            }
            if differences.iter().all(Difference::is_extra) {
                self.summary.extra = differences.iter().map(|difference| difference.id().clone()).collect();
                self.converged = Some(now);
                return Ok(());
            }
            let known = Known {
                actual: Actual::Catalog(&after),
                seeded: true,
                force: false,
            };
            let again = decide(&self.goal.phases, expected, known);
            if pass == PASSES || again == decisions {
                return Err(not_converged(
                    &self.goal.phases,
                    expected,
                    &differences,
                    self.context.connector.settings(),
                ));
            }
            decisions = again;
            self.pass(&after, Some(&decisions))?;
            now = self.read_fingerprint()?;
            after = self.read_catalog()?;
        }
        Ok(())
    }

    fn finish(mut self, result: Result<(), Error>) -> Result<(Summary, Client), Error> {
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
                .as_ref()
                .filter(|_| self.converged.is_some())
                .map(|expected| expected.hash.clone()),
            fingerprint: self.converged,
        };
        let recorded = self.run.finish(&mut self.executor.client, &ending);
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
        Ok((self.summary, self.executor.client))
    }

    fn read_fingerprint(&mut self) -> Result<Fingerprint, Error> {
        read_fingerprint(&mut self.executor.client)
    }

    fn read_catalog(&mut self) -> Result<Catalog, Error> {
        read_catalog(&mut self.executor.client, self.context)
    }
}
