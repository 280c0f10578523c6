//! Reading the journal: what the newest run left, and what has run once.

use std::collections::BTreeSet;

use connection::Error;
use postgres::types::Type;
use postgres::{Client, GenericClient};

use super::{Outcome, refused};
use crate::catalog::Fingerprint;
use crate::expected::{Expected, OnceKey};
use crate::plan::{Actual, Input};
use crate::text::rows;

/// What the newest run left on record.
#[derive(Debug, Default)]
pub struct Newest {
    /// If it succeeded: the hash of its expected catalog, and the fingerprint of the actual one.
    pub converged: Option<(String, Fingerprint)>,
    /// Nothing was written in the whole cluster since it looked at the catalog.
    pub unwritten: bool,
    /// The journal knows the database since it was empty, or was taken over: what is not on record has not run.
    pub since_empty: bool,
    /// The version that the newest run of one began to bring the database to.
    pub reached: Option<Reached>,
    /// It took others back.
    pub took_back: bool,
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

impl Newest {
    /// Asks for it; nothing is on record where there is no journal. The caller holds the mutex.
    ///
    /// # Errors
    /// The journal may not be read.
    pub fn read(client: &mut Client, journal: bool) -> Result<Self, Error> {
        if !journal {
            return Ok(Self::default());
        }
        let mut read = || -> Result<Newest, postgres::Error> {
            let row = rows(client.simple_query(include_str!("newest.sql"))?).next();
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
            Ok(Newest {
                converged: hash
                    .zip(fingerprint)
                    .filter(|_| text("outcome") == Some(Outcome::Succeeded.name())),
                unwritten: next.is_some(),
                since_empty: text("since_empty") == Some("t"),
                reached,
                took_back: text("took_back") == Some("t"),
            })
        };
        read().map_err(|error| refused(&error))
    }

    /// Adds what has run once.
    ///
    /// # Errors
    /// The journal may not be read.
    pub fn record(self, client: &mut Client, journal: bool) -> Result<Record, Error> {
        done_if(client, journal).map(|done| self.with(Some(done)))
    }

    fn with(self, done: Option<BTreeSet<OnceKey>>) -> Record {
        Record {
            done,
            since_empty: self.since_empty,
            reached: self.reached,
            took_back: self.took_back,
        }
    }

    /// The fingerprint of the database when it had converged to the expected catalog of this hash.
    pub fn fingerprint(&self, expected_hash: &str) -> Option<&Fingerprint> {
        self.converged
            .as_ref()
            .filter(|(hash, _)| hash == expected_hash)
            .map(|(_, fingerprint)| fingerprint)
    }
}

/// What the journal knows of a database, for whoever plans.
#[derive(Debug, Default)]
pub struct Record {
    /// What has run once; none: the role may not read the journal.
    pub done: Option<BTreeSet<OnceKey>>,
    /// See [`Newest::since_empty`].
    pub since_empty: bool,
    /// See [`Newest::reached`].
    pub reached: Option<Reached>,
    /// The newest run took others back.
    pub took_back: bool,
}

impl Record {
    /// Reads it, for those who only look: what they may not read is not known.
    pub fn read(client: &mut Client) -> Self {
        let Ok(journal) = exists(client) else {
            return Self::default();
        };
        let Ok(newest) = Newest::read(client, journal) else {
            return Self::default();
        };
        newest.with(done_if(client, journal).ok())
    }

    /// What is known before planning, together with what the database is like.
    pub fn plan_input<'a>(&'a self, actual: Actual<'a>) -> Input<'a> {
        Input {
            actual,
            done: self.done.as_ref(),
            since_empty: self.since_empty,
            large: None,
            force: false,
            took_back: self.took_back,
        }
    }

    /// The version that the database was brought to, if it is newer than this one.
    pub fn newer_than(&self, expected: &Expected) -> Option<&Reached> {
        self.reached
            .as_ref()
            .filter(|reached| reached.is_newer_than(&expected.version))
    }
}

fn done_if(client: &mut Client, journal: bool) -> Result<BTreeSet<OnceKey>, Error> {
    match journal {
        true => done(client),
        false => Ok(BTreeSet::new()),
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
    read(client).map_err(|error| refused(&error))
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

/// Whether the database has a journal.
///
/// # Errors
/// The connection is gone.
pub(super) fn exists(client: &mut impl GenericClient) -> Result<bool, postgres::Error> {
    exists_table(client, "runs")
}

/// Whether the journal has this table.
///
/// # Errors
/// The connection is gone.
pub(super) fn exists_table(client: &mut impl GenericClient, table: &str) -> Result<bool, postgres::Error> {
    // Also for a role that may not use the schema.
    let sql = "SELECT EXISTS (
        SELECT FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
        WHERE n.nspname = 'migration' AND c.relname = $1)";
    let rows = client.query_typed(sql, &[(&table, Type::TEXT)])?;
    rows.first().map_or(Ok(false), |row| row.try_get(0))
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
