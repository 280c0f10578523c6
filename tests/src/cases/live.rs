//! What statements mean on a database in use: the cases of `fixtures/live`, from release to release.

use postgres::types::FromSqlOwned;

use crate::harness::Context;
use crate::harness::catalog::Catalog;
use crate::harness::database::Database;
use crate::harness::phases::Phases;
use crate::harness::release::Releases;
use crate::harness::xtask::{Xtask, fixture};

tests![
    drop_and_create,
    drop_and_create_table,
    removal,
    extension_update,
    rows_put_in_without_a_key,
    sequence_set_back,
    backfill_once,
    truncate,
    seed_changed,
    dump_with_inserts,
    dump_with_copy,
    older_version_starts_again,
    temp_table,
    set_role,
    search_path_of_a_file,
    overload_left_behind,
    rename_then_lost_index,
    prepare_and_execute,
];

/// The one value of a query.
#[track_caller]
pub fn value<T: FromSqlOwned>(database: &Database, query: &str) -> T {
    database.connect().query_one(query, &[]).expect(query).get(0)
}

/// A database at the first release of a case.
fn at_first<'c>(context: &'c Context, case: &str) -> (Releases<'c>, Database) {
    let (releases, database) = (Releases::new(context), context.database());
    releases.release_fixture(&format!("{case}/v1")).deploys(&database);
    (releases, database)
}

fn drop_and_create(context: &Context) {
    let (releases, database) = at_first(context, "drop-and-create");
    database.psql("INSERT INTO account VALUES (1, 'ann', 5)");
    releases.release_fixture("drop-and-create/v2");
    releases.plan(&database).ends(0).hides("DROP").says("02_more.sql:1");
    let log = database.server().log();
    releases.deploys(&database);
    let sent = database.server().log()[log.len()..].to_uppercase();
    for dropped in ["DROP TRIGGER", "DROP POLICY", "DROP CONSTRAINT", "DROP INDEX"] {
        assert!(!sent.contains(dropped), "{dropped} was sent");
    }
    let oid = "SELECT oid::bigint FROM pg_trigger WHERE tgname = 'account_touch'";
    let trigger: i64 = value(&database, oid);
    database.psql("DROP POLICY own_rows ON account");
    let output = Xtask::migrate(&database).phases(releases.path()).arg("--json").run();
    assert_eq!(output.ends(0).json()["statements_run"], 1, "{output}");
    assert_eq!(value::<i64>(&database, oid), trigger, "the trigger was made again");
    releases.is_done(&database);
    assert_eq!(value::<i64>(&database, "SELECT count(*) FROM account"), 1);
}

fn drop_and_create_table(context: &Context) {
    let (releases, database) = at_first(context, "drop-and-create-table");
    database.psql(
        "INSERT INTO customer VALUES (1, 'ann');
         INSERT INTO visit SELECT n, 1, '2026-01-01' FROM generate_series(1, 1000) AS n",
    );
    releases.is_done(&database);
    releases.release_fixture("drop-and-create-table/v2").deploys(&database);
    assert_eq!(value::<i64>(&database, "SELECT count(*) FROM visit"), 1000);
}

fn removal(context: &Context) {
    let (releases, database) = at_first(context, "removal");
    let with_rows = context.database();
    releases.deploys(&with_rows);
    with_rows.psql("INSERT INTO obsolete VALUES (1); INSERT INTO member VALUES (1, 'a@b', NULL)");
    releases.release_fixture("removal/v2");
    releases
        .plan(&with_rows)
        .ends(0)
        .says("drops table obsolete, which holds 1 row")
        .says("drops column member.legacy_code, which holds 0 rows");
    releases.deploys_saying(&database, &["ran once: 01_all.sql:5"]);
    let catalog = Catalog::of(&database);
    assert!(!catalog.has("relation", "public.obsolete") && !catalog.has("column", "public.member.legacy_code"));
    let left = "SELECT count(*) FROM pg_trigger WHERE tgname = 'member_audit'";
    assert_eq!(value::<i64>(&database, left), 0);
    assert!(!value::<bool>(
        &database,
        "SELECT has_table_privilege('readonly_user', 'member', 'DELETE')"
    ));
    // With a row nothing is lost without a word.
    releases
        .migrate(&with_rows)
        .ends(1)
        .says("01_all.sql:5")
        .says("table public.obsolete: 1 row")
        .says("-- xtask: drops rows: <reason>");
    assert_eq!(value::<i64>(&with_rows, "SELECT count(*) FROM obsolete"), 1);
    releases.release_fixture("removal/v3").deploys(&database);
    // Straight from the first to the third, with a reason.
    let text = std::fs::read_to_string(releases.path().join("01_all.sql")).unwrap();
    let text = text.replace("DROP TABLE", "-- xtask: drops rows: nobody reads them\nDROP TABLE");
    releases.release(&[("01_all.sql", &text)]).deploys(&with_rows);
    assert!(!Catalog::of(&with_rows).has("relation", "public.obsolete"));
    let note = "SELECT count(*) FROM migration.steps WHERE note LIKE 'drops rows: nobody reads them'";
    // It was taken back and brought again, too.
    assert_eq!(value::<i64>(&with_rows, note), 2);
    releases.deploys(&context.database());
}

fn extension_update(context: &Context) {
    let (releases, database) = (Releases::new(context), context.database());
    database.make_superuser();
    database.psql("CREATE SCHEMA extensions; CREATE EXTENSION pg_trgm WITH SCHEMA extensions VERSION '1.5'");
    releases.release_fixture("extension-update/v1").deploys(&database);
    let version = "SELECT extversion::text FROM pg_extension WHERE extname = 'pg_trgm'";
    assert_eq!(value::<String>(&database, version), "1.5");
    releases.release_fixture("extension-update/v2");
    releases.plan(&database).ends(0).says("runs once, and has not run here");
    releases.deploys_saying(&database, &["ran once: 01_all.sql:6"]);
    let newest = "SELECT default_version::text FROM pg_available_extensions WHERE name = 'pg_trgm'";
    assert_eq!(value::<String>(&database, version), value::<String>(&database, newest));
    releases.deploys(&context.database());
}

fn rows_put_in_without_a_key(context: &Context) {
    let (releases, database) = at_first(context, "rows-put-in-without-a-key");
    for _ in 0..2 {
        releases.is_done(&database);
    }
    assert_eq!(
        value::<i64>(&database, "SELECT count(*) FROM note WHERE body = 'welcome'"),
        1
    );
    assert_eq!(
        value::<i32>(&database, "SELECT cents FROM price WHERE item = 'tea'"),
        251
    );
}

fn sequence_set_back(context: &Context) {
    let (releases, database) = at_first(context, "sequence-set-back");
    for _ in 0..3 {
        database.psql("INSERT INTO invoice (label) VALUES ('sold')");
        releases.is_done(&database);
    }
    assert_eq!(value::<i64>(&database, "SELECT count(*) FROM invoice"), 4);
}

fn backfill_once(context: &Context) {
    let (releases, database) = at_first(context, "backfill-once");
    database.psql("INSERT INTO orders SELECT n, n FROM generate_series(1, 50000) AS n");
    releases.release_fixture("backfill-once/v2");
    releases.deploys_saying(&database, &["ran once: 01_all.sql:3", "50000 rows"]);
    database.psql("UPDATE orders SET cents = 7 WHERE id = 1; INSERT INTO cache VALUES ('k')");
    for _ in 0..2 {
        releases.is_done(&database);
    }
    assert_eq!(value::<i64>(&database, "SELECT cents FROM orders WHERE id = 1"), 7);
    assert_eq!(value::<i64>(&database, "SELECT count(*) FROM cache"), 1);
    releases.deploys(&context.database());
}

fn truncate(context: &Context) {
    let (releases, database) = (Releases::new(context), context.database());
    releases.release_fixture("truncate/v1").deploys(&database);
    database.psql("INSERT INTO session_cache VALUES ('k', 'v')");
    releases.is_done(&database);
    assert_eq!(value::<i64>(&database, "SELECT count(*) FROM session_cache"), 1);
    // Made by hand, so that it is planned.
    let other = context.database();
    other.psql("CREATE TABLE session_cache (k text PRIMARY KEY, v text)");
    releases
        .plan(&other)
        .ends(0)
        .says("TRUNCATE session_cache")
        .says("runs once");
}

fn seed_changed(context: &Context) {
    let (releases, database) = at_first(context, "seed-changed");
    let stepwise = context.database();
    releases.deploys(&stepwise);
    releases.release_fixture("seed-changed/v2");
    let said = [
        "ran once: 01_all.sql:2",
        "no row: they were there",
        "no row: 1 of 1 row there already",
    ];
    releases.deploys_saying(&stepwise, &said);
    releases.release_fixture("seed-changed/v3");
    let prices = "SELECT string_agg(code || ' ' || cents, ', ' ORDER BY code) FROM plan";
    for database in [&database, &stepwise] {
        releases.deploys(database);
        assert_eq!(value::<String>(database, prices), "free 0, max 3900, pro 1200");
    }
    // Of a seed that is new as a whole the rows that are missing arrive.
    releases.release(&[(
        "01_all.sql",
        "CREATE TABLE IF NOT EXISTS plan (code text PRIMARY KEY, cents int, title text);
         INSERT INTO plan VALUES ('free', 0, 'Free'), ('team', 5900, 'Team');",
    )]);
    releases.deploys_saying(&database, &["1 row, 1 of 2 rows there already"]);
    assert_eq!(value::<i64>(&database, "SELECT count(*) FROM plan"), 4);
}

fn dump_with_inserts(context: &Context) {
    dump_with_rows(context, "inserts");
}

fn dump_with_copy(context: &Context) {
    dump_with_rows(context, "copy");
}

fn dump_with_rows(context: &Context, form: &str) {
    let (releases, database) = (Releases::new(context), context.database());
    database.make_superuser();
    releases.release_fixture(&format!("dump-with-rows/{form}"));
    let rows =
        "SELECT (SELECT count(*) FROM city) || ' ' || (SELECT count(*) FROM shop) || ' ' || (SELECT count(*) FROM log)";
    releases.deploys(&database);
    let first: String = value(&database, rows);
    assert!(!first.split(' ').any(|count| count == "0"), "{first}");
    releases.is_done(&database);
    assert_eq!(value::<String>(&database, rows), first);
}

fn older_version_starts_again(context: &Context) {
    let (releases, database) = at_first(context, "older-version-starts-again");
    let older = Releases::new(context);
    older.release_fixture("older-version-starts-again/v1");
    let never_first = context.database();
    releases.release_fixture("older-version-starts-again/v2");
    for database in [&database, &never_first] {
        releases.deploys(database);
        let runs = "SELECT count(*) FROM migration.runs";
        let before: i64 = value(database, runs);
        older
            .migrate(database)
            .ends(0)
            .says("newer version by tester@")
            .says("left as it is");
        for command in ["plan", "verify"] {
            let output = Xtask::new([command]).on(database).phases(older.path()).run();
            output.ends(0).says("newer version by tester@");
        }
        assert_eq!(value::<i64>(database, "SELECT vat(1000)"), 200);
        assert_eq!(value::<i64>(database, runs), before, "the older version left a run");
    }
    let back = Xtask::migrate(&database)
        .phases(older.path())
        .arg("--allow-older")
        .run();
    back.ends(0);
    assert_eq!(value::<i64>(&database, "SELECT vat(1000)"), 190);
    releases.deploys(&database);
    assert_eq!(value::<i64>(&database, "SELECT vat(1000)"), 200);
}

fn temp_table(context: &Context) {
    let (releases, database) = at_first(context, "temp-table");
    database.psql("INSERT INTO cust VALUES (1, 'Ann Bee'), (2, 'Cid Dee')");
    releases.release_fixture("temp-table/v2").deploys(&database);
    releases.is_done(&database);
    let names = "SELECT string_agg(last || ' ' || first, ', ' ORDER BY id) FROM cust";
    assert_eq!(value::<String>(&database, names), "Bee Ann, Dee Cid");
    releases.deploys(&context.database());
}

fn set_role(context: &Context) {
    let (releases, database) = (Releases::new(context), context.database());
    let admin = |sql: &str| database.admin().batch_execute(sql).unwrap();
    releases.release_fixture("set-role/v1");
    releases.deploys(&database);
    let owner = |table: &str| -> String {
        value(
            &database,
            &format!("SELECT relowner::regrole::text FROM pg_class WHERE oid = '{table}'::regclass"),
        )
    };
    assert_eq!(owner("ledger.entry"), "ledger_owner");
    assert_eq!(owner("public.mine"), database.owner);
    // What a statement says of an owner is part of the catalog.
    admin(&format!("ALTER TABLE ledger.entry OWNER TO {}", database.owner));
    Xtask::verify(&database)
        .phases(releases.path())
        .run()
        .ends(4)
        .says("owner of table ledger.entry");
    admin("DROP OWNED BY ledger_owner CASCADE; DROP ROLE ledger_owner");
}

fn search_path_of_a_file(context: &Context) {
    // What the first file sets ends with it: the second one does not find the table, as with one `psql -f` a file.
    let folder = Phases::new(&[]);
    let text = |file: &str| std::fs::read_to_string(fixture(&format!("live/search-path-of-a-file/v1/{file}"))).unwrap();
    for file in ["01_tenant.sql", "02_public.sql"] {
        folder.write(file, text(file));
    }
    let output = context.snapshot(folder.path(), &[]);
    output.ends(1).says("02_public.sql:2").says("\"stock\" does not exist");
    let (releases, database) = (Releases::new(context), context.database());
    let without = text("02_public.sql")
        .split("CREATE OR REPLACE")
        .next()
        .unwrap()
        .to_owned();
    releases.release(&[("01_tenant.sql", &text("01_tenant.sql")), ("02_public.sql", &without)]);
    releases.deploys(&database);
    let catalog = Catalog::of(&database);
    assert!(catalog.has("relation", "tenant.stock") && catalog.has("relation", "public.audit"));
    // Nor does it when the engine is to run them all as they stand.
    let other = context.database();
    Xtask::migrate(&other).sql(releases.path()).run().ends(0);
    assert!(Catalog::of(&other).has("relation", "public.audit"));
}

fn overload_left_behind(context: &Context) {
    let (releases, database) = at_first(context, "overload-left-behind");
    releases.release_fixture("overload-left-behind/v2");
    let output = releases.migrate(&database);
    output
        .ends(1)
        .says("01_all.sql:2")
        .says("not unique")
        .says("function public.fee(integer)")
        .says("DROP FUNCTION IF EXISTS public.fee(integer)");
    Xtask::verify(&database)
        .phases(releases.path())
        .run()
        .says("obsolete   function public.fee(integer)");
}

fn rename_then_lost_index(context: &Context) {
    let (releases, database) = at_first(context, "rename-then-lost-index");
    releases.release_fixture("rename-then-lost-index/v2").deploys(&database);
    let index = "SELECT pg_get_indexdef('cust_name'::regclass)";
    for version in ["v2", "v3"] {
        releases.release_fixture(&format!("rename-then-lost-index/{version}"));
        database.psql("DROP INDEX cust_name");
        releases.deploys(&database);
        assert!(value::<String>(&database, index).contains("ON public.customer USING btree (name)"));
        assert!(!Catalog::of(&database).has("relation", "public.cust"), "a stray table");
    }
    releases.deploys(&context.database());
}

fn prepare_and_execute(context: &Context) {
    let (releases, database) = (Releases::new(context), context.database());
    database.make_superuser();
    releases.release_fixture("prepare-and-execute/v1").deploys(&database);
    releases.is_done(&database);
    database
        .admin()
        .batch_execute(
            "ALTER SUBSCRIPTION sub DISABLE; ALTER SUBSCRIPTION sub SET (slot_name = NONE); DROP SUBSCRIPTION sub",
        )
        .unwrap();
}
