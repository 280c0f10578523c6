//! `history`: the journal.

use std::time::Duration;

use connection::{Error, Kind, describe};
use migration::journal::{self, Author, RecordedStep, Run};
use migration::session::connect::Session;
use migration::session::{Connector, Target};
use serde::Serialize;

use super::options::{Connection, Sql};
use crate::out;
use crate::report::Report;
use crate::{signals, ui};

/// List the runs that the database has seen, or the steps of one
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The run whose steps to list.
    run: Option<i64>,
    /// How many runs to list, the newest first.
    #[arg(long, default_value_t = 20)]
    limit: u32,
    /// Print one JSON document on stdout.
    #[arg(long)]
    pub json: bool,
    // Not needed here: so that the same flags will do for all commands.
    #[command(flatten)]
    pub sql: Sql,
    #[command(flatten)]
    pub connection: Connection,
}

/// What the journal says.
#[derive(Serialize)]
#[serde(untagged)]
pub enum History {
    /// The newest runs.
    Runs(Vec<Run>),
    /// One run, with its steps.
    Run(Box<Run>),
}

impl Report for History {
    fn print(&self) {
        match self {
            Self::Runs(runs) if runs.is_empty() => out!("no runs yet"),
            Self::Runs(runs) => runs.iter().for_each(print_run),
            Self::Run(run) => {
                print_run(run);
                run.details
                    .iter()
                    .flat_map(|details| &details.steps)
                    .for_each(print_step);
            }
        }
    }
}

/// Runs the command.
pub fn run(args: &Args) -> anyhow::Result<History> {
    signals::watch()?;
    let connector = Connector::new(args.connection.settings()?, None)?;
    let progress = ui::Progress::new(false);
    let mut client = connector.wait(
        Target::Any,
        &Session::default(),
        args.connection.wait,
        &signals::received,
        &|waiting| progress.event(&migration::Event::Waiting(waiting)),
    )?;
    progress.clear();
    let failed = |error: postgres::Error| {
        Error::new(
            Kind::Failed,
            format!("cannot read the journal of {}", connector.settings()),
            describe(&error),
        )
    };
    let Some(id) = args.run else {
        return Ok(History::Runs(
            journal::runs(&mut client, args.limit.into()).map_err(failed)?,
        ));
    };
    let run = journal::run(&mut client, id).map_err(failed)?;
    let run = run.ok_or_else(|| {
        Error::new(Kind::Failed, format!("there is no run {id}"), "").next("cargo xtask history lists the runs")
    })?;
    Ok(History::Run(Box::new(run)))
}

fn print_run(run: &Run) {
    let Author {
        os_user,
        host,
        git_commit,
        ..
    } = &run.author;
    let commit = git_commit.as_deref();
    out!(
        "{:>5}  {}  {:<11} {:>10}  {:>3} run, {:>3} satisfied  {}@{}{}",
        run.id,
        run.started.get(..19).unwrap_or_default().replace('T', " "),
        run.outcome.name(),
        run.milliseconds
            .map_or("-".to_owned(), |time| ui::time(Duration::from_millis(
                time.unsigned_abs()
            ))),
        run.statements_run,
        run.statements_skipped,
        os_user.as_deref().unwrap_or_default(),
        host.as_deref().unwrap_or_default(),
        commit.map_or(String::new(), |commit| format!("  {commit}")),
    );
    for line in run.error.iter().flat_map(|error| error.lines()) {
        out!("       {line}");
    }
}

fn print_step(recorded: &RecordedStep) {
    let step = &recorded.step;
    let waited = match step.lock_wait {
        waited if waited >= Duration::from_millis(1) => format!(" ({} of it for locks)", ui::time(waited)),
        _ => String::new(),
    };
    let attempts = match step.attempts {
        0 | 1 => String::new(),
        n => format!(" {n} attempts"),
    };
    out!(
        "{:>5}  {:<30} {:<11} {:>9}{waited}{attempts}  {}",
        recorded.number,
        format!("{}:{}", recorded.file, recorded.line),
        step.outcome.name(),
        ui::time(step.duration),
        recorded.summary,
    );
}
