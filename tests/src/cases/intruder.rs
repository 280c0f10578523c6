//! A role without rights on the same server: its code is not run, and it reads nothing that it shall not.

use postgres::{Client, NoTls};

use crate::harness::Context;
use crate::harness::database::Database;
use crate::harness::wait;
use crate::harness::xtask::Xtask;

tests![
    functions_in_place_of_others,
    trigger_on_a_table_of_the_phases,
    create_on_public_is_named_and_taken_away,
    reads_no_journal_and_no_quarantine,
    sits_on_the_mutex,
];

/// Another role's session in the database.
fn intruder(database: &Database) -> (String, Client) {
    let name = format!("intruder_{}", database.name);
    let mut admin = database.admin();
    let make = format!("CREATE ROLE {name} LOGIN PASSWORD 'x'");
    wait::until_true("a role", std::time::Duration::from_secs(10), || {
        admin.batch_execute(&make).is_ok()
    });
    let client = database.config().user(&name).password("x").connect(NoTls);
    (name, client.expect("whoever may log in may connect"))
}

fn gone(database: &Database, name: &str) {
    let drop = format!("DROP OWNED BY {name} CASCADE; DROP ROLE {name}");
    database.admin().batch_execute(&drop).expect("the role goes");
}

/// As databases are that came from PostgreSQL 14.
fn open(database: &Database) {
    database
        .admin()
        .batch_execute("GRANT CREATE ON SCHEMA public TO PUBLIC")
        .unwrap();
}

/// They leave a trace of whoever runs them.
const CAUGHT: &str = "CREATE TABLE caught (who text); GRANT ALL ON caught TO PUBLIC;
    CREATE FUNCTION lower(character varying) RETURNS text LANGUAGE plpgsql IMMUTABLE AS
    'BEGIN INSERT INTO public.caught VALUES (current_user); RETURN $1::text; END';
    CREATE FUNCTION caught(text, character varying) RETURNS boolean LANGUAGE plpgsql AS
    'BEGIN INSERT INTO public.caught VALUES (current_user); RETURN true; END';
    CREATE OPERATOR = (LEFTARG = text, RIGHTARG = character varying, FUNCTION = caught);";

fn functions_in_place_of_others(context: &Context) {
    let database = context.legacy("neglected");
    open(&database);
    let (name, mut client) = intruder(&database);
    client.batch_execute(CAUGHT).unwrap();
    let refused = Xtask::migrate(&database).run();
    refused
        .ends(1)
        .says(&format!("function lower(character varying) belongs to {name}"))
        .says(&format!("operator =(text,character varying) belongs to {name}"));
    Xtask::verify(&database).run().ends(1).says(&name);
    let caught: i64 = client.query_one("SELECT count(*) FROM caught", &[]).unwrap().get(0);
    assert_eq!(caught, 0, "somebody ran it");
    gone(&database, &name);
    Xtask::migrate(&database).run().ends(0);
}

fn trigger_on_a_table_of_the_phases(context: &Context) {
    let database = context.database();
    open(&database);
    let (name, mut client) = intruder(&database);
    client
        .batch_execute(
            "CREATE TABLE sync_metadata (id uuid, table_name text);
             GRANT ALL ON sync_metadata TO PUBLIC;
             CREATE FUNCTION mine() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
             CREATE TRIGGER mine BEFORE INSERT ON sync_metadata EXECUTE FUNCTION mine();",
        )
        .unwrap();
    let refused = Xtask::migrate(&database).run();
    refused.ends(1).says(&format!("table sync_metadata belongs to {name}"));
    gone(&database, &name);
    Xtask::migrate(&database).run().ends(0);
}

fn create_on_public_is_named_and_taken_away(context: &Context) {
    let database = context.database();
    Xtask::migrate(&database).run().ends(0);
    open(&database);
    Xtask::verify(&database)
        .run()
        .says("privilege create on schema public to public");
    Xtask::migrate(&database).run().ends(0);
    let (name, mut client) = intruder(&database);
    client.batch_execute("CREATE TABLE mine ()").unwrap_err();
    gone(&database, &name);
}

fn reads_no_journal_and_no_quarantine(context: &Context) {
    let database = context.legacy("neglected");
    Xtask::migrate(&database).run().ends(0);
    let (name, mut client) = intruder(&database);
    for table in [
        "migration.runs",
        "migration.steps",
        "migration.once",
        "migration.quarantine",
        "attendees",
        "admins",
    ] {
        let error = client.query(&format!("SELECT * FROM {table}"), &[]).unwrap_err();
        assert_eq!(
            error.code().map(|code| code.code()),
            Some("42501"),
            "{table}: {error:?}"
        );
    }
    gone(&database, &name);
}

/// Whoever may connect may take an advisory lock: a deploy that waits for it says for whom.
fn sits_on_the_mutex(context: &Context) {
    let database = context.database();
    let (name, mut client) = intruder(&database);
    let key = 0x0078_7461_736b_0001_i64;
    client.query("SELECT pg_advisory_lock($1)", &[&key]).unwrap();
    Xtask::migrate(&database)
        .args(["--lock-deadline", "300ms"])
        .run()
        .ends(5)
        .says(&format!("user {name}"));
    drop(client);
    Xtask::migrate(&database).run().ends(0);
    gone(&database, &name);
}
