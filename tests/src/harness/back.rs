//! Every migration of a case is taken back and brought again, so that no case can forget it.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use migration::catalog::{Catalog, Definitions, changes_of};
use postgres::NoTls;

use super::database::Database;
use super::xtask::{Output, Xtask};

/// A database before it is migrated.
pub struct Before {
    catalog: Definitions,
    rows: BTreeMap<String, Vec<String>>,
    /// The newest run in its journal.
    run: i64,
}

impl Before {
    /// Looks at it.
    pub fn of(database: &Database) -> Self {
        let run = "SELECT coalesce((xpath('/row/m/text()', query_to_xml(
            'SELECT max(id) AS m FROM migration.runs', true, true, '')))[1]::text::bigint, 0)
            WHERE to_regclass('migration.runs') IS NOT NULL";
        let run = database.admin().query_opt(run, &[]).expect("the journal can be read");
        Self {
            catalog: catalog(database),
            rows: rows(database),
            run: run.map_or(0, |row| row.get(0)),
        }
    }

    /// Takes back what was done since: the catalog is as it was before. Then brings it again: catalog and rows are as they
    /// are now. `rows`: what was done since changed no rows for good, so they are as they were before, too.
    #[track_caller]
    pub fn there_and_back(&self, database: &Database, phases: Option<&Path>, all_rows: bool) {
        let after = (catalog(database), rows(database));
        let back = self.roll_back(database);
        if back.stderr.contains("changed anything that stands") {
            return;
        }
        back.ends(0);
        let partly = ["cannot be taken back", "stays, because", "changed since"];
        if !partly.iter().any(|remark| back.stderr.contains(remark)) {
            same(&self.catalog, &catalog(database), &back);
        }
        if all_rows {
            same_rows(&rows(database), &self.rows, "after the rollback", &back);
        }
        let migrate = |arguments: &[&str]| {
            let xtask = Xtask::migrate(database).args(arguments);
            match phases {
                Some(phases) => xtask.phases(phases).run(),
                None => xtask.run(),
            }
        };
        let again = migrate(&[]);
        if again.status != Some(0) {
            again.ends(1).says("this version was taken back").says("--again");
        }
        let again = migrate(&["--again"]);
        assert_eq!(again.status, Some(0), "{back}\n{again}");
        same(&after.0, &catalog(database), &again);
        let kept = |rows: &BTreeMap<String, Vec<String>>| -> BTreeMap<String, Vec<String>> {
            // Rows of tables that the rollback dropped are in the quarantine.
            let known = rows.iter().filter(|(table, _)| self.rows.contains_key(*table));
            known.map(|(table, rows)| (table.clone(), rows.clone())).collect()
        };
        let (now, then) = (rows(database), after.1);
        let counts = |rows: &BTreeMap<String, Vec<String>>| -> Vec<(String, usize)> {
            kept(rows)
                .into_iter()
                .map(|(table, rows)| (table, rows.len()))
                .collect()
        };
        assert_eq!(counts(&now), counts(&then), "rows, forward again\n{back}\n{again}");
        if all_rows {
            same_rows(&kept(&now), &kept(&then), "forward again", &again);
        }
    }

    fn roll_back(&self, database: &Database) -> Output {
        let run = self.run.to_string();
        let flags = ["--allow-data-loss", "--allow-rewrite", "--partly"];
        Xtask::new(["rollback", "--to", &run]).args(flags).on(database).run()
    }
}

/// Takes back all that the runs of a test have done, whatever the test did between them: no statement of it fails. It may
/// refuse, and what somebody did by hand it may be unable to bring again.
pub fn to_the_beginning(database: &Database) {
    const MAY_BE: [&str; 3] = ["anything that stands", "permission denied", "is not as it was before"];
    let has_runs = "SELECT to_regclass('migration.runs') IS NOT NULL";
    let admin = database.server().superuser(&database.name).connect(NoTls);
    // The test may have ended the server, or made something else of its schema `migration`.
    if !admin.is_ok_and(|mut admin| admin.query_one(has_runs, &[]).is_ok_and(|row| row.get(0))) {
        return;
    }
    let flags = [
        "--to",
        "0",
        "--allow-data-loss",
        "--allow-rewrite",
        "--partly",
        "--wait",
        "0s",
    ];
    let back = Xtask::new(["rollback"]).args(flags).on(database).run();
    let is_known = MAY_BE.iter().any(|text| back.stderr.contains(text));
    assert!(
        matches!(back.status, Some(0 | 3)) || is_known,
        "at the end of the test: {back}"
    );
}

fn catalog(database: &Database) -> Definitions {
    let catalog = Catalog::read(&mut database.admin(), Duration::from_secs(5)).expect("the catalog can be read");
    let own = catalog.definitions().iter().filter(|(id, _)| !id.is_shared());
    // What a failed build has left is not made again.
    let whole = |definition: &String| match definition.contains(" ON ONLY ") {
        true => definition.clone(),
        false => definition.trim_end_matches(" INVALID").to_owned(),
    };
    own.map(|(id, definition)| (id.clone(), whole(definition))).collect()
}

#[track_caller]
fn same(expected: &Definitions, is: &Definitions, output: &Output) {
    let differences = changes_of(expected, is);
    assert!(differences.is_empty(), "{differences:#?}\n{output}");
}

fn same_rows(
    is: &BTreeMap<String, Vec<String>>,
    expected: &BTreeMap<String, Vec<String>>,
    when: &str,
    output: &Output,
) {
    for (table, expected) in expected {
        let found = is.get(table).cloned().unwrap_or_default();
        let missing: Vec<&String> = expected.iter().filter(|row| !found.contains(row)).collect();
        // What statements put in stays.
        assert!(
            missing.is_empty(),
            "{table} {when}: {missing:#?} are not there\n{output}"
        );
    }
}

/// The rows of all tables, without what a trigger sets by itself.
fn rows(database: &Database) -> BTreeMap<String, Vec<String>> {
    let mut client = database.admin();
    let tables =
        "SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
        WHERE relkind = 'r' AND nspname NOT LIKE 'pg\\_%' AND nspname NOT IN ('information_schema', 'migration')
          AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')";
    let tables: Vec<String> = client
        .query(tables, &[])
        .unwrap()
        .iter()
        .map(|row| row.get(0))
        .collect();
    let read = |table: String| {
        let query = format!("SELECT (to_jsonb(t.*) - 'updated_at')::text FROM {table} AS t ORDER BY 1");
        let rows = client
            .query(&query, &[])
            .unwrap()
            .iter()
            .map(|row| row.get(0))
            .collect();
        (table, rows)
    };
    tables.into_iter().map(read).collect()
}
