//! The journal and what commands tell of it.

use serde_json::{Value, json};

use crate::harness::Context;
use crate::harness::phases::Phases;
use crate::harness::xtask::Xtask;

tests![
    lists_runs_and_steps,
    unknown_run,
    never_migrated,
    migrate_as_json,
    journal_records,
    steps_are_as_durable_as_their_statements,
    steps_of_one_message,
];

fn lists_runs_and_steps(context: &Context) {
    let database = context.database();
    let phases = Phases::new(&[("01_t.sql", "CREATE TABLE IF NOT EXISTS t ();\nSELECT 1 / 0;\n")]);
    Xtask::migrate(&database).sql(phases.path()).run().ends(1);
    phases.write(
        "01_t.sql",
        "CREATE TABLE IF NOT EXISTS t ();\nCREATE TABLE IF NOT EXISTS u ();\n",
    );
    Xtask::migrate(&database).sql(phases.path()).run().ends(0);

    let list = Xtask::new(["history"]).on(&database).run();
    list.ends(0).says("failed").says("succeeded").says("division by zero");
    Xtask::new(["history", "1"])
        .on(&database)
        .run()
        .ends(0)
        .says("01_t")
        .says("division by zero");

    let runs = Xtask::new(["history", "--json"]).on(&database).run().ends(0).json();
    let text = runs.to_string();
    assert!(text.contains("succeeded") && text.contains("failed"), "{text}");
    const RUN: &str = "backend_pid changed_objects database_user error finished git_commit host id milliseconds os_user \
                       outcome started statements_run statements_skipped tool_version";
    assert_eq!(names(&runs[0]), RUN);
    let steps = Xtask::new(["history", "1", "--json"])
        .on(&database)
        .run()
        .ends(0)
        .json();
    let text = steps.to_string();
    assert!(text.contains("01_t.sql") && text.contains("division by zero"), "{text}");
    let with_details = RUN
        .replace("changed_objects", "changed_objects changes")
        .replace("statements_skipped", "statements_skipped steps");
    assert_eq!(names(&steps), with_details);
    const STEP: &str = "attempts error file line lock_wait_milliseconds milliseconds note number outcome phase rows started \
                        statement_hash summary";
    assert_eq!(names(&steps["steps"][0]), STEP);
    let run = Xtask::new(["history", "2", "--json"])
        .on(&database)
        .run()
        .ends(0)
        .json();
    let change = json!({"kind": "table", "identity": "public.u", "before": null});
    let changes = run["changes"].as_array().unwrap();
    let is_it = |found: &&Value| {
        change
            .as_object()
            .unwrap()
            .iter()
            .all(|(name, value)| found[name] == *value)
    };
    assert!(
        changes.iter().any(|found| is_it(&found) && found["after"].is_string()),
        "{run}"
    );
}

/// The names of a document's fields, sorted.
fn names(document: &Value) -> String {
    let fields = document.as_object().unwrap();
    let mut names: Vec<&str> = fields.keys().map(String::as_str).collect();
    names.sort_unstable();
    names.join(" ")
}

fn unknown_run(context: &Context) {
    let database = context.database();
    Xtask::migrate(&database).run().ends(0);
    let output = Xtask::new(["history", "4711"]).on(&database).run();
    assert!(matches!(output.status, Some(1 | 2)), "{output}");
    output.says("4711");
}

/// Reading the history of a database that has none writes nothing.
fn never_migrated(context: &Context) {
    let database = context.database();
    drop(Xtask::new(["history"]).on(&database).run());
    let exists: bool = database
        .admin()
        .query_one("SELECT to_regnamespace('migration') IS NOT NULL", &[])
        .unwrap()
        .get(0);
    assert!(!exists, "history made the journal");
}

fn migrate_as_json(context: &Context) {
    let database = context.database();
    let document = Xtask::migrate(&database).arg("--json").run().ends(0).json();
    assert!(document.is_object(), "{document}");
    let phases = Phases::new(&[("01_t.sql", "\nSELECT 1 / 0;\n")]);
    let output = Xtask::migrate(&database).arg("--json").sql(phases.path()).run();
    output.ends(1);
    let document = output.json();
    assert!(document.to_string().contains("22012"), "{document}");
}

fn journal_records(context: &Context) {
    let database = context.database();
    Xtask::migrate(&database).run().ends(0);
    let mut client = database.connect();
    let complete: bool = client
        .query_one(
            "SELECT bool_and(tool_version <> '' AND os_user <> '' AND host <> '' AND finished >= started
                 AND outcome = 'succeeded' AND error IS NULL) FROM migration.runs",
            &[],
        )
        .unwrap()
        .get(0);
    assert!(complete, "the run's record is not complete");
    let steps: i64 = client
        .query_one(
            "SELECT count(*) FROM migration.steps
             WHERE phase <> '' AND line > 0 AND statement_hash <> '' AND duration >= '0' AND lock_wait >= '0' AND attempts >= 1",
            &[],
        )
        .unwrap()
        .get(0);
    assert!(steps > 50, "{steps} complete steps");
}

/// Statements that are sent in one message commit one by one, each with its record: what stands before the one that
/// fails is done and recorded, what stands behind it is neither.
fn steps_are_as_durable_as_their_statements(context: &Context) {
    let database = context.database();
    let phases = Phases::new(&[(
        "01_all.sql",
        "CREATE TABLE a ();\nDO $$ BEGIN PERFORM set_config('lock_timeout', '7s', false); END $$;\nCREATE TABLE b ();\n\
         CREATE TABLE c AS SELECT generate_series(1, 3);\n\
         CREATE FUNCTION f() RETURNS void LANGUAGE internal AS 'pg_backend_pid';\nCREATE TABLE d ();\n",
    )]);
    context.observe(phases.path());
    let output = Xtask::migrate(&database).phases(phases.path()).run();
    output
        .ends(1)
        .says("01_all.sql:5")
        .says("the 4 statements before it are committed");
    let mut client = database.admin();
    let steps: Vec<String> = client
        .query(
            "SELECT number || ' ' || line || ' ' || outcome FROM migration.steps ORDER BY number",
            &[],
        )
        .unwrap()
        .iter()
        .map(|row| row.get(0))
        .collect();
    assert_eq!(steps, ["1 1 done", "2 2 done", "3 3 done", "4 4 done", "5 5 failed"]);
    let tables = "SELECT string_agg(relname, ' ' ORDER BY relname) FROM pg_class
                  WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace";
    let there: String = client.query_one(tables, &[]).unwrap().get(0);
    assert_eq!(there, "a b c");
    database.make_superuser();
    Xtask::migrate(&database).phases(phases.path()).run().ends(0);
    Xtask::verify(&database).phases(phases.path()).run().ends(0);
}

/// Of statements that are sent in one message each has its own rows and its own time on record.
fn steps_of_one_message(context: &Context) {
    let database = context.database();
    let mut sql = "CREATE TABLE a AS SELECT generate_series(1, 3) AS n;\n\
                   INSERT INTO a SELECT 4 WHERE NOT EXISTS (SELECT FROM a WHERE n = 4);\n\
                   DO $$ BEGIN PERFORM pg_sleep(0.2); CREATE TABLE b (); END $$;\n"
        .to_owned();
    for n in 0..10 {
        sql.push_str(&format!("CREATE TABLE c{n} ();\n"));
    }
    let phases = Phases::new(&[("01_all.sql", sql.as_str())]);
    context.observe(phases.path());
    Xtask::migrate(&database).phases(phases.path()).run().ends(0);
    let row = database
        .admin()
        .query_one(
            "SELECT array_agg(s.rows ORDER BY s.number), sum(s.duration) >= '0.2 s', sum(s.duration) <= r.finished - r.started
             FROM migration.runs AS r JOIN migration.steps AS s ON s.run_id = r.id GROUP BY r.id",
            &[],
        )
        .unwrap();
    let mut rows = vec![3, 1];
    rows.resize(13, 0);
    assert_eq!(row.get::<_, Vec<i64>>(0), rows);
    assert!(row.get::<_, bool>(1), "the sleep is on record");
    assert!(row.get::<_, bool>(2), "the steps took longer than the run");
}
