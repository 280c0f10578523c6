//! What a run did, for people and programs.

use std::time::Duration;

use serde::{Serialize, Serializer};

use crate::catalog::{Change, ObjectId};
use crate::journal::{self, Reached, milliseconds};

/// What a run did.
#[derive(Debug, Default, Serialize)]
pub struct Summary {
    /// Its number in the journal.
    pub run: i64,
    /// The server's version, for instance `15.18`.
    pub server_version: String,
    /// Statements that were sent.
    pub statements_run: usize,
    /// Statements that were satisfied.
    pub statements_skipped: usize,
    /// Optional statements that could not be run, and statements that found something else there.
    pub warnings: Vec<Warning>,
    /// Objects that differ between the catalog before and after: the state before, and after.
    #[serde(serialize_with = "changes")]
    pub changes: Vec<Change>,
    /// Objects that are there and in no file; empty where the database is known not to have changed.
    pub extra: Vec<ObjectId>,
    /// Objects that an earlier version made and no file names any more.
    pub obsolete: Vec<ObjectId>,
    /// Statements that run once, and did in this run.
    pub once: Vec<OnceSummary>,
    /// Statements that are in no phase file and brought the database to where it shall be.
    pub repaired: Vec<String>,
    /// The runs that were taken back.
    pub undone: Vec<i64>,
    /// How many objects could not be taken back.
    pub left: usize,
    /// Rows that were set aside by them, and are back.
    pub restored: u64,
    /// Those of them that do not fit any more.
    pub not_restored: u64,
    /// Rows that were set aside, and why.
    pub set_aside: Vec<SetAside>,
    /// Statements that shall run always, and changed rows in this run and the one before: `file:line`.
    pub restless: Vec<String>,
    /// A later version was brought here: nothing was looked at, nothing was done.
    #[serde(serialize_with = "reached")]
    pub newer: Option<Reached>,
    /// Nothing that is expected was there at first.
    #[serde(skip)]
    pub was_empty: bool,
    /// Time that statements spent waiting for locks.
    #[serde(rename = "lock_wait_milliseconds", serialize_with = "milliseconds")]
    pub lock_wait: Duration,
    /// How long others could have been kept waiting in all.
    #[serde(rename = "stalled_milliseconds", serialize_with = "milliseconds")]
    pub stalled: Duration,
    /// How often the connection was lost, and made again.
    pub lost: usize,
    /// From the beginning to the end, the wait for the database included.
    #[serde(rename = "milliseconds", serialize_with = "milliseconds")]
    pub elapsed: Duration,
}

/// A statement that was not done, and its run went on.
#[derive(Debug, Serialize)]
pub struct Warning {
    /// `file:line`.
    pub place: String,
    /// What PostgreSQL answered.
    pub text: String,
}

/// Rows that a constraint refused, or that a statement set aside. As they were they are in `migration.quarantine`.
#[derive(Debug, Serialize)]
pub struct SetAside {
    /// The statement's `file:line`.
    pub place: String,
    /// The qualified table.
    pub table: String,
    /// How many.
    pub rows: u64,
    /// What was wrong with them, and what became of them.
    pub reason: String,
}

/// A statement that runs once, and did.
#[derive(Debug, Serialize)]
pub struct OnceSummary {
    /// `file:line`.
    pub place: String,
    /// Its first words.
    #[serde(skip)]
    pub statement: String,
    /// It may change rows.
    #[serde(skip)]
    pub writes: bool,
    /// How many it changed.
    pub rows: u64,
    /// What is worth knowing besides.
    pub note: Option<String>,
}

fn changes<S: Serializer>(changes: &[Change], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(changes.iter().map(journal::Change::from))
}

fn reached<S: Serializer>(newer: &Option<Reached>, serializer: S) -> Result<S::Ok, S::Error> {
    newer.as_ref().map(ToString::to_string).serialize(serializer)
}
