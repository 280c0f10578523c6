//! `plan --rollback`: what `rollback` would run.

use std::collections::BTreeSet;

use connection::Settings;
use migration::catalog::ObjectId;
use migration::locks::{LockMode, TableLock};
use migration::rollback::way_back;
use migration::violations::{Lost, lost_rows_text};
use serde::Serialize;

use super::super::reading::{Reading, read};
use super::super::rollback::{lines, wanted};
use super::{Args, Planned, sizes};
use crate::{out, ui};

/// How runs would be taken back.
#[derive(Serialize)]
pub struct Back {
    /// The runs, the newest first.
    takes_back: Vec<i64>,
    /// What undoes the files that they ran, if that was asked for; it runs first.
    down: Vec<DownStep>,
    /// With those, as far as they leave it to be done.
    statements: Vec<BackStep>,
    /// Objects that no statement brings back, and why.
    impossible: Vec<String>,
    /// Objects that somebody changed since.
    changed_since: Vec<String>,
    /// Objects of the whole cluster, which stay.
    shared: Vec<String>,
    /// Statements that ran once and changed rows, which stay changed.
    ran_once: Vec<String>,
    #[serde(skip)]
    lines: Vec<String>,
    #[serde(skip)]
    settings: Settings,
}

/// A statement of a file that undoes another.
#[derive(Serialize)]
struct DownStep {
    place: String,
    sql: String,
}

/// A statement of a rollback.
#[derive(Serialize)]
struct BackStep {
    sql: String,
    /// It would lose values, in so many rows; counted to 100,000.
    loses_rows: i64,
    /// It writes a table anew.
    rewrites: bool,
    locks: Vec<BackLock>,
}

/// A lock of a rollback.
#[derive(Serialize)]
struct BackLock {
    table: String,
    mode: LockMode,
    bytes: Option<i64>,
    rows: Option<i64>,
}

impl Back {
    pub(super) fn print(&self) {
        for line in &self.lines {
            out!("{line}");
        }
        for step in &self.down {
            out!("run {};  -- {}", step.sql.replace('\n', "\n    "), step.place);
        }
        if !self.down.is_empty() && !self.statements.is_empty() {
            out!("and then what these have left of:");
        }
        for step in &self.statements {
            let remark = match (step.loses_rows, step.rewrites) {
                (0, true) => "  -- writes the table anew: --allow-rewrite".to_owned(),
                (0, false) => String::new(),
                (rows, _) => format!("  -- {}: --allow-data-loss", lost_rows_text(rows)),
            };
            out!("run {};{remark}", step.sql.replace('\n', "\n    "));
            for lock in &step.locks {
                let size = match lock.bytes.zip(lock.rows) {
                    Some((bytes, rows)) => {
                        format!(" ({}, about {rows} rows)", indicatif::HumanBytes(bytes.unsigned_abs()))
                    }
                    None => String::new(),
                };
                out!("      locks {} in {} mode{size}", lock.table, lock.mode);
            }
        }
        ui::say(&format!(
            "{}: {} would run{}",
            self.settings,
            ui::count(self.down.len() + self.statements.len(), "statement"),
            if self.down.is_empty() { "" } else { " at most" }
        ));
    }
}

/// What rollback would run.
pub(super) fn back(args: &Args, run: Option<i64>) -> anyhow::Result<Planned> {
    let wanted = wanted(run, args.to, args.release, &args.common.sql)?;
    let down_files = args.down_files.then(|| args.common.sql.dir());
    let reading = read(&args.common.connection, &args.common.locks, None)?;
    let Reading {
        mut client,
        catalog,
        settings,
        ..
    } = reading;
    let way = way_back(&mut client, &catalog, &wanted, down_files.as_deref())?;
    let tables = way.script.steps.iter().flat_map(|step| &step.locks);
    let tables: BTreeSet<&str> = tables.map(|lock| lock.table.as_str()).collect();
    let sizes = sizes(&mut client, &tables)?;
    let mut statements = Vec::new();
    for step in &way.script.steps {
        let lost = Lost::with(&step.id, String::new()).filter(|_| step.loses);
        // What may not be read holds nothing that could be told.
        let loses_rows = lost.and_then(|lost| lost.count(&mut client).ok()).unwrap_or_default();
        let lock = |lock: &TableLock| BackLock {
            bytes: sizes.get(&lock.table).map(|size| size.bytes),
            rows: sizes.get(&lock.table).map(|size| size.rows),
            table: lock.table.clone(),
            mode: lock.mode,
        };
        statements.push(BackStep {
            sql: step.sql.clone(),
            loses_rows,
            rewrites: step.rewrites,
            locks: step.locks.iter().map(lock).collect(),
        });
    }
    let names = |ids: &[ObjectId]| ids.iter().map(ToString::to_string).collect();
    let impossible = way.script.impossible.iter();
    let down = way.down.iter().flat_map(|down| &down.statements);
    Ok(Planned::Back(Back {
        takes_back: way.runs.iter().map(|run| run.id).collect(),
        down: down
            .map(|statement| DownStep {
                place: statement.place(),
                sql: statement.text.as_str().to_owned(),
            })
            .collect(),
        statements,
        impossible: impossible.map(|of| format!("{}: {}", of.id, of.reason)).collect(),
        changed_since: names(&way.changed_since),
        shared: names(&way.shared),
        ran_once: way.once.iter().map(|one| one.place.clone()).collect(),
        lines: lines(&way),
        settings,
    }))
}
