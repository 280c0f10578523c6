//! What clean-up set aside (`migration.quarantine`): listed, shown, put back.

mod restore;
mod statements;

use postgres::Client;
use postgres::types::{ToSql, Type};
use serde::Serialize;
use serde_json::Value;

pub use restore::{Misfit, Patience, Restored, RestoredGroup, restore, restore_alone};

/// Which rows are meant; by default all.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Those of this run.
    pub run: Option<i64>,
    /// Those of this table, with its schema or without.
    pub table: Option<String>,
    /// Those of this statement: `file:line`.
    pub place: Option<String>,
    /// Those of these entries; empty: any.
    pub ids: Vec<i64>,
}

/// Rows that one statement set aside in one run.
#[derive(Debug, Clone, Serialize)]
pub struct Group {
    /// The run.
    pub run: i64,
    /// The statement: `file:line`.
    pub place: String,
    /// The qualified table.
    pub table: String,
    /// What was wrong with them, and what became of them.
    pub reason: String,
    /// How many.
    pub rows: i64,
    /// How many of them were put back.
    pub restored: i64,
    /// They stayed in their table, with other values.
    pub stayed: bool,
    /// When the first of them was set aside.
    pub first: String,
    /// When the last of them was.
    pub last: String,
}

/// A row that was set aside.
#[derive(Debug, Clone, Serialize)]
pub struct Entry {
    /// Its number here.
    pub id: i64,
    /// The run.
    pub run: i64,
    /// The statement: `file:line`.
    pub place: String,
    /// The qualified table.
    pub table: String,
    /// What was wrong with it, and what became of it.
    pub reason: String,
    /// The row as it was.
    pub row: Value,
    /// If it stayed: as it was then.
    pub after: Option<Value>,
    /// If it stayed: the columns that were set.
    pub set_columns: Option<Vec<String>>,
    /// When it was set aside.
    pub quarantined: String,
    /// When it was put back.
    pub restored: Option<String>,
    /// By whom.
    pub restored_by: Option<String>,
}

impl Filter {
    /// What a query with `filter.sql` in it takes first.
    fn ids(&self) -> Option<&[i64]> {
        (!self.ids.is_empty()).then_some(self.ids.as_slice())
    }

    /// Asks with a query that has `{filter}` in it; nothing where no row was ever set aside.
    fn ask(
        &self,
        client: &mut Client,
        sql: &str,
        more: &[(&(dyn ToSql + Sync), Type)],
    ) -> Result<Vec<postgres::Row>, postgres::Error> {
        let there: bool = client.query_typed_one(include_str!("there.sql"), &[])?.try_get(0)?;
        if !there {
            return Ok(Vec::new());
        }
        let ids = self.ids();
        let mut parameters: Vec<(&(dyn ToSql + Sync), Type)> = vec![
            (&self.run, Type::INT8),
            (&self.table, Type::TEXT),
            (&self.place, Type::TEXT),
            (&ids, Type::INT8_ARRAY),
        ];
        parameters.extend(more.iter().cloned());
        client.query_typed(&sql.replace("{filter}", include_str!("filter.sql")), &parameters)
    }
}

/// Whether rollbacks kept anything that has not been put back.
///
/// # Errors
/// The quarantine may not be read.
pub fn is_kept_by_rollbacks(client: &mut Client) -> Result<bool, postgres::Error> {
    let there = "SELECT pg_catalog.to_regclass('migration.quarantine') IS NOT NULL";
    if !client.query_typed_one(there, &[])?.try_get::<_, bool>(0)? {
        return Ok(false);
    }
    let kept = "SELECT EXISTS (
        SELECT FROM migration.runs AS r JOIN migration.quarantine AS q ON q.run_id = r.id
        WHERE r.undoes <> '{}' AND q.restored IS NULL)";
    client.query_typed_one(kept, &[])?.try_get(0)
}

/// Lets the sequences of a table go on behind the rows that are back.
///
/// # Errors
/// A sequence may not be changed.
pub fn let_sequences_go_on(client: &mut Client, table: &str) -> Result<(), postgres::Error> {
    let rows = client.query_typed(include_str!("sequences.sql"), &[(&table, Type::TEXT)])?;
    for row in rows {
        let (sequence, column): (String, String) = (row.try_get("sequence")?, row.try_get("column_name")?);
        client.batch_execute(&format!(
            "SELECT pg_catalog.setval('{}', m.last) FROM (SELECT max({column})::int8 AS last FROM {table}) AS m, {sequence} AS s
             WHERE m.last >= s.last_value",
            sequence.replace('\'', "''")
        ))?;
    }
    Ok(())
}

/// What rollbacks kept of tables and columns that are there again, where they [kept anything](is_kept_by_rollbacks). `whole`: rows of a table only if it has all their
/// columns.
///
/// # Errors
/// The quarantine may not be read.
pub fn kept_by_rollbacks(client: &mut Client, whole: bool) -> Result<Vec<Filter>, postgres::Error> {
    let rows = client.query_typed(include_str!("kept.sql"), &[(&whole, Type::BOOL)])?;
    let filter = |row: &postgres::Row| {
        Ok(Filter {
            run: Some(row.try_get("run_id")?),
            table: Some(row.try_get("table_name")?),
            ..Filter::default()
        })
    };
    rows.iter().map(filter).collect()
}

/// What was set aside, by run and statement, the newest first.
///
/// # Errors
/// The quarantine may not be read.
pub fn groups(client: &mut Client, filter: &Filter) -> Result<Vec<Group>, postgres::Error> {
    let rows = filter.ask(client, include_str!("groups.sql"), &[])?;
    rows.iter()
        .map(|row| {
            Ok(Group {
                run: row.try_get("run_id")?,
                place: row.try_get("place")?,
                table: row.try_get("table_name")?,
                reason: row.try_get("reason")?,
                rows: row.try_get("rows")?,
                restored: row.try_get("restored")?,
                stayed: row.try_get("stayed")?,
                first: row.try_get("first")?,
                last: row.try_get("last")?,
            })
        })
        .collect()
}

/// The newest rows that were set aside, `limit` at most.
///
/// # Errors
/// The quarantine may not be read.
pub fn entries(client: &mut Client, filter: &Filter, limit: i64) -> Result<Vec<Entry>, postgres::Error> {
    let rows = filter.ask(client, include_str!("rows.sql"), &[(&limit, Type::INT8)])?;
    // PostgreSQL writes JSON.
    let value = |text: &str| serde_json::from_str(text).unwrap_or_default();
    rows.iter()
        .map(|row| {
            Ok(Entry {
                id: row.try_get("id")?,
                run: row.try_get("run_id")?,
                place: row.try_get("place")?,
                table: row.try_get("table_name")?,
                reason: row.try_get("reason")?,
                row: value(row.try_get("row_data")?),
                after: row.try_get::<_, Option<&str>>("row_after")?.map(value),
                set_columns: row.try_get("set_columns")?,
                quarantined: row.try_get("quarantined")?,
                restored: row.try_get("restored")?,
                restored_by: row.try_get("restored_by")?,
            })
        })
        .collect()
}
