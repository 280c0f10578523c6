//! `rollback`: takes back what runs of `migrate` changed in the catalog.

use std::sync::Arc;

use connection::Settings;
use migration::rollback::{Wanted, Way};
use migration::run::Undo;
use migration::session::Connector;
use migration::{Context, Summary};
use serde::Serialize;

use super::options::{Connection, Locks, Sql};
use crate::author::author;
use crate::report::Report;
use crate::{hints, signals, ui};

/// Take back what a run changed: the last one that changed something, or RUN
///
/// No files are needed: the journal holds the definitions before the run, and the statements are made of them. What the
/// run made is dropped, what it changed gets its earlier definition, what it dropped is made again, without its rows. Rows
/// that its clean-up set aside go back where they were. It never loses values silently: see --allow-data-loss. What ran
/// once and changed rows is not taken back, and said. plan --rollback shows the statements.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The run to take back, as history lists it.
    run: Option<i64>,
    /// Take back all runs after this one, the newest first.
    #[arg(long, value_name = "RUN", conflicts_with = "run")]
    to: Option<i64>,
    /// Go on though some of it cannot be taken back, such as a label of an enum.
    #[arg(long)]
    partly: bool,
    /// Drop columns and tables that hold values. They go to the quarantine first.
    #[arg(long)]
    allow_data_loss: bool,
    /// Go on though tables are written anew, and everybody waits meanwhile.
    #[arg(long)]
    allow_rewrite: bool,
    /// Show each statement, and what the server notices.
    #[arg(long, short)]
    verbose: bool,
    /// Print one JSON document on stdout.
    #[arg(long)]
    pub json: bool,
    // Not needed here: so that the same flags will do for all commands.
    #[command(flatten)]
    pub sql: Sql,
    #[command(flatten)]
    pub connection: Connection,
    #[command(flatten)]
    pub locks: Locks,
}

/// What is meant by a run, by all after another one, or by neither.
pub fn wanted(run: Option<i64>, to: Option<i64>) -> Wanted {
    match (run, to) {
        (Some(run), _) => Wanted::Run(run),
        (None, Some(run)) => Wanted::After(run),
        (None, None) => Wanted::Last,
    }
}

/// A rollback that succeeded.
#[derive(Serialize)]
pub struct RolledBack {
    outcome: &'static str,
    exit_status: u8,
    #[serde(flatten)]
    summary: Summary,
    #[serde(skip)]
    settings: Settings,
}

impl Report for RolledBack {
    fn remark(&self) {
        let Self { summary, settings, .. } = self;
        super::migrate::say_set_aside(summary);
        super::migrate::say_restored(summary);
        let runs: Vec<String> = summary.undone.iter().map(ToString::to_string).collect();
        ui::say(&format!(
            "{settings} on PostgreSQL {}: took back run {}, {} run in {}, run {}; the catalog is as it was before",
            summary.server_version,
            runs.join(", "),
            ui::count(summary.statements_run, "statement"),
            ui::time(summary.elapsed),
            summary.run
        ));
    }
}

/// Runs the command.
pub fn run(args: &Args) -> anyhow::Result<RolledBack> {
    signals::watch()?;
    let progress = Arc::new(ui::Progress::new(args.verbose));
    let connector = Connector::new(args.connection.settings()?, None)?;
    let context = Context {
        connector: &connector,
        wait: args.connection.wait,
        lock_timeout: args.locks.lock_timeout,
        lock_deadline: args.locks.lock_deadline,
        interrupted: &signals::received,
        words: hints::words,
        observer: &|event| progress.event(&event),
    };
    let undo = Undo {
        wanted: wanted(args.run, args.to),
        partly: args.partly,
        allow_data_loss: args.allow_data_loss,
        allow_rewrite: args.allow_rewrite,
        author: author(),
    };
    let result = migration::run::rollback(&undo, &context);
    progress.clear();
    let (summary, _) = result?;
    Ok(RolledBack {
        outcome: "succeeded",
        exit_status: 0,
        summary,
        settings: connector.settings().clone(),
    })
}

/// What is going to be taken back, before anything happens.
pub fn lines(way: &Way) -> Vec<String> {
    let mut lines = Vec::new();
    for run in &way.runs {
        lines.push(format!(
            "takes back run {} of {}, by {} ({}{})",
            run.id,
            run.started,
            run.who,
            ui::count(run.changes.len(), "object"),
            match run.outcome {
                migration::journal::Outcome::Succeeded => String::new(),
                outcome => format!(", {}", outcome.name()),
            }
        ));
    }
    for id in &way.changed_since {
        lines.push(format!("changed since by somebody else: {id}"));
    }
    for id in &way.shared {
        lines.push(format!("stays, because other databases of the server may use it: {id}"));
    }
    for one in &way.once {
        lines.push(format!("ran once, not taken back: {}  {}", one.place, one.summary));
    }
    for of in &way.script.impossible {
        lines.push(format!("cannot be taken back: {}: {}", of.id, of.reason));
    }
    lines
}
