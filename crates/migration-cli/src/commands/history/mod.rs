//! `history`: the journal, and what it answers.

pub(super) mod changes;
mod runs;
mod stats;

use std::cmp::Reverse;

use connection::{Error, Kind, describe};
use migration::catalog::ObjectId;
use migration::journal::{self, ChangedBy, PhaseTimes, Run};
use migration::session::connect::Session;
use migration::session::{Connector, Target};
use serde::Serialize;

use super::options::{Connection, Sql};
use crate::report::Report;
use crate::{out, signals, ui};

/// List the runs that the database has seen, or tell what one did, or who changed an object
///
/// One run: its steps, then what it changed: + created, - dropped, ~ changed. Of a run that is under way or died nobody
/// has looked what it changed: the list is what it was going to change.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The run to tell of.
    run: Option<i64>,
    /// The steps that took longest first.
    #[arg(long, requires = "run")]
    slowest: bool,
    /// List the runs that changed this object, with its definition before and after: 'column public.events.email',
    /// 'constraint events_pkey on public.events'.
    #[arg(long, value_name = "OBJECT", conflicts_with = "run")]
    object: Option<ObjectId>,
    /// Tell of each phase how many runs did something in it, and how long it took: median, 95th percentile and last.
    #[arg(long, conflicts_with_all = ["run", "object", "limit"])]
    stats: bool,
    /// How many runs to list, the newest first; by default 20, and with --object all.
    #[arg(long)]
    limit: Option<u32>,
    /// Print one JSON document on stdout.
    #[arg(long)]
    pub json: bool,
    // Not needed here: so that the same flags will do for all commands.
    #[command(flatten)]
    pub sql: Sql,
    #[command(flatten)]
    pub connection: Connection,
}

/// How many runs are listed.
const LISTED: u32 = 20;

/// What the journal says.
#[derive(Serialize)]
#[serde(untagged)]
pub enum History {
    /// The newest runs.
    Runs(Vec<Run>),
    /// One run, with its steps.
    Run(Box<Run>),
    /// The runs that changed an object, the newest first.
    Object { object: String, runs: Vec<ChangedBy> },
    /// How long each phase took.
    Stats(Vec<PhaseTimes>),
}

impl Report for History {
    fn print(&self) {
        match self {
            Self::Runs(runs) if runs.is_empty() => out!("no runs yet"),
            Self::Runs(list) => runs::print_list(list),
            Self::Run(run) => {
                runs::print_one(run);
                changes::print_of_run(run);
            }
            Self::Object { object, runs } if runs.is_empty() => out!("no run on record has changed {object}"),
            Self::Object { object, runs } => changes::print_of_object(object, runs),
            Self::Stats(phases) if phases.is_empty() => out!("no run on record has come to the end of a phase"),
            Self::Stats(phases) => stats::print(phases),
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
    if args.stats {
        return Ok(History::Stats(journal::times_of_phases(&mut client).map_err(failed)?));
    }
    if let Some(id) = &args.object {
        let limit = args.limit.map_or(i64::MAX, i64::from);
        return Ok(History::Object {
            object: id.to_string(),
            runs: journal::changes_of_object(&mut client, id, limit).map_err(failed)?,
        });
    }
    let Some(id) = args.run else {
        let limit = args.limit.unwrap_or(LISTED).into();
        return Ok(History::Runs(journal::runs(&mut client, limit).map_err(failed)?));
    };
    let run = journal::run(&mut client, id).map_err(failed)?;
    let mut run = run.ok_or_else(|| {
        Error::new(Kind::Failed, format!("there is no run {id}"), "").next("cargo xtask history lists the runs")
    })?;
    if let (true, Some(details)) = (args.slowest, &mut run.details) {
        details.steps.sort_by_key(|step| Reverse(step.step.duration));
    }
    Ok(History::Run(Box::new(run)))
}
