//! `quarantine`: rows that clean-up set aside.

use connection::{Error, Kind, Settings, describe};
use migration::Event;
use migration::quarantine::{self, Entry, Filter, Group, Restored};
use migration::session::connect::Session;
use migration::session::{Connector, Target};
use serde::Serialize;

use super::options::{Connection, Locks, context};
use crate::author::author;
use crate::report::Report;
use crate::{out, signals, ui};

/// List the rows that clean-up set aside, show them, put them back
///
/// Rows that a directive above a statement (`duplicates …`, `violations …`, `quarantine`), --allow-data-loss or a rollback
/// removed or changed are kept as they were, in the table migration.quarantine.
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Subcommand, Debug)]
enum Action {
    List(List),
    Show(Show),
    Restore(Restore),
}

/// List what was set aside: by run, statement, table and reason, the newest first
#[derive(clap::Args, Debug)]
struct List {
    #[command(flatten)]
    common: Common,
}

/// Show rows as they were, the newest first
#[derive(clap::Args, Debug)]
struct Show {
    /// How many rows to show.
    #[arg(long, default_value_t = 20)]
    limit: u32,
    #[command(flatten)]
    common: Common,
}

/// Put rows back where they were: all, or those that are meant
///
/// A removed row is inserted again; a row that stayed gets the earlier values of the columns that were set, unless
/// somebody has changed these since. In batches with a commit each, and beside no migration. Rows that do not fit stay in
/// the quarantine, and the reason is told (exit status 1). What is back is marked, with the time and by whom.
#[derive(clap::Args, Debug)]
struct Restore {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    locks: Locks,
}

#[derive(clap::Args, Debug)]
struct Common {
    /// Those that this run set aside.
    #[arg(long)]
    run: Option<i64>,
    /// Those of this table, with its schema or without.
    #[arg(long)]
    table: Option<String>,
    /// Those that this statement set aside.
    #[arg(long, value_name = "FILE:LINE")]
    place: Option<String>,
    /// These entries, by the numbers that show gives; may be repeated.
    #[arg(long = "id", value_name = "ID")]
    ids: Vec<i64>,
    /// Print one JSON document on stdout.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: Connection,
}

impl Args {
    fn common(&self) -> &Common {
        match &self.action {
            Action::List(List { common })
            | Action::Show(Show { common, .. })
            | Action::Restore(Restore { common, .. }) => common,
        }
    }

    /// Whether the document is to be printed.
    pub fn json(&self) -> bool {
        self.common().json
    }
}

/// What was found or done.
#[derive(Serialize)]
#[serde(untagged)]
pub enum Quarantine {
    /// What was set aside.
    Groups(Vec<Group>),
    /// Rows.
    Entries(Vec<Entry>),
    /// What is back.
    Restored {
        outcome: &'static str,
        #[serde(flatten)]
        restored: Restored,
        #[serde(skip)]
        settings: Box<Settings>,
    },
}

impl Report for Quarantine {
    fn remark(&self) {
        if let Self::Restored { restored, settings, .. } = self {
            ui::say(&format!(
                "{settings}: {} put back",
                ui::count(count(restored.restored), "row")
            ));
        }
    }

    fn print(&self) {
        match self {
            Self::Groups(groups) if groups.is_empty() => out!("no rows were set aside"),
            Self::Entries(entries) if entries.is_empty() => out!("no such rows were set aside"),
            Self::Groups(groups) => groups.iter().for_each(print_group),
            Self::Entries(entries) => entries.iter().for_each(print_entry),
            Self::Restored { restored, .. } => {
                for group in restored.groups.iter().filter(|group| group.restored > 0) {
                    let rows = ui::count(count(group.restored), "row");
                    out!("run {}  {}  {rows} of {} put back", group.run, group.place, group.table);
                }
            }
        }
    }

    fn failure(&self) -> Option<Error> {
        let Self::Restored { restored, .. } = self else {
            return None;
        };
        if restored.left == 0 {
            return None;
        }
        let mut lines = Vec::new();
        for group in &restored.groups {
            for misfit in &group.misfits {
                lines.push(format!(
                    "run {}  {}  {} of {}: {}, such as {}",
                    group.run,
                    group.place,
                    ui::count(count(misfit.rows), "row"),
                    group.table,
                    misfit.reason,
                    misfit.examples.join(", ")
                ));
            }
        }
        let what = match restored.left {
            1 => "1 row does not fit where it was; it stays in the quarantine".to_owned(),
            left => format!("{left} rows do not fit where they were; they stay in the quarantine"),
        };
        Some(
            Error::new(Kind::Failed, what, lines.join("\n"))
                .next("put right what is in their way and run it again; cargo xtask quarantine show --id ID shows one"),
        )
    }
}

fn count(rows: u64) -> usize {
    usize::try_from(rows).unwrap_or(usize::MAX)
}

fn time(text: &str) -> String {
    text.get(..19).unwrap_or_default().replace('T', " ")
}

fn print_group(group: &Group) {
    let back = match group.restored {
        0 => String::new(),
        n => format!(" ({n} put back)"),
    };
    out!(
        "run {:<5} {}  {:<28} {} of {}{back}: {}",
        group.run,
        time(&group.last),
        group.place,
        ui::count(count(group.rows.unsigned_abs()), "row"),
        group.table,
        group.reason
    );
}

fn print_entry(entry: &Entry) {
    out!(
        "{:>6}  run {}  {}  {}  {}: {}",
        entry.id,
        entry.run,
        time(&entry.quarantined),
        entry.place,
        entry.table,
        entry.reason
    );
    out!("        {}", entry.row);
    if let (Some(after), Some(columns)) = (&entry.after, &entry.set_columns) {
        let set: Vec<String> = columns
            .iter()
            .filter_map(|column| Some(format!("{column} = {}", after.get(column)?)))
            .collect();
        match set.is_empty() {
            true => out!("        stayed, without that column"),
            false => out!("        stayed, with {}", set.join(", ")),
        }
    }
    if let Some(restored) = &entry.restored {
        let by = entry.restored_by.as_deref().unwrap_or_default();
        out!("        put back {} by {by}", time(restored));
    }
}

/// Runs the command.
pub fn run(args: &Args) -> anyhow::Result<Quarantine> {
    signals::watch()?;
    let common = args.common();
    let filter = Filter {
        run: common.run,
        table: common.table.clone(),
        place: common.place.clone(),
        ids: common.ids.clone(),
    };
    let connector = Connector::new(common.connection.settings()?, None)?;
    let progress = ui::Progress::new(false);
    let failed = |error: postgres::Error| {
        let what = format!("cannot read the quarantine of {}", connector.settings());
        Error::new(Kind::Failed, what, describe(&error))
    };
    let limit = match &args.action {
        Action::Restore(Restore { locks, .. }) => {
            let observer = |event: Event<'_>| progress.event(&event);
            let context = context(&connector, common.connection.wait, locks, &observer);
            let restored = quarantine::restore_alone(&filter, &author().who(), &context)?;
            progress.clear();
            return Ok(Quarantine::Restored {
                outcome: if restored.left == 0 { "succeeded" } else { "failed" },
                restored,
                settings: Box::new(connector.settings().clone()),
            });
        }
        Action::Show(Show { limit, .. }) => Some(*limit),
        Action::List(_) => None,
    };
    let mut client = connector.wait(
        Target::Any,
        &Session::default(),
        common.connection.wait,
        &signals::received,
        &|waiting| progress.event(&migration::Event::Waiting(waiting)),
    )?;
    progress.clear();
    Ok(match limit {
        Some(limit) => Quarantine::Entries(quarantine::entries(&mut client, &filter, limit.into()).map_err(failed)?),
        None => Quarantine::Groups(quarantine::groups(&mut client, &filter).map_err(failed)?),
    })
}
