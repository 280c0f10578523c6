//! Taking runs back: what it refuses, what it says, and that it can be killed.

use std::time::Duration;

use crate::harness::Context;
use crate::harness::database::Database;
use crate::harness::release::Releases;
use crate::harness::wait::until_true;
use crate::harness::xtask::{Output, Running, Xtask};

tests![
    a_release_that_went_wrong,
    values_go_to_the_quarantine_and_come_back,
    a_later_run_built_on_it,
    what_cannot_be_taken_back,
    a_label_of_an_enum,
    killed_at_each_step,
    two_at_once,
    says_what_it_would_do,
    what_was_kept_is_put_back,
    renames,
    not_null_without_values,
    values_of_a_column_with_a_default,
    files_that_undo_others,
];

const DEADLINE: Duration = Duration::from_secs(30);
const FIRST: &str = "CREATE TABLE IF NOT EXISTS person (id int PRIMARY KEY, email text, seen timestamptz);
CREATE OR REPLACE FUNCTION rate() RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE OR REPLACE VIEW shown AS SELECT id, email FROM person;
";
const SECOND: &str = "CREATE TABLE IF NOT EXISTS person (id int PRIMARY KEY, email text, seen timestamptz);
ALTER TABLE person ADD COLUMN IF NOT EXISTS name text;
CREATE TABLE IF NOT EXISTS visit (id int PRIMARY KEY, person_id int REFERENCES person);
-- xtask: duplicates keep latest by seen
ALTER TABLE person ADD CONSTRAINT person_email_key UNIQUE (email);
CREATE INDEX IF NOT EXISTS person_seen ON person (seen);
CREATE OR REPLACE FUNCTION rate() RETURNS int LANGUAGE sql AS 'SELECT 2';
CREATE OR REPLACE VIEW shown AS SELECT id, email FROM person;
";

fn rollback(database: &Database, arguments: &[&str]) -> Output {
    Xtask::new(["rollback"]).args(arguments).on(database).run()
}

fn value(database: &Database, query: &str) -> String {
    database.connect().query_one(query, &[]).expect(query).get(0)
}

/// A database at the first release, with rows, and the second one to come.
fn before_second<'c>(context: &'c Context) -> (Releases<'c>, Releases<'c>, Database) {
    let (first, second, database) = (Releases::new(context), Releases::new(context), context.database());
    first.release(&[("01_all.sql", FIRST)]);
    second.release(&[("01_all.sql", FIRST)]).migrate(&database).ends(0);
    database.psql(
        "INSERT INTO person SELECT n, 'p' || n % 90, to_timestamp(n) FROM generate_series(1, 100) AS n;
         ANALYZE person",
    );
    second.release(&[("01_all.sql", SECOND)]);
    (first, second, database)
}

const PEOPLE: &str = "SELECT md5(string_agg(to_jsonb(person)::text, ',' ORDER BY id)) FROM person";

fn a_release_that_went_wrong(context: &Context) {
    let (first, second, database) = before_second(context);
    let people = value(&database, PEOPLE);
    second.migrate(&database).ends(0);
    assert_eq!(value(&database, "SELECT count(*)::text FROM person"), "90");
    let back = rollback(&database, &["--json"]);
    back.ends(0)
        .says("takes back run")
        .says("10 rows put back where they were");
    assert_eq!(back.json()["undone"].as_array().unwrap().len(), 1, "{back}");
    assert_eq!(value(&database, PEOPLE), people, "each row is back");
    assert_eq!(value(&database, "SELECT rate()::text"), "1");
    Xtask::verify(&database)
        .phases(first.path())
        .arg("--strict")
        .run()
        .ends(0);
    // The same files would do it again; older ones need no word.
    second
        .migrate(&database)
        .ends(1)
        .says("this version was taken back by tester@")
        .says("--again");
    first.migrate(&database).ends(0);
    Xtask::migrate(&database)
        .phases(second.path())
        .arg("--again")
        .run()
        .ends(0);
    second.is_done(&database);
    first.migrate(&database).ends(0).says("left as it is");
    // A fixed release after a rollback needs no word either.
    rollback(&database, &[]).ends(0);
    let fixed = SECOND.replace("SELECT 2", "SELECT 3");
    second.release(&[("01_all.sql", &fixed)]).migrate(&database).ends(0);
    assert_eq!(value(&database, "SELECT rate()::text"), "3");
}

fn values_go_to_the_quarantine_and_come_back(context: &Context) {
    let (_, second, database) = before_second(context);
    second.migrate(&database).ends(0);
    database.psql("UPDATE person SET name = 'n' || id WHERE id < 40; INSERT INTO visit VALUES (1, 99), (2, 98)");
    let runs = "SELECT max(id)::text FROM migration.runs";
    let run = value(&database, runs);
    rollback(&database, &[])
        .ends(4)
        .says("refused, it loses values")
        .says("DROP TABLE public.visit;  -- 2 rows")
        .says("DROP COLUMN name;  -- 29 rows")
        .says("--allow-data-loss");
    assert_eq!(value(&database, runs), run, "nothing was begun");
    rollback(&database, &["--allow-data-loss"]).ends(0);
    let kept = "SELECT string_agg(table_name || ' ' || count, ', ' ORDER BY table_name)
        FROM (SELECT table_name, count(*) FROM migration.quarantine WHERE place LIKE 'rollback:%' GROUP BY 1) AS t";
    assert_eq!(value(&database, kept), "public.person 29, public.visit 2");
    Xtask::migrate(&database)
        .phases(second.path())
        .arg("--again")
        .run()
        .ends(0);
    let back = value(
        &database,
        "SELECT max(run_id)::text FROM migration.quarantine WHERE place LIKE 'rollback:%'",
    );
    Xtask::new(["quarantine", "restore", "--run", &back])
        .on(&database)
        .run()
        .ends(0);
    let values = "SELECT (SELECT count(*) FROM person WHERE name = 'n' || id) || ' ' || (SELECT count(*) FROM visit)";
    assert_eq!(value(&database, values), "29 2");
}

fn a_later_run_built_on_it(context: &Context) {
    let (first, second, database) = before_second(context);
    second.migrate(&database).ends(0);
    let on_it = format!("{SECOND}CREATE INDEX IF NOT EXISTS visit_person ON visit (person_id);\n");
    second.release(&[("01_all.sql", &on_it)]).migrate(&database).ends(0);
    rollback(&database, &["2"])
        .ends(1)
        .says("run 2 cannot be taken back alone: run 3 built on it")
        .says("index public.visit_person")
        .says("cargo xtask rollback --to 1");
    rollback(&database, &["--to", "1"]).ends(0).says("took back run 3, 2");
    Xtask::verify(&database)
        .phases(first.path())
        .arg("--strict")
        .run()
        .ends(0);
    rollback(&database, &["2"]).ends(1).says("run 2 was taken back already");
}

fn what_cannot_be_taken_back(context: &Context) {
    let database = context.database();
    rollback(&database, &[]).ends(1).says("there is no run to take back");
    let releases = Releases::new(context);
    releases.release(&[("01_all.sql", FIRST)]).deploys(&database);
    rollback(&database, &["77"]).ends(1).says("there is no run 77");
    rollback(&database, &["--to", "500"]).ends(1).says("no run after 500");
    rollback(&database, &["1", "--to", "1"]).ends(2);
}

fn a_label_of_an_enum(context: &Context) {
    let (releases, database) = (Releases::new(context), context.database());
    let enumeration = "DO $$ BEGIN CREATE TYPE mood AS ENUM ('sad'); EXCEPTION WHEN duplicate_object THEN NULL; END $$;
CREATE TABLE IF NOT EXISTS t (id int, mood mood);
";
    releases
        .release(&[("01_all.sql", enumeration)])
        .migrate(&database)
        .ends(0);
    let more = format!(
        "{enumeration}ALTER TYPE mood ADD VALUE IF NOT EXISTS 'ok';\nCREATE INDEX IF NOT EXISTS t_id ON t (id);\n"
    );
    releases.release(&[("01_all.sql", &more)]).migrate(&database).ends(0);
    rollback(&database, &[])
        .ends(1)
        .says("cannot be taken back: type public.mood")
        .says("nothing was done")
        .says("--partly");
    rollback(&database, &["--partly"]).ends(0);
    let left = "SELECT enum_range(NULL::mood)::text || coalesce(to_regclass('t_id')::text, '')";
    assert_eq!(value(&database, left), "{sad,ok}");
}

/// Wherever it was killed, the next one goes on, and the catalog is as it was.
fn killed_at_each_step(context: &Context) {
    let (first, second, database) = before_second(context);
    let people = value(&database, PEOPLE);
    second.migrate(&database).ends(0);
    database.psql("UPDATE person SET name = 'n' || id WHERE id < 40");
    let mut held = database.connect();
    let mut killed = 0;
    for table in ["person", "visit"] {
        // It stops where it needs the table.
        held.batch_execute(&format!("BEGIN; LOCK TABLE {table} IN ACCESS SHARE MODE"))
            .unwrap();
        let running = Xtask::new(["rollback", "--allow-data-loss"]).on(&database).spawn();
        let waits = "SELECT count(*) > 0 FROM migration.runs WHERE outcome = 'running' AND undoes <> '{}'";
        let mut client = database.admin();
        until_true("the rollback has begun", DEADLINE, || {
            client.query_one(waits, &[]).unwrap().get(0)
        });
        let _ = running.kill();
        held.batch_execute("ROLLBACK").unwrap();
        killed += 1;
    }
    assert_eq!(killed, 2);
    let back = rollback(&database, &["--allow-data-loss"]);
    back.ends(0).says("took back run 2");
    Xtask::verify(&database)
        .phases(first.path())
        .arg("--strict")
        .run()
        .ends(0);
    assert_eq!(value(&database, PEOPLE), people);
    let names = "SELECT count(DISTINCT row_data ->> 'id')::text FROM migration.quarantine WHERE set_columns = '{name}'";
    assert_eq!(value(&database, names), "29");
}

/// The second one does not take back the run before.
fn two_at_once(context: &Context) {
    let (first, second, database) = before_second(context);
    second.migrate(&database).ends(0);
    let mut held = database.connect();
    held.batch_execute("BEGIN; LOCK TABLE visit IN ACCESS SHARE MODE")
        .unwrap();
    let running: Vec<_> = (0..2).map(|_| Xtask::new(["rollback"]).on(&database).spawn()).collect();
    let begun = "SELECT count(*) > 0 FROM migration.runs WHERE outcome = 'running' AND undoes <> '{}'";
    let mut client = database.admin();
    until_true("one has begun", DEADLINE, || {
        client.query_one(begun, &[]).unwrap().get(0)
    });
    let other = "SELECT count(DISTINCT pid) > 1 FROM pg_stat_activity
        WHERE datname = current_database() AND application_name LIKE 'xtask%' AND pid <> pg_backend_pid()";
    until_true("the other waits", DEADLINE, || {
        client.query_one(other, &[]).unwrap().get(0)
    });
    held.batch_execute("ROLLBACK").unwrap();
    let mut outputs: Vec<Output> = running.into_iter().map(Running::wait).collect();
    outputs.sort_by_key(|output| output.status);
    outputs[0].ends(0);
    outputs[1].ends(1).says("run 2 was taken back already");
    Xtask::verify(&database)
        .phases(first.path())
        .arg("--strict")
        .run()
        .ends(0);
}

fn says_what_it_would_do(context: &Context) {
    let (_, second, database) = before_second(context);
    second.migrate(&database).ends(0);
    database.psql("INSERT INTO visit VALUES (1, 99)");
    let plan = |arguments: &[&str]| Xtask::new(["plan", "--rollback"]).args(arguments).on(&database).run();
    plan(&[])
        .ends(0)
        .says("takes back run 2")
        .says("DROP TABLE public.visit;  -- 1 row: --allow-data-loss")
        .says("DROP INDEX CONCURRENTLY public.person_seen")
        .says("locks public.person in ACCESS EXCLUSIVE mode");
    let json = plan(&["--json"]).ends(0).json();
    assert_eq!(json["takes_back"].to_string(), "[2]");
    assert_eq!(value(&database, "SELECT count(*)::text FROM migration.runs"), "2");
}

/// What filled a table or column that is dropped does not run again: its values are put back.
fn what_was_kept_is_put_back(context: &Context) {
    let (releases, database) = (Releases::new(context), context.database());
    releases.release(&[("01_all.sql", FIRST)]).migrate(&database).ends(0);
    database.psql("INSERT INTO person SELECT n, 'p' || n FROM generate_series(1, 5) AS n");
    let more = format!(
        "{FIRST}ALTER TABLE person ADD COLUMN IF NOT EXISTS name text;
UPDATE person SET name = email;
UPDATE person SET email = upper(email);
CREATE TABLE IF NOT EXISTS kind (id int PRIMARY KEY);
INSERT INTO kind VALUES (1), (2);
"
    );
    releases.release(&[("01_all.sql", &more)]).migrate(&database).ends(0);
    rollback(&database, &["--allow-data-loss"])
        .ends(0)
        .says("ran once, not taken back")
        .says("UPDATE person SET email");
    database.psql("UPDATE person SET email = 'own' WHERE id = 1");
    Xtask::migrate(&database)
        .phases(releases.path())
        .arg("--again")
        .run()
        .ends(0);
    let rows = "SELECT string_agg(email || ' ' || name, ', ' ORDER BY id) || (SELECT count(*) FROM kind) FROM person";
    assert_eq!(value(&database, rows), "own p1, P2 p2, P3 p3, P4 p4, P5 p52");
}

/// A rename is taken back as one: nothing is dropped for it.
fn renames(context: &Context) {
    let (first, second, database) = before_second(context);
    let people = value(&database, PEOPLE);
    let renamed = format!(
        "{FIRST}ALTER TABLE person RENAME COLUMN email TO mail;
CREATE INDEX IF NOT EXISTS person_mail ON person (mail);
ALTER TABLE person RENAME TO people;
"
    );
    second.release(&[("01_all.sql", &renamed)]).migrate(&database).ends(0);
    Xtask::new(["plan", "--rollback"])
        .on(&database)
        .run()
        .ends(0)
        .says("ALTER TABLE public.people RENAME TO person")
        .says("ALTER TABLE public.person RENAME COLUMN mail TO email")
        .hides("DROP TABLE")
        .hides("DROP COLUMN");
    rollback(&database, &[]).ends(0);
    assert_eq!(value(&database, PEOPLE), people);
    Xtask::verify(&database)
        .phases(first.path())
        .arg("--strict")
        .run()
        .ends(0);
}

/// A column that was dropped comes back; what its rows held does not, and so it is not NOT NULL.
fn not_null_without_values(context: &Context) {
    let (releases, database) = (Releases::new(context), context.database());
    let table = "CREATE TABLE IF NOT EXISTS t (id int, code text NOT NULL);\n";
    releases.release(&[("01_all.sql", table)]).migrate(&database).ends(0);
    database.psql("INSERT INTO t VALUES (1, 'a')");
    let dropped = "CREATE TABLE IF NOT EXISTS t (id int, code text NOT NULL);
-- xtask: drops rows: nobody reads them
ALTER TABLE t DROP COLUMN IF EXISTS code;
";
    releases.release(&[("01_all.sql", dropped)]).migrate(&database).ends(0);
    rollback(&database, &[])
        .ends(1)
        .says("column public.t.code: it comes back without NOT NULL: the rows have no values for it");
    rollback(&database, &["--partly"]).ends(0);
    let nullable =
        "SELECT (NOT attnotnull)::text FROM pg_attribute WHERE attrelid = 't'::regclass AND attname = 'code'";
    assert_eq!(value(&database, nullable), "true");
}

/// A column that comes back with a default: the values that were kept count for more.
fn values_of_a_column_with_a_default(context: &Context) {
    let (releases, database) = (Releases::new(context), context.database());
    let table = "CREATE TABLE IF NOT EXISTS orders (id int PRIMARY KEY, total int);\n";
    releases.release(&[("01_all.sql", table)]).migrate(&database).ends(0);
    database.psql("INSERT INTO orders SELECT n, n FROM generate_series(1, 100) AS n");
    let more = format!("{table}ALTER TABLE orders ADD COLUMN IF NOT EXISTS paid boolean NOT NULL DEFAULT false;\n");
    releases.release(&[("01_all.sql", &more)]).migrate(&database).ends(0);
    database.psql("UPDATE orders SET paid = true WHERE id <= 40");
    rollback(&database, &["--allow-data-loss"]).ends(0);
    let fixed = format!("{more}CREATE INDEX IF NOT EXISTS orders_total ON orders (total);\n");
    let migrated = releases.release(&[("01_all.sql", &fixed)]).migrate(&database);
    migrated.ends(0).says("put back where they were").hides("did not fit");
    assert_eq!(value(&database, "SELECT count(*)::text FROM orders WHERE paid"), "40");
    // What does not fit is not tried again by each run.
    database.psql("UPDATE migration.quarantine SET restored = NULL");
    let again = format!("{fixed}CREATE TABLE IF NOT EXISTS other (id int);\n");
    releases
        .release(&[("01_all.sql", &again)])
        .migrate(&database)
        .ends(0)
        .hides("did not fit");
}

/// Files that undo others run only if asked for; what they leave is taken back from the journal, what they drop is kept.
fn files_that_undo_others(context: &Context) {
    let (releases, database) = (Releases::new(context), context.database());
    let first = [
        ("1_first.up.sql", FIRST),
        ("1_first.down.sql", "DROP TABLE person CASCADE;"),
    ];
    releases.release(&first).migrate(&database).ends(0);
    database.psql("INSERT INTO person VALUES (1, 'a')");
    let second = (
        "2_second.sql",
        "-- migrate:up
         CREATE TABLE visit (id int PRIMARY KEY);
         ALTER TABLE person ADD COLUMN name text;
         INSERT INTO person VALUES (2, 'b');
         -- migrate:down
         CREATE TABLE seen_by_the_test AS SELECT 1 AS one;
         DELETE FROM person WHERE id = 2;
         DROP TABLE visit;
",
    );
    let both = releases.release(&[first[0], first[1], second]);
    both.migrate(&database).ends(0);
    database.psql("INSERT INTO visit VALUES (1), (2)");
    let back = |arguments: &[&str]| {
        let rollback = Xtask::new(["rollback", "--down-files"])
            .on(&database)
            .phases(releases.path());
        rollback.args(arguments).run()
    };
    let plan = Xtask::new(["plan", "--rollback", "--down-files"]).on(&database);
    let plan = plan.phases(releases.path()).run();
    plan.ends(0)
        .says("DROP TABLE visit;  -- 2_second.sql:8")
        .says("left of:");
    back(&[]).ends(4).says("--allow-data-loss");
    assert_eq!(value(&database, "SELECT count(*)::text FROM visit"), "2");
    back(&["--allow-data-loss"])
        .ends(0)
        .says("first runs 2_second.sql (3 statements)")
        .hides("not taken back");
    // Its row is gone by the file, the column and what the file made by the journal.
    let person = "SELECT string_agg(to_jsonb(person)::text, ',') FROM person";
    assert_eq!(value(&database, person), r#"{"id": 1, "seen": null, "email": "a"}"#);
    assert_eq!(
        value(&database, "SELECT (to_regclass('seen_by_the_test') IS NULL)::text"),
        "true"
    );
    let kept = "SELECT count(*)::text FROM migration.quarantine WHERE table_name = 'public.visit'";
    assert_eq!(database.admin().query_one(kept, &[]).unwrap().get::<_, String>(0), "2");
    // And forward again: what ran once runs once more.
    let again = Xtask::migrate(&database).phases(releases.path());
    again.arg("--again").run().ends(0);
    assert_eq!(value(&database, "SELECT count(*)::text FROM person"), "2");
}
