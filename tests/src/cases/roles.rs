//! `readonly_user`, and passwords that must not be seen anywhere.

use std::fs;

use postgres::error::SqlState;
use postgres::{Client, Config, NoTls};

use crate::harness::Context;
use crate::harness::database::Database;
use crate::harness::server::Server;
use crate::harness::xtask::Xtask;

tests![
    readonly_user_reads_and_nothing_else,
    no_password_no_login,
    well_known_password_ends,
    passwords_stay_hidden
];

const SECRET: &str = "read-only-secret-52913";

fn reader(server: &Server, database: &Database, password: &str) -> Config {
    let mut config = Config::new();
    config
        .host(&server.host)
        .port(server.port)
        .dbname(&database.name)
        .user("readonly_user")
        .password(password);
    config
}

fn readonly_user_reads_and_nothing_else(context: &Context) {
    let server = context.own_server(&[]);
    let database = Database::create(&server);
    Xtask::migrate(&database)
        .env("POSTGRES_READONLY_PASSWORD", SECRET)
        .run()
        .ends(0)
        .hides(SECRET);
    database
        .connect()
        .batch_execute("CREATE TABLE made_later (n int)")
        .unwrap();

    let mut client = reader(&server, &database, SECRET)
        .connect(NoTls)
        .expect("readonly_user connects");
    for table in ["events", "admins", "attendees", "sync_metadata", "made_later"] {
        client
            .query(&format!("SELECT * FROM {table}"), &[])
            .unwrap_or_else(|error| panic!("{table}: {error:?}"));
    }
    for statement in [
        "INSERT INTO events (airtable_id, event_name, email) VALUES ('x', 'x', 'x')",
        "UPDATE sync_metadata SET records_synced = 1",
        "DELETE FROM sync_metadata",
        "TRUNCATE attendees",
        "CREATE TABLE mine ()",
        "CREATE SCHEMA mine",
        "DROP TABLE events",
        "CREATE ROLE mine",
        "INSERT INTO made_later VALUES (1)",
    ] {
        refused(&mut client, statement);
    }
    // Another run leaves the password as it is, with or without the variable.
    Xtask::migrate(&database).run().ends(0);
    drop(
        reader(&server, &database, SECRET)
            .connect(NoTls)
            .expect("readonly_user still connects"),
    );
    Xtask::migrate(&database)
        .env("POSTGRES_READONLY_PASSWORD", "another-secret")
        .run()
        .ends(0);
    drop(
        reader(&server, &database, "another-secret")
            .connect(NoTls)
            .expect("the new password is in force"),
    );
    assert!(
        reader(&server, &database, SECRET).connect(NoTls).is_err(),
        "the old password still opens"
    );
}

fn refused(client: &mut Client, statement: &str) {
    match client.batch_execute(statement) {
        Err(error) if error.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE) => {}
        other => panic!("`{statement}` by readonly_user: {other:?}"),
    }
}

fn no_password_no_login(context: &Context) {
    let server = context.own_server(&[]);
    let database = Database::create(&server);
    Xtask::migrate(&database).run().ends(0);
    for password in ["change_me", "readonly_user", "postgres", "password", ""] {
        assert!(
            reader(&server, &database, password).connect(NoTls).is_err(),
            "{password:?} opens"
        );
    }
}

/// The Node script gave every installation the same password.
fn well_known_password_ends(context: &Context) {
    let server = context.own_server(&[]);
    let database = Database::legacy(&server, "node-script");
    drop(
        reader(&server, &database, "change_me")
            .connect(NoTls)
            .expect("as the script left it"),
    );
    Xtask::migrate(&database)
        .env("POSTGRES_READONLY_PASSWORD", SECRET)
        .run()
        .ends(0);
    assert!(
        reader(&server, &database, "change_me").connect(NoTls).is_err(),
        "the well-known password still opens"
    );
    drop(
        reader(&server, &database, SECRET)
            .connect(NoTls)
            .expect("the new password is in force"),
    );
}

fn passwords_stay_hidden(context: &Context) {
    let server = context.own_server(&[
        ("log_statement", "all"),
        ("log_min_messages", "debug1"),
        ("shared_preload_libraries", "pg_stat_statements"),
        ("pg_stat_statements.track", "all"),
        ("pg_stat_statements.track_utility", "on"),
    ]);
    let database = Database::create(&server);
    let Database {
        host,
        port,
        name,
        owner,
        ..
    } = &database;
    // One that has to be quoted wherever it is written, and that no other text contains.
    let password = "pass'wo\\rd$19";
    database
        .admin()
        .batch_execute("CREATE EXTENSION pg_stat_statements")
        .unwrap();
    database
        .admin()
        .batch_execute(&format!("ALTER ROLE {owner} PASSWORD 'SCRAM'"))
        .unwrap();
    server.tool(
        "psql",
        &[
            "-X",
            "-q",
            "-d",
            name,
            "-c",
            "SET log_statement = 'none'",
            "-c",
            &format!("ALTER ROLE {owner} PASSWORD 'pass''wo\\rd$19'"),
        ],
        "",
    );
    database
        .admin()
        .batch_execute("SELECT pg_stat_statements_reset()")
        .unwrap();
    let before = server.log().len();

    let mut running = Xtask::new(["migrate", "-v"])
        .env("POSTGRES_HOST", host)
        .env("POSTGRES_PORT", port.to_string())
        .env("POSTGRES_DB", name)
        .env("POSTGRES_USER", owner)
        .env("POSTGRES_PASSWORD", password)
        .env("POSTGRES_READONLY_PASSWORD", SECRET)
        .spawn();
    let mut arguments = String::new();
    while running.is_running() {
        arguments += &fs::read_to_string(format!("/proc/{}/cmdline", running.pid())).unwrap_or_default();
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let output = running.wait();
    output.ends(0).hides(password).hides(SECRET);
    let log = server.log().split_off(before);
    assert!(
        log.contains("readonly_user"),
        "the log has no statements:\n{log}\n{output}"
    );
    let statements: String = database
        .admin()
        .query_one("SELECT string_agg(query, E'\\n') FROM pg_stat_statements", &[])
        .unwrap()
        .get(0);
    let journal: String = database
        .admin()
        .query_one("SELECT (SELECT json_agg(r) FROM migration.runs r)::text || (SELECT json_agg(s) FROM migration.steps s)::text", &[])
        .unwrap()
        .get(0);
    for (place, text) in [
        ("arguments", &arguments),
        ("log", &log),
        ("pg_stat_statements", &statements),
        ("journal", &journal),
    ] {
        for secret in [password, "pass''wo", SECRET] {
            assert!(!text.contains(secret), "{secret} is in the {place}:\n{text}");
        }
    }
}
