//! Rows are never dropped by surprise: what a statement drops is looked at before its transaction is committed.

use std::collections::BTreeSet;

use postgres::Client;
use postgres::types::{ToSql, Type};

use super::Failure;
use crate::catalog::ObjectId;
use crate::expected::Expected;
use crate::plan::Item;
use crate::source::statement::{Class, Statement};
use crate::sqlstate;
use crate::text::{own_name, rows};

/// What is counted at most.
const COUNT: u32 = 1_000_000;

/// A table, or a column of one that stays, that would be dropped.
#[derive(Debug, Clone)]
pub struct Holder {
    /// The qualified table.
    pub table: String,
    /// The column; none: the whole table.
    pub column: Option<String>,
}

impl Holder {
    /// The object.
    pub fn id(&self) -> ObjectId {
        match &self.column {
            Some(column) => ObjectId::new("column", format!("{}.{column}", self.table)),
            None => ObjectId::new("table", &self.table),
        }
    }

    /// Its rows, or those with a value.
    fn values(&self) -> String {
        match &self.column {
            Some(column) => format!("SELECT FROM {} WHERE {column} IS NOT NULL", self.table),
            None => format!("SELECT FROM {}", self.table),
        }
    }
}

/// Whether a statement cannot drop anything by itself.
pub(super) fn is_harmless(statement: &Statement) -> bool {
    let plain = ["copy", "truncate", "comment", "grant", "revoke"];
    statement.class == Class::Session || statement.text.begins_with(&plain)
}

/// Whether a statement changes rows and, unless a trigger or a function does more, nothing else.
pub(super) fn changes_rows_only(statement: &Statement) -> bool {
    let changing = [
        "insert", "update", "delete", "merge", "with", "copy", "truncate", "analyze", "vacuum",
    ];
    statement.text.begins_with(&changing)
}

/// Whether it may drop what a person would miss: nothing of it says that it is meant to.
pub(super) fn may_drop_by_surprise(statement: &Statement) -> bool {
    !is_harmless(statement) && statement.directives.drops_rows.is_none()
}

/// For the record: why rows could be dropped.
pub(super) fn note(statement: &Statement) -> Option<String> {
    let reason = statement.directives.drops_rows.as_ref()?;
    Some(format!("drops rows: {reason}"))
}

/// SQL without its comments.
fn query(sql: &str) -> String {
    let lines = sql.lines().filter(|line| !line.starts_with("--"));
    lines.collect::<Vec<_>>().join("\n")
}

/// SQL that remembers which tables are there: first in the transaction. It is one command.
pub(super) fn remembering_sql() -> String {
    query(include_str!("tables.sql"))
}

/// SQL that fails if the transaction has dropped something: with the statement in one message it costs no way to the
/// server and back.
pub(super) fn failing_sql() -> String {
    format!(
        "SELECT ('{MARK}' || ({}))::pg_catalog.int4",
        query(include_str!("dropped.sql"))
    )
}

/// What stands in the message of the error of [`failing_sql`].
const MARK: &str = "xtask dropped ";

/// What was dropped, from the error of [`failing_sql`]; none if it is another error.
pub(super) fn dropped_by(error: &postgres::Error) -> Option<BTreeSet<String>> {
    let (_, rest) = sqlstate::unreadable_value(error)?.split_once(MARK)?;
    let is_name = |c: char| c.is_ascii_digit() || c == '.' || c == ' ';
    Some(names(&rest[..rest.find(|c| !is_name(c)).unwrap_or(rest.len())]))
}

/// What the transaction has dropped so far.
pub(super) fn dropped(client: &mut Client) -> Result<BTreeSet<String>, postgres::Error> {
    let row = rows(client.simple_query(include_str!("dropped.sql"))?).next();
    Ok(names(row.as_ref().and_then(|row| row.get(0)).unwrap_or_default()))
}

fn names(text: &str) -> BTreeSet<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

/// Which of the things that would be dropped can hold values. Those that are not there at all are none: the transaction
/// made them itself.
pub(super) fn holders(client: &mut Client, dropped: &BTreeSet<String>) -> Result<Vec<Holder>, postgres::Error> {
    let names: Vec<&str> = dropped.iter().map(String::as_str).collect();
    let rows = client.query_typed(include_str!("holders_of_rows.sql"), &[(&names, Type::TEXT_ARRAY)])?;
    rows.iter()
        .map(|row| {
            Ok(Holder {
                table: row.try_get("table_name")?,
                column: row.try_get("column_name")?,
            })
        })
        .collect()
}

/// The holders that hold values, with their number; counted to a million.
pub(super) fn counts(client: &mut Client, holders: &[Holder]) -> Result<Vec<(Holder, u64)>, postgres::Error> {
    let mut found = Vec::new();
    for holder in holders {
        if is_proved_empty(client, holder)? {
            continue;
        }
        let sql = format!(
            "SET LOCAL row_security = off; SELECT pg_catalog.count(*) FROM ({} LIMIT {}) AS v",
            holder.values(),
            COUNT + 1
        );
        let row = rows(client.simple_query(&sql)?).next();
        let count = row.and_then(|row| row.try_get(0).ok().flatten().and_then(|count| count.parse().ok()));
        match count.unwrap_or_default() {
            0 => {}
            count => found.push((holder.clone(), count)),
        }
    }
    Ok(found)
}

/// The name of the check that proves that a column holds no values.
pub fn empty_check(table: &str, column: &str) -> String {
    own_name(EMPTY, table, column)
}

/// Whether that is one, as constraints are identified.
pub fn is_empty_check(identity: &str) -> bool {
    identity.starts_with(EMPTY)
}

const EMPTY: &str = "xtask_empty_";

fn is_proved_empty(client: &mut Client, holder: &Holder) -> Result<bool, postgres::Error> {
    let Some(column) = &holder.column else { return Ok(false) };
    let name = empty_check(&holder.table, column);
    let sql = "SELECT FROM pg_catalog.pg_constraint
               WHERE conrelid = pg_catalog.to_regclass($1) AND conname = $2 AND contype = 'c' AND convalidated";
    let parameters: [(&(dyn ToSql + Sync), Type); 2] = [(&holder.table, Type::TEXT), (&name, Type::NAME)];
    Ok(client.query_typed_opt(sql, &parameters)?.is_some())
}

/// For people: the number of rows.
pub fn count_text(count: u64) -> String {
    match count {
        1 => "1 row".to_owned(),
        count if count > u64::from(COUNT) => format!("more than {COUNT} rows"),
        count => format!("{count} rows"),
    }
}

/// What an attempt may drop: it holds no values, or may lose them.
#[derive(Debug, Default)]
pub(super) struct Allowed {
    /// As `dropped.sql` names them.
    names: BTreeSet<String>,
    /// Those that must be empty still when they are dropped.
    pub empty: Vec<Holder>,
    /// How often it was looked.
    looks: u8,
}

impl Allowed {
    /// Whether an earlier attempt was given up for a look.
    pub fn is_looked_at(&self) -> bool {
        self.looks > 0
    }

    /// What of this is not allowed.
    pub fn surprises(&self, mut dropped: BTreeSet<String>) -> BTreeSet<String> {
        dropped.retain(|name| !self.names.contains(name));
        dropped
    }

    /// Looks at what an attempt has dropped before it was rolled back: the next one may drop what holds no values.
    pub fn look(
        &mut self,
        client: &mut Client,
        items: &[Item<'_>],
        expected: Option<&Expected>,
        dropped: BTreeSet<String>,
    ) -> Result<(), Failure> {
        let mut look = || -> Result<Option<Failure>, postgres::Error> {
            let mut empty = Vec::new();
            for holder in holders(client, &dropped)? {
                if !is_working_object(client, expected, &holder)? {
                    empty.push(holder);
                }
            }
            // One transaction, so that its setting ends with it.
            client.batch_execute("BEGIN")?;
            let held = counts(client, &empty);
            client.batch_execute("ROLLBACK")?;
            let held = held?;
            self.empty.extend(empty);
            Ok((!held.is_empty()).then_some(Failure::DropsRows(held)))
        };
        match look() {
            Ok(None) => {}
            Ok(Some(failure)) => return Err(failure),
            Err(error) => return Err(Failure::from_look(error)),
        }
        self.names.extend(dropped);
        self.looks += 1;
        if self.looks > LOOKS {
            let statements: Vec<_> = items.iter().map(|item| item.statement.place()).collect();
            return Err(Failure::Busy {
                cause: format!("{} dropped something else each time", statements.join(", ")),
                blockers: Vec::new(),
            });
        }
        Ok(())
    }
}

/// How often a transaction may drop something else than the time before.
const LOOKS: u8 = 3;

/// Whether a table or column is one that the phases make to work with and drop again, and was made by them here.
pub(super) fn is_working_object(
    client: &mut Client,
    expected: Option<&Expected>,
    holder: &Holder,
) -> Result<bool, postgres::Error> {
    let of_phases = |expected: &&Expected| holder.column.is_none() && expected.is_working_object(&holder.id());
    let Some(expected) = expected.filter(of_phases) else {
        return Ok(false);
    };
    let makers: Vec<&str> = expected
        .statements
        .iter()
        .filter(|effect| {
            effect
                .objects
                .iter()
                .any(|(id, state)| *id == holder.id() && state.is_some())
        })
        .map(|effect| effect.hash.as_str())
        .collect();
    // The phases may have left the role that may read the journal.
    client.batch_execute("BEGIN; SET LOCAL SESSION AUTHORIZATION DEFAULT; SET LOCAL role TO DEFAULT")?;
    let rows = client.query_typed(
        include_str!("made_here.sql"),
        &[
            (&holder.table, Type::TEXT),
            (&makers, Type::TEXT_ARRAY),
            (&expected.version, Type::TEXT),
        ],
    );
    client.batch_execute("ROLLBACK")?;
    rows?.first().map_or(Ok(false), |row| row.try_get(0))
}
