//! The journal and what commands tell of it.

use crate::harness::Context;
use crate::harness::phases::Phases;
use crate::harness::xtask::Xtask;

tests![
    lists_runs_and_steps,
    unknown_run,
    never_migrated,
    migrate_as_json,
    journal_records
];

fn lists_runs_and_steps(context: &Context) {
    let database = context.database();
    let phases = Phases::new(&[("01_t.sql", "CREATE TABLE IF NOT EXISTS t ();\nSELECT 1 / 0;\n")]);
    Xtask::migrate(&database).sql(phases.path()).run().ends(1);
    phases.write("01_t.sql", "CREATE TABLE IF NOT EXISTS t ();\n");
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
    let steps = Xtask::new(["history", "1", "--json"])
        .on(&database)
        .run()
        .ends(0)
        .json();
    let text = steps.to_string();
    assert!(text.contains("01_t.sql") && text.contains("division by zero"), "{text}");
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
