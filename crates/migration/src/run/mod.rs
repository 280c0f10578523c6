//! One run: takes the mutex, decides what must run, sends it in order, proves that it converged, records it.

mod locked;
mod pass;
mod read;
mod summary;

use std::collections::BTreeSet;
use std::time::Instant;

use connection::{Error, Kind, describe};
use postgres::Client;

use super::catalog::{Catalog, Difference, Fingerprint, changes};
use super::context::{Context, Event};
use super::execute::{Executor, Watch};
use super::expected::Expected;
use super::failure::{made_otherwise, not_converged};
use super::journal::{self, Author, Ending, Last, Run, Texts};
use super::plan::{Actual, Known, Plan, Planned, Reason};
use super::session::mutex::{self, Locked, Server};
use super::session::search_path::refuse_own_search_path;
use super::source::phases::Phases;
use super::source::statement::Class;
use read::read_fingerprint;

pub use read::read_catalog;
pub use summary::{ChangeDocument, OnceSummary, Summary, Warning};

/// What shall be brought about.
pub struct Goal {
    /// The statements.
    pub phases: Phases,
    /// What they leave; none: every statement is sent as it stands.
    pub expected: Option<Expected>,
    /// Send every statement, satisfied or not; not those that run once and have run.
    pub force: bool,
    /// Run what runs once although nobody knows whether it has run here.
    pub run_once: bool,
    /// Bring a database back that a later version was brought to.
    pub allow_older: bool,
    /// For whom, for the record.
    pub author: Author,
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
    let terms = context.terms();
    let opening = mutex::open(&terms);
    let goal = goal()?;
    let Locked {
        mut client,
        server,
        settings,
    } = mutex::acquire(&opening, &terms)?;
    if server.own_settings {
        refuse_own_search_path(&mut client, &goal.phases, context.connector)?;
    }
    let watch = Watch::new(context, server.pid, client.cancel_token());
    std::thread::scope(|scope| {
        scope.spawn(|| watch.run());
        let _end = EndOnDrop(&watch);
        let executor = Executor::new(client, context, &watch, settings);
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
    if let (Some(reached), Some(expected), false) = (&last.reached, &goal.expected, goal.allow_older)
        && reached.is_newer_than(&expected.version)
    {
        let summary = Summary {
            newer: Some(reached.clone()),
            ..Summary::default()
        };
        return Ok((summary, executor.client));
    }
    let look = Look::at(start, &mut executor.client, goal, &last, server)?;
    if let Some(run) = look.nothing_to_do(&mut executor, goal, Texts::of(&server.encoding)) {
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
    let before = match look.unchanged {
        true => Catalog::default(),
        false => read_catalog(&mut executor.client, context, goal.expected.as_ref())?,
    };
    let plan = match &goal.expected {
        None => Plan::of_all(&goal.phases),
        Some(expected) => {
            let done = match server.journal && !look.unchanged {
                true => journal::done(&mut executor.client)?,
                false => BTreeSet::new(),
            };
            let known = Known {
                actual: look.actual(&before),
                done: Some(&done),
                since_empty: last.since_empty,
                force: goal.force,
            };
            Plan::new(&goal.phases, expected, known)
        }
    };
    if !(plan.unknown.is_empty() || goal.run_once) {
        return Err(made_otherwise(&plan, context.connector.settings()));
    }
    // From here on it is known what has run once.
    let since_empty = last.since_empty || goal.expected.is_some();
    let (run, died) = journal::begin(
        &mut executor.client,
        last.current,
        &goal.author,
        goal.expected.as_ref(),
        since_empty,
        Texts::of(&server.encoding),
    )?;
    executor.is_named_after(run.id);
    context.tell(Event::Started {
        run: run.id,
        died: &died,
        server_version: &server.version,
    });
    let mut migration = Migration {
        summary: Summary {
            run: run.id,
            was_empty: plan.untouched,
            ..Summary::default()
        },
        goal,
        executor,
        context,
        satisfied: vec![None; plan.steps.len()],
        converged: None,
        run,
    };
    let result = migration.converge(&look, before, plan);
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
            .and_then(|expected| last.fingerprint(&expected.version))
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
    fn nothing_to_do(&self, executor: &mut Executor<'_>, goal: &Goal, texts: Texts) -> Option<i64> {
        let (Some(expected), Some(fingerprint), true) = (&goal.expected, &self.fingerprint, self.unchanged) else {
            return None;
        };
        let known = Known {
            actual: Actual::Converged,
            done: None,
            since_empty: true,
            force: goal.force,
        };
        let plan = Plan::new(&goal.phases, expected, known);
        let running = || plan.steps.iter().filter(|step| step.run);
        let looks_for_rows = |step: &Planned<'_>| step.reason == Reason::Always && step.statement.class == Class::Dml;
        if !running().all(looks_for_rows) {
            return None;
        }
        let statements: Vec<_> = running().map(|step| step.statement).collect();
        let record = journal::unchanged(
            &goal.author,
            plan.steps.len(),
            &expected.version,
            fingerprint,
            self.start,
            texts,
        );
        executor.find_no_rows(&record, &statements)?.parse().ok()
    }
}

impl Look {
    fn actual<'c>(&self, catalog: &'c Catalog) -> Actual<'c> {
        match self.unchanged {
            true => Actual::Converged,
            false => Actual::Catalog(catalog),
        }
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

impl<'a> Migration<'a> {
    fn converge(&mut self, look: &Look, before: Catalog, mut plan: Plan<'a>) -> Result<(), Error> {
        self.pass(&plan, &before)?;
        let Some(expected) = &self.goal.expected else {
            self.summary.changes = changes(&before, &self.read_catalog()?);
            return Ok(());
        };
        // Where nothing ran the catalog is as it was. A fingerprint is always older than the catalog that is read for it:
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
                // What was not looked at once has not appeared nor gone.
                if !(before.unread().is_empty() && after.unread().is_empty()) {
                    self.summary
                        .changes
                        .retain(|(id, ..)| expected.objects.contains_key(id));
                }
                // Roles that no phase makes are other applications' business: they change them meanwhile.
                self.summary
                    .changes
                    .retain(|(id, ..)| !id.is_shared() || expected.objects.contains_key(id));
            }
            if differences.iter().all(Difference::is_extra) {
                let extra = differences.iter().map(|difference| difference.id().clone());
                (self.summary.obsolete, self.summary.extra) = extra.partition(|id| expected.obsolete.contains(id));
                self.converged = Some(now);
                return Ok(());
            }
            let done = journal::done(&mut self.executor.client)?;
            let known = Known {
                actual: Actual::Catalog(&after),
                done: Some(&done),
                since_empty: true,
                force: false,
            };
            let again = Plan::new(&self.goal.phases, expected, known);
            if pass == PASSES || again.is_same_as(&plan) {
                return Err(not_converged(
                    &self.goal.phases,
                    expected,
                    &differences,
                    self.context.connector.settings(),
                ));
            }
            plan = again;
            self.pass(&plan, &after)?;
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
        let changes = self.summary.changes.iter().map(ChangeDocument::from);
        let changes = changes.filter_map(|change| serde_json::to_value(change).ok());
        let ending = Ending {
            error: result.as_ref().err().map(|error| error.text(self.context.words)),
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
                .map(|expected| expected.version.clone()),
            fingerprint: self.converged,
        };
        // What a phase has set may stand in the way of the record; without a connection there is none anyhow.
        if result.is_err() {
            let _ = self.executor.end_file();
        }
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
        read_catalog(&mut self.executor.client, self.context, self.goal.expected.as_ref())
    }
}
