//! The journal: runs and steps, in schema `migration` of the migrated database.
//!
//! It tells people what happened. What is to be done is never read from it but from the catalog.

use std::time::{Duration, Instant};

use postgres::error::SqlState;
use postgres::types::Type;
use postgres::{Client, GenericClient};
use postgres_protocol::escape::escape_literal;
use serde_json::Value;

use crate::database::connect::rows;
use crate::error::{Error, Kind, describe};
use crate::migration::catalog::Fingerprint;
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
    /// The session knows the prepared statement that records a step.
    prepared: bool,
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
    /// It was recorded in the transaction of the statement itself.
    pub recorded: bool,
}

impl Default for Step {
    fn default() -> Self {
        Self {
            duration: Duration::ZERO,
            lock_wait: Duration::ZERO,
            attempts: 0,
            rows: 0,
            outcome: Outcome::Done,
            error: None,
            recorded: false,
        }
    }
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
    pub fingerprint: Option<Fingerprint>,
}

/// What the newest run left on record.
#[derive(Debug, Default)]
pub struct Last {
    /// The journal's schema is the one that this tool writes.
    pub current: bool,
    /// If it succeeded: the hash of its expected catalog, and the fingerprint of the actual one.
    pub converged: Option<(String, Fingerprint)>,
    /// Nothing was written in the whole cluster since it looked at the catalog.
    pub unwritten: bool,
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
        let row = rows(client.simple_query(include_str!("journal/last.sql"))?).next();
        let text = |column: &str| row.as_ref().and_then(|row| row.try_get(column).ok().flatten());
        // "settled": nobody came between that run's look at the catalog and its record.
        let next = unwritten_until(text("snapshot"), text("written")).filter(|_| text("settled") == Some("t"));
        let fingerprint = text("fingerprint").map(|text| Fingerprint::stored(text.to_owned(), next));
        let hash = text("expected_hash").map(str::to_owned);
        Ok(Last {
            current: true,
            converged: hash.zip(fingerprint).filter(|_| text("outcome") == Some("succeeded")),
            unwritten: next.is_some(),
        })
    };
    match read() {
        // An earlier version of this tool made it.
        Err(error) if error.code() == Some(&SqlState::UNDEFINED_COLUMN) => Ok(Last::default()),
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

/// Makes the journal's schema if it is not `current`, marks runs as died that are on record as running, and records a
/// new one. Returns it and those that had died. The caller holds the mutex.
///
/// # Errors
/// The migrating role may not create a schema, or PostgreSQL refuses otherwise.
pub fn begin(client: &mut Client, current: bool, author: &Author) -> Result<(Run, Vec<i64>), Error> {
    let mut write = || -> Result<(Run, Vec<i64>), postgres::Error> {
        if !current {
            // Several statements in one simple query are one transaction.
            client.batch_execute(include_str!("journal/schema.sql"))?;
        }
        let row = client.query_typed_one(
            include_str!("journal/begin.sql"),
            &[
                (&author.tool_version, Type::TEXT),
                (&author.git_commit, Type::TEXT),
                (&author.os_user, Type::TEXT),
                (&author.host, Type::TEXT),
            ],
        )?;
        Ok((Run::new(row.try_get("id")?), row.try_get("died")?))
    };
    write().map_err(|error| refused(&error))
}

/// SQL that records a run which found the database as the newest run left it, with this expected catalog and this
/// fingerprint, and in which all `skipped` statements were satisfied; it began `since`. It returns the run's number.
pub fn unchanged(
    author: &Author,
    skipped: usize,
    expected_hash: &str,
    fingerprint: &Fingerprint,
    since: Instant,
) -> String {
    inline(
        include_str!("journal/unchanged.sql"),
        &[
            Some(&author.tool_version),
            author.git_commit.as_deref(),
            author.os_user.as_deref(),
            author.host.as_deref(),
            Some(&skipped.to_string()),
            Some(expected_hash),
            Some(fingerprint.as_str()),
            fingerprint
                .next_transaction()
                .map(|number| number.to_string())
                .as_deref(),
            Some(&since.elapsed().as_micros().to_string()),
        ],
    )
}

fn refused(error: &postgres::Error) -> Error {
    let denied = error.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE);
    Error::new(
        Kind::Failed,
        "cannot write the journal (schema migration), nothing was run",
        describe(error),
    )
    .next(if denied {
        "the migrating role must own the database: ALTER DATABASE … OWNER TO …, and what earlier roles made\n\
         there: REASSIGN OWNED BY … TO …"
    } else {
        ""
    })
}

/// Puts values into SQL text in place of `$1`, `$2`, …: for texts of several statements, which take no parameters.
fn inline(sql: &str, values: &[Option<&str>]) -> String {
    let mut parts = sql.split('$');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let digits = part.bytes().take_while(u8::is_ascii_digit).count();
        let value = part[..digits]
            .parse::<usize>()
            .ok()
            .and_then(|number| values.get(number.checked_sub(1)?));
        match value.copied().flatten() {
            Some(value) => text.push_str(&escape_literal(value)),
            None => text.push_str("NULL"),
        }
        text.push_str(&part[digits..]);
    }
    text
}

impl Run {
    /// The run of this number, of which no step is on record yet.
    pub fn new(id: i64) -> Self {
        Self {
            id,
            steps: 0,
            prepared: false,
        }
    }

    /// Makes the session ready for [`next_step`](Self::next_step).
    ///
    /// # Errors
    /// The connection is gone, mostly.
    pub fn prepare(&mut self, client: &mut Client) -> Result<(), postgres::Error> {
        if !self.prepared {
            client.batch_execute(include_str!("journal/prepare_step.sql"))?;
            self.prepared = true;
        }
        Ok(())
    }

    /// Whether an error says that a phase has thrown away what [`prepare`](Self::prepare) made: `DISCARD ALL`,
    /// `DEALLOCATE ALL`. If so, it has to be made again.
    pub fn forgets(&mut self, error: &postgres::Error) -> bool {
        let forgotten = error.code() == Some(&SqlState::INVALID_SQL_STATEMENT_NAME);
        self.prepared &= !forgotten;
        forgotten
    }

    /// SQL that records a step, `ahead` of the next one, of a statement that does well: for the transaction of the
    /// statement itself. The server measures how long it takes.
    pub fn next_step(&self, ahead: usize, phase: &Phase, statement: &Statement, step: &Step) -> String {
        self.step_sql(ahead, phase, statement, step, None)
    }

    /// The steps that are on record and not counted yet, from [`next_step`](Self::next_step): now they are counted.
    ///
    /// # Errors
    /// The connection is gone, mostly.
    pub fn steps_since(&mut self, client: &mut Client) -> Result<Vec<Step>, postgres::Error> {
        let sql = "SELECT extract(epoch FROM duration)::double precision FROM migration.steps
                   WHERE run_id = $1 AND number > $2 ORDER BY number";
        let rows = client.query_typed(sql, &[(&self.id, Type::INT8), (&self.steps, Type::INT4)])?;
        let steps = rows
            .iter()
            .map(|row| {
                Ok(Step {
                    duration: Duration::try_from_secs_f64(row.try_get(0)?).unwrap_or_default(),
                    attempts: 1,
                    recorded: true,
                    ..Step::default()
                })
            })
            .collect::<Result<Vec<_>, postgres::Error>>()?;
        self.steps += i32::try_from(steps.len()).unwrap_or(i32::MAX);
        Ok(steps)
    }

    /// The step of [`next_step`](Self::next_step) is on record: it is counted, and its rows, which were not known then,
    /// are added.
    ///
    /// # Errors
    /// The connection is gone, mostly.
    pub fn recorded(&mut self, client: &mut Client, step: &Step) -> Result<(), postgres::Error> {
        self.steps += 1;
        if step.rows > 0 {
            client.execute_typed(
                "UPDATE migration.steps SET rows = $3 WHERE run_id = $1 AND number = $2",
                &[
                    (&self.id, Type::INT8),
                    (&self.steps, Type::INT4),
                    (&i64::try_from(step.rows).unwrap_or(i64::MAX), Type::INT8),
                ],
            )?;
        }
        Ok(())
    }

    /// Records a step that has ended, and is not on record yet.
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
        let sql = self.step_sql(0, phase, statement, step, Some(step.duration));
        self.prepare(client)?;
        if let Err(error) = client.batch_execute(&sql) {
            if !self.forgets(&error) {
                return Err(error);
            }
            self.prepare(client)?;
            client.batch_execute(&sql)?;
        }
        self.steps += 1;
        Ok(())
    }

    fn step_sql(
        &self,
        ahead: usize,
        phase: &Phase,
        statement: &Statement,
        step: &Step,
        duration: Option<Duration>,
    ) -> String {
        let outcome = match step.outcome {
            Outcome::Done => "done",
            Outcome::Warning => "warning",
            Outcome::Satisfied => "satisfied",
            Outcome::Failed => "failed",
            Outcome::Interrupted => "interrupted",
        };
        let number = |n: &dyn std::fmt::Display| n.to_string();
        inline(
            "EXECUTE xtask_step ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
            &[
                Some(&number(&self.id)),
                Some(&number(&(i64::from(self.steps) + 1 + ahead as i64))),
                Some(&phase.name),
                Some(&statement.file),
                Some(&number(&statement.line)),
                Some(&statement.hash()),
                Some(&statement.summary()),
                duration.map(|duration| number(&duration.as_micros())).as_deref(),
                Some(&number(&step.lock_wait.as_micros())),
                Some(&number(&step.attempts)),
                Some(&number(&step.rows)),
                Some(outcome),
                step.error.as_deref(),
            ],
        )
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
        let next = ending
            .fingerprint
            .as_ref()
            .and_then(Fingerprint::next_transaction)
            .map(|number| number.to_string());
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
                (&ending.fingerprint.as_ref().map(Fingerprint::as_str), Type::TEXT),
                (&durability, Type::TEXT),
                (&next, Type::TEXT),
            ],
        )?;
        Ok(())
    }
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

/// Whether a run with this expected catalog has succeeded, by a journal that is there.
///
/// # Errors
/// As [`runs`].
pub fn has_converged(client: &mut impl GenericClient, expected_hash: &str) -> Result<bool, postgres::Error> {
    let sql = "SELECT EXISTS (SELECT FROM migration.runs AS r WHERE r.outcome = 'succeeded' AND r.expected_hash = $1)";
    let rows = client.query_typed(sql, &[(&expected_hash, Type::TEXT)])?;
    rows.first().map_or(Ok(false), |row| row.try_get(0))
}

/// Whether the database has a journal.
///
/// # Errors
/// The connection is gone.
pub fn exists(client: &mut impl GenericClient) -> Result<bool, postgres::Error> {
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
