//! Accounting for rows: each is where it was, or in the quarantine as it was.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::database::Database;

/// Every row of the schema `public`: (table, id) → columns.
pub struct Rows(BTreeMap<(String, String), Map<String, Value>>);

/// Where each row is and which transaction wrote it: unchanged only if nobody wrote.
#[derive(Debug, PartialEq, Eq)]
pub struct Versions(Vec<(String, String)>);

impl Rows {
    /// Reads them all.
    pub fn of(database: &Database) -> Self {
        let mut client = database.admin();
        let mut rows = BTreeMap::new();
        for table in tables(database) {
            let query = format!("SELECT to_jsonb(t)::text FROM public.{table} t");
            for row in client.query(&query, &[]).expect("the table can be read") {
                let columns = object(row.get(0));
                let id = columns["id"].as_str().expect("an id").to_owned();
                rows.insert((table.clone(), id), columns);
            }
        }
        Rows(rows)
    }

    /// How many a table has.
    pub fn count(&self, table: &str) -> usize {
        self.0.keys().filter(|(found, _)| found == table).count()
    }

    /// Each of these rows is still in its table, or in the quarantine with a reason and all its
    /// columns; a column that changed has its old value in the quarantine. New columns may have
    /// been added. Gives how many rows were moved to the quarantine.
    #[track_caller]
    pub fn are_accounted_for(&self, database: &Database) -> usize {
        let now = Rows::of(database);
        let quarantine = quarantine(database);
        let mut moved = 0;
        for ((table, id), before) in &self.0 {
            let kept = |columns: &dyn Fn(&Map<String, Value>) -> bool| {
                quarantine.iter().any(|(kept_table, row)| {
                    kept_table.ends_with(table) && row.get("id").and_then(Value::as_str) == Some(id) && columns(row)
                })
            };
            let has_all =
                |row: &Map<String, Value>| before.iter().all(|(column, value)| row.get(column) == Some(value));
            match now.0.get(&(table.clone(), id.clone())) {
                Some(after) if has_all(after) => {}
                Some(after) => {
                    let changed: Vec<_> = before
                        .iter()
                        .filter(|(column, value)| after.get(*column) != Some(value))
                        .collect();
                    assert!(
                        // The trigger sets it; the row as it was says what it had been.
                        kept(&|row| changed.iter().all(|(column, value)| row.get(*column) == Some(value))),
                        "{table} {id}: {changed:?} changed and the quarantine does not have it"
                    );
                }
                None => {
                    moved += 1;
                    assert!(
                        kept(&has_all),
                        "{table} {id} is neither in its table nor in the quarantine: {before:?}"
                    );
                }
            }
        }
        moved
    }
}

impl Versions {
    /// Reads them.
    pub fn of(database: &Database) -> Self {
        let mut client = database.admin();
        let mut versions = Vec::new();
        for table in tables(database) {
            let query = format!("SELECT ctid::text || ' ' || xmin::text FROM public.{table} ORDER BY ctid");
            let rows = client.query(&query, &[]).expect("the table can be read");
            versions.extend(rows.iter().map(|row| (table.clone(), row.get(0))));
        }
        Versions(versions)
    }
}

fn tables(database: &Database) -> Vec<String> {
    let rows = database
        .admin()
        .query("SELECT relname::text FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace ORDER BY 1", &[])
        .expect("the catalog can be read");
    rows.iter().map(|row| row.get(0)).collect()
}

/// (table, row as it was), each with a reason.
fn quarantine(database: &Database) -> Vec<(String, Map<String, Value>)> {
    let mut admin = database.admin();
    let sql = "SELECT to_regclass('migration.quarantine') IS NOT NULL";
    if !admin.query_one(sql, &[]).expect("an answer").get::<_, bool>(0) {
        return Vec::new();
    }
    let sql = "SELECT to_jsonb(q)::text FROM migration.quarantine q";
    let rows = admin.query(sql, &[]).expect("the quarantine can be read");
    rows.iter()
        .map(|row| {
            let entry = object(row.get(0));
            let text = |name: &str| entry.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
            assert!(
                !text("reason").is_empty(),
                "a row in the quarantine without a reason: {entry:?}"
            );
            let row = entry["row_data"].as_object().expect("the row as jsonb").clone();
            (text("table_name"), row)
        })
        .collect()
}

fn object(text: &str) -> Map<String, Value> {
    serde_json::from_str(text).expect("PostgreSQL writes JSON")
}
