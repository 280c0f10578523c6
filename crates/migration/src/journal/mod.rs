//! The journal: runs and steps, in schema `migration` of the migrated database.
//!
//! It tells people what happened. What is to be done is read from the catalog; from the journal only what leaves nothing
//! there: which statements that run once have run.

mod answers;
mod history;
mod look;
mod record;
mod text;
mod trim;
mod undo;

use std::time::{Duration, Instant};

use connection::{Error, Kind, describe};
use postgres::types::Type;
use postgres::{Client, GenericClient};
use postgres_protocol::escape::escape_literal;

use crate::catalog::Fingerprint;
use crate::expected::{Expected, OnceKey};
use crate::plan::Item;
use crate::sqlstate;

pub use answers::{ChangedBy, PhaseTimes};
pub use history::{changed_rows_before, changes_of_object, run, runs, times_of_phases};
pub use look::{Newest, Reached, Record, done};
pub use record::{Change, Details, Outcome, Recorded, RecordedStep, Run, Step, milliseconds};
pub use text::{Author, Texts};
pub use trim::Keep;
pub use undo::{
    Changed, RanOnce, TakenBack, changed, files, forget, ran_once, renames, taken_back, takes_back, unreadable,
};

/// Writes what happens in one run.
#[derive(Debug)]
pub struct Recorder {
    /// The run's number.
    pub run: i64,
    steps: i32,
    /// What its texts may consist of.
    texts: Texts,
}

/// How a run ended, for [`Recorder::finish`].
#[derive(Debug, Default)]
pub struct Ending {
    /// The error, for people.
    pub error: Option<String>,
    /// Ended by a signal.
    pub interrupted: bool,
    /// Statements that were sent.
    pub statements_run: usize,
    /// Statements that were satisfied.
    pub statements_skipped: usize,
    /// What changed; none: nobody could look, and what was planned stays on record.
    pub changes: Option<Vec<Change>>,
    /// The hash of the expected catalog, where the run has converged.
    pub expected_hash: Option<String>,
    /// The fingerprint of the actual catalog, where the run has converged.
    pub fingerprint: Option<Fingerprint>,
    /// Which runs are kept on record; none: all.
    pub keep: Option<Keep>,
    /// How long others could have been kept waiting.
    pub stalled: Duration,
}

/// SQL that records a statement as one that has run, in this run and step; no step where it is taken for done.
pub fn once_sql(key: &OnceKey, run: i64, step: Option<i32>) -> String {
    inline(
        Texts::of("UTF8"),
        include_str!("once.sql"),
        &[
            Some(&key.hash),
            Some(&key.occurrence.to_string()),
            Some(&run.to_string()),
            step.map(|step| step.to_string()).as_deref(),
        ],
    )
}

/// Lets a role (quoted, if it has to be) read the runs and their steps, and what was set aside without the rows; nothing
/// where it does not exist.
///
/// # Errors
/// The connection is gone, or the role that migrates may not grant this.
pub fn let_read(client: &mut Client, role: &str) -> Result<(), postgres::Error> {
    client.batch_execute(&include_str!("let_read.sql").replace("{role}", role))
}

/// Makes the journal unless it `exists`, marks runs as died that are on record as running, and records a
/// new one, with the version that it brings the database to. `since_empty`: what has run once and is not on record has
/// not run. `planned`: what it is going to change, which stays on record if it dies. Returns the run and those that had
/// died. The caller holds the mutex.
///
/// # Errors
/// The migrating role may not create a schema, or PostgreSQL refuses otherwise.
pub fn begin(
    client: &mut Client,
    exists: bool,
    author: &Author,
    expected: Option<&Expected>,
    since_empty: bool,
    planned: &[Change],
    texts: Texts,
) -> Result<(Recorder, Vec<i64>), Error> {
    let author = author.storable(texts);
    let version = expected.map(|expected| expected.version.as_str());
    let lineage: Vec<&str> = expected
        .iter()
        .flat_map(|expected| &expected.lineage)
        .map(String::as_str)
        .collect();
    let planned = texts.storable(&as_json(planned)).into_owned();
    let mut write = || -> Result<(Recorder, Vec<i64>), postgres::Error> {
        if !exists {
            // Several statements in one simple query are one transaction.
            client.batch_execute(include_str!("schema.sql"))?;
        }
        let row = client.query_typed_one(
            include_str!("begin.sql"),
            &[
                (&author.tool_version, Type::TEXT),
                (&author.git_commit, Type::TEXT),
                (&author.os_user, Type::TEXT),
                (&author.host, Type::TEXT),
                (&version, Type::TEXT),
                (&lineage, Type::TEXT_ARRAY),
                (&since_empty, Type::BOOL),
                (&planned, Type::TEXT),
            ],
        )?;
        Ok((Recorder::new(row.try_get("id")?, texts), row.try_get("died")?))
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
    texts: Texts,
) -> String {
    inline(
        texts,
        include_str!("unchanged.sql"),
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

/// Changes as the journal holds them. Strings always can be written as JSON.
fn as_json(changes: &[Change]) -> String {
    serde_json::to_string(changes).unwrap_or_else(|_| "[]".to_owned())
}

fn refused(error: &postgres::Error) -> Error {
    let denied = sqlstate::is_denied(error);
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
fn inline(texts: Texts, sql: &str, values: &[Option<&str>]) -> String {
    let lines = sql.lines().filter(|line| !line.starts_with("--"));
    let sql = lines.collect::<Vec<_>>().join("\n");
    let mut parts = sql.split('$');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let digits = part.bytes().take_while(u8::is_ascii_digit).count();
        let value = part[..digits]
            .parse::<usize>()
            .ok()
            .and_then(|number| values.get(number.checked_sub(1)?));
        match value.copied().flatten() {
            Some(value) => text.push_str(&escape_literal(&texts.storable(value))),
            None => text.push_str("NULL"),
        }
        text.push_str(&part[digits..]);
    }
    text
}

impl Recorder {
    /// For the run of this number, of which no step is on record yet.
    pub fn new(run: i64, texts: Texts) -> Self {
        Self { run, steps: 0, texts }
    }

    /// SQL that records a step, `ahead` of the next one, of a statement that does well: for the transaction of the
    /// statement itself. Without a duration the server measures it.
    pub fn next_step(&self, ahead: usize, item: &Item<'_>, step: &Step, duration: Option<Duration>) -> String {
        let number = self.steps.saturating_add(1 + i32::try_from(ahead).unwrap_or(i32::MAX));
        self.step_sql(number, item, step, duration)
    }

    /// SQL for one transaction in a database that nobody uses yet: statements, each with the time after it, and a record
    /// of all of them as the next steps.
    pub fn batch(&self, items: &[&Item<'_>]) -> String {
        let mut sql = "BEGIN;\n".to_owned();
        let mut values = Vec::new();
        let mut once = String::new();
        for (ahead, item) in items.iter().enumerate() {
            let ahead = i32::try_from(ahead).unwrap_or(i32::MAX);
            let number = self.steps.saturating_add(1 + ahead);
            let text = item.statement.without_concurrently();
            sql.push_str(&format!(
                "{}\n;\nSELECT pg_catalog.set_config('xtask.t{}', pg_catalog.clock_timestamp()::text, true);\n",
                text.as_deref().unwrap_or(&item.statement.text),
                ahead + 1
            ));
            let literal = |text: &str| escape_literal(&self.texts.storable(text));
            values.push(format!(
                "({}, {number}, {}, {}, {}, {}, {})",
                ahead + 1,
                literal(&item.phase.name),
                literal(&item.statement.file),
                item.statement.line,
                literal(&item.statement.hash()),
                literal(&item.statement.summary()),
            ));
            if let Some(key) = item.once {
                once.push_str(&once_sql(key, self.run, Some(number)));
                once.push_str(";\n");
            }
        }
        // The values may hold what looks like a parameter: they come last.
        let record = inline(
            self.texts,
            include_str!("batch.sql"),
            &[Some(&self.run.to_string()), Some("xtask values")],
        );
        let record = record.replacen("'xtask values'", &values.join(",\n"), 1);
        format!("{sql}{record};\n{once}COMMIT;\n")
    }

    /// The step of [`next_step`](Self::next_step) is on record: it is counted, and its rows, which were not known then,
    /// are added.
    ///
    /// # Errors
    /// The connection is gone, mostly.
    pub fn recorded(&mut self, client: &mut Client, step: &Step) -> Result<(), postgres::Error> {
        self.steps += 1;
        if step.recorded == Recorded::WithoutRows && (step.rows > 0 || step.note.is_some()) {
            client.batch_execute(&inline(
                self.texts,
                include_str!("rows.sql"),
                &[
                    Some(&self.run.to_string()),
                    Some(&self.steps.to_string()),
                    Some(&step.rows.to_string()),
                    step.note.as_deref(),
                ],
            ))?;
        }
        Ok(())
    }

    /// Records a step that has ended, and is not on record yet.
    ///
    /// # Errors
    /// The connection is gone, mostly.
    pub fn step(&mut self, client: &mut Client, item: &Item<'_>, step: &Step) -> Result<(), postgres::Error> {
        client.batch_execute(&self.next_step(0, item, step, Some(step.duration)))?;
        self.steps += 1;
        Ok(())
    }

    fn step_sql(&self, number: i32, item: &Item<'_>, step: &Step, duration: Option<Duration>) -> String {
        let Item { phase, statement, once } = *item;
        let text = |n: &dyn std::fmt::Display| n.to_string();
        let mut sql = inline(
            self.texts,
            include_str!("step.sql"),
            &[
                Some(&text(&self.run)),
                Some(&text(&number)),
                Some(&phase.name),
                Some(&statement.file),
                Some(&text(&statement.line)),
                Some(&statement.hash()),
                Some(&statement.summary()),
                duration.map(|duration| text(&duration.as_micros())).as_deref(),
                Some(&text(&step.lock_wait.as_micros())),
                Some(&text(&step.attempts)),
                Some(&text(&step.rows)),
                Some(step.outcome.name()),
                step.error.as_deref(),
                step.note.as_deref(),
            ],
        );
        let is_done = matches!(step.outcome, Outcome::Done | Outcome::Satisfied);
        if let Some(once) = once.filter(|_| is_done) {
            sql.push_str(";\n");
            sql.push_str(&once_sql(once, self.run, Some(number)));
        }
        sql
    }

    /// Records the end of the run, and forgets old ones if this one did something.
    ///
    /// # Errors
    /// The connection is gone, mostly.
    pub fn finish(&self, client: &mut Client, ending: &Ending) -> Result<(), postgres::Error> {
        let Some(keep) = ending.keep.filter(|_| self.steps > 0) else {
            return self.end(client, ending);
        };
        // In one transaction, and that without savepoints: another transaction number would look to the next run as if
        // somebody else had written.
        let mut both = || -> Result<(), postgres::Error> {
            let mut transaction = client.transaction()?;
            self.end(&mut transaction, ending)?;
            trim::trim(&mut transaction, keep)?;
            transaction.commit()
        };
        match both() {
            Ok(()) => Ok(()),
            // That old runs stay is no reason to fail: the next run tries again.
            Err(_) => self.end(client, ending),
        }
    }

    fn end(&self, client: &mut impl GenericClient, ending: &Ending) -> Result<(), postgres::Error> {
        let outcome = match (&ending.error, ending.interrupted) {
            (_, true) => Outcome::Interrupted,
            (Some(_), _) => Outcome::Failed,
            (None, _) => Outcome::Succeeded,
        };
        let error = ending.error.as_deref().map(|error| self.texts.storable(error));
        // Where nothing ran there is nothing to make durable.
        let durability = if self.steps > 0 { "on" } else { "off" };
        let next = ending
            .fingerprint
            .as_ref()
            .and_then(Fingerprint::next_transaction)
            .map(|number| number.to_string());
        let changes = ending.changes.as_deref().map(as_json);
        client.query_typed(
            include_str!("finish.sql"),
            &[
                (&self.run, Type::INT8),
                (&outcome.name(), Type::TEXT),
                (&error, Type::TEXT),
                (&i32::try_from(ending.statements_run).unwrap_or(i32::MAX), Type::INT4),
                (
                    &i32::try_from(ending.statements_skipped).unwrap_or(i32::MAX),
                    Type::INT4,
                ),
                (&changes, Type::TEXT),
                (&ending.expected_hash, Type::TEXT),
                (&ending.fingerprint.as_ref().map(Fingerprint::as_str), Type::TEXT),
                (&durability, Type::TEXT),
                (&next, Type::TEXT),
                (&ending.stalled.as_secs_f64(), Type::FLOAT8),
            ],
        )?;
        Ok(())
    }
}
