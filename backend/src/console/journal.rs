//! What the journal says, as the pages show it. No text of an error is read: it may quote values of rows.

use tokio_postgres::Row;

use crate::database::{Database, Failure};

/// A run.
pub(super) struct Run {
    pub id: i64,
    pub outcome: String,
    pub version: Option<String>,
    pub git_commit: Option<String>,
    pub who: String,
    pub started: String,
    pub seconds: Option<f64>,
    pub run: i32,
    pub satisfied: i32,
    pub stalled: f64,
    pub changes: i32,
    pub undoes: Vec<i64>,
    pub sqlstate: Option<String>,
    pub failed: bool,
}

/// A step of a run.
pub(super) struct Step {
    pub place: String,
    pub summary: String,
    pub outcome: String,
    pub seconds: f64,
    pub lock_wait: f64,
    pub rows: i64,
    pub sqlstate: Option<String>,
}

/// An object that a run changed.
pub(super) struct Change {
    pub object: String,
    pub before: Option<String>,
    pub after: Option<String>,
}

/// Rows that were set aside together.
pub(super) struct SetAside {
    pub run: i64,
    pub place: String,
    pub table: String,
    pub reason: String,
    pub rows: i64,
    pub restored: i64,
}

impl Run {
    fn from_row(row: &Row) -> Result<Self, tokio_postgres::Error> {
        let name = |column| row.try_get::<_, Option<String>>(column).map(Option::unwrap_or_default);
        Ok(Self {
            id: row.try_get("id")?,
            outcome: row.try_get("outcome")?,
            version: row.try_get("version")?,
            git_commit: row.try_get("git_commit")?,
            who: format!("{}@{}", name("os_user")?, name("host")?),
            started: row.try_get("started")?,
            seconds: row.try_get("seconds")?,
            run: row.try_get("statements_run")?,
            satisfied: row.try_get("statements_skipped")?,
            stalled: row.try_get("stalled")?,
            changes: row.try_get("changes")?,
            undoes: row.try_get("undoes")?,
            sqlstate: row.try_get("sqlstate")?,
            failed: row.try_get("failed")?,
        })
    }

    /// For the stylesheet.
    pub(super) fn class(&self) -> &'static str {
        match self.outcome.as_str() {
            "succeeded" => "good",
            "running" => "busy",
            _ => "bad",
        }
    }
}

/// Whether there is a journal, and a quarantine.
pub(super) async fn there(database: &Database) -> Result<(bool, bool), Failure> {
    let rows = database.query(include_str!("sql/there.sql"), &[]).await?;
    let Some(row) = rows.first() else {
        return Ok((false, false));
    };
    Ok((row.try_get(0)?, row.try_get(1)?))
}

/// The newest runs before this one.
pub(super) async fn runs(database: &Database, before: i64, most: i64) -> Result<Vec<Run>, Failure> {
    let rows = database
        .query(include_str!("sql/runs.sql"), &[&before, &most, &None::<i64>])
        .await?;
    Ok(rows.iter().map(Run::from_row).collect::<Result<_, _>>()?)
}

/// One run.
pub(super) async fn run(database: &Database, id: i64) -> Result<Option<Run>, Failure> {
    let rows = database
        .query(include_str!("sql/runs.sql"), &[&i64::MAX, &1_i64, &Some(id)])
        .await?;
    Ok(rows.first().map(Run::from_row).transpose()?)
}

/// The steps of a run, in order.
pub(super) async fn steps(database: &Database, run: i64) -> Result<Vec<Step>, Failure> {
    let rows = database.query(include_str!("sql/steps.sql"), &[&run]).await?;
    let step = |row: &Row| {
        let (file, line): (String, i32) = (row.try_get("file")?, row.try_get("line")?);
        Ok(Step {
            place: format!("{file}:{line}"),
            summary: row.try_get("summary")?,
            outcome: row.try_get("outcome")?,
            seconds: row.try_get("seconds")?,
            lock_wait: row.try_get("lock_wait")?,
            rows: row.try_get("rows")?,
            sqlstate: row.try_get("sqlstate")?,
        })
    };
    Ok(rows.iter().map(step).collect::<Result<_, tokio_postgres::Error>>()?)
}

/// What a run changed.
pub(super) async fn changes(database: &Database, run: i64) -> Result<Vec<Change>, Failure> {
    let rows = database.query(include_str!("sql/changes.sql"), &[&run]).await?;
    let change = |row: &Row| {
        let (kind, identity): (String, String) = (row.try_get("kind")?, row.try_get("identity")?);
        Ok(Change {
            object: format!("{kind} {identity}"),
            before: row.try_get("before")?,
            after: row.try_get("after")?,
        })
    };
    Ok(rows.iter().map(change).collect::<Result<_, tokio_postgres::Error>>()?)
}

/// What is set aside.
pub(super) async fn set_aside(database: &Database) -> Result<Vec<SetAside>, Failure> {
    let rows = database.query(include_str!("sql/quarantine.sql"), &[]).await?;
    let group = |row: &Row| {
        Ok(SetAside {
            run: row.try_get("run_id")?,
            place: row.try_get("place")?,
            table: row.try_get("table_name")?,
            reason: row.try_get("reason")?,
            rows: row.try_get("rows")?,
            restored: row.try_get("restored")?,
        })
    };
    Ok(rows.iter().map(group).collect::<Result<_, tokio_postgres::Error>>()?)
}

/// The newest run and how far it is, as one text.
pub(super) async fn newest(database: &Database) -> Result<String, Failure> {
    let rows = database.query(include_str!("sql/newest.sql"), &[]).await?;
    let Some(row) = rows.first() else {
        return Ok(String::new());
    };
    let (id, outcome, steps): (i64, String, i64) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    Ok(format!("{id} {outcome} {steps}"))
}
