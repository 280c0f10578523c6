//! One run: takes the mutex, decides what must run, sends it in order, proves that it converged, records it.

mod changed;
mod empty;
mod give_back;
mod locked;
mod no_op;
mod pass;
mod read;
mod rollback;
mod rows;
mod script;
mod summary;

use std::collections::BTreeSet;
use std::time::Instant;

use connection::{Error, Hint, Kind, Next, describe};
use postgres::Client;

use super::catalog::{Catalog, Difference, Fingerprint};
use super::context::{Context, Event};
use super::execute::{Executor, Watch};
use super::expected::Expected;
use super::failure::{made_otherwise, not_converged};
use super::journal::{self, Author, Ending, Keep, Newest, Record, Recorder, TakenBack, Texts, unreadable};
use super::plan::{Actual, Input, Plan, Repair, large_tables, prune};
use super::quarantine;
use super::session::mutex::{self, Locked, Server};
use super::session::search_path::refuse_own_search_path;
use super::session::strangers::refuse_strangers;
use super::source::phases::Phases;
use changed::{changed, planned};
use empty::forgotten_checks;
use read::read_fingerprint;

pub use read::read_catalog;
pub use rollback::{Undo, rollback};
pub use summary::{OnceSummary, SetAside, Summary, Warning};

/// What shall be brought about.
#[derive(Clone)]
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
    /// Bring the database to a version again that was taken back.
    pub again: bool,
    /// Change what differs and no statement changes, too.
    pub repair: bool,
    /// Drop what an earlier version made and no file names any more.
    pub prune: bool,
    /// What repairs and drops may lose values that rows hold.
    pub allow_data_loss: bool,
    /// What repairs may write tables anew.
    pub allow_rewrite: bool,
    /// For whom, for the record.
    pub author: Author,
    /// How much of the journal is kept.
    pub keep: Keep,
}

/// The passes after which a database that has not converged is given up: one makes what is missing, another
/// what was found missing only then.
const PASSES: usize = 3;

/// Brings the database to where the phases say, and hands over the session, which still holds the mutex. The goal is
/// asked for while the server is being connected to. If the connection is lost in the middle, to a failover for instance,
/// another run goes on as soon as there is a server that can be written to.
///
/// # Errors
/// Those of `goal`. See [`Kind`]; the run is recorded with its error, as far as the connection allows.
pub fn migrate(goal: impl Fn() -> Result<Goal, Error>, context: &Context<'_>) -> Result<(Summary, Client), Error> {
    let start = Instant::now();
    let mut lost = 0;
    loop {
        let result = open(&goal, context, |goal, executor, server, start| {
            under_watch(goal, context, executor, server, start)
        });
        match result {
            Err(error)
                if error.kind == Kind::Lost && lost < context.reconnects && (context.interrupted)().is_none() =>
            {
                lost += 1;
                let reason = format!("{}: {}", error.what, error.cause.lines().next().unwrap_or_default());
                context.tell(Event::Lost { reason: &reason });
                context.connector.forget_host();
            }
            Ok((mut summary, client)) => {
                summary.lost = lost;
                summary.elapsed = start.elapsed();
                return Ok((summary, client));
            }
            Err(error) => return Err(error),
        }
    }
}

/// Takes the mutex, and does something with the session under watch.
fn open(
    goal: impl FnOnce() -> Result<Goal, Error>,
    context: &Context<'_>,
    run: impl FnOnce(&Goal, Executor<'_>, &Server, Instant) -> Result<(Summary, Client), Error>,
) -> Result<(Summary, Client), Error> {
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
        let (mut summary, client) = run(&goal, executor, &server, Instant::now())?;
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
    start: Instant,
) -> Result<(Summary, Client), Error> {
    let newest = Newest::read(&mut executor.client, server.journal)?;
    if let (Some(reached), Some(expected), false) = (&newest.reached, &goal.expected, goal.allow_older)
        && reached.is_newer_than(&expected.version)
    {
        let summary = Summary {
            newer: Some(reached.clone()),
            ..Summary::default()
        };
        return Ok((summary, executor.client));
    }
    if let Some(run) = no_op::record(goal, &mut executor, &newest, server, start)? {
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
    if let Some(expected) = goal.expected.as_ref().filter(|_| server.journal && !goal.again)
        && let Some(known) = journal::taken_back(&mut executor.client, &expected.version).map_err(unreadable)?
    {
        return Err(was_taken_back(&known));
    }
    let tables = goal.expected.as_ref().map(Expected::tables).unwrap_or_default();
    refuse_strangers(&mut executor.client, &tables)?;
    let before = read_catalog(&mut executor.client, context, goal.expected.as_ref())?;
    let mut record = newest.record(&mut executor.client, server.journal)?;
    let plan = plan(goal, &mut executor.client, &record, goal.force, &before)?;
    if !(plan.unknown.is_empty() || goal.run_once) {
        return Err(made_otherwise(&plan, context.connector.settings()));
    }
    // From here on it is known what has run once.
    record.since_empty |= goal.expected.is_some();
    let (recorder, died) = journal::begin(
        &mut executor.client,
        server.journal,
        &goal.author,
        goal.expected.as_ref(),
        record.since_empty,
        &planned(&plan, goal.expected.as_ref(), &before),
        Texts::of(&server.encoding),
    )?;
    executor.is_named_after(recorder.run);
    context.tell(Event::Started {
        run: recorder.run,
        died: &died,
        server_version: &server.version,
    });
    let kept = server.journal && is_kept_by_rollbacks(&mut executor.client)?;
    let mut migration = Migration {
        kept,
        made: BTreeSet::new(),
        summary: Summary {
            run: recorder.run,
            was_empty: plan.untouched,
            ..Summary::default()
        },
        goal,
        executor,
        context,
        satisfied: vec![None; plan.steps.len()],
        converged: None,
        recorder,
    };
    let mut result = migration.converge(&before, plan);
    if result.is_ok() && kept {
        result = migration.give_back_what_was_kept();
    }
    migration.finish(result, &before)
}

fn plan<'a>(
    goal: &'a Goal,
    client: &mut Client,
    record: &Record,
    force: bool,
    actual: &Catalog,
) -> Result<Plan<'a>, Error> {
    let Some(expected) = &goal.expected else {
        return Ok(Plan::of_all(&goal.phases));
    };
    let large = large_tables(client, expected)?;
    let input = Input {
        large: Some(&large),
        force,
        ..record.plan_input(Actual::Catalog(actual))
    };
    Ok(Plan::new(&goal.phases, expected, input))
}

fn is_kept_by_rollbacks(client: &mut Client) -> Result<bool, Error> {
    quarantine::is_kept_by_rollbacks(client)
        .map_err(|error| Error::new(Kind::Failed, "cannot read the quarantine", describe(&error)))
}

/// The same files would do again what somebody has taken back.
fn was_taken_back(known: &TakenBack) -> Error {
    Error::new(
        Kind::Failed,
        format!(
            "this version was taken back by {} at {}: run {} by run {}; nothing was run",
            known.who, known.started, known.run, known.by_run
        ),
        "",
    )
    .next(Next::from("fix the phases, or go back to older ones; to bring it again as it is: ").hint(Hint::Again))
}

struct Migration<'a> {
    summary: Summary,
    goal: &'a Goal,
    recorder: Recorder,
    executor: Executor<'a>,
    context: &'a Context<'a>,
    /// Of each statement that was reached: whether it has been satisfied in every pass so far.
    satisfied: Vec<Option<bool>>,
    /// The fingerprint of the catalog that has been found to have converged.
    converged: Option<Fingerprint>,
    /// Rollbacks kept values that are to be put back where they were.
    kept: bool,
    /// The tables that this run has made, or columns of which.
    made: BTreeSet<String>,
}

impl<'a> Migration<'a> {
    fn converge(&mut self, before: &Catalog, mut plan: Plan<'a>) -> Result<(), Error> {
        let goal = self.goal;
        if self.repair_columns(&plan, before)? {
            let after = self.read_catalog()?;
            plan = self.plan(&after)?;
        }
        self.pass(&plan, &goal.phases, before)?;
        let Some(expected) = &goal.expected else {
            self.summary.changes = changed(before, &self.read_catalog()?, None);
            return Ok(());
        };
        let (mut is_repaired, mut is_pruned) = (false, false);
        for pass in 1.. {
            // A fingerprint is always older than the catalog that is read for it: whoever changes something in between
            // changes the next one.
            let fingerprint = read_fingerprint(&mut self.executor.client)?;
            let after = self.read_catalog()?;
            self.summary.changes = changed(before, &after, Some(expected));
            let differences = expected.differences(&after);
            if differences.iter().all(Difference::is_extra) {
                let drops = if goal.prune && !is_pruned {
                    prune(expected, &after).steps
                } else {
                    Vec::new()
                };
                if !drops.is_empty() {
                    is_pruned = true;
                    self.run_script("prune", &drops, &after)?;
                    continue;
                }
                let forgotten = forgotten_checks(&after).steps;
                if !forgotten.is_empty() {
                    self.run_script("heal", &forgotten, &after)?;
                    continue;
                }
                let extra = differences.iter().map(|difference| difference.id().clone());
                (self.summary.obsolete, self.summary.extra) = extra.partition(|id| expected.obsolete.contains(id));
                self.converged = Some(fingerprint);
                return Ok(());
            }
            let again = self.plan(&after)?;
            if pass >= PASSES || again.is_same_as(&plan) {
                let repair = Repair::new(expected, &after, &differences);
                if !is_repaired && self.repair(&repair, &after)? {
                    is_repaired = true;
                    continue;
                }
                let settings = self.context.connector.settings();
                return Err(not_converged(
                    &goal.phases,
                    expected,
                    &differences,
                    &repair.asked,
                    settings,
                ));
            }
            plan = again;
            self.pass(&plan, &goal.phases, &after)?;
        }
        Ok(())
    }

    /// What is left to do in a database with this catalog.
    fn plan(&mut self, actual: &Catalog) -> Result<Plan<'a>, Error> {
        let client = &mut self.executor.client;
        let record = Record {
            done: Some(journal::done(client)?),
            since_empty: true,
            reached: None,
            took_back: false,
        };
        plan(self.goal, client, &record, false, actual)
    }

    fn finish(mut self, result: Result<(), Error>, before: &Catalog) -> Result<(Summary, Client), Error> {
        self.summary.statements_skipped = self
            .satisfied
            .iter()
            .filter(|satisfied| **satisfied == Some(true))
            .count();
        // What a phase has set may stand in the way of the record; without a connection there is none anyhow.
        let changes = if result.is_err() {
            let _ = self.executor.end_file();
            self.look(before)
        } else {
            Some(std::mem::take(&mut self.summary.changes))
        };
        let ending = Ending {
            error: result.as_ref().err().map(|error| error.text(self.context.words)),
            interrupted: matches!(
                &result,
                Err(Error {
                    kind: Kind::Interrupted(_),
                    ..
                })
            ),
            statements_run: self.summary.statements_run,
            statements_skipped: self.summary.statements_skipped,
            changes: changes.as_ref().map(|changes| changes.iter().map(Into::into).collect()),
            expected_hash: self
                .goal
                .expected
                .as_ref()
                .filter(|_| self.converged.is_some())
                .map(|expected| expected.version.clone()),
            fingerprint: self.converged,
            keep: Some(self.goal.keep),
            stalled: self.executor.stalled,
        };
        self.summary.stalled = self.executor.stalled;
        self.summary.changes = changes.unwrap_or_default();
        let recorded = self.recorder.finish(&mut self.executor.client, &ending);
        let is_lost = self.executor.client.is_closed();
        // The error of the run counts for more than that it could not be recorded.
        result.map_err(|error| match error.kind {
            Kind::Interrupted(_) => error,
            _ if is_lost => Error {
                kind: Kind::Lost,
                ..error
            },
            _ => error,
        })?;
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

    fn read_catalog(&mut self) -> Result<Catalog, Error> {
        read_catalog(&mut self.executor.client, self.context, self.goal.expected.as_ref())
    }
}
