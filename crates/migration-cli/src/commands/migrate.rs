//! `migrate`: brings the database to the state that the phase files describe.

use std::sync::Arc;
use std::time::Duration;

use connection::{Error, Kind, Settings, describe};
use migration::expected::State;
use migration::failure::one_line;
use migration::journal::Keep;
use migration::session::{Connector, password};
use migration::{self, Event, Expected, Goal, Summary};
use serde::Serialize;

use super::history::changes;
use super::options::{Common, Connection, Locks, context, variable};
use crate::application::{self, ReadonlyRole};
use crate::author::author;
use crate::report::Report;
use crate::{signals, ui};

/// Bring the database to the state that the phase files describe
///
/// Waits for the database, takes the migration mutex, runs what the catalog lacks, proves that the database is then as
/// expected.json says, and records the run in the database (see history). Running it again changes nothing.
/// POSTGRES_READONLY_PASSWORD sets the password of the role that only reads, where the application has one.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Print one JSON document on stdout.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub migration: Migration,
}

impl Args {
    /// Where the database is.
    pub fn connection(&self) -> &Connection {
        &self.migration.common.connection
    }
}

/// How to migrate, also for the commands that begin with it.
#[derive(clap::Args, Debug)]
pub struct Migration {
    /// Run every statement, satisfied or not; not those that run once and have run.
    #[arg(long)]
    pub force: bool,
    /// On a database that was made otherwise: run the statements that run once, though nobody knows whether they have run
    /// (baseline takes them for done).
    #[arg(long)]
    pub run_once: bool,
    /// Go back on purpose: bring the database to these phase files, though a later version was brought to it. Not needed
    /// after a rollback.
    #[arg(long)]
    pub allow_older: bool,
    /// Bring the database to these phase files again, though a rollback took them back.
    #[arg(long)]
    pub again: bool,
    /// Also change what is there and different, and what no statement in the files would change: a type or a default that
    /// somebody changed by hand.
    #[arg(long, conflicts_with = "no_snapshot")]
    pub repair: bool,
    /// Also drop what an earlier version made and no file names any more; plan lists it.
    #[arg(long, conflicts_with = "no_snapshot")]
    pub prune: bool,
    /// With --repair or --prune: also where values are lost. They go to the quarantine first.
    #[arg(long)]
    pub allow_data_loss: bool,
    /// With --repair: also where a statement writes all rows of a table anew. Everybody waits meanwhile.
    #[arg(long)]
    pub allow_rewrite: bool,
    /// Do without expected.json: run every statement as it stands, also those that run once and have run, and prove
    /// nothing.
    #[arg(long)]
    pub no_snapshot: bool,
    /// Show each statement, and what the server notices.
    #[arg(long, short)]
    pub verbose: bool,
    /// How many runs stay in the journal. A run that did something forgets those before; never the newest 20, nor runs that
    /// set rows aside, that a rollback took back, or that say which version the database is at.
    #[arg(long, env = "XTASK_KEEP_RUNS", default_value_t = Keep::default().runs, hide_env_values = true, value_name = "NUMBER")]
    pub keep_runs: u32,
    /// For how many days they stay there.
    #[arg(long, env = "XTASK_KEEP_DAYS", default_value_t = Keep::default().days, hide_env_values = true, value_name = "DAYS")]
    pub keep_days: u32,
    #[command(flatten)]
    pub common: Common,
}

/// The password of the role that only reads.
const READONLY_PASSWORD: &str = "POSTGRES_READONLY_PASSWORD";

/// A migration that succeeded.
#[derive(Serialize)]
pub struct Migrated {
    outcome: &'static str,
    exit_status: u8,
    #[serde(flatten)]
    summary: Summary,
    #[serde(skip)]
    settings: Settings,
    #[serde(skip)]
    verbose: bool,
}

impl Report for Migrated {
    fn remark(&self) {
        let Self { summary, settings, .. } = self;
        if let Some(reached) = &summary.newer {
            return ui::say_newer(settings, reached);
        }
        let done = match (summary.statements_run, summary.statements_skipped) {
            (0, _) => "nothing to do".to_owned(),
            (run, 0) => format!("{} run", ui::count(run, "statement")),
            (run, skipped) => format!("{} run, {skipped} satisfied", ui::count(run, "statement")),
        };
        ui::say(&format!(
            "{settings} on PostgreSQL {}: {done}{}{} in {}, run {}",
            summary.server_version,
            changed(summary),
            match summary.lost {
                0 => String::new(),
                lost => format!(
                    ", over {} (history tells of the runs)",
                    ui::count(lost + 1, "connection")
                ),
            },
            ui::time(summary.elapsed),
            summary.run
        ));
        for place in &summary.restless {
            ui::warn(&format!(
                "{place}: it runs always, and changed rows in the run before as well: does something change them back each time?"
            ));
        }
        say_set_aside(summary);
        say_restored(summary);
        say_once(summary);
        for sql in &summary.repaired {
            ui::say(&format!("sent besides the phases: {}", one_line(sql)));
        }
        for id in &summary.obsolete {
            ui::say(&format!(
                "obsolete: {id} (an earlier version made it, and no file names it any more; migrate --prune drops it)"
            ));
        }
        if self.verbose {
            summary.extra.iter().for_each(|id| ui::say(&format!("extra: {id}")));
        }
    }
}

impl Migrated {
    /// What the run changed, object by object, the first ones of many.
    pub fn say_changes(&self) {
        const SHOWN: usize = 40;
        let lines: Vec<String> = self
            .summary
            .changes
            .iter()
            .flat_map(|(id, before, after)| changes::lines(&id.to_string(), before.as_deref(), after.as_deref()))
            .collect();
        for line in lines.iter().take(SHOWN) {
            ui::say(&format!("  {line}"));
        }
        if lines.len() > SHOWN {
            ui::say(&format!(
                "  and {} more: cargo xtask history {}",
                ui::count(lines.len() - SHOWN, "line"),
                self.summary.run
            ));
        }
    }
}

/// Runs the command.
pub fn run(args: &Args) -> anyhow::Result<Migrated> {
    migrate(&args.migration)
}

/// Migrates and shows how, for the commands that begin with it too.
pub fn migrate(args: &Migration) -> anyhow::Result<Migrated> {
    let job = Job {
        locks: &args.common.locks,
        wait: args.common.connection.wait,
        verbose: args.verbose,
    };
    job.run(args.common.connection.settings()?, || {
        let phases = args.common.sql.phases()?;
        let expected = if args.no_snapshot {
            None
        } else {
            Some(Expected::read(&phases)?)
        };
        Ok(Goal {
            phases,
            expected,
            force: args.force,
            run_once: args.run_once,
            allow_older: args.allow_older,
            again: args.again,
            repair: args.repair,
            prune: args.prune,
            allow_data_loss: args.allow_data_loss,
            allow_rewrite: args.allow_rewrite,
            author: author(),
            keep: Keep {
                runs: args.keep_runs,
                days: args.keep_days,
            },
        })
    })
}

/// How to migrate.
pub struct Job<'a> {
    pub locks: &'a Locks,
    pub wait: Duration,
    pub verbose: bool,
}

impl Job<'_> {
    /// Migrates and shows how.
    pub fn run(
        self,
        settings: Settings,
        goal: impl Fn() -> Result<Goal, connection::Error>,
    ) -> anyhow::Result<Migrated> {
        let readonly_password = variable(READONLY_PASSWORD)?;
        signals::watch()?;
        let progress = Arc::new(ui::Progress::new(self.verbose));
        let notices = {
            let progress = progress.clone();
            Arc::new(move |notice: &postgres::error::DbError| progress.notice(notice))
        };
        let connector = Connector::new(settings, Some(notices))?;
        let observer = |event: Event<'_>| progress.event(&event);
        let context = context(&connector, self.wait, self.locks, &observer);
        let result = migration::migrate(goal, &context);
        progress.clear();
        let (summary, mut client) = result?;
        if summary.newer.is_none() {
            readonly_role(&mut client, &connector, &summary, readonly_password.as_deref())?;
        }
        Ok(Migrated {
            outcome: if summary.newer.is_some() { "newer" } else { "succeeded" },
            exit_status: 0,
            settings: connector.settings().clone(),
            verbose: self.verbose,
            summary,
        })
    }
}

/// Sets the password of the role that only reads, if there is one to set; otherwise warns of a well-known one.
fn readonly_role(
    client: &mut postgres::Client,
    connector: &Connector,
    summary: &Summary,
    password: Option<&str>,
) -> anyhow::Result<()> {
    let Some(role) = &application::get().readonly else {
        return Ok(());
    };
    let name = role.name;
    // Of a run that found nothing to do it has what it needs.
    if summary.statements_run > 0 {
        migration::journal::let_read(client, name).map_err(|error| {
            let what = format!("cannot let {name} read the journal");
            Error::new(Kind::Failed, what, describe(&error))
        })?;
    }
    if let Some(password) = password {
        if password::ensure(client, connector, name, password)? == password::Ensured::Set {
            ui::say(&format!("set the password of {name}"));
        }
    } else if summary.statements_run > 0 && !makes(summary, name) && has_well_known_password(connector, role) {
        ui::warn(&format!(
            "{name} still has a password that everybody knows:\n  set {READONLY_PASSWORD} and run migrate again"
        ));
    }
    Ok(())
}

/// Rows that constraints refused.
pub fn say_set_aside(summary: &Summary) {
    for set_aside in &summary.set_aside {
        ui::say(&format!(
            "{}  {} of {}: {}; as they were they are in migration.quarantine",
            set_aside.place,
            ui::count(usize::try_from(set_aside.rows).unwrap_or(usize::MAX), "row"),
            set_aside.table,
            set_aside.reason
        ));
    }
}

/// Rows that had been set aside, and are back.
pub fn say_restored(summary: &Summary) {
    let count = |rows: u64| ui::count(usize::try_from(rows).unwrap_or(usize::MAX), "row");
    if summary.restored > 0 {
        ui::say(&format!("{} put back where they were", count(summary.restored)));
    }
    if summary.not_restored > 0 {
        ui::warn(&format!(
            "{} did not fit where they were, and stay in the quarantine: cargo xtask quarantine restore says why",
            count(summary.not_restored)
        ));
    }
}

/// What ran once; in a database that was empty only how much.
fn say_once(summary: &Summary) {
    const SHOWN: usize = 20;
    let rows: u64 = summary.once.iter().map(|once| once.rows).sum();
    if summary.once.is_empty() {
        return;
    }
    if summary.was_empty {
        let rows = usize::try_from(rows).unwrap_or(usize::MAX);
        ui::say(&format!(
            "{} ran once: {}",
            ui::count(summary.once.len(), "statement"),
            ui::count(rows, "row")
        ));
        return;
    }
    for once in summary.once.iter().take(SHOWN) {
        let rows = match (&once.note, once.rows) {
            (Some(note), 0) => format!("no row: {note}"),
            (Some(note), rows) => format!("{}, {note}", ui::count(rows as usize, "row")),
            (None, 0) if !once.writes => "done".to_owned(),
            (None, 0) if once.statement.to_ascii_uppercase().starts_with("INSERT") => {
                "no row: they were there".to_owned()
            }
            (None, 0) => "no row".to_owned(),
            (None, rows) => ui::count(rows as usize, "row"),
        };
        ui::say(&format!("ran once: {}  {}: {rows}", once.place, once.statement));
    }
    if summary.once.len() > SHOWN {
        ui::say(&format!("and {} more ran once", summary.once.len() - SHOWN));
    }
}

/// What the run changed, and what is there besides.
fn changed(summary: &Summary) -> String {
    let count = |test: fn(&State, &State) -> bool| {
        summary
            .changes
            .iter()
            .filter(|(_, before, after)| test(before, after))
            .count()
    };
    let mut text = String::new();
    for (n, what) in [
        (count(|before, _| before.is_none()), "created"),
        (count(|before, after| before.is_some() && after.is_some()), "changed"),
        (count(|_, after| after.is_none()), "dropped"),
    ] {
        if n > 0 {
            text.push_str(&format!(", {} {what}", ui::count(n, "object")));
        }
    }
    if !summary.extra.is_empty() {
        text.push_str(&format!(
            ", {} in no phase file (verify lists them)",
            ui::count(summary.extra.len(), "object")
        ));
    }
    text
}

/// Whether the role was made by this run: then it has no password.
fn makes(summary: &Summary, role: &str) -> bool {
    summary
        .changes
        .iter()
        .any(|(id, before, _)| id.kind == "role" && id.identity == role && before.is_none())
}

/// A server that lets anybody in tells nothing about the password, so another one is tried as well.
fn has_well_known_password(connector: &Connector, role: &ReadonlyRole) -> bool {
    let accepts = |password: &str| password::accepts(connector, role.name, password);
    role.well_known_password.is_some_and(accepts) && !accepts(&format!("{:x}", fastrand::u128(..)))
}
