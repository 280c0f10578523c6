//! Values that a statement drops: they are kept first, in batches with a commit each, while the application goes on.

use postgres::Client;
use postgres::types::Type;
use postgres_protocol::escape::escape_literal;

use super::rows::LOOK;
use crate::catalog::{ObjectId, split_at_last_dot};
use crate::execute::count_text;
use crate::source::statement::unquoted;

/// How many pages of a table are copied in one transaction.
const PAGES: i64 = 128;

/// A table, or a column of one, that is about to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lost {
    /// The qualified table.
    pub table: String,
    /// The quoted column; none: the whole table goes.
    pub column: Option<String>,
    /// Why they go, for the record.
    pub reason: String,
}

impl Lost {
    /// What goes with an object.
    pub fn with(id: &ObjectId, reason: String) -> Option<Self> {
        let (table, column) = match id.kind.as_str() {
            "table" => (id.identity.clone(), None),
            "column" => {
                split_at_last_dot(&id.identity).map(|(table, column)| (table.to_owned(), Some(column.to_owned())))?
            }
            _ => return None,
        };
        Some(Self { table, column, reason })
    }

    /// How many rows hold values there, counted to 100,000.
    ///
    /// # Errors
    /// The table may not be read, or is not there.
    pub fn count(&self, client: &mut Client) -> Result<i64, postgres::Error> {
        let condition = self
            .column
            .as_ref()
            .map_or("true".to_owned(), |column| format!("{column} IS NOT NULL"));
        let sql = format!(
            "SELECT pg_catalog.count(*) FROM (SELECT FROM ONLY {} WHERE {condition} LIMIT {LOOK}) AS found",
            self.table
        );
        client.query_typed_one(&sql, &[])?.try_get(0)
    }

    /// Copies them to the quarantine. Returns how many rows there are, and SQL that copies those that arrive from now on.
    /// `progress` is told how many there are so far, and says whether to go on.
    ///
    /// # Errors
    /// The table may not be read, or the quarantine cannot be written.
    pub fn keep(
        &self,
        client: &mut Client,
        run: i64,
        place: &str,
        progress: &dyn Fn(u64) -> bool,
    ) -> Result<(u64, String), postgres::Error> {
        client.batch_execute(include_str!("quarantine.sql"))?;
        let size = "SELECT pg_catalog.pg_relation_size($1::text::pg_catalog.regclass)
                        / pg_catalog.current_setting('block_size')::int8,
                    (pg_catalog.pg_snapshot_xmin(pg_catalog.pg_current_snapshot())::text::numeric % 4294967296)::text";
        let row = client.query_typed_one(size, &[(&self.table, Type::TEXT)])?;
        let (pages, since): (i64, String) = (row.try_get(0)?, row.try_get(1)?);
        let mut rows = 0;
        for first in (0..=pages).step_by(usize::try_from(PAGES).unwrap_or(1)) {
            let range = format!("ctid >= '({first},0)'::tid AND ctid < '({},0)'::tid", first + PAGES);
            rows += client.execute(&self.copy(run, place, &range), &[])?;
            if !progress(rows) {
                break;
            }
        }
        let late = format!("pg_catalog.age(t.xmin) <= pg_catalog.age('{since}'::xid)");
        Ok((rows, self.copy(run, place, &late)))
    }

    fn copy(&self, run: i64, place: &str, condition: &str) -> String {
        let [literal_place, table, reason] = [place, &self.table, &self.reason].map(escape_literal);
        let row = "pg_catalog.to_jsonb(t.*)";
        let (after, columns, has_value) = match &self.column {
            None => ("NULL".to_owned(), "NULL".to_owned(), String::new()),
            Some(column) => {
                let name = escape_literal(&unquoted(column));
                (
                    format!("{row} - {name}"),
                    format!("ARRAY[{name}]"),
                    format!(" AND t.{column} IS NOT NULL"),
                )
            }
        };
        format!(
            "INSERT INTO migration.quarantine (run_id, place, table_name, reason, row_data, row_after, set_columns)
             SELECT {run}, {literal_place}, {table}, {reason}, {row}, {after}, {columns}
             FROM ONLY {} AS t WHERE {condition}{has_value}",
            self.table
        )
    }
}

/// For people: a number of rows that [`Lost::count`] has told.
pub fn lost_rows_text(rows: i64) -> String {
    let at_least = if usize::try_from(rows).is_ok_and(|rows| rows >= LOOK) {
        "at least "
    } else {
        ""
    };
    format!("{at_least}{}", count_text(rows.unsigned_abs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_with_an_object() {
        let with = |id: &str| Lost::with(&id.parse().unwrap(), "r".to_owned());
        let column = with("column public.\"T.\".\"a b\"").unwrap();
        assert_eq!(column.table, "public.\"T.\"");
        assert!(column.copy(1, "p", "true").contains("ARRAY['a b']"));
        assert!(
            with("table public.t")
                .unwrap()
                .copy(1, "p", "true")
                .contains("NULL, NULL")
        );
        assert_eq!(with("index public.i"), None);
    }
}
