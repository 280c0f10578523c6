//! Whatever is missing of a portal database, `migrate` mends it and loses no row.
//!
//! `XTASK_TEST_SEED` chooses other cases, `XTASK_TEST_CASES` more of them; a failure prints the seed.

use std::collections::BTreeMap;

use migration::Phases;
use proptest::collection::vec;
use proptest::prelude::{Strategy, any};
use proptest::sample::Index;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};
use serde_json::{Map, Value};

use crate::harness::Context;
use crate::harness::catalog::Catalog;
use crate::harness::database::Database;
use crate::harness::xtask::{Xtask, workspace};

tests![any_objects_missing, any_statements_run];

const CASES: u32 = 24;
/// Each takes a second or two: a smaller counterexample is worth no more than a minute.
const SHRINKING: u32 = 30;

/// Columns that hold a mark of each row, which no test drops.
const MARKED: &[(&str, &str)] = &[
    ("events", "notes"),
    ("admins", "last_name"),
    ("attendees", "referral_information"),
    ("sync_metadata", "error_details"),
];

/// Objects are dropped, or made otherwise, in any number and order, under rows that suffered some neglect.
fn any_objects_missing(context: &Context) {
    let finished = context.legacy("neglected");
    Xtask::migrate(&finished).run().ends(0);
    for (table, column) in MARKED {
        let sql = format!("UPDATE {table} SET {column} = 'mark ' || id");
        finished.connect().batch_execute(&sql).unwrap();
    }
    let fresh = finished_catalog(context);
    let damages = damages(&finished);
    assert!(damages.len() > 200, "only {} things to break", damages.len());

    // Few things and many.
    let some = proptest::prop_oneof![vec(any::<Index>(), 1..4), vec(any::<Index>(), 4..60)];
    check("any_objects_missing", &some, |picks| {
        let database = finished.copy();
        let mut admin = database.admin();
        let chosen: Vec<&String> = picks.iter().map(|pick| pick.get(&damages)).collect();
        for damage in &chosen {
            // What went with something before cannot be dropped again.
            let _ = admin.batch_execute(damage);
        }
        let what = chosen
            .iter()
            .fold(String::new(), |text, damage| format!("{text}\n    {damage};"));
        mends(&database, &fresh).map_err(|error| format!("{error}\n  after:{what}"))
    });
}

/// Any of the statements were run, in order, each whether the others were or not; then rows came, good and bad ones.
fn any_statements_run(context: &Context) {
    let fresh = finished_catalog(context);
    let phases = Phases::read(&workspace().join("sql")).unwrap_or_else(|error| panic!("{error}"));
    let statements: Vec<_> = phases.statements().collect();
    let strategy = proptest::prop_oneof![(0..=100u8), (80..=100u8)]
        .prop_flat_map(|percent| vec((0..100u8).prop_map(move |n| n < percent), 400..401));
    check("any_statements_run", &strategy, |chosen| {
        assert!(chosen.len() >= statements.len());
        let database = context.database();
        let mut client = database.connect();
        client.batch_execute("SET search_path = public").unwrap();
        let mut refused = 0;
        for (statement, _) in statements.iter().zip(chosen).filter(|(_, chosen)| **chosen) {
            refused += usize::from(client.batch_execute(&statement.text).is_err());
        }
        insert_rows(&database);
        drop(client);
        let left_out: Vec<_> = statements.iter().zip(chosen).filter(|(_, chosen)| !**chosen).collect();
        mends(&database, &fresh).map_err(|error| {
            let list = left_out.iter().fold(String::new(), |list, (statement, _)| {
                format!("{list} {}", statement.place())
            });
            format!("{error}\n  {refused} refused, left out:{list}")
        })
    });
}

/// Migrates, and says what is wrong then.
fn mends(database: &Database, fresh: &Catalog) -> Result<(), String> {
    let before = Marks::of(database);
    let output = Xtask::migrate(database).run();
    if output.status != Some(0) {
        return Err(format!("migrate: {output}"));
    }
    let output = Xtask::verify(database).run();
    if output.status != Some(0) {
        return Err(format!("verify: {output}"));
    }
    // The tests' own judge asserts.
    let catalog = Catalog::of(database);
    let judged = std::panic::catch_unwind(|| catalog.covers(fresh));
    judged.map_err(|panic| format!("{:?}", panic.downcast_ref::<String>()))?;
    before.are_accounted_for(database)?;
    let output = Xtask::migrate(database).arg("--json").run();
    match output.json()["statements_run"].as_u64() {
        Some(0) => Ok(()),
        _ => Err(format!("the second run did something: {output}")),
    }
}

fn finished_catalog(context: &Context) -> Catalog {
    let database = context.database();
    Xtask::migrate(&database).run().ends(0);
    Catalog::of(&database)
}

/// Statements that each take one thing away from a finished database, or make it otherwise.
fn damages(finished: &Database) -> Vec<String> {
    let marked = MARKED.iter().fold(String::new(), |list, (table, column)| {
        format!("{list},('{table}','{column}')")
    });
    let query = format!(
        "WITH ours AS (
             SELECT oid, relname, relkind FROM pg_class WHERE relnamespace = 'public'::regnamespace
         ), col AS (
             SELECT a.*, relname FROM pg_attribute a JOIN ours ON oid = attrelid AND relkind = 'r'
             WHERE attnum > 0 AND NOT attisdropped AND (relname, attname) NOT IN (VALUES {})
         )
         SELECT format('ALTER TABLE %I DROP COLUMN %I CASCADE', relname, attname) FROM col
         UNION ALL SELECT format('ALTER TABLE %I ALTER %I DROP DEFAULT', relname, attname) FROM col WHERE atthasdef
         UNION ALL SELECT format('ALTER TABLE %I ALTER %I SET DEFAULT NULL', relname, attname) FROM col WHERE atthasdef
         UNION ALL SELECT format('ALTER TABLE %I ALTER %I DROP NOT NULL', relname, attname) FROM col WHERE attnotnull
         UNION ALL SELECT format('ALTER TABLE %I ALTER %I DROP NOT NULL; UPDATE %1$I SET %2$I = NULL WHERE ctid IN (SELECT ctid FROM %1$I LIMIT 2)',
             relname, attname) FROM col WHERE attnotnull
         UNION ALL SELECT format('ALTER TABLE %s DROP CONSTRAINT %I CASCADE', conrelid::regclass, conname)
             FROM pg_constraint WHERE conrelid IN (SELECT oid FROM ours) AND contype <> 'n'
         UNION ALL SELECT format('ALTER TABLE %s DROP CONSTRAINT %I, ADD CONSTRAINT %2$I %s NOT VALID', conrelid::regclass, conname, pg_get_constraintdef(oid))
             FROM pg_constraint WHERE conrelid IN (SELECT oid FROM ours) AND contype IN ('f', 'c')
         UNION ALL SELECT format('ALTER TABLE %s DROP CONSTRAINT %I CASCADE; INSERT INTO %1$s SELECT * FROM %1$s LIMIT 3', conrelid::regclass, conname)
             FROM pg_constraint WHERE conrelid IN (SELECT oid FROM ours) AND contype IN ('u', 'p')
         UNION ALL SELECT format('ALTER TABLE %s DROP CONSTRAINT %I; UPDATE %1$s SET event_airtable_id = ''recNowhere'' WHERE ctid IN (SELECT ctid FROM %1$s LIMIT 3)',
             conrelid::regclass, conname)
             FROM pg_constraint WHERE conrelid IN (SELECT oid FROM ours) AND contype = 'f'
         UNION ALL SELECT format('DROP INDEX %s', indexrelid::regclass) FROM pg_index
             WHERE indrelid IN (SELECT oid FROM ours) AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid)
         UNION ALL SELECT format('UPDATE pg_index SET indisvalid = false WHERE indexrelid = %L::regclass', indexrelid::regclass) FROM pg_index
             WHERE indrelid IN (SELECT oid FROM ours) AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid)
         UNION ALL SELECT format('DROP TRIGGER %I ON %s', tgname, tgrelid::regclass) FROM pg_trigger WHERE NOT tgisinternal
         UNION ALL SELECT format('ALTER TABLE %s DISABLE TRIGGER %I', tgrelid::regclass, tgname) FROM pg_trigger WHERE NOT tgisinternal
         UNION ALL SELECT format('REVOKE ALL ON %I FROM readonly_user', relname) FROM ours WHERE relkind = 'r'
         UNION ALL SELECT format('GRANT INSERT, DELETE ON %I TO readonly_user', relname) FROM ours WHERE relkind = 'r'
         UNION ALL SELECT format('COMMENT ON TABLE %I IS NULL', relname) FROM ours
             WHERE relkind = 'r' AND obj_description(oid, 'pg_class') IS NOT NULL
         UNION ALL SELECT format('COMMENT ON TABLE %I IS ''another''', relname) FROM ours
             WHERE relkind = 'r' AND obj_description(oid, 'pg_class') IS NOT NULL
         UNION ALL SELECT format('DROP TYPE %s CASCADE', oid::regtype) FROM pg_type
             WHERE typnamespace = 'public'::regnamespace AND typtype = 'e'
         UNION ALL VALUES
             ('DROP FUNCTION update_updated_at_column() CASCADE'),
             ('CREATE OR REPLACE FUNCTION update_updated_at_column() RETURNS trigger LANGUAGE plpgsql AS ''BEGIN RETURN NEW; END'''),
             ('DROP EXTENSION \"uuid-ossp\" CASCADE'),
             ('DROP TABLE sync_metadata CASCADE'),
             ('DROP TABLE admins CASCADE'),
             ('DROP TABLE events CASCADE'),
             ('REVOKE USAGE ON SCHEMA public FROM readonly_user'),
             ('GRANT CREATE ON SCHEMA public TO PUBLIC'),
             ('ALTER DEFAULT PRIVILEGES FOR ROLE {} IN SCHEMA public REVOKE SELECT ON TABLES FROM readonly_user'),
             ('DELETE FROM sync_metadata'),
             ('UPDATE events SET triage_status = NULL')",
        marked.trim_start_matches(','),
        finished.owner
    );
    finished
        .admin()
        .query(&query, &[])
        .unwrap()
        .iter()
        .map(|row| row.get(0))
        .collect()
}

/// Rows for whatever columns are there; a table that takes none stays empty.
fn insert_rows(database: &Database) {
    let mut client = database.connect();
    for (table, mark) in MARKED {
        let columns: Vec<String> = client
            .query(
                "SELECT attname::text FROM pg_attribute WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped",
                &[table],
            )
            .unwrap()
            .iter()
            .map(|row| row.get(0))
            .collect();
        for n in 0..6 {
            let value = |column: &str| match column {
                // A twin, and values that lack.
                "airtable_id" | "email" | "table_name" if n == 4 => "NULL".to_owned(),
                "airtable_id" | "email" | "table_name" => format!("'{column} {}'", n.min(2)),
                "event_name" | "preferred_name" => format!("'name {n}'"),
                "event_airtable_id" => format!("'airtable_id {}'", n * 2),
                column if column == *mark => format!("'mark {n}'"),
                "synced_at" | "last_sync_at" => format!("'2026-01-0{}'", n + 1),
                "id" => format!("'00000000-0000-0000-0000-00000000000{}'", n.min(4)),
                _ => "DEFAULT".to_owned(),
            };
            let values: Vec<_> = columns.iter().map(|column| value(column)).collect();
            let sql = match columns.is_empty() {
                true => format!("INSERT INTO {table} DEFAULT VALUES"),
                false => format!(
                    "INSERT INTO {table} ({}) VALUES ({})",
                    columns.join(", "),
                    values.join(", ")
                ),
            };
            // A constraint that is there refuses what is bad.
            let _ = client.batch_execute(&sql);
        }
    }
}

/// Rows as they were: how many, and those with a mark in full.
struct Marks {
    counts: BTreeMap<String, usize>,
    marked: Vec<(String, String, Map<String, Value>)>,
    quarantined: usize,
}

impl Marks {
    fn of(database: &Database) -> Self {
        let mut marks = Marks {
            counts: BTreeMap::new(),
            marked: Vec::new(),
            quarantined: quarantined(database).len(),
        };
        for (table, column) in MARKED {
            let rows = rows(database, table);
            marks.counts.insert((*table).to_owned(), rows.len());
            for row in rows {
                if let Some(mark) = row.get(*column).and_then(Value::as_str) {
                    marks.marked.push(((*table).to_owned(), mark.to_owned(), row));
                }
            }
        }
        marks
    }

    /// Every row is in its table, or was removed with all its columns to the quarantine; what changed in a row is there
    /// as it was.
    fn are_accounted_for(&self, database: &Database) -> Result<(), String> {
        let now = Marks::of(database);
        let quarantine = quarantined(database);
        let text = |entry: &Map<String, Value>, key: &str| {
            entry.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        let kept: Vec<(String, Map<String, Value>)> = quarantine
            .iter()
            .filter_map(|entry| Some((text(entry, "table_name"), entry.get("row_data")?.as_object()?.clone())))
            .collect();
        if now.quarantined < self.quarantined {
            return Err(format!(
                "the quarantine had {} rows and has {}",
                self.quarantined, now.quarantined
            ));
        }
        for (table, before) in &self.counts {
            let after = now.counts[table];
            let new = quarantine.len() - self.quarantined;
            // sync_metadata gets rows of its own.
            if after + new < *before {
                return Err(format!(
                    "{table} had {before} rows and has {after}, and {new} went to the quarantine"
                ));
            }
        }
        for (table, mark, before) in &self.marked {
            let has = |row: &Map<String, Value>| before.iter().all(|(column, value)| row.get(column) == Some(value));
            let marked_after: Vec<_> = now
                .marked
                .iter()
                .filter(|(other, m, _)| other == table && m == mark)
                .map(|(_, _, row)| row)
                .collect();
            if marked_after.iter().any(|row| has(row)) {
                continue;
            }
            if !kept.iter().any(|(other, row)| other == table && has(row)) {
                return Err(format!(
                    "{table}, {mark}: {before:?}\n  neither in its table: {marked_after:?}\n  nor in the quarantine"
                ));
            }
        }
        Ok(())
    }
}

/// What was set aside.
fn quarantined(database: &Database) -> Vec<Map<String, Value>> {
    let mut quarantined = Vec::new();
    for mut row in rows_of(database, "migration.quarantine") {
        // The engine names tables with their schema.
        let name = row["table_name"]
            .as_str()
            .expect("a name")
            .trim_start_matches("public.")
            .to_owned();
        row.insert("table_name".to_owned(), Value::String(name));
        quarantined.push(row);
    }
    quarantined
}

/// All rows of a table; none where it is not there.
fn rows(database: &Database, table: &str) -> Vec<Map<String, Value>> {
    rows_of(database, &format!("public.{table}"))
}

fn rows_of(database: &Database, table: &str) -> Vec<Map<String, Value>> {
    let mut admin = database.admin();
    let there = admin.query_opt("SELECT FROM pg_class WHERE oid = to_regclass($1)", &[&table]);
    if there.unwrap().is_none() {
        return Vec::new();
    }
    let rows = admin
        .query(&format!("SELECT to_jsonb(t)::text FROM {table} t"), &[])
        .unwrap();
    rows.iter()
        .map(|row| serde_json::from_str(row.get(0)).expect("an object"))
        .collect()
}

/// Runs the cases of one seed.
fn check<S: Strategy>(name: &str, strategy: &S, mut test: impl FnMut(&S::Value) -> Result<(), String>) {
    let number = |name: &str| {
        std::env::var(name)
            .ok()
            .map(|text| text.parse::<u64>().expect("a number"))
    };
    let seed = number("XTASK_TEST_SEED").unwrap_or(0);
    let cases = number("XTASK_TEST_CASES").map_or(CASES, |cases| cases as u32);
    let config = Config {
        cases,
        max_shrink_iters: SHRINKING,
        failure_persistence: None,
        ..Config::default()
    };
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    let test = std::cell::RefCell::new(&mut test);
    match runner.run(strategy, |value| {
        (test.borrow_mut())(&value).map_err(TestCaseError::fail)
    }) {
        Ok(()) => {}
        Err(TestError::Fail(reason, _)) => {
            panic!("{reason}\n\nagain with: XTASK_TEST_SEED={seed} cargo test -p tests -- {name}")
        }
        Err(TestError::Abort(reason)) => panic!("{reason}"),
    }
}
