//! The short cut of a run that finds nothing changed: what it sees, and when it is not taken.

use migration::catalog::Fingerprint;

use crate::harness::Context;
use crate::harness::catalog::Catalog;
use crate::harness::database::Database;
use crate::harness::xtask::Xtask;

tests![
    changes_by_hand_are_mended,
    changes_of_shared_catalogs_are_mended,
    trusted_after_success_alone,
    rows_are_looked_at_all_the_same,
    not_read_where_nothing_was_written,
];

fn migrate(database: &Database) -> (u64, u64) {
    let output = Xtask::migrate(database).arg("--json").run();
    let told = output.ends(0).json();
    (
        told["statements_run"].as_u64().unwrap(),
        told["changes"].as_array().unwrap().len() as u64,
    )
}

fn changes_by_hand_are_mended(context: &Context) {
    let database = context.database();
    migrate(&database);
    assert_eq!(migrate(&database), (0, 0));
    let fresh = Catalog::of(&database);
    for damage in [
        "DROP INDEX idx_events_email",
        "ALTER TABLE attendees DISABLE TRIGGER update_attendees_updated_at",
        "REVOKE SELECT ON events FROM readonly_user",
        "ALTER TABLE events ALTER triage_status DROP DEFAULT",
        "ALTER TABLE admins ALTER email DROP NOT NULL",
        "ALTER DEFAULT PRIVILEGES IN SCHEMA public REVOKE SELECT ON TABLES FROM readonly_user",
        "ALTER TABLE events RENAME COLUMN city TO town",
        "DROP FUNCTION update_updated_at_column() CASCADE",
    ] {
        database.psql(damage);
        let (run, _) = migrate(&database);
        assert!((1..20).contains(&run), "{damage}: {run} statements run");
        Catalog::of(&database).covers(&fresh);
        assert_eq!(migrate(&database).0, 0, "{damage}");
    }
}

/// Roles are the cluster's: no row of the database's own catalogs changes with them.
fn changes_of_shared_catalogs_are_mended(context: &Context) {
    let server = context.own_server(&[]);
    let database = Database::create(&server);
    migrate(&database);
    assert_eq!(migrate(&database), (0, 0));
    for (damage, mended) in [
        (
            "ALTER ROLE readonly_user NOLOGIN",
            "SELECT rolcanlogin FROM pg_roles WHERE rolname = 'readonly_user'",
        ),
        (
            "ALTER ROLE readonly_user CREATEROLE",
            "SELECT NOT rolcreaterole FROM pg_roles WHERE rolname = 'readonly_user'",
        ),
    ] {
        server.admin().batch_execute(damage).unwrap();
        Xtask::verify(&database).run().ends(4).says("role readonly_user");
        let (run, changes) = migrate(&database);
        assert!(
            run >= 1 && changes >= 1,
            "{damage}: {run} statements run, {changes} changes"
        );
        let is: bool = server.admin().query_one(mended, &[]).unwrap().get(0);
        assert!(is, "{damage} was not mended");
        Xtask::verify(&database).run().ends(0);
    }
}

/// A database that has changed under a stored fingerprint that says otherwise: who trusts it does nothing.
fn trusted_after_success_alone(context: &Context) {
    let server = context.own_server(&[]);
    let database = Database::create(&server);
    migrate(&database);
    let pretend_unchanged = || {
        database.psql("DROP INDEX idx_events_email");
        let seen = Fingerprint::read(&mut database.connect()).unwrap();
        let sql = "UPDATE migration.runs SET fingerprint = $1 WHERE fingerprint IS NOT NULL";
        database.admin().execute(sql, &[&seen.as_str()]).unwrap();
    };
    let is_there = || Catalog::of(&database).has("index", "public.idx_events_email");
    let end_as = |outcome: &str| {
        let sql = "INSERT INTO migration.runs (tool_version, outcome, finished, expected_hash, fingerprint)
                   SELECT tool_version, $1, now(), expected_hash, fingerprint FROM migration.runs
                   WHERE fingerprint IS NOT NULL ORDER BY id DESC LIMIT 1";
        database.admin().execute(sql, &[&outcome]).unwrap();
    };

    pretend_unchanged();
    assert_eq!(migrate(&database).0, 0);
    assert!(!is_there(), "the short cut was not taken, so this test shows nothing");

    for outcome in ["failed", "interrupted", "died"] {
        end_as(outcome);
        assert!(migrate(&database).0 > 0, "trusted after a run that {outcome}");
        assert!(is_there());
        pretend_unchanged();
    }
    // A run that ends in an error for real.
    let mut application = database.connect();
    let mut transaction = application.transaction().unwrap();
    transaction.batch_execute("LOCK TABLE events IN SHARE MODE").unwrap();
    Xtask::migrate(&database)
        .args(["--force", "--lock-deadline", "300ms"])
        .run()
        .ends(5);
    transaction.rollback().unwrap();
    assert!(migrate(&database).0 > 0, "trusted after an error");
    assert!(is_there());
    // Another expected catalog.
    pretend_unchanged();
    database
        .admin()
        .batch_execute("UPDATE migration.runs SET expected_hash = 'another'")
        .unwrap();
    migrate(&database);
    assert!(is_there(), "trusted for another expected catalog");
}

/// Nothing in a catalog tells of rows.
fn rows_are_looked_at_all_the_same(context: &Context) {
    let database = context.database();
    migrate(&database);
    assert_eq!(migrate(&database), (0, 0));
    database.psql("DELETE FROM sync_metadata");
    assert_eq!(migrate(&database).0, 3);
    database.psql("UPDATE sync_metadata SET records_synced = NULL");
    assert_eq!(migrate(&database).0, 1);
    assert_eq!(migrate(&database).0, 0);
}

/// Where no transaction has written anything since the last run, there is nothing to compare. Nobody else is on the
/// server: each writer makes the run look again, whatever it wrote and however long it took.
fn not_read_where_nothing_was_written(context: &Context) {
    let server = context.own_server(&[("autovacuum", "off")]);
    let database = Database::create(&server);
    migrate(&database);
    let settled = || -> bool {
        let sql = "SELECT settled FROM migration.runs ORDER BY id DESC LIMIT 1";
        database.admin().query_one(sql, &[]).unwrap().get(0)
    };
    // The fingerprint on record is wrong, so a run that reads another one does not trust it: it reads the catalog.
    let forge = "UPDATE migration.runs SET fingerprint = left(fingerprint, 16) || '-forged', settled = true
                 WHERE id = (SELECT max(id) FROM migration.runs)";
    let is_trusted = || {
        let output = Xtask::migrate(&database).arg("--json").run();
        assert_eq!(output.ends(0).json()["statements_run"], 0);
        let sql = "SELECT fingerprint LIKE '%-forged' FROM migration.runs ORDER BY id DESC LIMIT 1";
        database.admin().query_one(sql, &[]).unwrap().get::<_, bool>(0)
    };
    assert_eq!(migrate(&database), (0, 0));
    assert!(settled(), "nobody wrote meanwhile");

    database.admin().batch_execute(forge).unwrap();
    assert!(is_trusted(), "the short cut was not taken, so this test shows nothing");
    assert!(is_trusted(), "it is taken again and again");

    // Another database of the cluster counts as well: roles are shared.
    let other = Database::create(&server);
    assert!(!is_trusted(), "a database was made");
    for writer in ["CREATE TABLE x ()", "DROP TABLE x", "SELECT pg_current_xact_id()"] {
        database.admin().batch_execute(forge).unwrap();
        other.psql(writer);
        assert!(!is_trusted(), "{writer}");
    }
    // One that has begun and not ended, and may have changed anything.
    let mut session = other.connect();
    let mut open = session.transaction().unwrap();
    open.batch_execute("CREATE TABLE y ()").unwrap();
    database.admin().batch_execute(forge).unwrap();
    assert!(!is_trusted(), "a transaction is under way");
    assert!(!settled(), "a transaction is under way");
    open.commit().unwrap();
    // A run of another role may see another catalog.
    migrate(&database);
    assert_eq!(migrate(&database), (0, 0));
    assert!(settled());
    database.admin().batch_execute(forge).unwrap();
    database
        .admin()
        .batch_execute("UPDATE migration.runs SET fingerprint = 'x' || fingerprint WHERE id = (SELECT max(id) FROM migration.runs)")
        .unwrap();
    assert!(!is_trusted(), "the fingerprint is another reader's");
}
