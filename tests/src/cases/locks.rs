//! Several migrations at once, and migrations beside an application that holds locks.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::harness::Context;
use crate::harness::catalog::Catalog;
use crate::harness::database::Database;
use crate::harness::phases::Phases;
use crate::harness::rows::Rows;
use crate::harness::wait;
use crate::harness::xtask::Xtask;

tests![
    two_at_once,
    ten_at_once,
    ten_at_once_on_a_legacy_state,
    five_databases_at_once,
    mutex_never_free,
    lock_then_released,
    lock_never_released,
    application_hardly_waits,
    index_waits_for_transactions,
    ends_when_the_application_was_kept_waiting_for_long_enough,
    ends_who_is_idle_in_a_transaction,
    whatever_the_role_is_set_to,
];

fn two_at_once(context: &Context) {
    at_once(context, context.database(), 2);
}

fn ten_at_once(context: &Context) {
    at_once(context, context.database(), 10);
}

fn ten_at_once_on_a_legacy_state(context: &Context) {
    at_once(context, context.legacy("neglected"), 10);
}

fn at_once(context: &Context, database: Database, runs: usize) {
    let fresh = context.database();
    Xtask::migrate(&fresh).run().ends(0);
    let rows = Rows::of(&database);
    let running: Vec<_> = (0..runs).map(|_| Xtask::migrate(&database).spawn()).collect();
    for run in running {
        run.wait().ends(0);
    }
    Catalog::of(&database).covers(&Catalog::of(&fresh));
    rows.are_accounted_for(&database);
    let (all, overlapping): (i64, i64) = {
        let row = database
            .admin()
            .query_one(
                "SELECT count(*), count(*) FILTER (WHERE EXISTS (
                     SELECT FROM migration.steps s JOIN migration.steps o ON o.run_id <> s.run_id
                         AND (o.started, o.started + o.duration) OVERLAPS (s.started, s.started + s.duration)
                     WHERE s.run_id = r.id AND s.duration > '0' AND o.duration > '0'))
                 FROM migration.runs r WHERE outcome = 'succeeded'",
                &[],
            )
            .unwrap();
        (row.get(0), row.get(1))
    };
    assert_eq!(
        (all, overlapping),
        (runs as i64, 0),
        "(runs, runs with a step beside a step of another run)"
    );
}

/// Roles and grants on them are the whole cluster's.
fn five_databases_at_once(context: &Context) {
    let databases: Vec<_> = (0..5).map(|_| context.database()).collect();
    let running: Vec<_> = databases
        .iter()
        .map(|database| Xtask::migrate(database).spawn())
        .collect();
    for run in running {
        run.wait().ends(0);
    }
}

fn mutex_never_free(context: &Context) {
    let database = context.database();
    let phases = Phases::new(&[("01_sleep.sql", "SELECT pg_sleep(600);\n")]);
    let first = Xtask::migrate(&database).sql(phases.path()).spawn();
    let pid = database.wait_for_session("state = 'active' AND query LIKE '%pg_sleep%'");
    let second = Xtask::migrate(&database).args(["--lock-deadline", "2s"]).run();
    second
        .ends(5)
        .within(Duration::from_secs(10))
        .says("another migration")
        .says(&pid.to_string());
    drop(first.kill());
}

fn lock_then_released(context: &Context) {
    let database = context.legacy("quick-setup");
    let rows = Rows::of(&database);
    let mut application = database.connect();
    let mut transaction = application.transaction().unwrap();
    transaction.batch_execute("SELECT count(*) FROM events").unwrap();
    let running = Xtask::migrate(&database).spawn();
    wait::until_true("a message on who holds the lock", Duration::from_secs(30), || {
        running.so_far().contains("application")
    });
    transaction.commit().unwrap();
    running.wait().ends(0);
    rows.are_accounted_for(&database);
    let waited: bool = database
        .admin()
        .query_one("SELECT bool_or(lock_wait > '0') FROM migration.steps", &[])
        .unwrap()
        .get(0);
    assert!(waited, "the journal does not say that a step waited for a lock");
}

fn lock_never_released(context: &Context) {
    let database = context.legacy("quick-setup");
    let mut application = database.connect();
    let pid: i32 = application.query_one("SELECT pg_backend_pid()", &[]).unwrap().get(0);
    let mut transaction = application.transaction().unwrap();
    transaction.batch_execute("SELECT count(*) FROM events").unwrap();
    let output = Xtask::migrate(&database).args(["--lock-deadline", "3s"]).run();
    output.ends(5).within(Duration::from_secs(15));
    output
        .says(&pid.to_string())
        .says("application")
        .says(&database.owner)
        .says("04_columns.sql:");
    output.says("SELECT count(*) FROM events");
    assert_eq!(outcome(&database), "failed");
    transaction.commit().unwrap();
    Xtask::migrate(&database).run().ends(0);
    assert_eq!(outcome(&database), "succeeded");
}

struct SetAtEnd<'a>(&'a AtomicBool);

impl Drop for SetAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// While the migration waits for its lock, the application's own statements go on: none waits
/// longer than the lock timeout, give or take a busy machine.
fn application_hardly_waits(context: &Context) {
    const HELD: Duration = Duration::from_secs(3);
    const WORST: Duration = Duration::from_millis(600);

    let database = context.legacy("quick-setup");
    let mut reader = database.connect();
    let mut transaction = reader.transaction().unwrap();
    transaction.batch_execute("SELECT count(*) FROM events").unwrap();

    let end = AtomicBool::new(false);
    let (worst, queries) = thread::scope(|scope| {
        let application = scope.spawn(|| {
            let mut client = database.connect();
            let statement = client
                .prepare("UPDATE events SET notes = 'seen' WHERE airtable_id = 'recEvent1'")
                .unwrap();
            let (mut worst, mut queries) = (Duration::ZERO, 0);
            while !end.load(Ordering::SeqCst) {
                let start = Instant::now();
                client.execute(&statement, &[]).unwrap();
                worst = worst.max(start.elapsed());
                queries += 1;
                thread::sleep(Duration::from_millis(5));
            }
            (worst, queries)
        });
        // The scope waits for the application's thread, also when this one panics.
        let ending = SetAtEnd(&end);
        let running = Xtask::migrate(&database).spawn();
        wait::until_true("a message on who holds the lock", Duration::from_secs(30), || {
            running.so_far().contains("application")
        });
        // Not luck: this is how long the lock is held.
        thread::sleep(HELD);
        transaction.commit().unwrap();
        running.wait().ends(0);
        drop(ending);
        application.join().unwrap()
    });
    assert!(queries > 50, "the application hardly ran: {queries} queries");
    assert!(
        worst < WORST,
        "the application waited {worst:?} while a lock was held for {HELD:?}"
    );
}

/// `CREATE INDEX CONCURRENTLY` waits without stalling anybody, and names whom it waits for.
fn index_waits_for_transactions(context: &Context) {
    let database = context.database();
    let phases = Phases::new(&[(
        "01_index.sql",
        "CREATE INDEX CONCURRENTLY IF NOT EXISTS t_n_idx ON t (n);\n",
    )]);
    let mut application = database.connect();
    application.batch_execute("CREATE TABLE t (n int)").unwrap();
    let mut transaction = application.transaction().unwrap();
    transaction.batch_execute("INSERT INTO t VALUES (1)").unwrap();
    let running = Xtask::migrate(&database).sql(phases.path()).spawn();
    database.wait_for_session("state = 'active' AND query LIKE '%CREATE INDEX CONCURRENTLY%'");
    let mut other = database.connect();
    let start = Instant::now();
    other.batch_execute("INSERT INTO t VALUES (2)").unwrap();
    assert!(start.elapsed() < Duration::from_secs(1), "a write waited for the index");
    transaction.commit().unwrap();
    running.wait().ends(0);
    let catalog = Catalog::of(&database);
    let index = catalog.get("index", "public.t_n_idx").expect("the index");
    assert!(!index.contains("invalid"), "{index}");
}

fn outcome(database: &Database) -> String {
    let query = "SELECT outcome::text FROM migration.runs ORDER BY id DESC LIMIT 1";
    database.admin().query_one(query, &[]).unwrap().get(0)
}

fn ends_when_the_application_was_kept_waiting_for_long_enough(context: &Context) {
    let database = context.legacy("quick-setup");
    let rows = Rows::of(&database);
    let mut application = database.connect();
    let mut transaction = application.transaction().unwrap();
    transaction.batch_execute("SELECT count(*) FROM events").unwrap();
    // Younger than the lock timeout, the transaction is waited for in the queue, once.
    let short = ["--lock-timeout", "4s", "--stall-budget", "100ms"];
    let output = Xtask::migrate(&database).args(short).run();
    output
        .ends(5)
        .says("the application was kept waiting for")
        .says("--stall-budget");
    transaction.commit().unwrap();
    let told = Xtask::new(["history", "--json"]).on(&database).run().ends(0).json();
    assert!(told[0]["stalled_milliseconds"].as_f64().unwrap() >= 100.0, "{told}");
    Xtask::migrate(&database).run().ends(0);
    rows.are_accounted_for(&database);
}

fn ends_who_is_idle_in_a_transaction(context: &Context) {
    let database = context.legacy("quick-setup");
    let mut application = database.connect();
    let mut busy = database.connect();
    application.batch_execute("BEGIN; SELECT count(*) FROM events").unwrap();
    thread::scope(|scope| {
        let ended =
            scope.spawn(|| busy.batch_execute("BEGIN; SELECT count(*) FROM events; SELECT pg_sleep(8); COMMIT"));
        database.wait_for_session("state = 'active' AND query LIKE '%pg_sleep(8)%'");
        let migrate = Xtask::migrate(&database);
        let output = migrate.args(["--terminate-blockers", "50ms"]).run();
        output.ends(0).says("ended, for being in the way: pid");
        // Who works is let alone, however long that takes.
        ended.join().unwrap().expect("the busy session goes on");
    });
    assert!(
        application.batch_execute("SELECT 1").is_err(),
        "the idle session is gone"
    );
    let noted = "SELECT count(*) FROM migration.steps WHERE note LIKE '%ended pid%'";
    let noted: i64 = database.admin().query_one(noted, &[]).unwrap().get(0);
    assert_eq!(noted, 1);
}

/// No setting of the server, the database or the role that a migration needs is taken for granted.
fn whatever_the_role_is_set_to(context: &Context) {
    const SETTINGS: &str = "statement_timeout=9ms lock_timeout=1ms idle_in_transaction_session_timeout=1ms
        idle_session_timeout=20ms transaction_timeout=9ms default_transaction_isolation=serializable
        default_transaction_deferrable=on quote_all_identifiers=on DateStyle=German IntervalStyle=sql_standard
        bytea_output=escape extra_float_digits=-15 check_function_bodies=off standard_conforming_strings=off
        client_min_messages=error array_nulls=off transform_null_equals=on enable_indexscan=off enable_seqscan=off
        escape_string_warning=off lc_messages=C xmloption=document row_security=off
        synchronous_commit=remote_apply jit=off work_mem=64kB";
    let database = context.legacy("neglected");
    let rows = Rows::of(&database);
    let mut admin = database.admin();
    let owner = &database.owner;
    for (name, value) in SETTINGS
        .split_whitespace()
        .filter_map(|setting| setting.split_once('='))
    {
        let known = "SELECT FROM pg_settings WHERE name = $1";
        if admin.query_opt(known, &[&name]).unwrap().is_some() {
            admin
                .batch_execute(&format!("ALTER ROLE \"{owner}\" SET {name} = '{value}'"))
                .unwrap();
        }
    }
    Xtask::migrate(&database).run().ends(0);
    Xtask::verify(&database).run().ends(0);
    Xtask::migrate(&database).run().ends(0);
    rows.are_accounted_for(&database);
}
