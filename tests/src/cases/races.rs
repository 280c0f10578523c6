//! Migrations beside others that are at work on the same server.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use postgres::Client;

use crate::harness::catalog::Catalog;
use crate::harness::database::Database;
use crate::harness::proxy::Proxy;
use crate::harness::rows::Rows;
use crate::harness::server::{PASSWORD, SUPERUSER};
use crate::harness::wait;
use crate::harness::xtask::{Output, Xtask};
use crate::harness::{Context, is_soak};

tests![
    many_databases_of_a_cluster,
    a_long_dump,
    vacuum_full,
    autovacuum,
    writes_that_the_constraint_refuses,
    another_tool,
    no_connection_is_left,
    a_standby_is_promoted,
    disk_is_full,
    disk_of_the_wal_is_full,
];

const PATIENCE: Duration = Duration::from_secs(60);

fn fresh(context: &Context) -> Catalog {
    let fresh = context.database();
    Xtask::migrate(&fresh).run().ends(0);
    Catalog::of(&fresh)
}

fn many_databases_of_a_cluster(context: &Context) {
    let count = if is_soak() { 20 } else { 8 };
    let databases: Vec<_> = (0..count).map(|_| context.legacy("quick-setup")).collect();
    let rows: Vec<_> = databases.iter().map(Rows::of).collect();
    let running: Vec<_> = databases.iter().map(|one| Xtask::migrate(one).spawn()).collect();
    for run in running {
        run.wait().ends(0);
    }
    for (database, rows) in databases.iter().zip(rows) {
        rows.are_accounted_for(database);
    }
}

/// Migrates a neglected database while `work` is done again and again on a connection of the owner. What does not converge
/// because the work was in the way does so afterwards.
fn beside(context: &Context, work: impl Fn(&mut Client, u32) + Sync) -> (Database, Output) {
    let (fresh, database) = (fresh(context), context.legacy("neglected"));
    let rows = Rows::of(&database);
    let ended = AtomicBool::new(false);
    let output = thread::scope(|scope| {
        let worker = scope.spawn(|| {
            let mut client = database.connect();
            let mut n = 0;
            while !ended.load(Ordering::SeqCst) {
                n += 1;
                work(&mut client, n);
            }
            n
        });
        wait::until_true("the work to begin", PATIENCE, || {
            let begun = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND query <> ''
                AND application_name = 'application'";
            database.admin().query_opt(begun, &[]).unwrap().is_some()
        });
        let output = Xtask::migrate(&database).run();
        ended.store(true, Ordering::SeqCst);
        let times = worker.join().expect("the work");
        assert!(times > 1, "nothing was done beside it: {output}");
        output
    });
    if output.status != Some(0) {
        Xtask::migrate(&database).run().ends(0);
    }
    Catalog::of(&database).covers(&fresh);
    rows.are_accounted_for(&database);
    (database, output)
}

/// pg_dump holds its snapshot and a lock on each table until the slowest reader has all of it.
fn a_long_dump(context: &Context) {
    let (fresh, database) = (fresh(context), context.legacy("neglected"));
    database.psql("INSERT INTO attendees (airtable_id, email) SELECT 'x' || n, repeat('x', 50) || n || '@example.org' FROM generate_series(1, 20000) AS n");
    let rows = Rows::of(&database);
    let server = database.server();
    let pipe = format!("/tmp/xtask-dump-{}-{}", server.port, database.name);
    server.shell(&format!(
        "mkfifo -m 666 {pipe} && (exec 3<{pipe}; rm {pipe}; sleep 4; cat <&3) >/dev/null 2>&1 &"
    ));
    thread::scope(|scope| {
        let dump = scope.spawn(|| server.tool("pg_dump", &["-f", &pipe, "-d", &database.name], ""));
        wait::until_true("a dump that has its locks", PATIENCE, || {
            let at_work = "SELECT FROM pg_locks AS l JOIN pg_stat_activity AS a USING (pid)
                WHERE a.application_name = 'pg_dump' AND l.relation = 'attendees'::regclass";
            database.admin().query_opt(at_work, &[]).unwrap().is_some()
        });
        Xtask::migrate(&database).run().ends(0);
        dump.join().expect("the dump was not disturbed");
    });
    Catalog::of(&database).covers(&fresh);
    rows.are_accounted_for(&database);
}

fn vacuum_full(context: &Context) {
    let work = |client: &mut Client, n| {
        let table = ["events", "attendees"][n as usize % 2];
        // It may be the victim of a deadlock.
        let _ = client.batch_execute(&format!("VACUUM FULL {table}"));
    };
    let (_, output) = beside(context, work);
    // The application waits for those that wait for it: that may be enough of it, and another run goes on.
    assert!([Some(0), Some(5)].contains(&output.status), "{output}");
}

/// One that is at a table with all its might is told to go, or waited for.
fn autovacuum(context: &Context) {
    let server = context.own_server(&[
        ("autovacuum_naptime", "1s"),
        ("autovacuum_vacuum_cost_delay", "100ms"),
        ("autovacuum_vacuum_cost_limit", "1"),
        ("autovacuum_vacuum_scale_factor", "0"),
    ]);
    server.admin().batch_execute("CREATE ROLE readonly_user LOGIN").unwrap();
    let database = Database::legacy(&server, "neglected");
    database.psql(
        "INSERT INTO attendees (airtable_id, email)
         SELECT 'x' || n, n || '@example.org' FROM generate_series(1, 20000) AS n;
         UPDATE attendees SET email = email WHERE airtable_id LIKE 'x%'",
    );
    let rows = Rows::of(&database);
    wait::until_true("a vacuum", PATIENCE, || {
        let at_work = "SELECT FROM pg_stat_progress_vacuum WHERE relid = 'attendees'::regclass";
        database.admin().query_opt(at_work, &[]).unwrap().is_some()
    });
    Xtask::migrate(&database).run().ends(0);
    rows.are_accounted_for(&database);
    Xtask::verify(&database).run().ends(0);
}

/// The application goes on writing what the unique constraint is going to refuse, until it does.
fn writes_that_the_constraint_refuses(context: &Context) {
    let work = |client: &mut Client, n: u32| {
        let sql = "INSERT INTO attendees (airtable_id, email, event_airtable_id, synced_at)
            VALUES ('recAttendee' || $1 % 50, 'new' || $1, 'recEvent1', now())";
        // Refused, once the constraint is there.
        let _ = client.execute(sql, &[&i32::try_from(n).unwrap()]);
    };
    let (database, _) = beside(context, work);
    Xtask::verify(&database).run().ends(0);
}

/// Somebody else's tool changes the same tables meanwhile.
fn another_tool(context: &Context) {
    let work = |client: &mut Client, _| {
        for sql in [
            "ALTER TABLE events ADD COLUMN IF NOT EXISTS theirs text",
            "CREATE INDEX IF NOT EXISTS theirs ON attendees (email)",
            "DROP INDEX IF EXISTS theirs",
            "ALTER TABLE events DROP COLUMN IF EXISTS theirs",
        ] {
            let _ = client.batch_execute(sql);
        }
    };
    let (database, _) = beside(context, work);
    Xtask::verify(&database).run().ends(0);
}

/// Nobody gets in while the application holds all of them; and a run goes on when they are taken after it has begun.
fn no_connection_is_left(context: &Context) {
    let server = context.own_server(&[("max_connections", "8"), ("superuser_reserved_connections", "3")]);
    let database = Database::create(&server);
    let all = || -> Vec<Client> {
        let mut held = Vec::new();
        while let Ok(client) = database.config().connect(postgres::NoTls) {
            held.push(client);
        }
        held
    };
    let held = all();
    assert!(!held.is_empty());
    Xtask::migrate(&database)
        .args(["--wait", "1s"])
        .run()
        .ends(3)
        .says("53300");
    drop(held);
    let mut admin = database.admin();
    admin.batch_execute("CREATE TABLE events (id uuid)").unwrap();
    admin.batch_execute("BEGIN; LOCK TABLE events").unwrap();
    admin
        .batch_execute(&format!("ALTER TABLE events OWNER TO {}", database.owner))
        .unwrap();
    let running = Xtask::migrate(&database).args(["--lock-timeout", "30s"]).spawn();
    wait::until_true("a run that waits for the lock", PATIENCE, || {
        let waits = "SELECT FROM pg_locks WHERE NOT granted AND relation = 'events'::regclass";
        admin.query_opt(waits, &[]).unwrap().is_some() || running.so_far().contains("events")
    });
    let held = all();
    admin.batch_execute("COMMIT").unwrap();
    running.wait().ends(0);
    drop(held);
    Xtask::verify(&database).run().ends(0);
}

/// The primary is cut off and the standby promoted, in mid-run: the run goes on there.
fn a_standby_is_promoted(context: &Context) {
    let server = context.own_server(&[]);
    server.add_standby();
    let primary = Proxy::start((server.host.clone(), server.port));
    let phases = crate::harness::phases::Phases::new(&[
        ("01_before.sql", "CREATE TABLE IF NOT EXISTS before ();\n"),
        ("03_after.sql", "CREATE TABLE IF NOT EXISTS after ();\n"),
    ]);
    // It ends where the server is another one than the first.
    let port: String = server.admin().query_one("SHOW port", &[]).unwrap().get(0);
    phases.write(
        "02_endless.sql",
        format!("DO $$ BEGIN WHILE current_setting('port') = '{port}' LOOP PERFORM pg_sleep(0.1); END LOOP; END $$;\n"),
    );
    let running = Xtask::new(["migrate"])
        .env("POSTGRES_HOST", format!("127.0.0.1,{}", server.host))
        .env("POSTGRES_PORT", format!("{},{}", primary.port, server.second_port))
        .env("POSTGRES_DB", "postgres")
        .env("POSTGRES_USER", SUPERUSER)
        .env("POSTGRES_PASSWORD", PASSWORD)
        .sql(phases.path())
        .spawn();
    let mut admin = server.admin();
    wait::until_true("the endless statement", PATIENCE, || {
        let at_work = "SELECT FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%WHILE current_setting%'
            AND pid <> pg_backend_pid()";
        admin.query_opt(at_work, &[]).unwrap().is_some()
    });
    let mut standby = server.standby();
    wait::until_true("the standby to have all of it", PATIENCE, || {
        let there = "SELECT to_regclass('public.before') IS NOT NULL";
        standby.query_one(there, &[]).unwrap().get(0)
    });
    drop(primary);
    standby.batch_execute("SELECT pg_promote()").unwrap();
    running.wait().ends(0).says("connecting again");
    let after = "SELECT to_regclass('public.after') IS NOT NULL";
    assert!(
        standby.query_one(after, &[]).unwrap().get::<_, bool>(0),
        "the run went on there"
    );
}

fn disk_is_full(context: &Context) {
    let fresh = fresh(context);
    let server = context.own_server(&[]);
    let Some(small) = server.small_disk() else {
        return context.leave_out("no right to mount a small file system");
    };
    let _unmount = Unmount(&server, &small);
    server.admin().batch_execute("CREATE ROLE readonly_user LOGIN").unwrap();
    let database = Database::legacy(&server, "neglected");
    let rows = Rows::of(&database);
    server.shell(&format!("mkdir {small}/space"));
    server
        .admin()
        .batch_execute(&format!("CREATE TABLESPACE small LOCATION '{small}/space'"))
        .unwrap();
    database.wait_until_alone(PATIENCE);
    server
        .admin()
        .batch_execute(&format!("ALTER DATABASE {} SET TABLESPACE small", database.name))
        .unwrap();
    // Room for a little, and then for less, so that it ends at several places.
    for left in [64, 512, 1024] {
        server.shell(&format!(
            "rm -f {small}/ballast; free=$(df -k --output=avail {small} | tail -n 1); \
             head -c $(( (free - {left}) * 1024 )) /dev/zero > {small}/ballast"
        ));
        let output = Xtask::migrate(&database).run();
        if output.status != Some(0) {
            output.ends(1).says("53100");
        }
    }
    server.shell(&format!("rm {small}/ballast"));
    Xtask::migrate(&database).run().ends(0);
    Catalog::of(&database).covers(&fresh);
    rows.are_accounted_for(&database);
    drop(database);
}

/// Without room for its log the server goes down; it comes back when there is room again.
fn disk_of_the_wal_is_full(context: &Context) {
    let fresh = fresh(context);
    let server = context.own_server(&[("max_wal_size", "32MB")]);
    let Some(data) = server.data_directory() else {
        return context.leave_out("a container ends with its server, and with it its small file system");
    };
    let Some(small) = server.small_disk() else {
        return context.leave_out("no right to mount a small file system");
    };
    let _unmount = Unmount(&server, &small);
    server.admin().batch_execute("CREATE ROLE readonly_user LOGIN").unwrap();
    let database = Database::legacy(&server, "neglected");
    let rows = Rows::of(&database);
    server.stop();
    assert!(server.as_root(&format!(
        "mv {data}/pg_wal {small}/wal && ln -s {small}/wal {data}/pg_wal"
    )));
    server.start();
    server.wait_until_ready();
    assert!(server.as_root(&format!("head -c 64m /dev/zero > {small}/ballast; true")));
    let mut application = database.connect();
    let eats = "CREATE TABLE IF NOT EXISTS eaten (t text); INSERT INTO eaten SELECT repeat('x', 1000) FROM generate_series(1, 50000)";
    let running = Xtask::migrate(&database)
        .args(["--reconnects", "0", "--wait", "2s"])
        .spawn();
    wait::until_true("no room for the log", PATIENCE, || {
        application.batch_execute(eats).is_err()
    });
    let output = running.wait();
    assert!(server.as_root(&format!("rm {small}/ballast")));
    // It may have gone down, or have come back by itself.
    if database.config().connect(postgres::NoTls).is_err() {
        server.start();
    }
    server.wait_until_ready();
    let next = Xtask::migrate(&database).run();
    assert_eq!(next.status, Some(0), "{output}\n{next}");
    Catalog::of(&database).covers(&fresh);
    rows.are_accounted_for(&database);
    server.stop();
    assert!(server.as_root(&format!("rm {data}/pg_wal && mv {small}/wal {data}/pg_wal")));
    server.start();
    server.wait_until_ready();
}

struct Unmount<'s>(&'s crate::harness::server::Server, &'s str);

impl Drop for Unmount<'_> {
    fn drop(&mut self) {
        // With the server that holds files there, or after it; a container takes it along.
        self.0.as_root(&format!("umount -l {0} && rmdir {0}", self.1));
    }
}
