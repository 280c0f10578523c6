//! A run may end at any moment, and the next one converges.

use std::time::Duration;

use rustix::process::Signal;

use crate::harness::Context;
use crate::harness::catalog::Catalog;
use crate::harness::database::Database;
use crate::harness::phases::Phases;
use crate::harness::proxy::Proxy;
use crate::harness::rows::Rows;
use crate::harness::wait;
use crate::harness::xtask::Xtask;

tests![
    killed_after_few_steps,
    killed_after_many_steps,
    killed_during_clean_up,
    killed_while_a_statement_runs,
    killed_while_an_index_is_built,
    goes_on_when_the_server_is_back,
    gives_up_when_the_connection_is_lost_each_time,
    session_terminated,
    connection_cut,
    server_crashes,
    server_stops,
    interrupted,
    interrupted_while_waiting,
    terminated,
];

/// How soon a new run gets the mutex of one that was killed.
const SOON: Duration = Duration::from_secs(15);

/// A phase with a statement that goes on until somebody ends it.
fn endless() -> Phases {
    Phases::new(&[
        ("01_before.sql", "CREATE TABLE IF NOT EXISTS before ();\n"),
        ("02_endless.sql", "SELECT pg_sleep(600);\n"),
        ("03_after.sql", "CREATE TABLE IF NOT EXISTS after ();\n"),
    ])
}

fn mend(phases: &Phases) {
    phases.write("02_endless.sql", "SELECT 1;\n");
}

const ASLEEP: &str = "state = 'active' AND query LIKE '%pg_sleep%'";

fn killed_after_few_steps(context: &Context) {
    killed_after(context, 3);
}

fn killed_after_many_steps(context: &Context) {
    killed_after(context, 60);
}

/// SIGKILL once the journal has so many steps; then the next run ends what the first began.
fn killed_after(context: &Context, steps: i64) {
    let fresh = context.database();
    Xtask::migrate(&fresh).run().ends(0);
    let database = context.legacy("neglected");
    let rows = Rows::of(&database);
    let running = Xtask::migrate(&database).spawn();
    let mut admin = database.admin();
    wait::until_true("steps in the journal", Duration::from_secs(30), || {
        let exists: bool = admin
            .query_one("SELECT to_regclass('migration.steps') IS NOT NULL", &[])
            .unwrap()
            .get(0);
        exists
            && admin
                .query_one("SELECT count(*) FROM migration.steps", &[])
                .unwrap()
                .get::<_, i64>(0)
                >= steps
    });
    drop(running.kill());
    let output = Xtask::migrate(&database).run();
    output.ends(0);
    assert!(
        output.duration < SOON,
        "the mutex of a killed run was not free soon; {output}"
    );
    Catalog::of(&database).covers(&Catalog::of(&fresh));
    rows.are_accounted_for(&database);
    let outcomes = outcomes(&database);
    // It may have ended before the signal came.
    assert!(
        outcomes == ["died", "succeeded"] || outcomes == ["succeeded", "succeeded"],
        "{outcomes:?}"
    );
}

/// Held in the middle of phase 06 by a lock of ours: the clean-up has run, its constraint has not.
fn killed_during_clean_up(context: &Context) {
    let database = context.legacy("neglected");
    let rows = Rows::of(&database);
    let mut application = database.connect();
    let mut transaction = application.transaction().unwrap();
    transaction
        .batch_execute("LOCK TABLE attendees IN ROW SHARE MODE")
        .unwrap();
    let running = Xtask::migrate(&database).spawn();
    wait::until_true("a message on the lock", Duration::from_secs(30), || {
        running.so_far().contains("attendees")
    });
    drop(running.kill());
    transaction.rollback().unwrap();
    Xtask::migrate(&database).run().ends(0);
    rows.are_accounted_for(&database);
    assert_eq!(outcomes(&database), ["died", "succeeded"]);
}

fn killed_while_a_statement_runs(context: &Context) {
    let (database, phases) = (context.database(), endless());
    let running = Xtask::migrate(&database).sql(phases.path()).spawn();
    database.wait_for_session(ASLEEP);
    drop(running.kill());
    // Nobody waits for the rest of a statement that nobody wants any more.
    database.wait_until_alone(SOON);
    mend(&phases);
    Xtask::migrate(&database).sql(phases.path()).run().ends(0).within(SOON);
    assert!(Catalog::of(&database).has("relation", "public.after"));
    assert_eq!(outcomes(&database), ["died", "succeeded"]);
}

fn killed_while_an_index_is_built(context: &Context) {
    let database = context.database();
    let phases = Phases::new(&[(
        "01_index.sql",
        "CREATE TABLE IF NOT EXISTS t (n int);\nCREATE INDEX CONCURRENTLY IF NOT EXISTS t_n_idx ON t (n);\n",
    )]);
    database.connect().batch_execute("CREATE TABLE t (n int)").unwrap();
    // The build waits for every transaction that may still write without knowing of the index.
    let mut application = database.connect();
    let mut transaction = application.transaction().unwrap();
    transaction.batch_execute("INSERT INTO t VALUES (1)").unwrap();
    let running = Xtask::migrate(&database).sql(phases.path()).spawn();
    let invalid = "SELECT FROM pg_index WHERE indexrelid = to_regclass('t_n_idx') AND NOT indisvalid";
    let mut admin = database.admin();
    wait::until_true("an index that is being built", Duration::from_secs(30), || {
        admin.query_opt(invalid, &[]).unwrap().is_some()
    });
    drop(running.kill());
    database.server().admin();
    transaction.commit().unwrap();
    Xtask::migrate(&database).sql(phases.path()).run().ends(0);
    let catalog = Catalog::of(&database);
    let index = catalog.get("index", "public.t_n_idx").expect("the index");
    assert!(!index.contains("invalid"), "{index}");
    assert_eq!(
        catalog.identities().filter(|(kind, _)| *kind == "index").count(),
        1,
        "nothing of the failed build is left"
    );
}

/// Without a second connection.
fn once(database: &Database) -> Xtask {
    Xtask::migrate(database).args(["--reconnects", "0"])
}

/// As after a failover.
fn goes_on_when_the_server_is_back(context: &Context) {
    const ENDLESS_AT_FIRST: &str =
        "DO $$ BEGIN WHILE to_regclass('public.go') IS NULL LOOP PERFORM pg_sleep(0.1); END LOOP; END $$;";
    let server = context.own_server(&[]);
    let (database, phases) = (Database::create(&server), endless());
    phases.write("02_endless.sql", ENDLESS_AT_FIRST);
    let running = Xtask::migrate(&database).sql(phases.path()).spawn();
    database.wait_for_session(ASLEEP);
    server.crash();
    server.start();
    server.wait_until_ready();
    database.psql("CREATE TABLE go ()");
    running.wait().ends(0).says("connecting again").says(" connections");
    assert!(Catalog::of(&database).has("relation", "public.after"));
    // What was committed last the crash may have taken: the first run's record too.
    assert_eq!(outcomes(&database).last().map(String::as_str), Some("succeeded"));
}

/// What kills the server each time is not sent for ever.
fn gives_up_when_the_connection_is_lost_each_time(context: &Context) {
    let (database, phases) = (
        context.database(),
        Phases::new(&[("01_all.sql", "SELECT pg_terminate_backend(pg_backend_pid())")]),
    );
    let output = Xtask::migrate(&database)
        .sql(phases.path())
        .args(["--reconnects", "2"])
        .run();
    output.ends(1).says("01_all.sql:1").says("the connection was lost");
    assert_eq!(outcomes(&database), ["died", "died", "running"]);
}

fn session_terminated(context: &Context) {
    let (database, phases) = (context.database(), endless());
    let running = once(&database).sql(phases.path()).spawn();
    let pid = database.wait_for_session(ASLEEP);
    database
        .admin()
        .execute("SELECT pg_terminate_backend($1)", &[&pid])
        .unwrap();
    running
        .wait()
        .ends(1)
        .says("02_endless.sql:1")
        .says_one_of(&["57P01", "terminating connection", "connection"]);
    mend(&phases);
    Xtask::migrate(&database).sql(phases.path()).run().ends(0);
    assert!(Catalog::of(&database).has("relation", "public.after"));
    assert_eq!(outcomes(&database).last().map(String::as_str), Some("succeeded"));
}

fn connection_cut(context: &Context) {
    let (database, phases) = (context.database(), endless());
    let proxy = Proxy::start((database.host.clone(), database.port));
    let running = once(&database)
        .env("POSTGRES_PORT", proxy.port.to_string())
        .sql(phases.path())
        .spawn();
    database.wait_for_session(ASLEEP);
    proxy.cut();
    running
        .wait()
        .ends(1)
        .within(Duration::from_secs(20))
        .says("02_endless.sql:1")
        .says("connection");
    mend(&phases);
    // The server may need a moment to see that the client is gone; the mutex is waited for.
    Xtask::migrate(&database).sql(phases.path()).run().ends(0).within(SOON);
    assert_eq!(outcomes(&database), ["died", "succeeded"]);
}

fn server_crashes(context: &Context) {
    server_goes(context, |server| server.crash());
}

fn server_stops(context: &Context) {
    server_goes(context, |server| server.stop());
}

fn server_goes(context: &Context, go: fn(&crate::harness::server::Server)) {
    let server = context.own_server(&[]);
    let (database, phases) = (Database::create(&server), endless());
    let running = once(&database).sql(phases.path()).spawn();
    database.wait_for_session(ASLEEP);
    go(&server);
    let output = running.wait();
    server.start();
    server.wait_until_ready();
    output.ends(1).says("02_endless.sql:1").says("connection");

    mend(&phases);
    Xtask::migrate(&database).sql(phases.path()).run().ends(0);
    assert!(Catalog::of(&database).has("relation", "public.after"));
    assert_eq!(outcomes(&database).last().map(String::as_str), Some("succeeded"));
}

fn interrupted(context: &Context) {
    signalled(context, Signal::INT, 130);
}

/// What a container's end sends.
fn terminated(context: &Context) {
    signalled(context, Signal::TERM, 143);
}

fn signalled(context: &Context, signal: Signal, status: i32) {
    let (database, phases) = (context.database(), endless());
    let running = Xtask::migrate(&database).sql(phases.path()).spawn();
    database.wait_for_session(ASLEEP);
    running.signal(signal);
    let output = running.wait();
    // One status for both is as good.
    assert!(output.status == Some(130) || output.status == Some(status), "{output}");
    output.within(Duration::from_secs(20)).says("02_endless.sql:1");
    database.wait_until_alone(Duration::from_secs(2));
    assert_eq!(outcomes(&database), ["interrupted"]);
    mend(&phases);
    Xtask::migrate(&database).sql(phases.path()).run().ends(0);
    assert_eq!(outcomes(&database), ["interrupted", "succeeded"]);
}

fn interrupted_while_waiting(context: &Context) {
    let database = context.database();
    let port = crate::harness::server::free_port().to_string();
    let running = Xtask::migrate(&database).env("POSTGRES_PORT", &port).spawn();
    wait::until_true("a line that says what is waited for", Duration::from_secs(15), || {
        running.so_far().contains(&port)
    });
    running.signal(Signal::INT);
    running.wait().ends(130).within(Duration::from_secs(20));
}

fn outcomes(database: &Database) -> Vec<String> {
    let rows = database
        .admin()
        .query("SELECT outcome::text FROM migration.runs ORDER BY id", &[])
        .unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}
