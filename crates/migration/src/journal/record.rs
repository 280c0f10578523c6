//! What stands in the journal, as values: written by a run, read by the history.

use std::error::Error;
use std::str::FromStr;
use std::time::Duration;

use postgres::Row;
use postgres::types::{FromSql, Type, accepts};
use serde::{Deserialize, Serialize, Serializer};

use super::Author;
use crate::catalog;

/// How a run or a step ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(into = "&'static str")]
pub enum Outcome {
    /// A run: not yet.
    Running,
    /// A run: the database is as it shall be.
    Succeeded,
    /// A step: as it should.
    #[default]
    Done,
    /// A step: there was nothing left to do, what it makes is there.
    Satisfied,
    /// A step: an optional statement that could not be run.
    Warning,
    /// With an error.
    Failed,
    /// By a signal.
    Interrupted,
    /// A run: its process ended without a word.
    Died,
}

impl Outcome {
    const ALL: [Self; 8] = [
        Self::Running,
        Self::Succeeded,
        Self::Done,
        Self::Satisfied,
        Self::Warning,
        Self::Failed,
        Self::Interrupted,
        Self::Died,
    ];

    /// As it stands in the journal.
    pub fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Done => "done",
            Self::Satisfied => "satisfied",
            Self::Warning => "warning",
            Self::Failed => "failed",
            Self::Interrupted => "interrupted",
            Self::Died => "died",
        }
    }
}

impl From<Outcome> for &'static str {
    fn from(outcome: Outcome) -> Self {
        outcome.name()
    }
}

impl FromStr for Outcome {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let outcome = Self::ALL.into_iter().find(|outcome| outcome.name() == name);
        outcome.ok_or_else(|| format!("the journal knows no outcome {name}"))
    }
}

impl<'a> FromSql<'a> for Outcome {
    fn from_sql(ty: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(<&str>::from_sql(ty, raw)?.parse()?)
    }

    accepts!(TEXT);
}

/// A run on record.
#[derive(Debug, Serialize)]
pub struct Run {
    /// Its number, from 1, with gaps where a run could not be recorded.
    pub id: i64,
    /// When it began, as ISO 8601 has it.
    pub started: String,
    /// When it ended.
    pub finished: Option<String>,
    /// From the beginning to the end.
    pub milliseconds: Option<i64>,
    /// How it ended.
    pub outcome: Outcome,
    /// Its error, for people.
    pub error: Option<String>,
    /// Statements that were sent.
    pub statements_run: i32,
    /// Statements that were satisfied.
    pub statements_skipped: i32,
    /// How many objects it changed.
    pub changed_objects: i32,
    /// Whether somebody has looked what it changed; otherwise its changes are those that were planned.
    pub changes_seen: bool,
    /// How many of its statements run once in each database.
    pub ran_once: i64,
    /// How long its steps waited for locks.
    #[serde(rename = "lock_wait_milliseconds", serialize_with = "milliseconds")]
    pub lock_wait: Duration,
    /// How long others could have been kept waiting.
    #[serde(rename = "stalled_milliseconds", serialize_with = "milliseconds")]
    pub stalled: Duration,
    /// How many rows it moved to the quarantine.
    pub set_aside: i64,
    /// The version of the phases; none where they were run without `expected.json`.
    pub version: Option<String>,
    /// Who ran it.
    #[serde(flatten)]
    pub author: Author,
    /// Its role.
    pub database_user: String,
    /// Its process on the server.
    pub backend_pid: i32,
    /// What it did in detail; none where a list of runs was asked for.
    #[serde(flatten)]
    pub details: Option<Details>,
}

/// What a run did.
#[derive(Debug, Serialize)]
pub struct Details {
    /// What it changed.
    pub changes: Vec<Change>,
    /// Its steps.
    pub steps: Vec<RecordedStep>,
}

/// An object that differs between the catalog before a run and after it.
#[derive(Debug, Serialize, Deserialize)]
pub struct Change {
    /// The object's kind.
    pub kind: String,
    /// Its name.
    pub identity: String,
    /// Its definition before; none: it was not there.
    pub before: Option<String>,
    /// Its definition after.
    pub after: Option<String>,
}

impl From<&catalog::Change> for Change {
    fn from((id, before, after): &catalog::Change) -> Self {
        Self {
            kind: id.kind.clone(),
            identity: id.identity.clone(),
            before: before.clone(),
            after: after.clone(),
        }
    }
}

impl From<Change> for catalog::Change {
    fn from(change: Change) -> Self {
        let id = catalog::ObjectId::new(change.kind, change.identity);
        (id, change.before, change.after)
    }
}

/// A step on record.
#[derive(Debug, Serialize)]
pub struct RecordedStep {
    /// Its number in the run, from 1.
    pub number: i32,
    /// The name of its phase.
    pub phase: String,
    /// The file of the statement.
    pub file: String,
    /// Its line there.
    pub line: i32,
    /// The hash of its tokens.
    pub statement_hash: String,
    /// Its first words.
    pub summary: String,
    /// When it began.
    pub started: String,
    /// How it went.
    #[serde(flatten)]
    pub step: Step,
}

/// How a step went.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Step {
    /// From the first attempt to the end.
    #[serde(rename = "milliseconds", serialize_with = "milliseconds")]
    pub duration: Duration,
    /// The part of `duration` before the attempt that ended it: attempts that could not get a lock, and pauses.
    #[serde(rename = "lock_wait_milliseconds", serialize_with = "milliseconds")]
    pub lock_wait: Duration,
    /// How often it was sent.
    pub attempts: u32,
    /// Rows that it inserted, updated, deleted or returned.
    pub rows: u64,
    /// How it ended.
    pub outcome: Outcome,
    /// What PostgreSQL answered, unless all went well.
    pub error: Option<String>,
    /// What is worth knowing besides.
    pub note: Option<String>,
    /// Whether it was recorded in the transaction of the statement itself.
    #[serde(skip)]
    pub recorded: Recorded,
}

/// How much of a step is on record when its statement is committed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Recorded {
    /// Nothing.
    #[default]
    Not,
    /// All but the number of rows, which was not known yet.
    WithoutRows,
    /// All.
    Whole,
}

/// A duration as documents have it.
pub fn milliseconds<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(time.as_secs_f64() * 1000.0)
}

impl Run {
    /// From a row of `runs.sql`.
    pub(super) fn from_row(row: &Row) -> Result<Self, postgres::Error> {
        Ok(Self {
            id: row.try_get("id")?,
            started: row.try_get("started")?,
            finished: row.try_get("finished")?,
            milliseconds: row.try_get("milliseconds")?,
            outcome: row.try_get("outcome")?,
            error: row.try_get("error")?,
            statements_run: row.try_get("statements_run")?,
            statements_skipped: row.try_get("statements_skipped")?,
            changed_objects: row.try_get("changed_objects")?,
            changes_seen: row.try_get("changes_seen")?,
            ran_once: row.try_get("ran_once")?,
            lock_wait: duration(row, "lock_wait")?,
            stalled: duration(row, "stalled")?,
            set_aside: 0,
            version: row.try_get("version")?,
            author: Author {
                tool_version: row.try_get("tool_version")?,
                git_commit: row.try_get("git_commit")?,
                os_user: row.try_get("os_user")?,
                host: row.try_get("host")?,
            },
            database_user: row.try_get("database_user")?,
            backend_pid: row.try_get("backend_pid")?,
            details: None,
        })
    }
}

impl Change {
    /// From a row of `changes.sql`.
    pub(super) fn from_row(row: &Row) -> Result<Self, postgres::Error> {
        Ok(Self {
            kind: row.try_get("kind")?,
            identity: row.try_get("identity")?,
            before: row.try_get("before")?,
            after: row.try_get("after")?,
        })
    }
}

/// A column with seconds.
fn duration(row: &Row, column: &str) -> Result<Duration, postgres::Error> {
    let seconds = row.try_get(column)?;
    Ok(Duration::try_from_secs_f64(seconds).unwrap_or_default())
}

impl RecordedStep {
    /// From a row of `steps.sql`.
    pub(super) fn from_row(row: &Row) -> Result<Self, postgres::Error> {
        let count = |number: i64| u64::try_from(number).unwrap_or_default();
        let attempts: i32 = row.try_get("attempts")?;
        Ok(Self {
            number: row.try_get("number")?,
            phase: row.try_get("phase")?,
            file: row.try_get("file")?,
            line: row.try_get("line")?,
            statement_hash: row.try_get("statement_hash")?,
            summary: row.try_get("summary")?,
            started: row.try_get("started")?,
            step: Step {
                duration: duration(row, "duration")?,
                lock_wait: duration(row, "lock_wait")?,
                attempts: u32::try_from(attempts).unwrap_or_default(),
                rows: count(row.try_get("rows")?),
                outcome: row.try_get("outcome")?,
                error: row.try_get("error")?,
                note: row.try_get("note")?,
                recorded: Recorded::Whole,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_journal_allows_each_outcome_under_its_name() {
        let schema = include_str!("schema.sql");
        for outcome in Outcome::ALL {
            assert_eq!(outcome.name().parse(), Ok(outcome));
            assert_eq!(
                serde_json::to_value(outcome).unwrap(),
                serde_json::Value::from(outcome.name())
            );
            assert!(schema.contains(&format!("'{}'", outcome.name())), "{outcome:?}");
        }
        assert!("lost".parse::<Outcome>().is_err());
    }

    #[test]
    fn a_step_as_a_document() {
        let step = Step {
            duration: Duration::from_micros(1500),
            rows: 2,
            ..Step::default()
        };
        assert_eq!(
            serde_json::to_string(&step).unwrap(),
            r#"{"milliseconds":1.5,"lock_wait_milliseconds":0.0,"attempts":0,"rows":2,"outcome":"done","error":null,"note":null}"#
        );
    }
}
