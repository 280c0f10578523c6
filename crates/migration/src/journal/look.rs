//! Reading the journal: what the newest run left, what has run once, and the lists for people.

use std::collections::BTreeSet;

use connection::Error;
use postgres::types::Type;
use postgres::{Client, GenericClient};
use serde_json::Value;

use super::refused;
use crate::catalog::Fingerprint;
use crate::expected::{Expected, OnceKey};
use crate::source::statement::Statement;
use crate::sqlstate;
use crate::text::rows;

/// What the newest run left on record.
#[derive(Debug, Default)]
pub struct Last {
    /// The journal's schema is the one that this tool writes.
    pub current: bool,
    /// If it succeeded: the hash of its expected catalog, and the fingerprint of the actual one.
    pub converged: Option<(String, Fingerprint)>,
    /// Nothing was written in the whole cluster since it looked at the catalog.
    pub unwritten: bool,
    /// The journal knows the database since it was empty, or was taken over: what is not on record has not run.
    pub since_empty: bool,
    /// The version that the newest run of one began to bring the database to.
    pub reached: Option<Reached>,
}

/// A version of the phases that a run began to bring the database to.
#[derive(Debug, Clone)]
pub struct Reached {
    /// The version.
    pub version: String,
    /// Those that it was made from.
    pub lineage: Vec<String>,
    /// The run.
    pub run: i64,
    /// Who ran it: `user@host`.
    pub by: String,
    /// When it began.
    pub at: String,
}

impl Reached {
    /// Whether it was made from this version: then that one is older.
    pub fn is_newer_than(&self, version: &str) -> bool {
        self.version != version && self.lineage.iter().any(|other| other == version)
    }
}

impl std::fmt::Display for Reached {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "brought to a newer version by {} at {} (run {})",
            self.by, self.at, self.run
        )
    }
}

impl Last {
    /// The fingerprint of the database when it had converged to the expected catalog of this hash.
    pub fn fingerprint(&self, expected_hash: &str) -> Option<&Fingerprint> {
        self.converged
            .as_ref()
            .filter(|(hash, _)| hash == expected_hash)
            .map(|(_, fingerprint)| fingerprint)
    }
}

/// Asks what the newest run left on record, in a database that has a journal. The caller holds the mutex.
///
/// # Errors
/// The journal may not be read.
pub fn last(client: &mut Client) -> Result<Last, Error> {
    let mut read = || -> Result<Last, postgres::Error> {
        let row = rows(client.simple_query(include_str!("last.sql"))?).next();
        let text = |column: &str| row.as_ref().and_then(|row| row.try_get(column).ok().flatten());
        // "settled": nobody came between that run's look at the catalog and its record.
        let next = unwritten_until(text("snapshot"), text("written")).filter(|_| text("settled") == Some("t"));
        let fingerprint = text("fingerprint").map(|text| Fingerprint::stored(text.to_owned(), next));
        let hash = text("expected_hash").map(str::to_owned);
        let reached = text("version").map(|version| Reached {
            version: version.to_owned(),
            lineage: text("lineage")
                .unwrap_or_default()
                .split(' ')
                .map(str::to_owned)
                .collect(),
            run: text("version_run").and_then(|run| run.parse().ok()).unwrap_or_default(),
            by: text("version_by").unwrap_or_default().to_owned(),
            at: text("version_at").unwrap_or_default().to_owned(),
        });
        Ok(Last {
            current: true,
            converged: hash.zip(fingerprint).filter(|_| text("outcome") == Some("succeeded")),
            unwritten: next.is_some(),
            since_empty: text("since_empty") == Some("t"),
            reached,
        })
    };
    match read() {
        // An earlier version of this tool made it.
        Err(error) if is_of_earlier_version(&error) => Ok(Last::default()),
        result => result.map_err(|error| refused(&error)),
    }
}

fn is_of_earlier_version(error: &postgres::Error) -> bool {
    sqlstate::lacks_column(error) || sqlstate::lacks_table(error)
}

/// What the journal knows, for those who only look; nothing where there is none.
#[derive(Debug, Default)]
pub struct Record {
    /// What has run once; none: the role may not read the journal.
    pub done: Option<BTreeSet<OnceKey>>,
    /// See [`Last::since_empty`].
    pub since_empty: bool,
    /// See [`Last::reached`].
    pub reached: Option<Reached>,
}

impl Record {
    /// Reads it.
    pub fn read(client: &mut Client) -> Self {
        if !exists(client).unwrap_or(false) {
            return Self {
                done: Some(BTreeSet::new()),
                ..Self::default()
            };
        }
        let Ok(last) = last(client) else { return Self::default() };
        Self {
            done: done(client).ok(),
            since_empty: last.since_empty,
            reached: last.reached,
        }
    }

    /// The version that the database was brought to, if it is newer than this one.
    pub fn newer_than(&self, expected: &Expected) -> Option<&Reached> {
        self.reached
            .as_ref()
            .filter(|reached| reached.is_newer_than(&expected.version))
    }
}

/// What has run once here, in a database that has a journal.
///
/// # Errors
/// The journal may not be read.
pub fn done(client: &mut Client) -> Result<BTreeSet<OnceKey>, Error> {
    let read = |client: &mut Client| -> Result<BTreeSet<OnceKey>, postgres::Error> {
        let rows = client.query_typed("SELECT o.hash, o.occurrence FROM migration.once AS o", &[])?;
        rows.iter()
            .map(|row| {
                Ok(OnceKey {
                    hash: row.try_get(0)?,
                    occurrence: row.try_get(1)?,
                })
            })
            .collect()
    };
    match read(client) {
        Err(error) if is_of_earlier_version(&error) => Ok(BTreeSet::new()),
        result => result.map_err(|error| refused(&error)),
    }
}

/// The number of the next transaction of the cluster, if none has written since the one that `written` names: no other
/// is under way, and the next one's number follows it. `snapshot` is one that saw its row, as PostgreSQL prints it
/// ("Transaction ID and Snapshot Information Functions"): the oldest that is under way, the next, and those between.
/// `written` is an xmin, which has the number's lower 32 bits.
fn unwritten_until(snapshot: Option<&str>, written: Option<&str>) -> Option<i64> {
    let mut numbers = snapshot?.split(':').map(str::parse::<i64>);
    let (oldest, next) = (numbers.next()?.ok()?, numbers.next()?.ok()?);
    let written: u32 = written?.parse().ok()?;
    (oldest == next && i64::from(written.wrapping_add(1)) == next & i64::from(u32::MAX)).then_some(next)
}

/// The newest runs, the newest first; none where there is no journal yet.
///
/// # Errors
/// The journal may not be read, or the connection is gone.
pub fn runs(client: &mut impl GenericClient, limit: i64) -> Result<Vec<Value>, postgres::Error> {
    if !exists(client)? {
        return Ok(Vec::new());
    }
    Ok(documents(&client.query(include_str!("runs.sql"), &[&limit])?))
}

/// One run with its steps; none where there is no such run.
///
/// # Errors
/// As [`runs`].
pub fn run(client: &mut impl GenericClient, id: i64) -> Result<Option<Value>, postgres::Error> {
    if !exists(client)? {
        return Ok(None);
    }
    Ok(documents(&client.query(include_str!("run.sql"), &[&id])?).pop())
}

/// Whether a statement changed rows in the run before this one.
///
/// # Errors
/// As [`runs`].
pub fn changed_rows_before(client: &mut Client, run: i64, statement: &Statement) -> Result<bool, postgres::Error> {
    let sql = "SELECT EXISTS (
        SELECT FROM migration.steps AS s
        WHERE s.statement_hash = $2 AND s.rows > 0
          AND s.run_id = (SELECT pg_catalog.max(r.id) FROM migration.runs AS r WHERE r.id < $1))";
    let rows = client.query_typed(sql, &[(&run, Type::INT8), (&statement.hash(), Type::TEXT)])?;
    rows.first().map_or(Ok(false), |row| row.try_get(0))
}

/// Whether the database has a journal.
///
/// # Errors
/// The connection is gone.
fn exists(client: &mut impl GenericClient) -> Result<bool, postgres::Error> {
    // Also for a role that may not use the schema.
    let sql = "SELECT EXISTS (
        SELECT FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
        WHERE n.nspname = 'migration' AND c.relname = 'runs')";
    client.query_one(sql, &[])?.try_get(0)
}

fn documents(rows: &[postgres::Row]) -> Vec<Value> {
    rows.iter()
        .filter_map(|row| row.try_get::<_, String>(0).ok())
        .filter_map(|text| serde_json::from_str(&text).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_has_written_since() {
        let until = |snapshot, written| unwritten_until(Some(snapshot), Some(written));
        assert_eq!(until("101:101:", "100"), Some(101));
        // Somebody has written, or is about to.
        assert_eq!(until("102:102:", "100"), None);
        assert_eq!(until("101:103:101", "102"), None);
        // In a later epoch.
        assert_eq!(until("30064771173:30064771173:", "100"), Some((7 << 32) + 101));
        assert_eq!(until("", "100"), None);
        assert_eq!(unwritten_until(None, None), None);
    }
}
