//! `rollback`: takes back what runs of `migrate` changed in the catalog.

use std::sync::Arc;

use connection::{Error, Kind, Settings};
use migration::Expected;
use migration::rollback::{Wanted, Way};
use migration::run::Undo;
use migration::session::Connector;
use migration::{Event, Summary};
use serde::Serialize;

use super::options::{Connection, Locks, Sql, context};
use crate::author::author;
use crate::report::Report;
use crate::{signals, ui};

/// Take back what a run changed: the last one that changed something, or RUN
///
/// No files are needed: the journal holds the definitions from before the run. What the run made is dropped, what it
/// changed gets its earlier definition, what it dropped is made again. Rows that the run set aside return; other rows of
/// a dropped table or column do not. Values are never lost silently (see --allow-data-loss). Statements that ran once are
/// listed, and not taken back. plan --rollback shows the statements. Afterwards migrate refuses the version that was
/// taken back (see its --again); older files need no flag.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The run to take back, as history lists it.
    run: Option<i64>,
    /// Take back all runs after this one, the newest first.
    #[arg(long, value_name = "RUN", conflicts_with = "run")]
    to: Option<i64>,
    /// Take back the runs of the version that the phase files here are; where there was none, nothing is done. What to
    /// take back from many databases (--databases), which may have been reached by it or not.
    #[arg(long, conflicts_with_all = ["run", "to"])]
    pub release: bool,
    /// First run the phase files' own .down.sql, where there are any (or U1__….sql, or what stands below -- migrate:down or
    /// -- +goose Down), of the files that the run ran statements of. What they leave is taken back from the journal.
    #[arg(long)]
    down_files: bool,
    /// Leave what cannot be taken back, such as a label of an enum, and take back the rest.
    #[arg(long)]
    partly: bool,
    /// Also drop columns and tables that hold values. The values go to the quarantine first.
    #[arg(long)]
    allow_data_loss: bool,
    /// Also run statements that write all rows of a table anew. Everybody waits meanwhile.
    #[arg(long)]
    allow_rewrite: bool,
    /// Show each statement, and what the server notices.
    #[arg(long, short)]
    verbose: bool,
    /// Print one JSON document on stdout.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub sql: Sql,
    #[command(flatten)]
    pub connection: Connection,
    #[command(flatten)]
    pub locks: Locks,
}

/// What is meant by a run, by all after another one, by those of the version that the phase files are, or by neither.
pub fn wanted(run: Option<i64>, to: Option<i64>, release: bool, sql: &Sql) -> anyhow::Result<Wanted> {
    Ok(match (run, to, release) {
        (_, _, true) => Wanted::Version(Expected::read(&sql.phases()?)?.version),
        (Some(run), ..) => Wanted::Run(run),
        (None, Some(run), _) => Wanted::After(run),
        (None, None, _) => Wanted::Last,
    })
}

/// Refuses to take back the last runs of many databases, which need not be of one release.
pub fn of_many(release: bool) -> Result<(), Error> {
    if release {
        return Ok(());
    }
    let what = "of many databases only a release can be taken back";
    let why = "their last runs need not belong to the same one";
    Err(Error::new(Kind::Usage, what, why)
        .next("add --release, with the phase files of the release that shall be taken back"))
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
        if summary.undone.is_empty() {
            ui::say(&format!(
                "{settings}: nothing to take back: this release did not change it"
            ));
            return;
        }
        super::migrate::say_set_aside(summary);
        super::migrate::say_restored(summary);
        let runs: Vec<String> = summary.undone.iter().map(ToString::to_string).collect();
        ui::say(&format!(
            "{settings} on PostgreSQL {}: took back run {}, {} run in {}, run {}; the catalog is as it was before{}",
            summary.server_version,
            runs.join(", "),
            ui::count(summary.statements_run, "statement"),
            ui::time(summary.elapsed),
            summary.run,
            match summary.left {
                0 => String::new(),
                left => format!(", but for {}", ui::count(left, "object")),
            }
        ));
    }
}

/// Runs the command.
pub fn run(args: &Args) -> anyhow::Result<RolledBack> {
    signals::watch()?;
    let progress = Arc::new(ui::Progress::new(args.verbose));
    let connector = Connector::new(args.connection.settings()?, None)?;
    let observer = |event: Event<'_>| progress.event(&event);
    let context = context(&connector, args.connection.wait, &args.locks, &observer);
    let undo = Undo {
        wanted: wanted(args.run, args.to, args.release, &args.sql)?,
        down_files: args.down_files.then(|| args.sql.dir()),
        partly: args.partly,
        allow_data_loss: args.allow_data_loss,
        allow_rewrite: args.allow_rewrite,
        author: author(),
    };
    let result = migration::run::rollback(&undo, &context);
    progress.clear();
    let (summary, _) = result?;
    Ok(RolledBack {
        outcome: match summary.undone.is_empty() {
            true => "nothing to take back",
            false => "succeeded",
        },
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
    for down in &way.down {
        let statements = ui::count(down.statements.len(), "statement");
        lines.push(format!(
            "first runs {} ({statements}), which undoes {}",
            down.file(),
            down.of
        ));
    }
    for id in &way.changed_since {
        lines.push(format!("changed since by somebody else: {id}"));
    }
    for id in &way.emptied {
        lines.push(format!(
            "comes back without what it held, but for what was set aside: {id}"
        ));
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
