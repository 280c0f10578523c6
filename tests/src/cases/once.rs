//! Statements that run once in each database, whatever happens; and databases of which nobody knows what has run.

use std::time::Duration;

use super::live::value;
use crate::harness::Context;
use crate::harness::release::Releases;
use crate::harness::wait;
use crate::harness::xtask::Xtask;

tests![
    by_its_tokens,
    killed_at_any_moment,
    outside_of_transactions,
    recorded_as_the_migrating_role,
    three_at_once_on_an_empty_database,
    always_that_never_rests,
    made_otherwise,
    restored_with_its_journal,
];

fn by_its_tokens(context: &Context) {
    let (releases, database) = (Releases::new(context), context.database());
    let table = "CREATE TABLE IF NOT EXISTS t (n int);\n";
    let count = "SELECT count(*) FROM t";
    releases.release(&[("01_all.sql", &format!("{table}INSERT INTO t VALUES (1);"))]);
    releases.deploys(&database);
    // Comments, white space, and the place do not count.
    let text = "-- why\nINSERT  INTO t\n/* one */ VALUES (1); -- done";
    releases
        .release(&[("01_all.sql", table), ("02_rows.sql", text)])
        .deploys(&database);
    assert_eq!(value::<i64>(&database, count), 1);
    // The same text twice counts twice.
    releases
        .release(&[("01_all.sql", table), ("02_rows.sql", &format!("{text}\n;{text}"))])
        .deploys(&database);
    assert_eq!(value::<i64>(&database, count), 2);
    releases
        .release(&[("01_all.sql", table), ("02_rows.sql", "INSERT INTO t VALUES (2);")])
        .deploys(&database);
    assert_eq!(value::<i64>(&database, count), 3);
}

/// 200 random moments: each statement has run exactly once.
fn killed_at_any_moment(context: &Context) {
    const STATEMENTS: usize = 60;
    let moments = if std::env::var_os("XTASK_TEST_LONG").is_some() {
        200
    } else {
        40
    };
    let (releases, database) = (Releases::new(context), context.database());
    let mut killed = 0;
    let mut release = 0;
    while killed < moments {
        release += 1;
        let mut text = "CREATE TABLE IF NOT EXISTS count (release int, n int, times int);\n".to_owned();
        for n in 0..STATEMENTS {
            text.push_str(&match n % 3 {
                0 => format!("INSERT INTO count VALUES ({release}, {n}, 1);\n"),
                1 => format!("DO $$ BEGIN INSERT INTO count VALUES ({release}, {n}, 1); END $$;\n"),
                _ => format!("BEGIN; INSERT INTO count VALUES ({release}, {n}, 0); UPDATE count SET times = times + 1 WHERE release = {release} AND n = {n}; COMMIT;\n"),
            });
        }
        releases.release(&[("01_all.sql", &text)]);
        // Each call gets a little further; the times are spread over what a whole run takes.
        for _ in 0..40 {
            let mut running = Xtask::migrate(&database).phases(releases.path()).spawn();
            let moment = Duration::from_micros(fastrand(10_000, 120_000));
            let started = std::time::Instant::now();
            while running.is_running() && started.elapsed() < moment {
                std::thread::yield_now();
            }
            if !running.is_running() {
                break;
            }
            let _ = running.kill();
            killed += 1;
            // The server ends what was under way; the next one waits for the mutex.
        }
        releases.migrate(&database).ends(0);
        let wrong: i64 = value(
            &database,
            &format!(
                "SELECT count(*) FROM generate_series(0, {STATEMENTS} - 1) AS s (n)
                 WHERE (SELECT coalesce(sum(times), 0) FROM count WHERE release = {release} AND count.n = s.n) <> 1"
            ),
        );
        assert_eq!(wrong, 0, "release {release}: statements that have not run exactly once");
    }
    wait::until_true("an end of all sessions", Duration::from_secs(10), || {
        value::<i64>(
            &database,
            "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'xtask%' AND datname = current_database()",
        ) == 0
    });
}

/// A number from `low` to `high`, by chance.
fn fastrand(low: u64, high: u64) -> u64 {
    use std::hash::{BuildHasher, Hasher};
    let random = std::collections::hash_map::RandomState::new().build_hasher().finish();
    low + random % (high - low)
}

fn outside_of_transactions(context: &Context) {
    let (releases, database) = (Releases::new(context), context.database());
    releases.release(&[(
        "01_all.sql",
        "CREATE TABLE IF NOT EXISTS t (n int);\nVACUUM t;\nANALYZE t;\nINSERT INTO t VALUES (1);",
    )]);
    releases.deploys(&database);
    assert_eq!(value::<i64>(&database, "SELECT count(*) FROM migration.once"), 3);
}

/// Whatever a file does to the session: its records are the migrating role's.
fn recorded_as_the_migrating_role(context: &Context) {
    let (releases, database) = (Releases::new(context), context.database());
    let role = format!("{}_other", database.owner);
    releases.release(&[(
        "01_all.sql",
        &format!(
            "DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{role}') THEN CREATE ROLE {role}; END IF; END $$;
             GRANT {role} TO CURRENT_USER;
             GRANT CREATE ON SCHEMA public TO {role};
             SET ROLE {role};
             CREATE TABLE IF NOT EXISTS theirs (n int);
             INSERT INTO theirs VALUES (1);
             BEGIN; INSERT INTO theirs VALUES (2); INSERT INTO theirs VALUES (3); COMMIT;"
        ),
    )]);
    releases.deploys(&database);
    // On a database in use they are sent one by one.
    let text = std::fs::read_to_string(releases.path().join("01_all.sql")).unwrap();
    releases
        .release(&[("01_all.sql", &format!("{text}\nINSERT INTO theirs VALUES (4);"))])
        .deploys(&database);
    assert_eq!(value::<i64>(&database, "SELECT count(*) FROM theirs"), 4);
    database
        .admin()
        .batch_execute(&format!("DROP OWNED BY {role} CASCADE; DROP ROLE {role}"))
        .unwrap();
}

fn three_at_once_on_an_empty_database(context: &Context) {
    let (releases, database) = (Releases::new(context), context.database());
    releases.release(&[(
        "01_all.sql",
        "CREATE TABLE a (n int);\nINSERT INTO a VALUES (1);\nCREATE TABLE b AS SELECT generate_series(1, 300000) AS n;",
    )]);
    let start = || Xtask::migrate(&database).phases(releases.path()).spawn();
    for running in [start(), start(), start()] {
        running.wait().ends(0);
    }
    assert_eq!(value::<i64>(&database, "SELECT count(*) FROM a"), 1);
}

fn always_that_never_rests(context: &Context) {
    let (releases, database) = (Releases::new(context), context.database());
    let text =
        "CREATE TABLE IF NOT EXISTS t (n int);\nINSERT INTO t VALUES (1);\n-- xtask: always\nUPDATE t SET n = n + 1;";
    releases.release(&[("01_all.sql", text)]);
    context
        .snapshot(releases.path(), &["--deny"])
        .ends(1)
        .says("01_all.sql:4")
        .says("would change rows at each deploy");
    releases.migrate(&database).ends(0).hides("in the run before as well");
    releases
        .migrate(&database)
        .ends(0)
        .says("01_all.sql:4")
        .says("in the run before as well");
    let calm = text.replace("n + 1;", "5 WHERE n <> 5;");
    releases.release(&[("01_all.sql", &calm)]);
    context.snapshot(releases.path(), &["--deny"]).ends(0);
}

/// A database that somebody else made: what changes rows is not run on a guess.
fn made_otherwise(context: &Context) {
    let releases = Releases::new(context);
    let made = "CREATE TABLE note (body text); INSERT INTO note VALUES ('welcome'); CREATE TABLE old (id int);";
    releases.release(&[
        (
            "01_all.sql",
            "CREATE TABLE IF NOT EXISTS note (body text);\nINSERT INTO note VALUES ('welcome');\nDROP TABLE IF EXISTS old;",
        ),
        ("02_more.sql", "UPDATE note SET body = body || '!';"),
    ]);
    let notes = "SELECT string_agg(body, ' ') FROM note";
    let database = context.database();
    database.psql(made);
    releases
        .migrate(&database)
        .ends(1)
        .says("was not made by these phases")
        .says("01_all.sql:2")
        .says("02_more.sql:1")
        .says("baseline")
        .says("--run-once");
    assert!(
        !value::<bool>(&database, "SELECT to_regclass('migration.runs') IS NOT NULL"),
        "it wrote"
    );
    releases.plan(&database).ends(0).says("migrate stops before them");
    Xtask::new(["baseline"])
        .on(&database)
        .phases(releases.path())
        .run()
        .ends(0);
    releases.deploys(&database);
    assert_eq!(value::<String>(&database, notes), "welcome");
    // What changes no row is no guess: it runs.
    let harmless = context.database();
    harmless.psql(made);
    let other = Releases::new(context);
    other.release(&[(
        "01_all.sql",
        "CREATE TABLE IF NOT EXISTS note (body text);\nDROP TABLE IF EXISTS old;",
    )]);
    other.deploys(&harmless);
    assert!(!value::<bool>(&harmless, "SELECT to_regclass('old') IS NOT NULL"));

    let through = context.database();
    through.psql(made);
    let baseline = Xtask::new(["baseline", "--through", "01_all.sql"]).on(&through);
    baseline
        .phases(releases.path())
        .run()
        .ends(0)
        .says("2 statements that run once taken for done");
    releases.deploys(&through);
    assert_eq!(value::<String>(&through, notes), "welcome!");

    let run = context.database();
    run.psql(made);
    Xtask::migrate(&run)
        .phases(releases.path())
        .arg("--run-once")
        .run()
        .ends(0);
    assert_eq!(value::<String>(&run, notes), "welcome! welcome!");
    releases.is_done(&run);
}

/// A copy of a database brings its records along.
fn restored_with_its_journal(context: &Context) {
    let (releases, database) = (Releases::new(context), context.database());
    releases.release(&[(
        "01_all.sql",
        "CREATE TABLE IF NOT EXISTS t (n int);\nINSERT INTO t VALUES (1);",
    )]);
    releases.deploys(&database);
    let copy = database.copy();
    releases.is_done(&copy);
    assert_eq!(value::<i64>(&copy, "SELECT count(*) FROM t"), 1);
}
