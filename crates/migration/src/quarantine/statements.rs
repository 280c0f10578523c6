//! The SQL that puts rows back, as their table is now.

use std::collections::BTreeMap;

use postgres::Client;
use postgres::types::Type;
use postgres_protocol::escape::{escape_identifier, escape_literal};

/// Rows that one statement can put back.
pub(super) struct Shape<'p> {
    /// Their qualified table.
    pub table: &'p str,
    /// They stayed in it.
    pub stayed: bool,
    /// The columns that they had, or those that were set.
    pub columns: &'p [String],
}

/// A table as it is now.
pub(super) struct Table {
    /// The columns that can be written, and those that are computed.
    written: Vec<String>,
    computed: Vec<String>,
    /// The defaults that are the same for all rows.
    defaults: BTreeMap<String, String>,
    /// Those of the primary key.
    pub key: Vec<String>,
}

impl Table {
    /// None if it is not there any more.
    pub fn read(client: &mut Client, name: &str) -> Result<Option<Self>, postgres::Error> {
        let (mut written, mut computed, mut key) = (Vec::new(), Vec::new(), Vec::new());
        let mut defaults = BTreeMap::new();
        for row in client.query_typed(include_str!("columns.sql"), &[(&name, Type::TEXT)])? {
            let column: String = row.try_get("name")?;
            if row.try_get("is_key")? {
                key.push(column.clone());
            }
            let default: Option<String> = row.try_get("default_value")?;
            defaults.extend(
                default
                    .filter(|text| !text.contains('('))
                    .map(|text| (column.clone(), text)),
            );
            match row.try_get("computed")? {
                true => computed.push(column),
                false => written.push(column),
            }
        }
        let is_there = !(written.is_empty() && computed.is_empty());
        Ok(is_there.then_some(Self {
            written,
            computed,
            defaults,
            key,
        }))
    }

    /// SQL that says that `t` is the row that `a` tells of.
    fn same_row(&self) -> String {
        each(&self.key, " AND ", |column| format!("t.{column} = a.{column}"))
    }
}

fn each(columns: &[String], between: &str, text: impl Fn(&str) -> String) -> String {
    let texts: Vec<String> = columns.iter().map(|column| text(&escape_identifier(column))).collect();
    texts.join(between)
}

/// The statement that puts rows back, and if they stayed one that tells why some are not.
pub(super) struct Statements {
    pub put: String,
    pub left: Option<String>,
}

impl Statements {
    /// For rows of a rows.
    ///
    /// # Errors
    /// None of them can fit: why.
    pub fn of(rows: &Shape<'_>, table: Option<&Table>) -> Result<Self, String> {
        let table_is_gone = || "the table is not there any more".to_owned();
        let table = table.ok_or_else(table_is_gone)?;
        let fill = |sql: &str, parts: &[(&str, &str)]| {
            let mut sql = sql.replace("{table}", rows.table);
            for (name, text) in parts {
                sql = sql.replace(name, text);
            }
            sql
        };
        if !rows.stayed {
            let columns: Vec<String> = rows
                .columns
                .iter()
                .filter(|column| table.written.contains(column))
                .cloned()
                .collect();
            if columns.is_empty() {
                return Err("none of its columns is there any more".to_owned());
            }
            let names = each(&columns, ", ", ToOwned::to_owned);
            let values = each(&columns, ", ", |column| format!("r.{column}"));
            let put = fill(
                include_str!("insert.sql"),
                &[("{columns}", &names), ("{values}", &values)],
            );
            return Ok(Self { put, left: None });
        }
        let known = |column: &&String| !table.written.contains(column);
        if let Some(gone) = rows.columns.iter().find(known) {
            return Err(match table.computed.contains(gone) {
                true => format!("column {gone} is computed now"),
                false => format!("column {gone} is not there any more"),
            });
        }
        if table.key.is_empty() {
            return Err("the table has no primary key to find the row by".to_owned());
        }
        let assigned = each(rows.columns, ", ", |column| format!("{column} = r.{column}"));
        // A column that was not there afterwards, and is again, has its default.
        let unchanged = rows.columns.iter().map(|column| {
            let (name, literal) = (escape_identifier(column), escape_literal(column));
            let default = table.defaults.get(column).map_or("NULL", String::as_str);
            format!(
                "(t.{name}::text IS NOT DISTINCT FROM a.{name}::text
                  OR NOT pg_catalog.jsonb_exists(g.row_after, {literal}) AND t.{name}::text IS NOT DISTINCT FROM ({default})::text)"
            )
        });
        let unchanged = unchanged.collect::<Vec<_>>().join(" AND ");
        let same_row = table.same_row();
        let put = fill(
            include_str!("update.sql"),
            &[
                ("{assigned}", &assigned),
                ("{same_row}", &same_row),
                ("{unchanged}", &unchanged),
            ],
        );
        let left = Some(fill(include_str!("left.sql"), &[("{same_row}", &same_row)]));
        Ok(Self { put, left })
    }
}
