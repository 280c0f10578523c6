//! Schemas of other projects, with an expected catalog: from nothing, again, and from any state on the way.

use std::collections::BTreeMap;
use std::fmt::Write;

use migration::Phases as Read;

use crate::harness::Context;
use crate::harness::back::Before;
use crate::harness::catalog::Catalog;
use crate::harness::database::Database;
use crate::harness::phases::Phases;
use crate::harness::xtask::{Xtask, fixture};

tests![
    chinook,
    chinook_in_files,
    pagila,
    pagila_in_files,
    supabase_auth,
    supabase_auth_in_files,
];

fn chinook(context: &Context) {
    from_every_state(context, "chinook");
}

fn pagila(context: &Context) {
    from_every_state(context, "pagila");
}

fn supabase_auth(context: &Context) {
    from_every_state(context, "supabase");
}

fn chinook_in_files(context: &Context) {
    in_files(context, "chinook");
}

fn pagila_in_files(context: &Context) {
    in_files(context, "pagila");
}

fn supabase_auth_in_files(context: &Context) {
    in_files(context, "supabase");
}

/// As one phase; and with every tenth of its statements run by psql before.
fn from_every_state(context: &Context, name: &str) {
    let phases = one_phase(name);
    let statements = statements(&phases);
    let fresh = fresh_and_again(context, &phases, statements.len());
    let (catalog, rows) = (Catalog::of(&fresh), row_counts(&fresh));
    for tenth in 1..=10 {
        let count = statements.len() * tenth / 10;
        let sql = statements[..count].iter().fold(String::new(), |mut sql, statement| {
            writeln!(sql, "{statement};").unwrap();
            sql
        });
        let mut database = database(context);
        // A column that a DO block renames is another one to a rollback, which then has no order for what rests on both.
        database.goes_back = name != "supabase";
        database.psql(&sql);
        // What changes rows and may have run is not run on a guess.
        let output = Xtask::migrate(&database)
            .phases(phases.path())
            .args(["--json", "--run-once"])
            .run();
        let place = format!("{name}, {count} of {} statements run before", statements.len());
        assert_eq!(output.status, Some(0), "{place}: {output}");
        let output = Xtask::verify(&database).phases(phases.path()).arg("--strict").run();
        assert_eq!(output.status, Some(0), "{place}: {output}");
        Catalog::of(&database).equals(&catalog);
        assert_eq!(row_counts(&database), rows, "{place}: rows");
    }
}

/// Cut into several phases, it comes to the same.
fn in_files(context: &Context, name: &str) {
    let whole = statements(&one_phase(name));
    let phases = Phases::new(&[]);
    for (n, part) in whole.chunks(whole.len().div_ceil(5)).enumerate() {
        let sql = part.iter().fold(String::new(), |mut sql, statement| {
            writeln!(sql, "{statement};").unwrap();
            sql
        });
        phases.write(&format!("{:02}_part.sql", n + 1), sql);
    }
    assert_eq!(statements(&phases), whole, "the cut lost something");
    let cut = fresh_and_again(context, &phases, whole.len());
    let by_psql = database(context);
    by_psql.psql(&std::fs::read_to_string(fixture(&format!("schemas/{name}/01_schema.sql"))).unwrap());
    Catalog::of(&cut).equals(&Catalog::of(&by_psql));
    assert_eq!(row_counts(&cut), row_counts(&by_psql));
}

/// A database that the phases made from nothing, after a second run that ran nothing.
fn fresh_and_again(context: &Context, phases: &Phases, statements: usize) -> Database {
    context.observe(phases.path());
    let database = database(context);
    let before = Before::of(&database);
    let migrate = || Xtask::migrate(&database).phases(phases.path()).arg("--json").run();
    let first = migrate();
    first.ends(0);
    assert!(
        first.json()["statements_run"].as_u64().unwrap() > statements as u64 / 2,
        "{first}"
    );
    for again in ["by the fingerprint", "by the catalog"] {
        let second = migrate();
        second.ends(0);
        assert_eq!(second.json()["statements_run"], 0, "{again}: {second}");
        assert_eq!(
            second.json()["changes"].as_array().unwrap().len(),
            0,
            "{again}: {second}"
        );
        database
            .admin()
            .batch_execute("UPDATE migration.runs SET fingerprint = 'another'")
            .unwrap();
    }
    Xtask::verify(&database)
        .phases(phases.path())
        .arg("--strict")
        .run()
        .ends(0);
    let plan = Xtask::plan(&database).phases(phases.path()).arg("--json").run();
    plan.ends(0);
    before.there_and_back(&database, Some(phases.path()), false);
    database
}

fn one_phase(name: &str) -> Phases {
    let sql = std::fs::read_to_string(fixture(&format!("schemas/{name}/01_schema.sql"))).unwrap();
    Phases::new(&[("01_schema.sql", &sql)])
}

fn statements(phases: &Phases) -> Vec<String> {
    let read = Read::read(phases.path()).unwrap_or_else(|error| panic!("{error}"));
    read.statements().map(|statement| statement.text.to_string()).collect()
}

/// An empty database whose owner may do everything: these schemas set owners and make extensions.
fn database(context: &Context) -> Database {
    let database = context.database();
    database.make_superuser();
    database
}

fn row_counts(database: &Database) -> BTreeMap<String, i64> {
    let mut admin = database.admin();
    let tables = "SELECT oid::regclass::text FROM pg_class WHERE relkind = 'r' AND relnamespace NOT IN \
                  (SELECT oid FROM pg_namespace WHERE nspname ~ '^pg_' OR nspname IN ('information_schema', 'migration'))";
    let names: Vec<String> = admin.query(tables, &[]).unwrap().iter().map(|row| row.get(0)).collect();
    names
        .into_iter()
        .map(|name| {
            let count = admin
                .query_one(&format!("SELECT count(*) FROM {name}"), &[])
                .unwrap()
                .get(0);
            (name, count)
        })
        .collect()
}
