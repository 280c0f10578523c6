//! `baseline`: takes over a database that was made otherwise.

use connection::{Error, Settings};
use migration::baseline::{Taken, take_over};
use migration::session::Connector;
use migration::{Event, Expected, Phases};
use serde::Serialize;

use super::options::{Common, context};
use crate::author::author;
use crate::report::Report;
use crate::{signals, ui};

/// Take over a database that was made otherwise: what runs once counts as done
///
/// Runs nothing. Records that the statements which run once have run here, so that migrate does not run them again: all
/// of them, or those of the files up to --through, or, where sqlx, refinery, diesel, dbmate, golang-migrate, goose,
/// Flyway, Prisma or Atlas has kept a version table, those of the files that it has applied.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Those of this file and of the files before it, whatever a version table says.
    #[arg(long, value_name = "FILE")]
    through: Option<String>,
    /// Print one JSON document on stdout.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub common: Common,
}

/// What was taken over, and where.
#[derive(Serialize)]
pub struct TakenOver {
    #[serde(flatten)]
    taken: Taken,
    #[serde(skip)]
    settings: Settings,
}

impl Report for TakenOver {
    fn remark(&self) {
        let Self { taken, settings } = self;
        for place in &taken.outstanding {
            ui::say(&format!("not run yet: {place}"));
        }
        let statements = match taken.done.len() {
            1 => "1 statement that runs once".to_owned(),
            n => format!("{n} statements that run once"),
        };
        let outstanding = match taken.outstanding.len() {
            0 => String::new(),
            n => format!("; migrate will run {n} more"),
        };
        ui::say(&format!(
            "{settings}: {statements} taken for done, by {}{outstanding}, run {}",
            taken.by, taken.run
        ));
    }
}

/// Runs the command.
pub fn run(args: &Args) -> anyhow::Result<TakenOver> {
    signals::watch()?;
    let phases = Phases::read(&args.common.sql.dir()).map_err(Error::from)?;
    let expected = Expected::read(&phases)?;
    let progress = ui::Progress::new(false);
    let connector = Connector::new(args.common.connection.settings()?, None)?;
    let observer = |event: Event<'_>| progress.event(&event);
    let context = context(&connector, args.common.connection.wait, &args.common.locks, &observer);
    let taken = take_over(&phases, &expected, args.through.as_deref(), &author(), &context)?;
    progress.clear();
    Ok(TakenOver {
        taken,
        settings: connector.settings().clone(),
    })
}
