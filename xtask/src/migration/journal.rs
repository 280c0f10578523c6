//! The journal: runs and steps, in schema `migration` of the migrated database.
//!
//! It tells people what happened. What is to be done is never read from it but from the catalog.

use std::time::Duration;

use postgres::error::SqlState;
use postgres::types::{ToSql, Type};
use postgres::{Client, GenericClient};
use serde_json::Value;

use crate::error::{Error, Kind, describe};
use crate::migration::phases::Phase;
use crate::migration::statement::Statement;

/// Who runs, for the record.
#[derive(Debug, Clone, Default)]
pub struct Author {
    /// The version of this tool.
    pub tool_version: String,
    /// The commit of the phase files.
    pub git_commit: Option<String>,
    /// The user of the operating system.
    pub os_user: Option<String>,
    /// The machine's name.
    pub host: Option<String>,
}

/// One run on record.
#[derive(Debug)]
pub struct Run {
    /// Its number, from 1, with gaps where a run could not be recorded.
    pub id: i64,
    steps: i32,
    /// What records a step; planned once.
    insert: Option<postgres::Statement>,
}

/// What is known of a step when it has ended.
#[derive(Debug, Clone)]
pub struct Step {
    /// From the first attempt to the end.
    pub duration: Duration,
    /// The part of `duration` before the attempt that ended it: attempts that could not get a lock, and pauses.
    pub lock_wait: Duration,
    /// How often it was sent.
    pub attempts: u32,
    /// Rows that it inserted, updated, deleted or returned.
    pub rows: u64,
    /// How it ended.
    pub outcome: Outcome,
    /// What PostgreSQL answered, unless all went well.
    pub error: Option<String>,
}

/// How a step or a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// As it should.
    Done,
    /// An optional statement that could not be run.
    Warning,
    /// There was nothing left to do: what it makes is there.
    Satisfied,
    /// With an error.
    Failed,
    /// By a signal.
    Interrupted,
}

/// How a run ended, for [`finish`].
#[derive(Debug, Default)]
pub struct Ending {
    /// The error, for people.
    pub error: Option<String>,
    /// Ended by a signal.
    pub interrupted: bool,
    /// Statements that were sent.
    pub run: usize,
    /// Statements that were satisfied.
    pub skipped: usize,
    /// What changed, as JSON: `[{kind, identity, before, after}]`.
    pub changes: Value,
    /// The hash of the expected catalog, where the run has converged.
    pub expected_hash: Option<String>,
    /// The fingerprint of the actual catalog, where the run has converged.
    pub fingerprint: Option<String>,
}

const VERSION: &str = "xtask journal, version 1";

/// What the journal told when a run began.
#[derive(Debug)]
pub struct Begun {
    /// The run.
    pub run: Run,
    /// Runs that were on record as running: they had died.
    pub died: Vec<i64>,
    /// The newest run before, if it succeeded: the hash of its expected catalog, and the fingerprint it saw.
    pub converged: Option<(String, String)>,
    /// A run with the same expected catalog has succeeded before.
    pub seeded: bool,
}

/// Makes the journal's schema if it is not there, marks runs as died that are on record as running,
/// and records a new one. `version` is that of the schema as it was found. The caller holds the mutex.
///
/// # Errors
/// The migrating role may not create a schema, or PostgreSQL refuses otherwise.
pub fn begin(
    client: &mut Client,
    version: Option<&str>,
    author: &Author,
    expected_hash: Option<&str>,
) -> Result<Begun, Error> {
    let failed = |error: postgres::Error| {
        let denied = error.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE);
        Error::new(
            Kind::Failed,
            "cannot write the journal (schema migration), nothing was run",
            describe(&error),
        )
        .next(if denied {
            "the migrating role must own the database: ALTER DATABASE … OWNER TO …, and what earlier roles made\n\
                 there: REASSIGN OWNED BY … TO …"
        } else {
            ""
        })
    };
    if version != Some(VERSION) {
        // Several statements in one simple query are one transaction.
        client
            .batch_execute(include_str!("journal/schema.sql"))
            .map_err(failed)?;
    }
    let rows = client
        .query_typed(
            include_str!("journal/begin.sql"),
            &[
                (&author.tool_version, Type::TEXT),
                (&author.git_commit, Type::TEXT),
                (&author.os_user, Type::TEXT),
                (&author.host, Type::TEXT),
                (&expected_hash, Type::TEXT),
            ],
        )
        .map_err(failed)?;
    let Some(row) = rows.first() else {
        return Err(Error::new(
            Kind::Failed,
            "cannot write the journal, nothing was run",
            "it answered with no row",
        ));
    };
    let begun = || -> Result<Begun, postgres::Error> {
        let outcome: Option<String> = row.try_get("outcome")?;
        let hash: Option<String> = row.try_get("expected_hash")?;
        let fingerprint: Option<String> = row.try_get("fingerprint")?;
        Ok(Begun {
            run: Run {
                id: row.try_get("id")?,
                steps: 0,
                insert: None,
            },
            died: row.try_get("died")?,
            converged: hash
                .zip(fingerprint)
                .filter(|_| outcome.as_deref() == Some("succeeded")),
            seeded: row.try_get("seeded")?,
        })
    };
    begun().map_err(failed)
}

impl Run {
    /// Records a step that has ended.
    ///
    /// # Errors
    /// The connection is gone, mostly.
    pub fn step(
        &mut self,
        client: &mut Client,
        phase: &Phase,
        statement: &Statement,
        step: &Step,
    ) -> Result<(), postgres::Error> {
        self.steps += 1;
        let outcome = match step.outcome {
            Outcome::Done => "done",
            Outcome::Warning => "warning",
            Outcome::Satisfied => "satisfied",
            Outcome::Failed => "failed",
            Outcome::Interrupted => "interrupted",
        };
        let hash = statement.hash();
        let summary = statement.summary();
        let line = i32::try_from(statement.line).unwrap_or(i32::MAX);
        let (duration, lock_wait) = (step.duration.as_micros() as f64, step.lock_wait.as_micros() as f64);
        let attempts = i32::try_from(step.attempts).unwrap_or(i32::MAX);
        let rows = i64::try_from(step.rows).unwrap_or(i64::MAX);
        let values: [&(dyn ToSql + Sync); 13] = [
            &self.id,
            &self.steps,
            &phase.name,
            &statement.file,
            &line,
            &hash,
            &summary,
            &duration,
            &lock_wait,
            &attempts,
            &rows,
            &outcome,
            &step.error,
        ];
        let mut insert = match self.insert.take() {
            Some(insert) => insert,
            None => prepare(client)?,
        };
        if let Err(error) = client.execute(&insert, &values) {
            // A phase may have thrown it away: DISCARD ALL, DEALLOCATE ALL.
            if error.code() != Some(&SqlState::INVALID_SQL_STATEMENT_NAME) {
                return Err(error);
            }
            insert = prepare(client)?;
            client.execute(&insert, &values)?;
        }
        self.insert = Some(insert);
        Ok(())
    }

    /// Records the end of the run.
    ///
    /// # Errors
    /// The connection is gone, mostly.
    pub fn finish(&self, client: &mut Client, ending: &Ending) -> Result<(), postgres::Error> {
        let outcome = match (&ending.error, ending.interrupted) {
            (_, true) => "interrupted",
            (Some(_), _) => "failed",
            (None, _) => "succeeded",
        };
        // Where nothing ran there is nothing to make durable.
        let durability = if self.steps > 0 { "on" } else { "off" };
        let changes = if ending.changes.is_null() {
            "[]".to_owned()
        } else {
            ending.changes.to_string()
        };
        client.query_typed(
            include_str!("journal/finish.sql"),
            &[
                (&self.id, Type::INT8),
                (&outcome, Type::TEXT),
                (&ending.error, Type::TEXT),
                (&i32::try_from(ending.run).unwrap_or(i32::MAX), Type::INT4),
                (&i32::try_from(ending.skipped).unwrap_or(i32::MAX), Type::INT4),
                (&changes, Type::TEXT),
                (&ending.expected_hash, Type::TEXT),
                (&ending.fingerprint, Type::TEXT),
                (&durability, Type::TEXT),
            ],
        )?;
        Ok(())
    }
}

fn prepare(client: &mut Client) -> Result<postgres::Statement, postgres::Error> {
    let types = [
        Type::INT8,
        Type::INT4,
        Type::TEXT,
        Type::TEXT,
        Type::INT4,
        Type::TEXT,
        Type::TEXT,
        Type::FLOAT8,
        Type::FLOAT8,
        Type::INT4,
        Type::INT8,
        Type::TEXT,
        Type::TEXT,
    ];
    client.prepare_typed(include_str!("journal/step.sql"), &types)
}

/// The newest runs, the newest first; none where there is no journal yet.
///
/// # Errors
/// The journal may not be read, or the connection is gone.
pub fn runs(client: &mut impl GenericClient, limit: i64) -> Result<Vec<Value>, postgres::Error> {
    if !exists(client)? {
        return Ok(Vec::new());
    }
    Ok(documents(&client.query(include_str!("journal/runs.sql"), &[&limit])?))
}

/// One run with its steps; none where there is no such run.
///
/// # Errors
/// As [`runs`].
pub fn run(client: &mut impl GenericClient, id: i64) -> Result<Option<Value>, postgres::Error> {
    if !exists(client)? {
        return Ok(None);
    }
    Ok(documents(&client.query(include_str!("journal/run.sql"), &[&id])?).pop())
}

/// Whether a run with this expected catalog has succeeded.
///
/// # Errors
/// As [`runs`].
pub fn has_converged(client: &mut impl GenericClient, expected_hash: &str) -> Result<bool, postgres::Error> {
    if !exists(client)? {
        return Ok(false);
    }
    let sql = "SELECT EXISTS (SELECT FROM migration.runs AS r WHERE r.outcome = 'succeeded' AND r.expected_hash = $1)";
    client.query_one(sql, &[&expected_hash])?.try_get(0)
}

fn exists(client: &mut impl GenericClient) -> Result<bool, postgres::Error> {
    client
        .query_one("SELECT pg_catalog.to_regclass('migration.runs') IS NOT NULL", &[])?
        .try_get(0)
}

fn documents(rows: &[postgres::Row]) -> Vec<Value> {
    rows.iter()
        .filter_map(|row| row.try_get::<_, String>(0).ok())
        .filter_map(|text| serde_json::from_str(&text).ok())
        .collect()
}
