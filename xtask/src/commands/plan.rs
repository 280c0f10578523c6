//! `plan`: what `migrate` would run, and why.

use std::collections::{BTreeMap, BTreeSet};

use clap::ArgMatches;
use postgres::types::Type;
use serde_json::json;
use xtask::migration::decide::{Actual, Known, Reason, decide};
use xtask::migration::snapshot::mode_name;
use xtask::migration::{Expected, Phases, journal};
use xtask::{Error, Kind};

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
    let phases = Phases::read(&args.common.sql.dir()).map_err(Error::from)?;
    let expected = Expected::read(&phases)?;
    let Reading {
        mut client,
        catalog,
        settings,
    } = read(&args.common.connection, &args.common.locks, given)?;
    // A role that may not read the journal plans as if there were none.
    let seeded = journal::exists(&mut client).unwrap_or(false)
        && journal::has_converged(&mut client, &expected.hash).unwrap_or(false);
    let known = Known {
        actual: Actual::Catalog(&catalog),
        seeded,
        force: args.force,
    };
    let decisions = decide(&phases, &expected, known);
    let planned: Vec<_> = phases.statements().zip(&expected.statements).zip(&decisions).collect();
    let tables: BTreeSet<&str> = planned
        .iter()
        .filter(|(_, decision)| decision.run)
        .flat_map(|((_, leaves), _)| leaves.locks.iter().map(|lock| lock.table.as_str()))
        .collect();
    let sizes = sizes(&mut client, &tables)?;
    let run = decisions.iter().filter(|decision| decision.run).count();
    if args.json {
        let statements: Vec<_> = planned
            .iter()
            .map(|((statement, leaves), decision)| {
                json!({
                    "place": statement.place(),
                    "statement": statement.summary(),
                    "run": decision.run,
                    "why": decision.reason,
                    "leaves": leaves.objects.iter().map(|(id, _)| id.to_string()).collect::<Vec<_>>(),
                    "locks": leaves.locks.iter().map(|lock| {
                        let (bytes, rows) = sizes.get(&lock.table).copied().unzip();
                        json!({ "table": lock.table, "mode": lock.mode, "scans": lock.scans, "rewrites": lock.rewrites, "bytes": bytes, "rows": rows })
                    }).collect::<Vec<_>>(),
                })
            })
            .collect();
        out!(
            "{}",
            json!({ "run": run, "skip": decisions.len() - run, "statements": statements })
        );
        return Ok(());
    }
    for ((statement, leaves), decision) in &planned {
        if !decision.run && !args.verbose {
            continue;
        }
        out!(
            "{}  {:<28} {}",
            if decision.run { "run " } else { "skip" },
            statement.place(),
            statement.summary()
        );
        out!("      {}", decision.reason);
        if decision.run {
            for lock in &leaves.locks {
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
    }
    // They run each time, and count as satisfied where they find none.
    let look = decisions
        .iter()
        .filter(|decision| decision.run && decision.reason == Reason::ChangesRows)
        .count();
    anstream::eprintln!(
        "{settings}: {} would run, {look} would look for rows to change, {} satisfied",
        ui::count(run - look, "statement"),
        decisions.len() - run
    );
    Ok(())
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
                xtask::error::describe(&error),
            )
        })?;
    rows.iter()
        .map(|row| Ok((row.try_get("name")?, (row.try_get("bytes")?, row.try_get("rows")?))))
        .collect()
}
