//! What a server is set to, and what others hold on it: read-only settings, prepared transactions, locks, encodings.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::harness::Context;
use crate::harness::database::Database;
use crate::harness::phases::Phases;
use crate::harness::wait;
use crate::harness::xtask::{Xtask, fixture};

tests![
    read_only_by_setting,
    read_only_by_setting_of_several_hosts,
    prepared_transaction_in_the_way,
    prepared_transaction_that_ends,
    prepared_transaction_keeps_readers_out,
    locked_elsewhere,
    locked_table_of_a_phase,
    encodings,
    character_that_the_encoding_lacks,
    search_path_of_its_own,
    journal_of_somebody_else,
    options_of_a_url,
    parts_of_a_url_that_are_refused,
];

const AT_ONCE: Duration = Duration::from_secs(5);
const TABLE: &str = "CREATE TABLE IF NOT EXISTS a (id int PRIMARY KEY, v text DEFAULT 'a', CHECK (id > 0));\n\
                     CREATE INDEX IF NOT EXISTS a_v ON a (lower(v)) WHERE id > 5;\n";
const WIDER: &str = "ALTER TABLE a ADD COLUMN IF NOT EXISTS b int;\n";

/// Phases with their expected catalog.
fn observed(context: &Context, sql: &str) -> Phases {
    let phases = Phases::new(&[("01_all.sql", sql)]);
    context.observe(phases.path());
    phases
}

/// An ordinary role's setting is not a standby's doing, and whose setting it is decides what takes it away.
fn read_only_by_setting(context: &Context) {
    let database = context.database();
    let (name, owner) = (&database.name, &database.owner);
    let phases = observed(context, TABLE);
    for whose in [
        format!("ROLE {owner}"),
        format!("DATABASE {name}"),
        format!("ROLE {owner} IN DATABASE {name}"),
    ] {
        let mut admin = database.admin();
        admin
            .batch_execute(&format!("ALTER {whose} SET default_transaction_read_only = on"))
            .unwrap();
        let output = Xtask::migrate(&database).phases(phases.path()).run();
        output.ends(3).within(AT_ONCE).says("default_transaction_read_only");
        output
            .says(&format!("ALTER {whose} RESET default_transaction_read_only"))
            .says("no standby");
        // Who only reads is not in the way of that.
        Xtask::verify(&database).phases(phases.path()).run().ends(4);
        admin
            .batch_execute(&format!("ALTER {whose} RESET default_transaction_read_only"))
            .unwrap();
    }
    let asked = format!("{}?options=-c%20default_transaction_read_only%3Don", database.url());
    let output = Xtask::new(["migrate"])
        .phases(phases.path())
        .env("DATABASE_URL", asked)
        .run();
    output.ends(3).says("options=").says("no standby");
    Xtask::migrate(&database).phases(phases.path()).run().ends(0);
}

fn read_only_by_setting_of_several_hosts(context: &Context) {
    let server = context.own_server(&[("default_transaction_read_only", "on")]);
    let database = context.database();
    let output = Xtask::migrate(&database)
        .phases(observed(context, TABLE).path())
        .env("POSTGRES_HOST", format!("{0},{0}", server.host))
        .env("POSTGRES_PORT", server.port.to_string())
        .env("POSTGRES_DB", "postgres")
        .env("POSTGRES_USER", crate::harness::server::SUPERUSER)
        .env("POSTGRES_PASSWORD", crate::harness::server::PASSWORD)
        .run();
    output
        .ends(3)
        .within(AT_ONCE)
        .says("of the whole server")
        .says("no standby");
}

/// A database with table `a`, on which a prepared transaction holds what `sql` takes.
fn prepared(context: &Context, sql: &str) -> Database {
    let server = context.own_server(&[("max_prepared_transactions", "5")]);
    let database = Database::create(&server);
    Xtask::migrate(&database)
        .phases(observed(context, TABLE).path())
        .run()
        .ends(0);
    let mut client = database.connect();
    client
        .batch_execute(&format!("BEGIN; {sql}; PREPARE TRANSACTION 'orphan'"))
        .unwrap();
    database
}

fn prepared_transaction_in_the_way(context: &Context) {
    let database = prepared(context, "INSERT INTO a VALUES (1)");
    let wider = observed(context, &format!("{TABLE}{WIDER}"));
    let output = Xtask::migrate(&database)
        .phases(wider.path())
        .args(["--lock-deadline", "2s"])
        .run();
    output.ends(5).within(Duration::from_secs(15)).says("01_all.sql:3");
    output
        .says("prepared transaction “orphan”")
        .says(&format!("of user {} in database {}", database.owner, database.name))
        .says("ROLLBACK PREPARED 'orphan'");
    database.connect().batch_execute("ROLLBACK PREPARED 'orphan'").unwrap();
    Xtask::migrate(&database).phases(wider.path()).run().ends(0);
}

fn prepared_transaction_that_ends(context: &Context) {
    let database = prepared(context, "INSERT INTO a VALUES (1)");
    let wider = observed(context, &format!("{TABLE}{WIDER}"));
    let running = Xtask::migrate(&database).phases(wider.path()).spawn();
    wait::until_true("a message on who holds the lock", Duration::from_secs(30), || {
        running.so_far().contains("“orphan”")
    });
    let start = Instant::now();
    database.connect().batch_execute("COMMIT PREPARED 'orphan'").unwrap();
    running.wait().ends(0);
    assert!(start.elapsed() < AT_ONCE, "it was noticed after {:?}", start.elapsed());
}

/// Rows, too, are waited for in the queue: only the server tells then who is in the way.
fn prepared_transaction_keeps_readers_out(context: &Context) {
    let database = prepared(context, "LOCK TABLE a");
    let phases = observed(context, TABLE);
    for command in [Xtask::verify(&database), Xtask::plan(&database)] {
        let output = command.phases(phases.path()).args(["--lock-deadline", "1s"]).run();
        output.ends(5).says("table public.a").says("“orphan”");
    }
    let mut client = database.connect();
    client.batch_execute("ROLLBACK PREPARED 'orphan'").unwrap();
    for sql in [
        "INSERT INTO a VALUES (1)",
        "BEGIN; UPDATE a SET v = 'b'; PREPARE TRANSACTION 'row'",
    ] {
        client.batch_execute(sql).unwrap();
    }
    let update = Phases::new(&[("01_all.sql", "UPDATE a SET v = 'c';\n")]);
    let output = Xtask::migrate(&database)
        .sql(update.path())
        .args(["--lock-deadline", "2s"])
        .run();
    output.ends(5).says("prepared transaction “row”");
    client.batch_execute("ROLLBACK PREPARED 'row'").unwrap();
}

/// A table that no phase knows is nobody's business, even where its definitions cannot be read.
fn locked_elsewhere(context: &Context) {
    let database = context.database();
    let phases = observed(context, TABLE);
    Xtask::migrate(&database).phases(phases.path()).run().ends(0);
    let mut application = database.connect();
    application
        .batch_execute(
            "CREATE TABLE stranger (id int PRIMARY KEY, v text DEFAULT 'x', CHECK (id > 0));
             CREATE INDEX ON stranger (lower(v)); CREATE VIEW strange AS SELECT id FROM stranger;",
        )
        .unwrap();
    let pid: i32 = application.query_one("SELECT pg_backend_pid()", &[]).unwrap().get(0);
    let mut transaction = application.transaction().unwrap();
    transaction.batch_execute("LOCK TABLE stranger").unwrap();
    let output = Xtask::verify(&database).phases(phases.path()).run();
    output.ends(0).within(AT_ONCE).says("table public.stranger");
    output.says("view public.strange").says(&format!("pid {pid}"));
    let output = Xtask::verify(&database).phases(phases.path()).arg("--strict").run();
    output.ends(4).within(AT_ONCE);
    Xtask::plan(&database)
        .phases(phases.path())
        .run()
        .ends(0)
        .within(AT_ONCE);
    let wider = observed(context, &format!("{TABLE}{WIDER}"));
    let output = Xtask::migrate(&database).phases(wider.path()).run();
    output.ends(0).within(AT_ONCE).says("table public.stranger");
    transaction.rollback().unwrap();
    let changes: String = application
        .query_one("SELECT changes::text FROM migration.runs ORDER BY id DESC LIMIT 1", &[])
        .unwrap()
        .get(0);
    assert!(
        changes.contains("public.a.b") && !changes.contains("strange"),
        "{changes}"
    );
}

fn locked_table_of_a_phase(context: &Context) {
    let database = context.database();
    let phases = observed(context, TABLE);
    Xtask::migrate(&database).phases(phases.path()).run().ends(0);
    let mut application = database.connect();
    let pid: i32 = application.query_one("SELECT pg_backend_pid()", &[]).unwrap().get(0);
    let mut transaction = application.transaction().unwrap();
    transaction.batch_execute("LOCK TABLE a").unwrap();
    let wider = observed(context, &format!("{TABLE}{WIDER}"));
    for command in [
        Xtask::verify(&database),
        Xtask::plan(&database),
        Xtask::migrate(&database),
    ] {
        let output = command.phases(wider.path()).args(["--lock-deadline", "1s"]).run();
        output.ends(5).within(AT_ONCE).says("table public.a");
        output
            .says(&format!("pid {pid}"))
            .says(&database.owner)
            .says("application “application”")
            .says("LOCK TABLE a");
    }
    transaction.rollback().unwrap();
    Xtask::migrate(&database).phases(wider.path()).run().ends(0);
}

/// The database made anew in this encoding.
fn encoded(context: &Context, encoding: &str) -> Database {
    let database = context.database();
    let Database { name, owner, .. } = &database;
    let mut admin = database.server().admin();
    for sql in [
        format!("DROP DATABASE {name}"),
        format!(
            "CREATE DATABASE {name} OWNER {owner} TEMPLATE template0 ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C'"
        ),
    ] {
        admin.batch_execute(&sql).unwrap();
    }
    database
}

/// The phases of a fixture, with their expected catalog.
fn of_fixture(context: &Context, folder: &str) -> Phases {
    let path = fixture(folder).join("01_all.sql");
    observed(context, &fs::read_to_string(Path::new(&path)).unwrap())
}

fn encodings(context: &Context) {
    let phases = of_fixture(context, "live/encodings/v1");
    for encoding in ["LATIN1", "SQL_ASCII", "WIN1252", "EUC_JP"] {
        let database = encoded(context, encoding);
        for _ in 0..2 {
            // Names that no encoding but UTF8 has all of.
            Xtask::migrate(&database)
                .phases(phases.path())
                .env("USER", "Ωmega ☃")
                .env("GIT_COMMIT", "☃")
                .run()
                .ends(0);
        }
        Xtask::verify(&database).phases(phases.path()).run().ends(0);
        Xtask::new(["history"]).on(&database).run().ends(0);
    }
}

fn character_that_the_encoding_lacks(context: &Context) {
    let phases = of_fixture(context, "live/encodings/v2");
    let database = encoded(context, "LATIN1");
    for _ in 0..2 {
        let output = Xtask::migrate(&database).phases(phases.path()).run();
        output.ends(1).says("01_all.sql:1").says("22P05").says("LATIN1");
    }
    let error: String = database
        .admin()
        .query_one("SELECT error FROM migration.steps ORDER BY run_id DESC LIMIT 1", &[])
        .unwrap()
        .get(0);
    assert!(error.contains("22P05"), "{error}");
    let database = encoded(context, "SQL_ASCII");
    Xtask::migrate(&database).phases(phases.path()).run().ends(0);
}

/// psql would use it, a migration does not: so the two must not differ without a word.
fn search_path_of_its_own(context: &Context) {
    let database = context.database();
    let (name, owner) = (&database.name, &database.owner);
    let phases = Phases::new(&[("01_all.sql", TABLE)]);
    let mut admin = database.admin();
    for whose in [
        format!("ROLE {owner}"),
        format!("DATABASE {name}"),
        format!("ROLE {owner} IN DATABASE {name}"),
    ] {
        let mut set = |what: &str| admin.batch_execute(&format!("ALTER {whose} {what}")).unwrap();
        set("SET search_path = app, public");
        let output = Xtask::migrate(&database).sql(phases.path()).run();
        output.ends(1).says("app, public").says("01_all.sql");
        output.says(&format!("ALTER {whose} RESET search_path"));
        set("SET search_path = \"$user\", public");
        Xtask::migrate(&database).sql(phases.path()).run().ends(0);
        set("RESET search_path");
    }
    admin
        .batch_execute(&format!("ALTER ROLE {owner} SET search_path = app, public"))
        .unwrap();
    let phases = Phases::new(&[("01_all.sql", &format!("SET search_path TO public;\n{TABLE}"))]);
    Xtask::migrate(&database).sql(phases.path()).run().ends(0);
}

fn journal_of_somebody_else(context: &Context) {
    let database = context.database();
    database
        .admin()
        .batch_execute("CREATE SCHEMA migration; CREATE TABLE migration.runs (id int, settled boolean)")
        .unwrap();
    let phases = Phases::new(&[("01_all.sql", TABLE)]);
    let output = Xtask::migrate(&database).sql(phases.path()).run();
    output
        .ends(1)
        .says("cannot write the journal")
        .says("must own the database");
}

/// What the URL asks for and what a migration needs are both in force.
fn options_of_a_url(context: &Context) {
    let database = context.database();
    let phases = Phases::new(&[(
        "01_all.sql",
        "CREATE TABLE seen AS SELECT current_setting('work_mem') AS work_mem, current_setting('search_path') AS path;\n",
    )]);
    let Database {
        host,
        port,
        name,
        owner,
        password,
        ..
    } = &database;
    let strings = [
        format!(
            "{}?options=-c%20work_mem%3D7MB%20-csearch_path%3Dapp&client_encoding=UTF8&gssencmode=prefer",
            database.url()
        ),
        format!(
            "host={host} port = {port} dbname='{name}' user={owner} password='{password}' options='-c work_mem=7MB'"
        ),
    ];
    for string in strings {
        database.admin().batch_execute("DROP TABLE IF EXISTS seen").unwrap();
        Xtask::new(["migrate"])
            .sql(phases.path())
            .env("DATABASE_URL", string)
            .run()
            .ends(0);
        let row = database
            .admin()
            .query_one("SELECT work_mem, path FROM seen", &[])
            .unwrap();
        assert_eq!((row.get(0), row.get(1)), ("7MB", "public"));
    }
}

fn parts_of_a_url_that_are_refused(context: &Context) {
    let database = context.database();
    for (part, word) in [
        ("service=x", "service"),
        ("sslcert=x.pem", "sslcert"),
        ("target_session_attrs=read-only", "target_session_attrs"),
        ("port=0", "port"),
    ] {
        let url = format!("{}?{part}", database.url());
        let output = Xtask::new(["migrate"]).env("DATABASE_URL", url).run();
        output.ends(2).says(word).hides(&database.password);
    }
    Xtask::migrate(&database)
        .env("POSTGRES_PORT", "0")
        .run()
        .ends(2)
        .says("POSTGRES_PORT");
}
