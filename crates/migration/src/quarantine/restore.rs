//! Putting rows back where they were, in batches with a commit each. One that does not fit stays in the quarantine, and
//! what PostgreSQL says of it is told; one that does is marked, and so nothing is ever lost.

use std::time::{Duration, Instant};

use connection::{Error, Kind, describe};
use postgres::Client;
use postgres::types::Type;
use serde::Serialize;

use super::statements::{Shape, Statements, Table};
use super::{Filter, entries};
use crate::context::Context;
use crate::execute::Pause;
use crate::session::connect::check;
use crate::session::mutex::{self, Locked};
use crate::sqlstate::{self, Retry, retry};

/// How many rows go in one transaction.
const BATCH: usize = 1000;
/// How often rows that did not fit are tried again after others were put back, to which they may refer.
const PASSES: u32 = 5;
/// How many rows are named.
const EXAMPLES: usize = 3;

/// How long others are waited for, and who is told.
pub struct Patience<'a> {
    /// How long a batch is tried for while somebody holds one of its rows.
    pub deadline: Duration,
    /// Is told how many rows are back, and says whether to go on.
    pub progress: &'a dyn Fn(u64) -> bool,
}

/// What was put back, and what was not.
#[derive(Debug, Default, Serialize)]
pub struct Restored {
    /// How many rows are back.
    pub restored: u64,
    /// How many do not fit.
    pub left: u64,
    /// By run and statement, the newest first.
    pub groups: Vec<RestoredGroup>,
}

/// Rows that one statement had set aside in one run.
#[derive(Debug, Serialize)]
pub struct RestoredGroup {
    /// The run.
    pub run: i64,
    /// The statement: `file:line`.
    pub place: String,
    /// The qualified table.
    pub table: String,
    /// How many are back.
    pub restored: u64,
    /// Those that do not fit, by what is in their way.
    pub misfits: Vec<Misfit>,
}

/// Rows that do not fit where they were.
#[derive(Debug, Serialize)]
pub struct Misfit {
    /// What is in their way.
    pub reason: String,
    /// How many.
    pub rows: u64,
    /// The keys of some of them, and the numbers of their entries.
    pub examples: Vec<String>,
    #[serde(skip)]
    ids: Vec<i64>,
}

/// Rows that one statement can put back.
struct Part {
    run: i64,
    place: String,
    table: String,
    reason: String,
    /// They stayed in their table.
    stayed: bool,
    /// The columns that they had, or those that were set.
    columns: Vec<String>,
    ids: Vec<i64>,
    restored: u64,
    misfits: Vec<Misfit>,
}

/// Puts rows back beside nobody else: it holds the mutex of migrations meanwhile.
///
/// # Errors
/// See [`Kind`]; what was put back before is committed.
pub fn restore_alone(filter: &Filter, by: &str, context: &Context<'_>) -> Result<Restored, Error> {
    let terms = context.terms();
    let opening = mutex::open(&terms);
    let Locked { mut client, .. } = mutex::acquire(&opening, &terms)?;
    let patience = Patience {
        deadline: context.lock_deadline,
        progress: &|_| (context.interrupted)().is_none(),
    };
    let result = restore(&mut client, filter, by, &patience);
    check(context.interrupted, "putting rows back")?;
    result.map_err(|error| {
        let kind = if sqlstate::is_lock_timeout(&error) {
            Kind::Busy
        } else {
            Kind::Failed
        };
        let what = format!("cannot put rows back in {}", context.connector.settings());
        Error::new(kind, what, describe(&error)).next("what was put back before is committed; run it again to go on")
    })
}

/// Puts rows back where they were, for `by`: removed ones are inserted, changed ones get the earlier values of the columns
/// that were set, unless somebody has changed these since.
///
/// # Errors
/// The quarantine may not be written to, or the connection is gone. What was put back before is committed.
pub fn restore(
    client: &mut Client,
    filter: &Filter,
    by: &str,
    patience: &Patience<'_>,
) -> Result<Restored, postgres::Error> {
    // Rows that are back must be so, whatever the session was told.
    client.batch_execute("SET synchronous_commit = on")?;
    let mut parts = Vec::new();
    for row in filter.ask(client, include_str!("outstanding.sql"), &[])? {
        parts.push(Part {
            run: row.try_get("run_id")?,
            place: row.try_get("place")?,
            table: row.try_get("table_name")?,
            reason: row.try_get("reason")?,
            stayed: row.try_get("stayed")?,
            columns: row.try_get("columns")?,
            ids: row.try_get("ids")?,
            restored: 0,
            misfits: Vec::new(),
        });
    }
    let mut restored = 0;
    for _ in 0..PASSES {
        let before = restored;
        for part in parts.iter_mut().filter(|part| !part.ids.is_empty()) {
            let mut work = Work {
                client,
                by,
                patience,
                restored,
                misfits: Vec::new(),
                start: Instant::now(),
            };
            work.put_back(part)?;
            part.restored += work.restored - restored;
            restored = work.restored;
            part.misfits = work.misfits;
            part.ids = part
                .misfits
                .iter()
                .flat_map(|misfit| misfit.ids.iter().copied())
                .collect();
        }
        let others = parts.iter().any(|part| !part.ids.is_empty());
        if restored == before || !others || !(patience.progress)(restored) {
            break;
        }
    }
    summary(client, restored, parts)
}

/// Puts the parts together, and names some of the rows that do not fit.
fn summary(client: &mut Client, restored: u64, parts: Vec<Part>) -> Result<Restored, postgres::Error> {
    let mut groups: Vec<(String, RestoredGroup)> = Vec::new();
    for part in parts {
        let is_same = |(reason, group): &&mut (String, RestoredGroup)| {
            *reason == part.reason && (group.run, &group.place, &group.table) == (part.run, &part.place, &part.table)
        };
        if let Some((_, group)) = groups.iter_mut().find(is_same) {
            group.restored += part.restored;
            for misfit in part.misfits {
                add(&mut group.misfits, misfit.reason, &misfit.ids);
            }
            continue;
        }
        let group = RestoredGroup {
            run: part.run,
            place: part.place,
            table: part.table,
            restored: part.restored,
            misfits: part.misfits,
        };
        groups.push((part.reason, group));
    }
    let mut groups: Vec<RestoredGroup> = groups.into_iter().map(|(_, group)| group).collect();
    for group in &mut groups {
        let key = Table::read(client, &group.table)?.map_or(Vec::new(), |table| table.key);
        for misfit in &mut group.misfits {
            let named = Filter {
                ids: misfit.ids.iter().rev().take(EXAMPLES).copied().collect(),
                ..Filter::default()
            };
            for entry in entries(client, &named, EXAMPLES as i64)?.iter().rev() {
                let row = entry.after.as_ref().unwrap_or(&entry.row);
                let values: Vec<String> = key
                    .iter()
                    .filter_map(|column| Some(format!("{column} = {}", plain(row.get(column)?))))
                    .collect();
                misfit.examples.push(match values.join(", ") {
                    values if values.is_empty() => format!("entry {}", entry.id),
                    values => format!("{values} (entry {})", entry.id),
                });
            }
        }
    }
    let left = groups
        .iter()
        .flat_map(|group| &group.misfits)
        .map(|misfit| misfit.rows)
        .sum();
    Ok(Restored { restored, left, groups })
}

/// A value as people write it.
fn plain(value: &serde_json::Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned)
}

fn add(misfits: &mut Vec<Misfit>, reason: String, ids: &[i64]) {
    let known = misfits.iter().position(|misfit| misfit.reason == reason);
    let n = known.unwrap_or_else(|| {
        misfits.push(Misfit {
            reason,
            rows: 0,
            examples: Vec::new(),
            ids: Vec::new(),
        });
        misfits.len() - 1
    });
    misfits[n].ids.extend(ids);
    misfits[n].rows += ids.len() as u64;
}

/// Putting back the rows of one part.
struct Work<'w> {
    client: &'w mut Client,
    by: &'w str,
    patience: &'w Patience<'w>,
    restored: u64,
    misfits: Vec<Misfit>,
    start: Instant,
}

impl Work<'_> {
    fn put_back(&mut self, part: &Part) -> Result<(), postgres::Error> {
        let table = Table::read(self.client, &part.table)?;
        let shape = Shape {
            table: &part.table,
            stayed: part.stayed,
            columns: &part.columns,
        };
        let statements = match Statements::of(&shape, table.as_ref()) {
            Ok(statements) => statements,
            Err(reason) => {
                add(&mut self.misfits, reason, &part.ids);
                return Ok(());
            }
        };
        for ids in part.ids.chunks(BATCH) {
            if !(self.patience.progress)(self.restored) {
                break;
            }
            self.batch(&statements, ids)?;
        }
        Ok(())
    }

    /// All of these rows, or where one does not fit, each half by itself.
    fn batch(&mut self, statements: &Statements, ids: &[i64]) -> Result<(), postgres::Error> {
        let mut pause = Pause::default();
        let mut attempt = 1;
        let put: i64 = loop {
            let error = match self
                .client
                .query_typed(&statements.put, &[(&ids, Type::INT8_ARRAY), (&self.by, Type::TEXT)])
            {
                Ok(rows) => break rows.first().map_or(Ok(0), |row| row.try_get(0))?,
                Err(error) => error,
            };
            if retry(&error, attempt) != Retry::Never && self.start.elapsed() < self.patience.deadline {
                let restored = self.restored;
                pause.wait(&|| (self.patience.progress)(restored));
                attempt += 1;
                continue;
            }
            let (Some(answer), false) = (error.as_db_error(), sqlstate::is_lock_timeout(&error)) else {
                return Err(error);
            };
            match ids.split_at(ids.len() / 2) {
                (first, second) if !first.is_empty() && sqlstate::is_about_rows(&error) => {
                    self.batch(statements, first)?;
                    return self.batch(statements, second);
                }
                _ => {}
            }
            let reason = match sqlstate::unreadable_value(&error) {
                Some(message) if message.contains("xtask kept out ") => "a trigger keeps it out".to_owned(),
                _ => answer.message().to_owned(),
            };
            add(&mut self.misfits, reason, ids);
            return Ok(());
        };
        self.restored += put.unsigned_abs();
        if let Some(left) = &statements.left
            && put.unsigned_abs() < ids.len() as u64
        {
            for row in self.client.query_typed(left, &[(&ids, Type::INT8_ARRAY)])? {
                let reason = match row.try_get("is_there")? {
                    true => "what was set was changed since",
                    false => "the row is not there any more",
                };
                add(&mut self.misfits, reason.to_owned(), &[row.try_get("id")?]);
            }
        }
        Ok(())
    }
}
