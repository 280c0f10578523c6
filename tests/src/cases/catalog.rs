//! The catalog of the engine, held against `pg_dump`.

use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use migration::catalog::{self, Catalog, Fingerprint, Follower, changes};
use postgres::error::SqlState;
use postgres::{Client, NoTls};

use crate::harness::Context;
use crate::harness::changes::{self, Change};
use crate::harness::server::Server;

tests![
    differs_exactly_when_pg_dump_does,
    knows_no_names_and_no_order,
    reads_without_privileges,
    waits_for_no_lock,
    takes_no_longer_without_statistics
];

pub const LOCK_TIMEOUT: Duration = Duration::from_millis(500);
const TEMPLATE: &str = "catalog_template";

/// What is seen of a database in one state.
#[derive(Clone)]
struct State {
    dump: Vec<String>,
    catalog: Catalog,
    fingerprint: Fingerprint,
}

impl State {
    fn of(server: &Server, database: &str, shared: bool) -> Self {
        let mut dump = server.tool("pg_dump", &["-s", "-O", "-C", "-d", database], "");
        if shared {
            dump += &server.tool("pg_dumpall", &["-g", "--no-role-passwords"], "");
        }
        let mut client = connect(server, database);
        let catalog = Catalog::read(&mut client, LOCK_TIMEOUT).unwrap();
        State {
            dump: objects(&dump),
            catalog,
            fingerprint: Fingerprint::read(&mut client).unwrap(),
        }
    }
}

/// The dump's statements, in an order of their own.
pub fn objects(dump: &str) -> Vec<String> {
    let lines: Vec<&str> = dump
        .lines()
        // The key after \restrict is a new one in each dump.
        .filter(|line| !line.starts_with("--") && !line.starts_with("\\restrict") && !line.starts_with("\\unrestrict"))
        .collect();
    let mut objects: Vec<String> = lines
        .join("\n")
        .split("\n\n")
        .map(|text| text.trim().to_owned())
        .filter(|text| !text.is_empty())
        .collect();
    objects.sort();
    objects
}

pub fn connect(server: &Server, database: &str) -> Client {
    server
        .superuser(database)
        .connect(NoTls)
        .expect("the superuser connects")
}

/// Each program in a container takes a tenth of a second to start, so psql runs only what cannot run
/// in a transaction.
pub fn execute(server: &Server, database: &str, sql: &str) {
    if sql.contains("CONCURRENTLY") || sql.contains("VACUUM") {
        server.tool("psql", &["-qX", "-v", "ON_ERROR_STOP=1", "-d", database], sql);
    } else {
        let sql = sql.replace(":\"DBNAME\"", database);
        connect(server, database)
            .batch_execute(&sql)
            .unwrap_or_else(|error| panic!("{error:?}\n{sql}"));
    }
}

/// Runs SQL in one transaction, if it may be in one, and tells what the follower saw of it.
fn follow(server: &Server, database: &str, follower: &mut Follower, sql: &str) -> Vec<catalog::Change> {
    if sql.contains("CONCURRENTLY") || sql.contains("VACUUM") {
        execute(server, database, sql);
        return follower.look_at_all().unwrap();
    }
    let mut client = connect(server, database);
    let sql = sql.replace(":\"DBNAME\"", database);
    client
        .batch_execute(&format!("BEGIN; {sql}"))
        .unwrap_or_else(|error| panic!("{error:?}\n{sql}"));
    let locks = "SELECT DISTINCT relation FROM pg_locks WHERE pid = pg_backend_pid() AND relation >= 16384";
    let relations = client.query(locks, &[]).unwrap().iter().map(|row| row.get(0)).collect();
    let answer = client.simple_query(follower.asks()).unwrap();
    let answer: Vec<_> = migration::text::rows(answer).collect();
    let text = sql.to_lowercase();
    let may_grant = ["grant", "revoke", "do "].iter().any(|word| text.contains(word));
    let written = follower.written(&answer, relations, may_grant);
    client.batch_execute("COMMIT").unwrap();
    follower.look(written).unwrap()
}

/// A server of the test's own, since some changes are of the whole cluster, with the schema that
/// the changes start from as a template.
pub fn prepared(context: &Context) -> (Arc<Server>, Vec<Change>) {
    let server = context.own_server(&[]);
    let (base, changes) = changes::read();
    server
        .admin()
        .batch_execute(&format!("CREATE DATABASE {TEMPLATE}"))
        .unwrap();
    execute(&server, TEMPLATE, &base);
    let changes = changes
        .into_iter()
        .filter(|change| (change.versions.0..=change.versions.1).contains(&server.major))
        .collect();
    (server, changes)
}

pub fn copy(server: &Server, database: &str) {
    server
        .admin()
        .batch_execute(&format!("CREATE DATABASE {database} TEMPLATE {TEMPLATE}"))
        .unwrap();
}

fn differs_exactly_when_pg_dump_does(context: &Context) {
    let (server, changes) = prepared(context);
    copy(&server, "plain");
    // Each change is undone, so those that need no preparation follow one another in one database.
    let mut plain = State::of(&server, "plain", false);
    let mut wrong = String::new();
    for (number, change) in changes.iter().enumerate() {
        if change.setup.is_empty() && !change.is_shared() {
            plain = check(&server, "plain", change, plain, &mut wrong);
            continue;
        }
        in_own_database(&server, number, change, |database| {
            let before = State::of(&server, database, change.is_shared());
            check(&server, database, change, before, &mut wrong);
        });
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// Does something with a database that holds what a change needs, and takes that away again.
pub fn in_own_database(server: &Server, number: usize, change: &Change, act: impl FnOnce(&str)) {
    let database = format!("change_{number}");
    copy(server, &database);
    execute(server, &database, &change.setup);
    act(&database);
    execute(server, &database, &change.cleanup);
    server
        .admin()
        .batch_execute(&format!("DROP DATABASE {database} WITH (FORCE)"))
        .unwrap();
}

fn check(server: &Server, database: &str, change: &Change, before: State, wrong: &mut String) -> State {
    let mut follower = Follower::new(connect(server, database), false).unwrap();
    let mut step = |sql: &str, from: &State| {
        let seen = follow(server, database, &mut follower, sql);
        let state = State::of(server, database, change.is_shared());
        let is = changes(&from.catalog, &state.catalog);
        if seen != is {
            let _ = writeln!(wrong, "{}: a look tells {seen:#?}, not {is:#?}", change.name);
            follower.look_at_all().unwrap();
        }
        state
    };
    let changed = step(&change.forward, &before);
    let after = step(&change.backward, &changed);
    if (before.dump == changed.dump) != change.same {
        let _ = writeln!(
            wrong,
            "{}: pg_dump {}",
            change.name,
            if change.same { "differs" } else { "sees nothing" }
        );
    }
    if !change.same && before.dump != after.dump {
        let _ = writeln!(wrong, "{}: the way back leads elsewhere", change.name);
    }
    for (way, from, to) in [
        ("forward", &before, &changed),
        ("backward", &changed, &after),
        ("round", &before, &after),
    ] {
        let difference = changes(&from.catalog, &to.catalog);
        if (from.dump == to.dump) != (from.catalog == to.catalog) {
            let _ = writeln!(
                wrong,
                "{} {way}: pg_dump and the catalog disagree: {difference:#?}",
                change.name
            );
        }
        // There and back again makes other rows of the same content.
        if from.catalog != to.catalog && from.fingerprint == to.fingerprint {
            let _ = writeln!(wrong, "{} {way}: the fingerprint did not notice", change.name);
        }
    }
    after
}

fn knows_no_names_and_no_order(context: &Context) {
    let database = context.database();
    let other = context.database();
    for (database, columns) in [
        (&database, "a integer, b text"),
        (&other, "gone date, b text, a integer"),
    ] {
        let owner = &database.owner;
        database
            .connect()
            .batch_execute(&format!(
                "CREATE SCHEMA s;
                 CREATE TABLE s.t ({columns});
                 ALTER TABLE s.t DROP COLUMN IF EXISTS gone;
                 CREATE INDEX ON s.t (b);
                 CREATE VIEW s.v AS SELECT a, b FROM s.t;
                 CREATE FUNCTION s.f() RETURNS integer LANGUAGE sql AS 'SELECT 1';
                 REVOKE EXECUTE ON FUNCTION s.f() FROM PUBLIC;
                 GRANT SELECT ON s.t TO pg_monitor;
                 ALTER DEFAULT PRIVILEGES IN SCHEMA s GRANT SELECT ON TABLES TO pg_monitor;
                 ALTER ROLE {owner} IN DATABASE {} SET search_path = s, public;
                 ALTER DATABASE {} SET work_mem = '5MB';
                 COMMENT ON DATABASE {} IS 'one'",
                database.name, database.name, database.name
            ))
            .unwrap();
    }
    let (first, second) = (read(&mut database.connect()), read(&mut other.connect()));
    let differences: Vec<_> = changes(&first, &second)
        .into_iter()
        .filter(|(id, ..)| !id.is_shared())
        .collect();
    assert!(differences.is_empty(), "{differences:#?}");
    for (id, definition) in first.iter().filter(|(id, _)| !id.is_shared()) {
        let line = format!("{id} {definition}");
        assert!(
            !line.contains(&database.owner) && !line.contains(&database.name),
            "{line}"
        );
    }
    // As another role, with another search_path and other settings of the session.
    let mut client = database.admin();
    client
        .batch_execute("SET search_path = s; SET quote_all_identifiers = on; SET DateStyle = 'German'")
        .unwrap();
    let third = read(&mut client);
    let differences: Vec<_> = changes(&first, &third)
        .into_iter()
        .filter(|(id, ..)| !id.is_shared())
        .collect();
    assert!(differences.is_empty(), "{differences:#?}");
    let path: String = client.query_one("SHOW search_path", &[]).unwrap().get(0);
    assert_eq!(path, "s", "the session's own settings are back");
}

fn reads_without_privileges(context: &Context) {
    let (server, _) = prepared(context);
    server
        .admin()
        .batch_execute("CREATE ROLE nobody LOGIN PASSWORD 'x'")
        .unwrap();
    let mut config = server.superuser(TEMPLATE);
    let mut client = config.user("nobody").password("x").connect(NoTls).unwrap();
    client.batch_execute("SET default_transaction_read_only = on").unwrap();
    let seen = read(&mut client);
    let all = read(&mut connect(&server, TEMPLATE));
    assert_eq!(changes(&all, &seen), []);
    assert_eq!(
        Fingerprint::read(&mut client).unwrap(),
        Fingerprint::read(&mut client).unwrap()
    );
}

fn waits_for_no_lock(context: &Context) {
    let database = context.database();
    database
        .connect()
        .batch_execute("CREATE TABLE t (a integer PRIMARY KEY); CREATE VIEW v AS SELECT a FROM t")
        .unwrap();
    let mut holder = database.connect();
    let mut lock = holder.transaction().unwrap();
    lock.batch_execute("LOCK TABLE t IN ACCESS EXCLUSIVE MODE").unwrap();
    let mut client = database.connect();
    let error = Catalog::read(&mut client, Duration::from_millis(50)).unwrap_err();
    assert_eq!(error.code(), Some(&SqlState::LOCK_NOT_AVAILABLE), "{error:?}");
    lock.rollback().unwrap();
    assert!(!read(&mut client).is_empty(), "the connection is as good as before");
    // Inside of a transaction a read leaves everything as it was.
    let mut transaction = client.transaction().unwrap();
    transaction.batch_execute("CREATE TABLE u ()").unwrap();
    let mut savepoint = transaction.transaction().unwrap();
    let seen = Catalog::read_inside(&mut savepoint, LOCK_TIMEOUT).unwrap();
    savepoint.rollback().unwrap();
    assert!(seen.get(&"table public.u".parse().unwrap()).is_some());
    transaction.commit().unwrap();
}

fn read(client: &mut Client) -> Catalog {
    Catalog::read(client, LOCK_TIMEOUT).unwrap()
}

/// What was made a moment ago was never analysed: the planner must not take thousands of rows for one.
fn takes_no_longer_without_statistics(context: &Context) {
    let server = context.own_server(&[("autovacuum", "off")]);
    let mut client = server.admin();
    for n in 0..400 {
        client
            .batch_execute(&format!(
                "CREATE TABLE t{n} (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, a text NOT NULL, b int);
                 CREATE INDEX ON t{n} (a); CREATE INDEX ON t{n} (b)"
            ))
            .unwrap();
    }
    // Joined by nested loops it took half a minute.
    client.batch_execute("SET statement_timeout = '5s'").unwrap();
    let catalog = Catalog::read(&mut client, LOCK_TIMEOUT).unwrap();
    assert!(catalog.len() > 400 * 7, "{}", catalog.len());
}
