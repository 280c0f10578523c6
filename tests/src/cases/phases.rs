//! Phase files of every kind: other projects' schemas, files that are wrong, statements that fail.

use crate::harness::Context;
use crate::harness::catalog::Catalog;
use crate::harness::database::Database;
use crate::harness::phases::Phases;
use crate::harness::xtask::{Xtask, fixture};

tests![
    chinook,
    pagila,
    supabase_auth,
    folder_of_files,
    own_sql_by_flag,
    syntax_error,
    statement_fails_then_mended,
    index_fails_then_mended,
    optional_statement_is_a_warning,
    not_utf8,
    missing_folder,
    empty_folder,
    duplicate_number,
    unterminated_quote,
    owns_nothing,
    usage_errors,
];

fn chinook(context: &Context) {
    foreign_schema(context, "chinook", "public.track");
}

fn pagila(context: &Context) {
    foreign_schema(context, "pagila", "public.film");
}

fn supabase_auth(context: &Context) {
    foreign_schema(context, "supabase", "auth.users");
}

/// A schema of another project: the engine knows nothing of the portal.
fn foreign_schema(context: &Context, name: &str, table: &str) {
    let (database, by_psql) = (context.database(), context.database());
    // These schemas give objects to roles of theirs.
    for database in [&database, &by_psql] {
        database.make_superuser();
    }
    let directory = fixture(&format!("schemas/{name}"));
    Xtask::migrate(&database).sql(&directory).run().ends(0);
    let catalog = Catalog::of(&database);
    assert!(catalog.has("relation", table), "{table}");

    let sql = std::fs::read_to_string(directory.join("01_schema.sql")).unwrap();
    by_psql.psql(&sql);
    catalog.equals(&Catalog::of(&by_psql));
}

fn folder_of_files(context: &Context) {
    let database = context.database();
    let phases = Phases::new(&[
        ("01_tables/b.sql", "INSERT INTO t VALUES (1) ON CONFLICT DO NOTHING;"),
        ("01_tables/a.sql", "CREATE TABLE IF NOT EXISTS t (id int PRIMARY KEY);"),
        ("02_more.sql", "ALTER TABLE t ADD COLUMN IF NOT EXISTS more text;"),
    ]);
    Xtask::migrate(&database).sql(phases.path()).run().ends(0);
    assert!(Catalog::of(&database).has("column", "public.t.more"));
    assert_eq!(count(&database, "t"), 1);
}

fn own_sql_by_flag(context: &Context) {
    let database = context.database();
    let phases = Phases::new(&[("01_t.sql", "CREATE TABLE IF NOT EXISTS flagged ();")]);
    // The flag is stronger than the environment, which names the portal's phases.
    Xtask::migrate(&database)
        .arg("--sql")
        .arg(phases.path())
        .no_snapshot()
        .run()
        .ends(0);
    let catalog = Catalog::of(&database);
    assert!(catalog.has("relation", "public.flagged") && !catalog.has("relation", "public.events"));
}

fn syntax_error(context: &Context) {
    let database = context.database();
    let phases = Phases::new(&[
        ("01_good.sql", "CREATE TABLE IF NOT EXISTS good ();\n"),
        (
            "02_bad.sql",
            "-- a comment\nCREATE TABLE IF NOT EXISTS fine ();\n\nCREATE TABEL wrong ();\nCREATE TABLE never ();\n",
        ),
    ]);
    let output = Xtask::migrate(&database).sql(phases.path()).run();
    output
        .ends(1)
        .says("02_bad.sql:4")
        .says("TABEL")
        .says("42601")
        .says("^")
        .says("committed");
    let catalog = Catalog::of(&database);
    assert!(
        catalog.has("relation", "public.good") && catalog.has("relation", "public.fine"),
        "committed one by one"
    );
    assert!(!catalog.has("relation", "public.never"), "it goes on after an error");
}

fn statement_fails_then_mended(context: &Context) {
    let database = context.database();
    let phases = Phases::new(&[
        (
            "01_table.sql",
            "CREATE TABLE IF NOT EXISTS t (n int);\nINSERT INTO t SELECT 0 WHERE NOT EXISTS (SELECT FROM t);\n",
        ),
        (
            "02_fails.sql",
            "CREATE TABLE IF NOT EXISTS before ();\nSELECT 1 / n FROM t;\nCREATE TABLE IF NOT EXISTS after ();\n",
        ),
    ]);
    Xtask::migrate(&database)
        .sql(phases.path())
        .run()
        .ends(1)
        .says("02_fails.sql:2")
        .says("division by zero")
        .says("22012");
    let catalog = Catalog::of(&database);
    assert!(catalog.has("relation", "public.before") && !catalog.has("relation", "public.after"));
    assert_eq!(outcomes(&database), ["failed"]);

    phases.write(
        "02_fails.sql",
        "CREATE TABLE IF NOT EXISTS before ();\nCREATE TABLE IF NOT EXISTS after ();\n",
    );
    Xtask::migrate(&database).sql(phases.path()).run().ends(0);
    assert!(Catalog::of(&database).has("relation", "public.after"));
    assert_eq!(outcomes(&database), ["failed", "succeeded"]);
}

/// A unique index that met duplicates stays behind INVALID, and `IF NOT EXISTS` accepts it.
fn index_fails_then_mended(context: &Context) {
    let database = context.database();
    let phases = Phases::new(&[(
        "01_index.sql",
        "CREATE TABLE IF NOT EXISTS t (n int);\n\
         INSERT INTO t SELECT 1 FROM generate_series(1, 2) WHERE NOT EXISTS (SELECT FROM t);\n\
         CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS t_n_key ON t (n);\n",
    )]);
    Xtask::migrate(&database)
        .sql(phases.path())
        .run()
        .ends(1)
        .says("01_index.sql:3")
        .says("23505");
    database
        .connect()
        .batch_execute("DELETE FROM t WHERE ctid = (SELECT max(ctid) FROM t)")
        .unwrap();
    Xtask::migrate(&database).sql(phases.path()).run().ends(0);
    let catalog = Catalog::of(&database);
    let index = catalog.get("index", "public.t_n_key").expect("the index");
    assert!(!index.contains("invalid"), "{index}");
    assert_eq!(
        catalog.identities().filter(|(kind, _)| *kind == "index").count(),
        1,
        "nothing of the failed build is left"
    );
}

fn optional_statement_is_a_warning(context: &Context) {
    let database = context.database();
    let phases = Phases::new(&[(
        "01_extensions.sql",
        "-- xtask: optional\nCREATE EXTENSION IF NOT EXISTS no_such_extension;\nCREATE TABLE IF NOT EXISTS t ();\n",
    )]);
    Xtask::migrate(&database)
        .sql(phases.path())
        .run()
        .ends(0)
        .says("no_such_extension");
    assert!(Catalog::of(&database).has("relation", "public.t"));
    // Not optional, it is an error.
    phases.write(
        "01_extensions.sql",
        "CREATE EXTENSION IF NOT EXISTS no_such_extension;\n",
    );
    Xtask::migrate(&database)
        .sql(phases.path())
        .run()
        .ends(1)
        .says("01_extensions.sql:1");
}

fn not_utf8(context: &Context) {
    let phases = good_phases();
    phases.write("02_latin.sql", b"-- caf\xc3\xa9\nSELECT 'caf\xe9';\n");
    nothing_runs(context, &phases, &["02_latin.sql:2", "UTF-8"]);
}

fn duplicate_number(context: &Context) {
    let phases = good_phases();
    phases.write("02_a.sql", "SELECT 1;");
    phases.write("02_b.sql", "SELECT 1;");
    nothing_runs(context, &phases, &["02_a", "02_b"]);
}

fn unterminated_quote(context: &Context) {
    let phases = good_phases();
    phases.write("02_quote.sql", "SELECT 1;\nSELECT 2;\nSELECT 'never ends;\n");
    nothing_runs(context, &phases, &["02_quote.sql:3"]);
    phases.write("02_quote.sql", "SELECT 1;\nDO $body$ BEGIN\nEND; $other$;\n");
    nothing_runs(context, &phases, &["02_quote.sql:2"]);
    phases.write("02_quote.sql", "SELECT 1;\n\n/* a /* nested */ comment\n");
    nothing_runs(context, &phases, &["02_quote.sql:3"]);
}

fn missing_folder(context: &Context) {
    let database = context.database();
    let output = Xtask::migrate(&database).env("XTASK_SQL", "/no/such/folder").run();
    assert!(matches!(output.status, Some(1 | 2)), "{output}");
    output.says("/no/such/folder");
    assert!(!journal_exists(&database), "nothing runs");
}

/// Nothing to do because nothing is there is not success.
fn empty_folder(context: &Context) {
    let database = context.database();
    let output = Xtask::migrate(&database).sql(Phases::new(&[]).path()).run();
    assert!(matches!(output.status, Some(1 | 2)), "{output}");
}

fn good_phases() -> Phases {
    Phases::new(&[("01_good.sql", "CREATE TABLE IF NOT EXISTS good ();\n")])
}

fn nothing_runs(context: &Context, phases: &Phases, texts: &[&str]) {
    let database = context.database();
    let output = Xtask::migrate(&database).sql(phases.path()).run();
    assert!(matches!(output.status, Some(1 | 2)), "{output}");
    for text in texts {
        output.says(text);
    }
    assert!(
        !Catalog::of(&database).has("relation", "public.good"),
        "something ran; {output}"
    );
}

/// A role that may connect and nothing else.
fn owns_nothing(context: &Context) {
    let database = context.database();
    let guest = format!("guest_of_{}", database.name);
    database
        .admin()
        .batch_execute(&format!("CREATE ROLE {guest} LOGIN PASSWORD 'guest'"))
        .unwrap();
    let output = Xtask::migrate(&database)
        .env("POSTGRES_USER", &guest)
        .env("POSTGRES_PASSWORD", "guest")
        .run();
    database.admin().batch_execute(&format!("DROP ROLE {guest}")).unwrap();
    output.ends(1).says("permission denied").says("42501").says("must own");
    assert!(!Catalog::of(&database).has("relation", "public.events"));
}

fn usage_errors(_: &Context) {
    Xtask::new(["no-such-command"]).run().ends(2);
    Xtask::new(["migrate", "--no-such-flag"]).run().ends(2);
    Xtask::new(["migrate", "--lock-timeout", "soon"]).run().ends(2);
    Xtask::new(["migrate"])
        .env("POSTGRES_PORT", "many")
        .run()
        .ends(2)
        .says("POSTGRES_PORT");
    Xtask::new(["migrate"])
        .env("POSTGRES_SSL", "perhaps")
        .run()
        .ends(2)
        .says("POSTGRES_SSL");
    let help = Xtask::new(["migrate", "--help"]).run();
    help.ends(0);
    for text in [
        "POSTGRES_HOST",
        "POSTGRES_PORT",
        "POSTGRES_DB",
        "POSTGRES_USER",
        "POSTGRES_SSL",
        "DATABASE_URL",
        "XTASK_SQL",
        "localhost",
        "5432",
        "daydream_portal",
        "daydream_user",
        "50ms",
        "30s",
    ] {
        assert!(help.stdout.contains(text), "--help lacks {text}; {help}");
    }
}

fn count(database: &Database, table: &str) -> i64 {
    database
        .connect()
        .query_one(&format!("SELECT count(*) FROM {table}"), &[])
        .unwrap()
        .get(0)
}

fn outcomes(database: &Database) -> Vec<String> {
    let rows = database
        .admin()
        .query("SELECT outcome::text FROM migration.runs ORDER BY id", &[])
        .unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

fn journal_exists(database: &Database) -> bool {
    database
        .admin()
        .query_one("SELECT to_regclass('migration.runs') IS NOT NULL", &[])
        .unwrap()
        .get(0)
}
