//! `plan`: what would run, why, and what it would lock, without changing anything.

use std::time::Duration;

use serde_json::Value;

use crate::harness::Context;
use crate::harness::catalog::Catalog;
use crate::harness::database::Database;
use crate::harness::phases::Phases;
use crate::harness::rows::Versions;
use crate::harness::xtask::Xtask;

tests![
    reasons,
    locks_with_sizes,
    changes_nothing,
    beside_another_migration,
    plans_what_migrate_runs,
    sees_no_journal
];

const SCHEMA: &str = "CREATE TABLE IF NOT EXISTS t (id int, n int);

ALTER TABLE t ADD COLUMN IF NOT EXISTS later int;

-- xtask: prepares index public.t_n
DELETE FROM t WHERE n < 0;

CREATE INDEX CONCURRENTLY IF NOT EXISTS t_n ON t (n);

-- xtask: accepts the table is small
ALTER TABLE t ADD CONSTRAINT positive CHECK (n >= 0);

-- xtask: always
COMMENT ON TABLE t IS 'always said';

UPDATE t SET n = 0 WHERE n IS NULL;

INSERT INTO t (id, n, later) SELECT 1, 1, 1 WHERE NOT EXISTS (SELECT FROM t);
";

fn phases(context: &Context) -> Phases {
    let phases = Phases::new(&[("01_all.sql", SCHEMA)]);
    context.observe(phases.path());
    phases
}

/// place → (run, reason), in order.
#[track_caller]
fn plan(database: &Database, phases: &Phases, arguments: &[&str]) -> (Value, Vec<(bool, String)>) {
    let output = Xtask::plan(database)
        .phases(phases.path())
        .arg("--json")
        .args(arguments)
        .run();
    let told = output.ends(0).json();
    let statements = told["statements"].as_array().expect("a list");
    let list = statements
        .iter()
        .map(|one| {
            (
                one["runs"] == true,
                one["why"]["reason"].as_str().expect("a reason").to_owned(),
            )
        })
        .collect();
    (told, list)
}

fn reasons(context: &Context) {
    let (database, phases) = (context.database(), phases(context));
    let (told, list) = plan(&database, &phases, &[]);
    assert!(
        list.iter().all(|(run, reason)| *run && reason == "untouched"),
        "{list:?}"
    );
    assert_eq!((&told["to_run"], &told["to_skip"]), (&Value::from(8), &Value::from(0)));
    // All that a CI decides by.
    let step = &told["statements"][1];
    assert_eq!(
        (&step["phase"], &step["form"]),
        (&Value::from("01_all"), &Value::from("alone")),
        "{told}"
    );
    assert!(step["leaves"].as_array().is_some_and(|ids| !ids.is_empty()), "{told}");

    Xtask::migrate(&database).phases(phases.path()).run().ends(0);
    let (_, list) = plan(&database, &phases, &[]);
    let reason = |n: usize| (list[n].0, list[n].1.as_str());
    assert_eq!(reason(0), (false, "satisfied"));
    assert_eq!(reason(2), (false, "prepared"));
    assert_eq!(reason(3), (false, "satisfied"));
    assert_eq!(reason(5), (true, "always"));
    assert_eq!(reason(6), (false, "once_done"));

    database.psql("DROP INDEX t_n");
    let (told, list) = plan(&database, &phases, &[]);
    let reason = |n: usize| (list[n].0, list[n].1.as_str());
    assert_eq!(reason(1), (false, "satisfied"));
    assert_eq!(reason(2), (true, "prepares"));
    assert_eq!(reason(3), (true, "unsatisfied"));
    assert_eq!(
        told["statements"][3]["why"]["objects"][0]["identity"], "public.t_n",
        "{told}"
    );
    assert_eq!(reason(4), (false, "satisfied"));
    let text = Xtask::plan(&database).phases(phases.path()).run();
    text.ends(0)
        .says("01_all.sql:8")
        .says("missing or different: index public.t_n")
        .hides("skip");
    Xtask::plan(&database)
        .phases(phases.path())
        .arg("-v")
        .run()
        .ends(0)
        .says("skip")
        .says("all it leaves is there");

    let (_, list) = plan(&database, &phases, &["--force"]);
    let other: Vec<_> = list
        .iter()
        .filter(|(run, reason)| !(*run && reason == "forced"))
        .collect();
    // What runs once has run.
    assert_eq!(
        other,
        [&(false, "once_done".to_owned()), &(false, "once_done".to_owned())]
    );
}

/// The locks that were observed, on the tables of this very database.
fn locks_with_sizes(context: &Context) {
    let (database, phases) = (context.database(), phases(context));
    database
        .psql("CREATE TABLE t (id int, n int); INSERT INTO t SELECT g, g FROM generate_series(1, 5000) g; ANALYZE t");
    let (told, _) = plan(&database, &phases, &[]);
    let lock = &told["statements"][1]["locks"][0];
    assert_eq!(lock["table"], "public.t", "{told}");
    assert_eq!(lock["mode"], "AccessExclusiveLock");
    assert_eq!(
        (&lock["rows"], &lock["rewrites"], &lock["scans"]),
        (&Value::from(5000), &Value::from(false), &Value::from(false))
    );
    assert!(lock["bytes"].as_u64().unwrap() > 100_000, "{lock}");
    let scanning = &told["statements"][4]["locks"][0];
    assert_eq!(scanning["scans"], true, "{told}");
    let text = Xtask::plan(&database).phases(phases.path()).run();
    text.ends(0)
        .says("ACCESS EXCLUSIVE")
        .says("about 5000 rows")
        .says("for a moment")
        .says("reads all of it");
    // Somebody else has made the table.
    Xtask::migrate(&database)
        .phases(phases.path())
        .arg("--run-once")
        .run()
        .ends(0);
}

fn changes_nothing(context: &Context) {
    let database = context.legacy("neglected");
    for finished in [false, true] {
        let (catalog, versions, journal) = (Catalog::of(&database), Versions::of(&database), journal(&database));
        Xtask::plan(&database).run().ends(0);
        Xtask::plan(&database).args(["--json", "--force"]).run().ends(0);
        Catalog::of(&database).equals(&catalog);
        assert_eq!(Versions::of(&database), versions);
        assert_eq!(self::journal(&database), journal, "finished: {finished}");
        Xtask::migrate(&database).run().ends(0);
    }
}

/// All that the journal says; none where there is none.
fn journal(database: &Database) -> Option<String> {
    let mut admin = database.admin();
    admin
        .query_opt("SELECT FROM pg_namespace WHERE nspname = 'migration'", &[])
        .unwrap()?;
    let sql = "SELECT (SELECT json_agg(r ORDER BY id) FROM migration.runs r)::text
                   || coalesce((SELECT json_agg(s ORDER BY run_id, number) FROM migration.steps s)::text, '')";
    Some(admin.query_one(sql, &[]).unwrap().get(0))
}

fn beside_another_migration(context: &Context) {
    let (database, phases) = (context.database(), phases(context));
    let sleeping = Phases::new(&[("01_sleep.sql", "SELECT pg_sleep(600);\n")]);
    let running = Xtask::migrate(&database)
        .phases(sleeping.path())
        .arg("--no-snapshot")
        .spawn();
    database.wait_for_session("state = 'active' AND query LIKE '%pg_sleep%'");
    Xtask::plan(&database)
        .phases(phases.path())
        .run()
        .ends(0)
        .within(Duration::from_secs(10));
    Xtask::verify(&database)
        .phases(phases.path())
        .run()
        .ends(4)
        .within(Duration::from_secs(10));
    drop(running.kill());
}

/// What it promises is what the run then does.
fn plans_what_migrate_runs(context: &Context) {
    let database = context.legacy("quick-setup");
    let told = Xtask::plan(&database).arg("--json").run().ends(0).json();
    let places = |list: &Value| -> Vec<String> {
        let planned = list.as_array().unwrap().iter().filter(|one| one["runs"] == true);
        planned.map(|one| one["place"].as_str().unwrap().to_owned()).collect()
    };
    let planned = places(&told["statements"]);
    Xtask::migrate(&database).run().ends(0);
    let sql = "SELECT DISTINCT file || ':' || line FROM migration.steps";
    let mut ran: Vec<String> = database
        .admin()
        .query(sql, &[])
        .unwrap()
        .iter()
        .map(|row| row.get(0))
        .collect();
    ran.sort();
    let surprises: Vec<_> = ran.iter().filter(|place| !planned.contains(place)).collect();
    assert!(surprises.is_empty(), "ran without having been planned: {surprises:?}");
    assert!(
        ran.len() * 2 > planned.len(),
        "{} planned, {} ran",
        planned.len(),
        ran.len()
    );
}

/// A role that may not read the journal, and a database that has none.
fn sees_no_journal(context: &Context) {
    let server = context.own_server(&[]);
    let database = Database::create(&server);
    Xtask::migrate(&database).run().ends(0);
    server
        .admin()
        .batch_execute("CREATE ROLE nobody_special LOGIN PASSWORD 'nothing-special'")
        .unwrap();
    for command in ["plan", "verify"] {
        Xtask::new([command])
            .on(&database)
            .env("POSTGRES_USER", "nobody_special")
            .env("POSTGRES_PASSWORD", "nothing-special")
            .run()
            .ends(0);
    }
}
