//! What is lost, or was never there, is made from its definition.

use crate::harness::Context;
use crate::harness::catalog::Catalog;
use crate::harness::database::Database;
use crate::harness::phases::Phases;
use crate::harness::xtask::Xtask;

tests![
    whole_tables,
    several_actions_of_which_some_are_done,
    rows_keep_what_is_true_of_them,
    renamed_and_changed_by_hand
];

const TABLES: &str = "CREATE TYPE state AS ENUM ('new', 'done');
CREATE TABLE t (
    id int PRIMARY KEY,
    code varchar(20) UNIQUE,
    state state DEFAULT 'new',
    made timestamptz DEFAULT now(),
    count int NOT NULL DEFAULT 0 CHECK (count >= 0)
);
CREATE TABLE part (id int, t_id int REFERENCES t);
ALTER TABLE part ADD COLUMN note text, ADD COLUMN size int, ADD CONSTRAINT positive CHECK (size > 0);
CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER touch BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION f();
";

fn phases(context: &Context) -> Phases {
    let phases = Phases::new(&[("01_all.sql", TABLES)]);
    context.observe(phases.path());
    phases
}

fn migrated(context: &Context, phases: &Phases) -> Database {
    let database = context.database();
    Xtask::migrate(&database).phases(phases.path()).run().ends(0);
    database
}

fn is_healed(database: &Database, phases: &Phases, expected: &Catalog) {
    Xtask::migrate(database).phases(phases.path()).run().ends(0);
    Catalog::of(database).equals(expected);
    Xtask::verify(database)
        .phases(phases.path())
        .arg("--strict")
        .run()
        .ends(0);
}

fn whole_tables(context: &Context) {
    let phases = phases(context);
    let whole = Catalog::of(&migrated(context, &phases));
    for lost in [
        "ALTER TABLE t DROP COLUMN code",
        "ALTER TABLE t DROP COLUMN made, DROP COLUMN count, DROP COLUMN state",
        "ALTER TABLE t ALTER COLUMN state DROP DEFAULT, ALTER COLUMN made DROP DEFAULT",
        "ALTER TABLE t DROP CONSTRAINT t_pkey CASCADE",
        "ALTER TABLE t DROP CONSTRAINT t_code_key, DROP CONSTRAINT t_count_check",
        "ALTER TABLE part DROP COLUMN t_id",
        "DROP TRIGGER touch ON t",
    ] {
        let database = migrated(context, &phases);
        database.psql("INSERT INTO t SELECT i, i::text FROM generate_series(1, 3) AS i");
        database.psql(lost);
        is_healed(&database, &phases, &whole);
        let rows: i64 = database
            .admin()
            .query_one("SELECT count(*) FROM t", &[])
            .unwrap()
            .get(0);
        assert_eq!(rows, 3, "{lost}");
    }
}

fn several_actions_of_which_some_are_done(context: &Context) {
    let phases = phases(context);
    let whole = Catalog::of(&migrated(context, &phases));
    for lost in ["DROP COLUMN note", "DROP CONSTRAINT positive", "DROP COLUMN size"] {
        let database = migrated(context, &phases);
        database.psql(&format!("ALTER TABLE part {lost}"));
        is_healed(&database, &phases, &whole);
    }
}

/// A constant default is that of all rows; what a function returns now was not true of them then.
fn rows_keep_what_is_true_of_them(context: &Context) {
    let phases = phases(context);
    let database = context.database();
    database.psql("CREATE TABLE t (id int PRIMARY KEY, code varchar(20) UNIQUE); INSERT INTO t VALUES (1, 'a')");
    Xtask::migrate(&database).phases(phases.path()).run().ends(0);
    let sql = "SELECT state::text, made IS NULL, count FROM t";
    let row = database.admin().query_one(sql, &[]).unwrap();
    assert_eq!((row.get(0), row.get(1), row.get(2)), ("new", true, 0));
}

/// A rename whose work is done stays done, whatever somebody changed of what it renamed.
fn renamed_and_changed_by_hand(context: &Context) {
    let phases = Phases::new(&[(
        "01_all.sql",
        "CREATE TABLE r (id int PRIMARY KEY, v text NOT NULL, o text);
ALTER TABLE r RENAME COLUMN v TO w;
ALTER TABLE r RENAME COLUMN o TO p;
",
    )]);
    context.observe(phases.path());
    let database = migrated(context, &phases);
    let whole = Catalog::of(&database);
    database.psql("INSERT INTO r VALUES (1, 'a', 'b'); ALTER TABLE r ALTER w SET DEFAULT 'q', ALTER p SET DEFAULT 'q'");
    Xtask::migrate(&database)
        .phases(phases.path())
        .run()
        .ends(4)
        .says("ALTER COLUMN w DROP DEFAULT")
        .says("ALTER COLUMN p DROP DEFAULT")
        .hides("ADD COLUMN");
    Xtask::migrate(&database)
        .phases(phases.path())
        .arg("--repair")
        .run()
        .ends(0);
    Catalog::of(&database).equals(&whole);
}
