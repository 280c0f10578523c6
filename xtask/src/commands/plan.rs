//! `plan`: what `migrate` would run, and why.

use std::collections::{BTreeMap, BTreeSet};

use clap::ArgMatches;
use connection::{Error, Kind};
use migration::Expected;
use migration::execute::count_text;
use migration::locks::mode_name;
use migration::plan::{Actual, Known, Plan, Planned, Reason};
use migration::source::statement::Class;
use postgres::types::Type;
use serde_json::json;

use super::options::Common;
use super::reading::{Reading, read};
use crate::out;
use crate::ui;

/// Show what migrate would run here, and why, and which tables it would lock
///
/// Changes nothing, takes no mutex, works on a standby and with a role that may only read.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// As if migrate were called with --force.
    #[arg(long)]
    pub force: bool,
    /// Plan also for a database that a later version was brought to.
    #[arg(long)]
    pub allow_older: bool,
    /// Print one JSON document on stdout.
    #[arg(long)]
    pub json: bool,
    /// Show the statements that would be skipped as well.
    #[arg(long, short)]
    pub verbose: bool,
    #[command(flatten)]
    pub common: Common,
}

/// Runs the command.
pub fn run(args: &Args, given: &ArgMatches) -> anyhow::Result<()> {
    let phases = args.common.sql.phases()?;
    let expected = Expected::read(&phases)?;
    let reading = read(&args.common.connection, &args.common.locks, &expected, given)?;
    if reading.is_left_alone(&expected, args.allow_older) {
        if args.json {
            out!("{}", json!({ "newer": true, "run": 0, "statements": [] }));
        }
        return Ok(());
    }
    let Reading {
        mut client,
        catalog,
        settings,
        record,
    } = reading;
    let known = Known {
        actual: Actual::Catalog(&catalog),
        done: record.done.as_ref(),
        since_empty: record.since_empty,
        force: args.force,
    };
    let plan = Plan::new(&phases, &expected, known);
    let effects = plan.steps.iter().filter(|step| step.run).filter_map(|step| step.effect);
    let tables: BTreeSet<&str> = effects
        .flat_map(|effect| effect.locks.iter().map(|lock| lock.table.as_str()))
        .collect();
    let sizes = sizes(&mut client, &tables)?;
    let run = plan.count();
    let obsolete: Vec<String> = expected
        .obsolete
        .iter()
        .filter(|id| catalog.get(id).is_some() && !expected.objects.contains_key(id))
        .map(ToString::to_string)
        .collect();
    if args.json {
        let statements: Vec<_> = plan.steps.iter().map(|step| document(step, &sizes)).collect();
        let unknown: Vec<_> = plan.unknown.iter().map(|n| plan.steps[*n].statement.place()).collect();
        out!(
            "{}",
            json!({
                "run": run, "skip": plan.steps.len() - run, "statements": statements, "obsolete": obsolete,
                "unknown": unknown,
            })
        );
        return Ok(());
    }
    let mut unit = None;
    for step in &plan.steps {
        if !step.run && !args.verbose {
            continue;
        }
        // A bar beside those that are one transaction.
        let bar = match (step.run, step.unit) {
            (true, Some(_)) if unit == step.unit => "│ ",
            (true, Some(_)) => "┌ ",
            _ => "  ",
        };
        unit = step.unit.filter(|_| step.run);
        show(step, bar, &sizes);
        for (what, rows) in dropped_rows(&mut client, step) {
            out!("      drops {what}, which holds {rows}");
        }
    }
    for id in &obsolete {
        out!("obsolete  {id}: an earlier version made it, and no file names it any more");
    }
    if record.done.is_none() {
        ui::warn("this role may not read the journal (schema migration): statements that run once are taken for done");
    }
    if !plan.unknown.is_empty() {
        ui::warn(&format!(
            "{settings} was not made by these phases: whether {} may have changed its rows already, nobody knows; migrate \
             stops before them: baseline takes them for done, migrate --run-once runs them",
            match plan.unknown.len() {
                1 => "a statement that runs once".to_owned(),
                n => format!("{n} statements that run once"),
            }
        ));
    }
    // They run each time, and count as satisfied where they find none.
    let look = plan
        .steps
        .iter()
        .filter(|step| step.run && step.reason == Reason::Always && step.statement.class == Class::Dml)
        .count();
    let once = plan.steps.iter().filter(|step| step.run && step.once.is_some()).count();
    anstream::eprintln!(
        "{settings}: {} would run{}, {look} would look for rows to change, {} satisfied",
        ui::count(run - look, "statement"),
        if once > 0 {
            format!(" ({once} of them once)")
        } else {
            String::new()
        },
        plan.steps.len() - run
    );
    Ok(())
}

fn document(step: &Planned<'_>, sizes: &BTreeMap<String, Size>) -> serde_json::Value {
    let effect = step.effect.cloned().unwrap_or_default();
    let locks = effect.locks.iter().map(|lock| {
        let (bytes, rows) = sizes.get(&lock.table).copied().unzip();
        json!({
            "table": lock.table, "mode": lock.mode, "scans": lock.scans, "rewrites": lock.rewrites,
            "bytes": bytes, "rows": rows,
        })
    });
    json!({
        "place": step.statement.place(),
        "statement": step.statement.summary(),
        "run": step.run,
        "meaning": effect.meaning,
        "why": step.reason,
        "transaction": step.unit,
        "sends": step.repair.iter().map(|statement| statement.text.as_str()).collect::<Vec<_>>(),
        "leaves": effect.objects.iter().map(|(id, _)| id.to_string()).collect::<Vec<_>>(),
        "locks": locks.collect::<Vec<_>>(),
    })
}

fn show(step: &Planned<'_>, bar: &str, sizes: &BTreeMap<String, Size>) {
    out!(
        "{}{bar}{:<28} {}",
        if step.run { "run " } else { "skip" },
        step.statement.place(),
        step.statement.summary()
    );
    out!("      {}", step.reason);
    if !step.run {
        return;
    }
    for statement in &step.repair {
        out!("      sends {}", statement.text);
    }
    for lock in step.effect.iter().flat_map(|effect| &effect.locks) {
        let size = match sizes.get(&lock.table) {
            Some((bytes, rows)) => {
                format!(" ({}, about {rows} rows)", indicatif::HumanBytes(bytes.unsigned_abs()))
            }
            None => " (not there yet)".to_owned(),
        };
        let how = match (lock.rewrites, lock.scans) {
            (true, _) => ", rewrites it",
            (_, true) => ", reads all of it",
            _ => ", for a moment",
        };
        out!(
            "      locks {} in {} mode{how}{size}",
            lock.table,
            mode_name(&lock.mode)
        );
    }
}

type Size = (i64, i64);

fn sizes(client: &mut postgres::Client, tables: &BTreeSet<&str>) -> anyhow::Result<BTreeMap<String, Size>> {
    let tables: Vec<&str> = tables.iter().copied().collect();
    let rows = client
        .query_typed(include_str!("plan.sql"), &[(&tables, Type::TEXT_ARRAY)])
        .map_err(|error| {
            Error::new(
                Kind::Failed,
                "cannot ask for the sizes of tables",
                connection::describe(&error),
            )
        })?;
    rows.iter()
        .map(|row| Ok((row.try_get("name")?, (row.try_get("bytes")?, row.try_get("rows")?))))
        .collect()
}

/// What a statement says that it drops, and how many rows hold values there now. Only migrate finds out what it does drop.
fn dropped_rows(client: &mut postgres::Client, step: &Planned<'_>) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for (table, column) in step.statement.drops().into_iter().filter(|_| step.run) {
        let condition = column
            .as_ref()
            .map_or(String::new(), |column| format!(" WHERE {column} IS NOT NULL"));
        let sql = format!(
            "SET statement_timeout = '5s'; SELECT pg_catalog.count(*) FROM (SELECT FROM {table}{condition} LIMIT 1000001) AS r"
        );
        // One that is not there, or may not be read, holds nothing that could be told.
        let rows = client.simple_query(&sql).ok().and_then(|answer| {
            let row = migration::session::connect::rows(answer).next()?;
            row.get(0)?.parse::<u64>().ok()
        });
        if let Some(rows) = rows {
            let what = match column {
                Some(column) => format!("column {table}.{column}"),
                None => format!("table {table}"),
            };
            found.push((what, count_text(rows)));
        }
    }
    found
}
