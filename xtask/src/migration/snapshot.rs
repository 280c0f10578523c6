//! What each statement does, as a server of our own shows it: runs the phases one statement at a
//! time on an empty database, and reads the catalog after each.

use std::collections::{BTreeMap, BTreeSet};

use postgres::Client;
use postgres::types::Type;

use super::catalog::{Follower, ObjectId, changes};
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

/// Runs the phases on the empty database that `client` is connected to, and observes each statement from `observer`,
/// another session there, which statements cannot change the settings of. Both are a superuser's.
///
/// # Errors
/// A statement fails; the message marks it.
pub fn observe(
    client: &mut Client,
    observer: Client,
    phases: &Phases,
    progress: &dyn Fn(usize, &Statement),
) -> Result<Observation, Error> {
    let failed =
        |error: postgres::Error| Error::new(Kind::Failed, "cannot observe the scratch server", describe(&error));
    client
        .batch_execute("SET search_path = public; SET standard_conforming_strings = on; SET synchronous_commit = off")
        .map_err(failed)?;
    let mut follower = Follower::new(observer).map_err(failed)?;
    let fresh = follower.catalog().clone();
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
        match execute(client, follower.client(), statement) {
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
        let changes = follower.look().map_err(failed)?;
        leaves.objects = changes.into_iter().map(|(id, _, after)| (id, after)).collect();
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
    if !follower.is_right().map_err(failed)? {
        return Err(Error::new(
            Kind::Failed,
            "cannot tell what each statement changes",
            "what was put together statement by statement is not what the scratch server holds in the end",
        )
        .next(
            "this is a mistake of this tool, or somebody else changed the scratch server meanwhile: run snapshot again",
        ));
    }
    let catalog = follower.catalog();
    let mut objects: BTreeMap<ObjectId, State> = changes(&fresh, catalog)
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

/// Runs a statement in a transaction, so that its locks can be seen at its end; outside of one if it must.
fn execute(
    client: &mut Client,
    observer: &mut Client,
    statement: &Statement,
) -> Result<Vec<TableLock>, postgres::Error> {
    // What is counted from here on is this statement's.
    client.batch_execute("SELECT pg_catalog.pg_stat_force_next_flush()")?;
    client.batch_execute("BEGIN")?;
    let result = client
        .batch_execute(&statement.text)
        .and_then(|()| locks(client, observer));
    match result {
        Ok(locks) => {
            client.batch_execute("COMMIT")?;
            Ok(locks)
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

/// The locks on tables that the transaction holds, stronger than an ordinary write takes, and what it did to the tables.
/// The observer still sees them as they were before.
fn locks(client: &mut Client, observer: &mut Client) -> Result<Vec<TableLock>, postgres::Error> {
    let held = client.query_typed(include_str!("snapshot/locks.sql"), &[])?;
    let mut strong = BTreeMap::new();
    for row in &held {
        let modes: Vec<String> = row.try_get("modes")?;
        if let Some(mode) = modes.into_iter().max_by_key(|mode| strength(mode))
            && strength(&mode) > strength("RowExclusiveLock")
        {
            strong.insert(row.try_get::<_, u32>("oid")?, (mode, row));
        }
    }
    if strong.is_empty() {
        return Ok(Vec::new());
    }
    let oids: Vec<u32> = strong.keys().copied().collect();
    let mut locks = Vec::new();
    for before in observer.query_typed(include_str!("snapshot/tables.sql"), &[(&oids, Type::OID_ARRAY)])? {
        let Some((mode, after)) = strong.remove(&before.try_get("oid")?) else {
            continue;
        };
        let file: Option<u32> = after.try_get("file")?;
        locks.push(TableLock {
            table: before.try_get("name")?,
            mode,
            // Of a table that was dropped nothing can be asked.
            scans: file.is_some() && after.try_get::<_, i64>("scans")? > 0,
            rewrites: file.is_some() && file != Some(before.try_get("file")?),
        });
    }
    locks.sort_by(|a, b| a.table.cmp(&b.table));
    Ok(locks)
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
