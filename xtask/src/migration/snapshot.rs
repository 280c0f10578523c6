//! What each statement does, as a server of our own shows it: runs the phases one statement at a
//! time on an empty database, and reads the catalog after each.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use postgres::Client;
use postgres::types::Type;

use super::catalog::{Catalog, Fingerprint, ObjectId, Reader};
use super::executor::{is_acceptable_where_optional, is_unfit_for_a_transaction};
use super::expected::{Expected, Leaves, State, TableLock};
use super::failure::excerpt;
use super::phases::Phases;
use super::statement::{Class, Statement};
use crate::error::{Error, Kind, describe};

/// What a statement would do to people who use a table while it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hazard {
    /// `file:line`.
    pub place: String,
    /// What happens, and what to write instead.
    pub text: String,
    /// Why it is accepted, where a directive says so.
    pub accepted: Option<String>,
}

/// What was observed.
#[derive(Debug)]
pub struct Observation {
    /// The content of `expected.json`.
    pub expected: Expected,
    /// What would hurt on a live database.
    pub hazards: Vec<Hazard>,
    /// Optional statements that could not be run here: place and reason.
    pub not_run: Vec<(String, String)>,
}

/// How long a definition may wait for a lock: nobody else is on the scratch server.
const LOCK_TIMEOUT: Duration = Duration::from_secs(10);

/// Runs the phases on the empty database that `client` is connected to, and observes each statement.
///
/// # Errors
/// A statement fails; the message marks it.
pub fn observe(
    client: &mut Client,
    phases: &Phases,
    progress: &dyn Fn(usize, &Statement),
) -> Result<Observation, Error> {
    let failed =
        |error: postgres::Error| Error::new(Kind::Failed, "cannot observe the scratch server", describe(&error));
    client
        .batch_execute("SET search_path = public; SET standard_conforming_strings = on; SET synchronous_commit = off")
        .map_err(failed)?;
    let reader = Reader::prepare(client).map_err(failed)?;
    let fresh = reader.read(client, LOCK_TIMEOUT).map_err(failed)?;
    let mut catalog = fresh.clone();
    let mut fingerprint = Fingerprint::read(client).map_err(failed)?;
    let mut statements: Vec<Leaves> = Vec::new();
    let mut optional = BTreeSet::new();
    let mut hazards = Vec::new();
    let mut not_run = Vec::new();
    for (n, statement) in phases.statements().enumerate() {
        progress(n, statement);
        let mut leaves = Leaves {
            hash: statement.hash(),
            summary: statement.summary(),
            ..Leaves::default()
        };
        match execute(client, statement) {
            Ok(locks) => leaves.locks = locks,
            Err(error) if statement.directives.optional && is_acceptable_where_optional(&error) => {
                not_run.push((statement.place(), describe(&error)));
                statements.push(leaves);
                continue;
            }
            Err(error) => {
                return Err(Error::new(
                    Kind::Failed,
                    format!(
                        "{}:{}: the statement failed on the scratch server",
                        phases.dir.join(&statement.file).display(),
                        statement.line
                    ),
                    format!("{}\n{}", excerpt(statement, &error), describe(&error)),
                )
                .next("mend it and run snapshot again"));
            }
        }
        let now = Fingerprint::read(client).map_err(failed)?;
        if now != fingerprint {
            fingerprint = now;
            let after = reader.read(client, LOCK_TIMEOUT).map_err(failed)?;
            leaves.objects = changes(&catalog, &after)
                .into_iter()
                .map(|change| (change.0, change.2))
                .collect();
            catalog = after;
        }
        if statement.directives.optional {
            optional.extend(leaves.objects.iter().map(|(id, _)| id.clone()));
        }
        if leaves.objects.is_empty() && statement.class == Class::Dml {
            leaves.once = fails_again(client, statement).map_err(failed)?;
        }
        for lock in &leaves.locks {
            if let Some(text) = hazard(statement, lock) {
                hazards.push(Hazard {
                    place: statement.place(),
                    text,
                    accepted: statement.directives.accepts.clone(),
                });
            }
        }
        statements.push(leaves);
    }
    let mut objects: BTreeMap<ObjectId, State> = changes(&fresh, &catalog)
        .into_iter()
        .map(|(id, _, after)| (id, after))
        .collect();
    // What was made and dropped again on the way shall not be left behind on the way either.
    for (id, _) in statements.iter().flat_map(|leaves| &leaves.objects) {
        objects
            .entry(id.clone())
            .or_insert_with(|| catalog.get(id).map(ToOwned::to_owned));
    }
    let baseline = fresh
        .iter()
        .map(|(id, _)| id.clone())
        .filter(|id| !objects.contains_key(id))
        .collect();
    optional.retain(|id| objects.contains_key(id));
    let expected = Expected {
        files: phases.hashes.clone(),
        objects,
        baseline,
        optional,
        statements,
        hash: String::new(),
    };
    Ok(Observation {
        expected,
        hazards,
        not_run,
    })
}

/// The objects in which two catalogs differ, each with its state before and after.
pub fn changes(before: &Catalog, after: &Catalog) -> Vec<(ObjectId, State, State)> {
    let ids: BTreeSet<&ObjectId> = before.iter().chain(after.iter()).map(|(id, _)| id).collect();
    ids.into_iter()
        .filter(|id| before.get(id) != after.get(id))
        .map(|id| {
            (
                id.clone(),
                before.get(id).map(ToOwned::to_owned),
                after.get(id).map(ToOwned::to_owned),
            )
        })
        .collect()
}

/// Runs a statement in a transaction, so that its locks can be seen at its end; outside of one if it must.
fn execute(client: &mut Client, statement: &Statement) -> Result<Vec<TableLock>, postgres::Error> {
    client.batch_execute("BEGIN")?;
    let before = tables(client)?;
    let result = client.batch_execute(&statement.text).and_then(|()| tables(client));
    match result {
        Ok(after) => {
            client.batch_execute("COMMIT")?;
            Ok(locks(&before, &after))
        }
        Err(error) => {
            client.batch_execute("ROLLBACK")?;
            if !is_unfit_for_a_transaction(&error) {
                return Err(error);
            }
            client.batch_execute(&statement.text)?;
            // What runs outside of transactions does so in order to be in nobody's way.
            Ok(Vec::new())
        }
    }
}

/// Whether the statement fails when it is run again. Whatever it does is rolled back.
fn fails_again(client: &mut Client, statement: &Statement) -> Result<bool, postgres::Error> {
    client.batch_execute("BEGIN")?;
    let fails = client
        .batch_execute(&statement.text)
        .is_err_and(|error| !is_unfit_for_a_transaction(&error));
    client.batch_execute("ROLLBACK")?;
    Ok(fails)
}

struct Table {
    name: String,
    file: i64,
    scans: i64,
    modes: Vec<String>,
}

fn tables(client: &mut Client) -> Result<BTreeMap<i64, Table>, postgres::Error> {
    client
        .query_typed(
            include_str!("snapshot/tables.sql"),
            &[] as &[(&(dyn postgres::types::ToSql + Sync), Type)],
        )?
        .iter()
        .map(|row| {
            let table = Table {
                name: row.try_get("name")?,
                file: row.try_get("file")?,
                scans: row.try_get("scans")?,
                modes: row.try_get("modes")?,
            };
            Ok((row.try_get("oid")?, table))
        })
        .collect()
}

fn locks(before: &BTreeMap<i64, Table>, after: &BTreeMap<i64, Table>) -> Vec<TableLock> {
    let mut locks: Vec<TableLock> = before
        .iter()
        .filter_map(|(oid, was)| {
            // Of a table that was dropped nothing can be asked, but it was locked in the strongest mode.
            let Some(is) = after.get(oid) else {
                return Some(TableLock {
                    table: was.name.clone(),
                    mode: "AccessExclusiveLock".into(),
                    scans: false,
                    rewrites: false,
                });
            };
            let mode = is.modes.iter().max_by_key(|mode| strength(mode))?;
            // What an ordinary write takes is no news.
            (strength(mode) > strength("RowExclusiveLock")).then(|| TableLock {
                table: was.name.clone(),
                mode: mode.clone(),
                scans: is.scans > was.scans,
                rewrites: is.file != was.file,
            })
        })
        .collect();
    locks.sort_by(|a, b| a.table.cmp(&b.table));
    locks
}

/// The rank of a lock mode among PostgreSQL's eight, from 1.
pub fn strength(mode: &str) -> usize {
    const MODES: [&str; 8] = [
        "AccessShareLock",
        "RowShareLock",
        "RowExclusiveLock",
        "ShareUpdateExclusiveLock",
        "ShareLock",
        "ShareRowExclusiveLock",
        "ExclusiveLock",
        "AccessExclusiveLock",
    ];
    MODES.iter().position(|known| *known == mode).map_or(0, |rank| rank + 1)
}

/// `AccessExclusiveLock` as the documentation writes it: `ACCESS EXCLUSIVE`.
pub fn mode_name(mode: &str) -> String {
    let mut name = String::new();
    for letter in mode.trim_end_matches("Lock").chars() {
        if letter.is_uppercase() && !name.is_empty() {
            name.push(' ');
        }
        name.extend(letter.to_uppercase());
    }
    name
}

/// What is wrong with a lock, if it keeps writers waiting for longer than a moment.
fn hazard(statement: &Statement, lock: &TableLock) -> Option<String> {
    if strength(&lock.mode) < strength("ShareLock") || !(lock.scans || lock.rewrites) {
        return None;
    }
    let words = statement.first_words(usize::MAX);
    let has = |word: &str| words.iter().any(|other| other == word);
    let advice = if lock.rewrites && has("type") {
        "add a column of the new type, fill it in batches, then switch over"
    } else if lock.rewrites {
        "add the column without the default, set the default in a statement of its own, fill old rows in batches"
    } else if has("index") && has("create") {
        "build it with CREATE INDEX CONCURRENTLY"
    } else if has("unique") || has("primary") {
        "build a unique index with CREATE UNIQUE INDEX CONCURRENTLY, then ADD CONSTRAINT … USING INDEX"
    } else if has("constraint") || has("check") || has("foreign") || has("references") {
        "add it NOT VALID, then VALIDATE it in a statement of its own"
    } else if has("null") {
        "add CHECK (… IS NOT NULL) NOT VALID, VALIDATE it, SET NOT NULL, drop the check"
    } else {
        "do it in a way that does not read the whole table under this lock"
    };
    let what = if lock.rewrites {
        "is rewritten"
    } else {
        "is read from end to end"
    };
    Some(format!(
        "{} on {} while it {what}: {advice}",
        mode_name(&lock.mode),
        lock.table
    ))
}
