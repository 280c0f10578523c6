//! The journal and what commands tell of it.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::harness::Context;
use crate::harness::database::Database;
use crate::harness::phases::Phases;
use crate::harness::wait;
use crate::harness::xtask::{Output, Running, Xtask};

tests![
    lists_runs_and_steps,
    a_line_for_each_run,
    what_a_run_did,
    who_changed_an_object,
    what_a_failed_run_changed,
    what_an_interrupted_run_changed,
    what_a_killed_run_planned,
    what_nobody_can_look_at,
    old_runs_are_forgotten,
    how_long_phases_take,
    unknown_run,
    never_migrated,
    migrate_as_json,
    journal_records,
    steps_are_as_durable_as_their_statements,
    steps_of_one_message,
];

/// Longer than anything that is waited for here.
const PATIENCE: Duration = Duration::from_secs(30);

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
    const RUN: &str = "backend_pid changed_objects changes_seen database_user error finished git_commit host id \
                       lock_wait_milliseconds milliseconds os_user outcome ran_once set_aside stalled_milliseconds started \
                       statements_run statements_skipped tool_version version";
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

/// Two versions of a phase: the second adds a column, changes another one, drops a third, and runs an UPDATE once.
fn two_versions(context: &Context, database: &Database) -> Phases {
    let phases = Phases::new(&[(
        "01_t.sql",
        "CREATE TABLE IF NOT EXISTS t (a integer, b text);\nINSERT INTO t SELECT 1, NULL WHERE NOT EXISTS (SELECT FROM t);\n",
    )]);
    context.observe(phases.path());
    Xtask::migrate(database).phases(phases.path()).run().ends(0);
    phases.write(
        "02_u.sql",
        "ALTER TABLE t ADD COLUMN IF NOT EXISTS c integer;\nALTER TABLE t ALTER COLUMN a TYPE bigint;\n\
         ALTER TABLE t DROP COLUMN IF EXISTS b;\nUPDATE t SET c = 2;\n\
         CREATE OR REPLACE VIEW v AS SELECT a,\n  c FROM t;\n",
    );
    context.observe(phases.path());
    let migrated = Xtask::migrate(database)
        .phases(phases.path())
        .env("GIT_COMMIT", "0123456789ab")
        .run();
    migrated.ends(0);
    phases
}

/// The line of the list that begins with this number of a run.
fn line(output: &Output, run: &str) -> Vec<String> {
    let mut lines = output.stdout.lines().map(|line| line.split_whitespace());
    let line = lines.find(|line| line.clone().next() == Some(run));
    line.unwrap_or_else(|| panic!("no line of run {run}; {output}"))
        .map(str::to_owned)
        .collect()
}

fn a_line_for_each_run(context: &Context) {
    let database = context.database();
    let phases = two_versions(context, &database);
    Xtask::migrate(&database).phases(phases.path()).run().ends(0);
    let list = Xtask::new(["history"]).on(&database).run();
    list.ends(0);
    let mut versions = database.admin();
    let mut version = |run: i64| -> String {
        let sql = "SELECT left(version, 8) FROM migration.runs WHERE id = $1";
        versions.query_one(sql, &[&run]).unwrap().get(0)
    };
    // run, day, time, outcome, duration with its unit, version, commit, run/satisfied, once.
    let second = line(&list, "2");
    assert_eq!(second[6..8], [version(2), "0123456".to_owned()], "{list}");
    assert!(second[8].starts_with("5/") && second[9] == "1", "{list}");
    let third = line(&list, "3");
    assert_eq!(third[6], version(3), "{list}");
    assert!(third[8].starts_with("0/") && third[9] == "0", "{list}");
    assert_ne!(version(1), version(2));
    assert!(third.last().is_some_and(|who| who.starts_with("tester@")), "{list}");
    assert!(list.stdout.lines().all(|line| line.chars().count() < 160), "{list}");
    let only = Xtask::new(["history", "--limit", "1"]).on(&database).run();
    assert_eq!(only.ends(0).stdout.lines().count(), 2, "{only}");
}

fn what_a_run_did(context: &Context) {
    let database = context.database();
    two_versions(context, &database);
    let run = Xtask::new(["history", "2", "--slowest"]).on(&database).run();
    run.ends(0)
        .says("02_u.sql:4")
        .says("\nchanged:\n")
        .says("\n+ column public.t.c: integer\n")
        .says("\n~ column public.t.a: integer → bigint\n")
        .says("\n- column public.t.b: text\n")
        .says("\n+ view public.v:\n    ");
    // The order of the steps, as numbers of milliseconds.
    let times = |arguments: &[&str]| -> Vec<f64> {
        let document = Xtask::new(arguments).on(&database).arg("--json").run();
        let steps = document.ends(0).json()["steps"].as_array().unwrap().clone();
        steps
            .iter()
            .map(|step| step["milliseconds"].as_f64().unwrap())
            .collect()
    };
    let slowest = times(&["history", "2", "--slowest"]);
    assert!(slowest.len() == 5 && slowest.is_sorted_by(|a, b| a >= b), "{slowest:?}");
    let mut in_order = times(&["history", "2"]);
    in_order.sort_by(|a, b| b.total_cmp(a));
    assert_eq!(in_order, slowest);
    Xtask::new(["history", "--slowest"]).on(&database).run().ends(2);
}

fn who_changed_an_object(context: &Context) {
    let database = context.database();
    two_versions(context, &database);
    let history = |object: &str| Xtask::new(["history", "--object", object]).on(&database);
    let output = history("column public.t.a").run();
    output
        .ends(0)
        .says("~ column public.t.a: integer → bigint")
        .says("+ column public.t.a: integer")
        .says("commit 0123456");
    let runs: Vec<&str> = output.stdout.lines().filter(|line| line.starts_with("run ")).collect();
    assert!(
        runs.len() == 2 && runs[0].starts_with("run 2 ") && runs[1].starts_with("run 1 "),
        "{output}"
    );
    let document = history("column public.t.a").arg("--json").run().ends(0).json();
    assert_eq!(document["object"], "column public.t.a");
    assert_eq!(document["runs"][0]["run"], 2);
    assert_eq!(document["runs"][0]["before"], "integer");
    assert_eq!(document["runs"][1]["before"], Value::Null);
    let newest = history("column public.t.a").args(["--limit", "1", "--json"]).run();
    assert_eq!(newest.ends(0).json()["runs"].as_array().unwrap().len(), 1);
    history("column public.t.zzz")
        .run()
        .ends(0)
        .says("no run on record has changed column public.t.zzz");
    history("nonsense").run().ends(2).says("is not an object");
    Xtask::new(["history", "1", "--object", "table public.t"])
        .on(&database)
        .run()
        .ends(2);
}

/// The changes of a run: "+ column public.t.a", sorted; and whether somebody has looked.
fn changes(database: &Database, run: &str) -> (Vec<String>, bool) {
    let document = Xtask::new(["history", run, "--json"]).on(database).run();
    let run = document.ends(0).json();
    let changes = run["changes"].as_array().unwrap().iter().map(|change| {
        let sign = match (change["before"].is_string(), change["after"].is_string()) {
            (false, _) => '+',
            (_, false) => '-',
            _ => '~',
        };
        format!("{sign} {} {}", change["kind"], change["identity"]).replace('"', "")
    });
    (changes.collect(), run["changes_seen"] == true)
}

fn what_a_failed_run_changed(context: &Context) {
    let database = context.database();
    let phases = two_versions(context, &database);
    // What the SELECT meets, no scratch server shows.
    phases.write(
        "03_w.sql",
        "CREATE TABLE IF NOT EXISTS w (a integer);\nSELECT 1 / a FROM t;\nCREATE TABLE IF NOT EXISTS x (a integer);\n",
    );
    context.observe(phases.path());
    database.psql("UPDATE t SET a = 0");
    Xtask::migrate(&database)
        .phases(phases.path())
        .run()
        .ends(1)
        .says("division by zero");
    let done = ["+ column public.w.a", "+ table public.w"];
    assert_eq!(changes(&database, "3"), (done.map(str::to_owned).to_vec(), true));
    Xtask::new(["history", "3"])
        .on(&database)
        .run()
        .ends(0)
        .says("division by zero")
        .says("\nchanged:\n");
    // Without an expected catalog as well.
    let phases = Phases::new(&[("01_y.sql", "CREATE TABLE y ();\nSELECT 1 / 0;\n")]);
    Xtask::migrate(&database).sql(phases.path()).run().ends(1);
    assert_eq!(changes(&database, "4"), (vec!["+ table public.y".to_owned()], true));
}

/// Two versions, of which the second has nothing but tables to make and a column to add, and waits for the latter.
fn waiting_for_a_lock<T>(context: &Context, database: &Database, end: impl FnOnce(Running) -> T) -> (Phases, T) {
    let phases = Phases::new(&[("01_t.sql", "CREATE TABLE IF NOT EXISTS t (a integer);\n")]);
    context.observe(phases.path());
    Xtask::migrate(database).phases(phases.path()).run().ends(0);
    phases.write(
        "02_u.sql",
        "CREATE TABLE IF NOT EXISTS u (a integer);\nALTER TABLE t ADD COLUMN IF NOT EXISTS b text;\n",
    );
    context.observe(phases.path());
    let mut application = database.connect();
    let mut transaction = application.transaction().unwrap();
    transaction.batch_execute("LOCK TABLE t IN ROW SHARE MODE").unwrap();
    let running = Xtask::migrate(database).phases(phases.path()).spawn();
    wait::until_true("a message on the lock", PATIENCE, || {
        running.so_far().contains("02_u.sql:2")
    });
    let result = end(running);
    transaction.rollback().unwrap();
    (phases, result)
}

fn what_an_interrupted_run_changed(context: &Context) {
    let database = context.database();
    let (_, output) = waiting_for_a_lock(context, &database, |running| {
        running.signal(Signal::INT);
        running.wait()
    });
    output.ends(130);
    let done = ["+ column public.u.a", "+ table public.u"];
    assert_eq!(changes(&database, "2"), (done.map(str::to_owned).to_vec(), true));
}

fn what_a_killed_run_planned(context: &Context) {
    let database = context.database();
    let (phases, output) = waiting_for_a_lock(context, &database, Running::kill);
    assert_eq!(output.status, None, "{output}");
    let planned = ["+ column public.t.b", "+ column public.u.a", "+ table public.u"];
    let planned = (planned.map(str::to_owned).to_vec(), false);
    assert_eq!(changes(&database, "2"), planned);
    Xtask::migrate(&database).phases(phases.path()).run().ends(0);
    assert_eq!(changes(&database, "2"), planned);
    let run = Xtask::new(["history", "2"]).on(&database).run();
    run.ends(0).says("died").says("\nplanned (").hides("\nchanged:");
    let object = Xtask::new(["history", "--object", "column public.t.b"])
        .on(&database)
        .run();
    object.ends(0).says("(planned)").says("+ column public.t.b: text");
    // The next run did what was left.
    assert_eq!(changes(&database, "3"), (vec!["+ column public.t.b".to_owned()], true));
    // One that has nothing to do planned nothing.
    Xtask::migrate(&database).phases(phases.path()).run().ends(0);
    assert_eq!(changes(&database, "4"), (Vec::new(), true));
}

/// A run that ends with an error does not wait to see what it has changed.
fn what_nobody_can_look_at(context: &Context) {
    let database = context.database();
    database.psql("CREATE TABLE held (a integer); CREATE VIEW holding AS SELECT a FROM held");
    let phases = Phases::new(&[("01_t.sql", "CREATE TABLE t ();\nSELECT pg_sleep(600);\n")]);
    let running = Xtask::migrate(&database).sql(phases.path()).spawn();
    database.wait_for_session("state = 'active' AND query LIKE '%pg_sleep%'");
    let mut application = database.admin();
    let mut transaction = application.transaction().unwrap();
    transaction
        .batch_execute("LOCK TABLE held IN ACCESS EXCLUSIVE MODE")
        .unwrap();
    running.signal(Signal::INT);
    running.wait().ends(130).hides("cannot read");
    assert_eq!(changes(&database, "1"), (Vec::new(), false));
    transaction.rollback().unwrap();
}

/// Only by runs that do something, and never what something else needs.
fn old_runs_are_forgotten(context: &Context) {
    let database = context.database();
    let phases = Phases::new(&[("01_t.sql", "CREATE TABLE t (a integer);\nINSERT INTO t VALUES (1);\n")]);
    context.observe(phases.path());
    Xtask::migrate(&database).phases(phases.path()).run().ends(0);
    // 2 to 61: one set rows aside, one took another back, those from 52 on are from today.
    let mut admin = database.admin();
    let more = "INSERT INTO migration.runs (tool_version, started, outcome, undoes)
                SELECT '0', now() - CASE WHEN n > 51 THEN interval '0' ELSE interval '400 days' END, 'succeeded',
                       CASE n WHEN 7 THEN '{6}' ELSE '{}' END::bigint[]
                FROM generate_series(2, 61) AS n;
                INSERT INTO migration.steps
                SELECT id, 1, 'p', 'f', 1, 'h', 's', now(), '0', '0', 1, 0, 'done' FROM migration.runs WHERE id > 1;
                INSERT INTO migration.quarantine (run_id, place, table_name, reason, row_data)
                VALUES (9, '01_t.sql:1', 'public.t', 'test', '{}')";
    let quarantine = include_str!("../../../crates/migration/src/violations/quarantine.sql");
    let mut owner = database.connect();
    owner.batch_execute(quarantine).unwrap();
    owner.batch_execute(more).unwrap();
    let mut on_record = || -> (Vec<i64>, Vec<i64>) {
        let ids = "SELECT array_agg(r.id ORDER BY r.id), (SELECT array_agg(DISTINCT s.run_id ORDER BY s.run_id)
                   FROM migration.steps AS s WHERE s.run_id > 1) FROM migration.runs AS r";
        let row = admin.query_one(ids, &[]).unwrap();
        (row.get(0), row.get(1))
    };
    let migrate = || Xtask::migrate(&database).phases(phases.path());
    // Nothing to do: nothing is forgotten, and the next run finds the database as it was.
    migrate().args(["--keep-runs", "30"]).run().ends(0);
    assert_eq!(on_record().0, (1..=62).collect::<Vec<_>>());
    // By number.
    phases.write("02_u.sql", "CREATE TABLE u (a integer);\n");
    context.observe(phases.path());
    migrate()
        .args(["--keep-runs", "30", "--keep-days", "1000"])
        .run()
        .ends(0);
    let (runs, steps) = on_record();
    let kept: Vec<i64> = [6, 7, 9].into_iter().chain(34..=63).collect();
    assert_eq!(runs, kept);
    assert_eq!(steps, kept.iter().copied().filter(|run| *run != 62).collect::<Vec<_>>());
    // By age; the newest 20 stay.
    phases.write("03_v.sql", "CREATE TABLE v (a integer);\n");
    context.observe(phases.path());
    migrate().run().ends(0);
    let (runs, _) = on_record();
    assert_eq!(runs, [6, 7, 9].into_iter().chain(45..=64).collect::<Vec<_>>());
    let rows: i64 = database
        .connect()
        .query_one("SELECT count(*) FROM t", &[])
        .unwrap()
        .get(0);
    assert_eq!(rows, 1, "what had run once has run again");
}

fn how_long_phases_take(context: &Context) {
    let database = context.database();
    let stats = || Xtask::new(["history", "--stats"]).on(&database);
    stats().run().ends(0).says("no run on record");
    two_versions(context, &database);
    // As if there had been others: the second phase took 0.1 s to 0.4 s, the last time 0.5 s; the run that failed in it
    // does not count.
    database.psql(
        "UPDATE migration.steps SET duration = '0';
         UPDATE migration.steps SET duration = '0.5 s' WHERE run_id = 2 AND number = 1;
         INSERT INTO migration.steps
             (run_id, number, phase, file, line, statement_hash, summary, started, duration, lock_wait, attempts, rows, outcome)
         SELECT -n, 1, s.phase, s.file, s.line, '', '', now(), n * interval '0.1 s', '0', 1, 0, o.outcome
         FROM migration.steps s, (VALUES (1, 'done'), (2, 'done'), (3, 'done'), (4, 'warning'), (50, 'failed')) AS o (n, outcome)
         WHERE s.run_id = 2 AND s.number = 1",
    );
    let output = stats().env("LANG", "C.UTF-8").run();
    let lines: Vec<&str> = output.ends(0).stdout.lines().collect();
    assert!(
        lines.len() == 3 && lines[1].starts_with("01_t ") && lines[2].starts_with("02_u "),
        "{output}"
    );
    let words: Vec<&str> = lines[2].split_whitespace().collect();
    let bar = "█".repeat(20);
    let expected = ["02_u", "5", "300", "ms", "480", "ms", "500", "ms", bar.as_str()];
    assert_eq!(words[..9], expected, "{output}");
    output.says("1.7 times the median");
    let plain = stats().env("LC_ALL", "C").env("LANG", "C.UTF-8").run();
    plain
        .ends(0)
        .says(&format!("  {}  1.7 times", "#".repeat(20)))
        .hides("█");
    let document = stats().arg("--json").run().ends(0).json();
    assert_eq!(
        names(&document[1]),
        "last_milliseconds last_run median_milliseconds p95_milliseconds phase runs"
    );
    assert_eq!(document[1]["last_run"], 2);
    assert_eq!(document[1]["median_milliseconds"], 300.0);
    stats().arg("1").run().ends(2);
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
