//! A migration that has nothing to do is in nobody's way, and nobody is in its way.

use std::collections::BTreeSet;
use std::time::Duration;

use postgres::Client;

use crate::harness::Context;
use crate::harness::database::Database;
use crate::harness::xtask::Xtask;

tests![under_a_reader, under_a_writer, under_one_who_lets_only_writers_in];

/// Much less than what a run waits for a lock; much more than what one with nothing to do takes.
const LIMIT: Duration = Duration::from_secs(10);
/// So many looks at the locks tell. A run is over in a few of them, so it is repeated.
const LOOKS: usize = 20;
/// The runs after which the looks must have been enough.
const RUNS: usize = 50;

fn under_a_reader(context: &Context) {
    nothing_to_do_beside(context, "ACCESS SHARE");
}

fn under_a_writer(context: &Context) {
    nothing_to_do_beside(context, "ROW EXCLUSIVE");
}

/// Whoever takes more than an ordinary write takes waits for this one, even where nobody looks in time.
fn under_one_who_lets_only_writers_in(context: &Context) {
    nothing_to_do_beside(context, "SHARE UPDATE EXCLUSIVE");
}

/// Twice: what the fingerprint knows, and what the catalog has to be read for.
fn nothing_to_do_beside(context: &Context, mode: &str) {
    let database = context.legacy("neglected");
    Xtask::migrate(&database).run().ends(0);
    let mut application = database.connect();
    let mut transaction = application.transaction().unwrap();
    let tables: Vec<String> = transaction
        .query(
            "SELECT oid::regclass::text FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace",
            &[],
        )
        .unwrap()
        .iter()
        .map(|row| row.get(0))
        .collect();
    transaction
        .batch_execute(&format!("LOCK TABLE {} IN {mode} MODE", tables.join(", ")))
        .unwrap();
    let mut watcher = database.admin();
    for known in [true, false] {
        let mut seen = BTreeSet::new();
        let mut looks = 0;
        let mut runs = 0;
        while looks < LOOKS {
            assert!(runs < RUNS, "{looks} looks at pg_locks in {runs} runs");
            runs += 1;
            if !known {
                watcher
                    .batch_execute("UPDATE migration.runs SET fingerprint = 'another'")
                    .unwrap();
            }
            let mut running = Xtask::migrate(&database)
                .args(["--json", "--lock-deadline", "5s"])
                .spawn();
            while running.is_running() {
                seen.extend(locks(&mut watcher, &database));
                looks += 1;
            }
            let output = running.wait();
            output.ends(0).within(LIMIT);
            let told = output.json();
            assert_eq!(told["statements_run"], 0, "{output}");
            assert_eq!(told["changes"].as_array().unwrap().len(), 0, "{output}");
            assert!(told["lock_wait_milliseconds"].as_f64().unwrap() < 1_000.0, "{output}");
        }
        let writes = ["AccessShareLock", "RowShareLock", "RowExclusiveLock"];
        let strong: Vec<_> = seen
            .iter()
            .filter(|(_, lock)| !writes.contains(&lock.as_str()))
            .collect();
        assert!(strong.is_empty(), "locks that a write would not take: {strong:?}");
    }
    transaction.commit().unwrap();
}

/// Locks that clients of the database hold or await on its tables, but those of application and tests. Autovacuum's
/// workers take theirs whenever they like.
fn locks(watcher: &mut Client, database: &Database) -> Vec<(String, String)> {
    let rows = watcher
        .query(
            "SELECT coalesce(c.relname::text, l.relation::text), l.mode FROM pg_locks l
             JOIN pg_stat_activity a USING (pid) LEFT JOIN pg_class c ON c.oid = l.relation
             WHERE l.locktype = 'relation' AND a.datname = $1 AND l.relation >= 16384
                 AND a.backend_type = 'client backend'
                 AND a.application_name NOT IN ('tests', 'application')
                 AND c.relnamespace IS DISTINCT FROM (SELECT oid FROM pg_namespace WHERE nspname = 'migration')",
            &[&database.name],
        )
        .unwrap();
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}
