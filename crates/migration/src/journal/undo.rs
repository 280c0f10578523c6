//! What the journal knows for taking runs back.

use std::collections::BTreeSet;

use connection::{Error, Kind, describe};
use postgres::types::Type;
use postgres::{Client, GenericClient};

use super::look::exists;
use super::record::{Change, Outcome};
use crate::catalog;

/// A run that changed something, or took others back.
#[derive(Debug, Clone)]
pub struct Changed {
    /// Its number.
    pub id: i64,
    /// How it ended.
    pub outcome: Outcome,
    /// The runs that it took back.
    pub undoes: Vec<i64>,
    /// What it brought the database to.
    pub version: Option<String>,
    /// When it began.
    pub started: String,
    /// Who ran it: `user@host`.
    pub who: String,
    /// What it changed; of one that died, what was planned.
    pub changes: Vec<catalog::Change>,
}

/// A statement that ran once.
#[derive(Debug, Clone)]
pub struct RanOnce {
    /// The file that it stands in.
    pub file: String,
    /// `file:line`.
    pub place: String,
    /// Its first words.
    pub summary: String,
    hash: String,
    occurrence: i32,
}

/// That a version was taken back, and nothing has brought the database to it since.
#[derive(Debug, Clone)]
pub struct TakenBack {
    /// The run that brought it.
    pub run: i64,
    /// The run that took it back.
    pub by_run: i64,
    /// Who did.
    pub who: String,
    /// When.
    pub started: String,
}

/// The error where the journal cannot be read.
pub fn unreadable(error: postgres::Error) -> Error {
    Error::new(Kind::Failed, "cannot read the journal", describe(&error))
}

/// The runs that changed something, in order; with their changes from the run `since` on.
///
/// # Errors
/// The journal may not be read, or the connection is gone.
pub fn changed(client: &mut impl GenericClient, since: i64) -> Result<Vec<Changed>, postgres::Error> {
    if !exists(client)? {
        return Ok(Vec::new());
    }
    let rows = client.query_typed(include_str!("undo.sql"), &[(&since, Type::INT8)])?;
    let changed = |row: &postgres::Row| {
        let changes: String = row.try_get("changes")?;
        // The engine wrote it.
        let changes: Vec<Change> = serde_json::from_str(&changes).unwrap_or_default();
        Ok(Changed {
            id: row.try_get("id")?,
            outcome: row.try_get("outcome")?,
            undoes: row.try_get("undoes")?,
            version: row.try_get("version")?,
            started: row.try_get("started")?,
            who: row.try_get("who")?,
            changes: changes.into_iter().map(Into::into).collect(),
        })
    };
    rows.iter().map(changed).collect()
}

/// Notes which runs this one takes back.
///
/// # Errors
/// As [`changed`].
pub fn takes_back(client: &mut Client, run: i64, undoes: &[i64]) -> Result<(), postgres::Error> {
    let sql = "UPDATE migration.runs SET undoes = $2 WHERE id = $1";
    client.query_typed(sql, &[(&run, Type::INT8), (&undoes, Type::INT8_ARRAY)])?;
    Ok(())
}

/// Whether a version was taken back.
///
/// # Errors
/// As [`changed`].
pub fn taken_back(client: &mut Client, version: &str) -> Result<Option<TakenBack>, postgres::Error> {
    let rows = client.query_typed(include_str!("taken_back.sql"), &[(&version, Type::TEXT)])?;
    let taken_back = |row: &postgres::Row| {
        Ok(TakenBack {
            run: row.try_get("run")?,
            by_run: row.try_get("by_run")?,
            who: row.try_get("who")?,
            started: row.try_get("started")?,
        })
    };
    rows.first().map(taken_back).transpose()
}

/// What ran once in runs.
///
/// # Errors
/// As [`changed`].
pub fn ran_once(client: &mut impl GenericClient, runs: &[i64]) -> Result<Vec<RanOnce>, postgres::Error> {
    let rows = client.query_typed(include_str!("ran_once.sql"), &[(&runs, Type::INT8_ARRAY)])?;
    let ran_once = |row: &postgres::Row| {
        let file: String = row.try_get("file")?;
        Ok(RanOnce {
            place: format!("{file}:{}", row.try_get::<_, i32>("line")?),
            file,
            summary: row.try_get("summary")?,
            hash: row.try_get("hash")?,
            occurrence: row.try_get("occurrence")?,
        })
    };
    rows.iter().map(ran_once).collect()
}

/// The first words of statements that renamed something in runs, the last one first.
///
/// # Errors
/// As [`changed`].
pub fn renames(client: &mut impl GenericClient, runs: &[i64]) -> Result<Vec<String>, postgres::Error> {
    let rows = client.query_typed(include_str!("renames.sql"), &[(&runs, Type::INT8_ARRAY)])?;
    rows.iter().map(|row| row.try_get("summary")).collect()
}

/// The files that runs ran statements of, the last one first.
///
/// # Errors
/// As [`changed`].
pub fn files(client: &mut impl GenericClient, runs: &[i64]) -> Result<Vec<String>, postgres::Error> {
    let rows = client.query_typed(include_str!("files.sql"), &[(&runs, Type::INT8_ARRAY)])?;
    rows.iter().map(|row| row.try_get("file")).collect()
}

impl RanOnce {
    /// Whether it changes the catalog, which is taken back, and no rows.
    pub fn is_of_the_catalog(&self) -> bool {
        let first = self.summary.split(' ').next().unwrap_or_default().to_ascii_lowercase();
        ["alter", "comment", "create", "drop", "grant", "revoke", "security"].contains(&first.as_str())
    }
}

/// Forgets that statements ran: what they did is taken back.
///
/// # Errors
/// As [`changed`].
pub fn forget(client: &mut Client, statements: &[&RanOnce]) -> Result<(), postgres::Error> {
    let hashes: BTreeSet<(&str, i32)> = statements
        .iter()
        .map(|one| (one.hash.as_str(), one.occurrence))
        .collect();
    let (hashes, occurrences): (Vec<&str>, Vec<i32>) = hashes.into_iter().unzip();
    let sql = "DELETE FROM migration.once AS o
        USING unnest($1::text[], $2::int4[]) AS d (hash, occurrence)
        WHERE o.hash = d.hash AND o.occurrence = d.occurrence";
    client.query_typed(sql, &[(&hashes, Type::TEXT_ARRAY), (&occurrences, Type::INT4_ARRAY)])?;
    Ok(())
}
