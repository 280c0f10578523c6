//! Statements that make way for others, and what must not be lost on the way: more of the kind of `live`.

use super::live::value;
use crate::harness::Context;
use crate::harness::catalog::Catalog;
use crate::harness::release::Releases;
use crate::harness::xtask::Xtask;

tests![
    view_with_those_that_depend_on_it,
    somebody_elses_view_stays,
    materialized_view_with_its_index,
    trigger_changes_in_one_transaction,
    failure_in_between_loses_nothing,
    schema_dropped_with_all_in_it,
    type_with_a_column,
    function_with_its_trigger,
    rows_that_are_put_in_anew,
    table_and_its_rows,
    columns_with_values_stay,
    working_table_of_a_later_release,
    trigger_switched_off_for_a_while,
    dml_that_names_what_is_gone,
    copy_that_names_what_is_gone,
    nothing_that_is_left_is_new,
    rows_are_kept_whoever_made_the_table,
    column_to_work_with,
    composite_type_alone,
    owner_and_privilege_of_a_later_release,
    second_run_differs_is_told,
];

/// A view, and another one in a later file that is made of it.
fn views(condition: &str) -> [(&'static str, String); 3] {
    [
        (
            "01_table.sql",
            "CREATE TABLE IF NOT EXISTS item (id int PRIMARY KEY, n int);".to_owned(),
        ),
        (
            "02_view.sql",
            format!(
                "DROP VIEW IF EXISTS active CASCADE;\nCREATE VIEW active AS SELECT id, n FROM item WHERE {condition};"
            ),
        ),
        (
            "03_more.sql",
            "CREATE OR REPLACE VIEW sums AS SELECT sum(n) AS n FROM active;".to_owned(),
        ),
    ]
}

fn release(releases: &Releases<'_>, files: &[(&'static str, String)]) {
    let files: Vec<_> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
    releases.release(&files);
}

fn view_with_those_that_depend_on_it(context: &Context) {
    let (releases, database) = (Releases::new(context), context.database());
    release(&releases, &views("n > 0"));
    releases.deploys(&database);
    database.psql("INSERT INTO item VALUES (1, 5), (2, -5)");
    // The one that depends is lost: it alone is made again.
    let oid = "SELECT 'active'::regclass::oid::bigint";
    let active: i64 = value(&database, oid);
    database.psql("DROP VIEW sums");
    releases.deploys(&database);
    assert_eq!(value::<i64>(&database, oid), active);
    // The first one changes: both are made again, in one transaction, in one deploy.
    release(&releases, &views("n < 0"));
    releases
        .plan(&database)
        .ends(0)
        .says("makes way for")
        .says("makes again what 02_view.sql:1 takes away");
    releases.deploys(&database);
    assert_eq!(value::<i64>(&database, "SELECT n FROM sums"), -5);
    let at = "SELECT count(DISTINCT xmin::text) FROM pg_class WHERE relname IN ('active', 'sums')";
    assert_eq!(value::<i64>(&database, at), 1, "not one transaction");
}

fn somebody_elses_view_stays(context: &Context) {
    let (releases, database) = (Releases::new(context), context.database());
    release(&releases, &views("n > 0"));
    releases.deploys(&database);
    database.psql("CREATE VIEW theirs AS SELECT id FROM active");
    releases.is_done(&database);
    release(&releases, &views("n < 0"));
    releases
        .migrate(&database)
        .ends(1)
        .says("02_view.sql:")
        .says("view public.theirs")
        .says("nothing of it was done");
    assert!(Catalog::of(&database).has("relation", "public.theirs"));
    database.psql("DROP VIEW theirs");
    releases.deploys(&database);
}

fn materialized_view_with_its_index(context: &Context) {
    let (releases, database) = (Releases::new(context), context.database());
    let files = |columns: &str| {
        format!(
            "CREATE TABLE IF NOT EXISTS sale (day date, cents int);
             DROP MATERIALIZED VIEW IF EXISTS per_day;
             CREATE MATERIALIZED VIEW per_day AS SELECT {columns} FROM sale GROUP BY day;
             CREATE UNIQUE INDEX per_day_day ON per_day (day);
             COMMENT ON MATERIALIZED VIEW per_day IS 'sums';"
        )
    };
    releases
        .release(&[("01_all.sql", &files("day, sum(cents) AS cents"))])
        .deploys(&database);
    releases
        .release(&[("01_all.sql", &files("day, sum(cents) AS cents, count(*) AS sales"))])
        .deploys(&database);
    let at = "SELECT count(DISTINCT xmin::text) FROM pg_class WHERE relname IN ('per_day', 'per_day_day')";
    assert_eq!(value::<i64>(&database, at), 1, "not one transaction");
}

fn trigger_changes_in_one_transaction(context: &Context) {
    let (releases, database) = (Releases::new(context), context.database());
    let files = |when: &str| {
        format!(
            "CREATE TABLE IF NOT EXISTS t (id int, seen boolean);
             CREATE OR REPLACE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.seen := true; RETURN NEW; END $$;
             DROP TRIGGER IF EXISTS t_see ON t;
             CREATE TRIGGER t_see BEFORE {when} ON t FOR EACH ROW EXECUTE FUNCTION see();"
        )
    };
    releases.release(&[("01_all.sql", &files("INSERT"))]).deploys(&database);
    // Whoever writes meanwhile meets a trigger, the old one or the new.
    let (config, stop) = (
        database.config(),
        std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false)),
    );
    let stopped = std::sync::Arc::clone(&stop);
    let writer = std::thread::spawn(move || {
        let mut client = config.connect(postgres::NoTls).unwrap();
        let mut rows = 0;
        while !stopped.load(std::sync::atomic::Ordering::Relaxed) {
            client.batch_execute("INSERT INTO t VALUES (1)").unwrap();
            rows += 1;
        }
        rows
    });
    for when in ["INSERT OR UPDATE", "INSERT", "INSERT OR UPDATE"] {
        releases.release(&[("01_all.sql", &files(when))]);
        releases.migrate(&database).ends(0);
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    assert!(writer.join().unwrap() > 0);
    assert_eq!(
        value::<i64>(&database, "SELECT count(*) FROM t WHERE seen IS NOT TRUE"),
        0
    );
    releases.is_done(&database);
}

fn failure_in_between_loses_nothing(context: &Context) {
    let (releases, database) = (Releases::new(context), context.database());
    let files = |check: &str| {
        format!(
            "CREATE TABLE IF NOT EXISTS t (n int);
             ALTER TABLE t DROP CONSTRAINT IF EXISTS t_n;
             ALTER TABLE t ADD CONSTRAINT t_n CHECK ({check});"
        )
    };
    releases.release(&[("01_all.sql", &files("n > 0"))]).deploys(&database);
    database.psql("INSERT INTO t VALUES (1)");
    releases.release(&[("01_all.sql", &files("n > 1"))]);
    releases.migrate(&database).ends(1).says("01_all.sql:3").says("23514");
    let constraint = "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 't_n'";
    assert_eq!(value::<String>(&database, constraint), "CHECK ((n > 0))", "it is gone");
}

fn schema_dropped_with_all_in_it(context: &Context) {
    let (releases, database) = (Releases::new(context), context.database());
    let files = |more: &str| {
        format!(
            "DROP SCHEMA IF EXISTS app CASCADE;\nCREATE SCHEMA app;\nCREATE TABLE app.t (id int PRIMARY KEY);\n\
             CREATE VIEW app.v AS SELECT id FROM app.t;\n{more}"
        )
    };
    releases.release(&[("01_all.sql", &files(""))]).deploys(&database);
    database.psql("INSERT INTO app.t VALUES (1)");
    releases
        .release(&[("01_all.sql", &files("CREATE TABLE app.new (id int);"))])
        .deploys(&database);
    assert_eq!(value::<i64>(&database, "SELECT count(*) FROM app.t"), 1);
    // What would need the whole schema to be made again takes no row along.
    let changed = files("").replace("id int PRIMARY KEY", "id bigint PRIMARY KEY");
    releases.release(&[("01_all.sql", &changed)]);
    releases.migrate(&database).ends(1).says("table app.t: 1 row");
    assert_eq!(value::<i64>(&database, "SELECT count(*) FROM app.t"), 1);
    database.psql("DELETE FROM app.t");
    releases.deploys(&database);
}

fn type_with_a_column(context: &Context) {
    let (releases, database) = (Releases::new(context), context.database());
    let files = |labels: &str| {
        format!(
            "DROP TYPE IF EXISTS mood CASCADE;\nCREATE TYPE mood AS ENUM ({labels});\n\
             CREATE TABLE IF NOT EXISTS person (id int, mood mood);"
        )
    };
    releases
        .release(&[("01_all.sql", &files("'sad', 'ok'"))])
        .deploys(&database);
    database.psql("INSERT INTO person VALUES (1, 'ok')");
    releases
        .release(&[
            ("01_all.sql", &files("'sad', 'ok'")),
            ("02_more.sql", "CREATE TABLE more ();"),
        ])
        .deploys(&database);
    releases.release(&[("01_all.sql", &files("'sad', 'ok', 'happy'"))]);
    releases
        .migrate(&database)
        .ends(1)
        .says("column public.person.mood: 1 row with a value");
    assert_eq!(value::<String>(&database, "SELECT mood::text FROM person"), "ok");
}

fn function_with_its_trigger(context: &Context) {
    let (releases, database) = (Releases::new(context), context.database());
    let files = |body: &str| {
        format!(
            "CREATE TABLE IF NOT EXISTS t (id int, n int);
             DROP FUNCTION IF EXISTS f() CASCADE;
             CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} RETURN NEW; END $$;
             CREATE TRIGGER t_f BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f();"
        )
    };
    releases.release(&[("01_all.sql", &files(""))]).deploys(&database);
    let trigger = "SELECT oid::bigint FROM pg_trigger WHERE tgname = 't_f'";
    let before: i64 = value(&database, trigger);
    releases
        .release(&[("01_all.sql", &files("")), ("02_more.sql", "CREATE TABLE more ();")])
        .deploys(&database);
    assert_eq!(value::<i64>(&database, trigger), before);
    releases
        .release(&[("01_all.sql", &files("NEW.n := 1;"))])
        .deploys(&database);
    database.psql("INSERT INTO t VALUES (1)");
    assert_eq!(value::<i32>(&database, "SELECT n FROM t"), 1);
}

fn rows_that_are_put_in_anew(context: &Context) {
    let releases = Releases::new(context);
    let table = "CREATE TABLE IF NOT EXISTS cfg (k text PRIMARY KEY, v text);\n";
    let settings = "SELECT string_agg(k || '=' || v, ' ' ORDER BY k) FROM cfg";
    for take_out in ["TRUNCATE cfg", "DELETE FROM cfg WHERE k <> 'own'"] {
        let database = context.database();
        let files = |rows: &str| {
            format!("{table}{take_out};\nINSERT INTO cfg VALUES {rows};\nINSERT INTO cfg VALUES ('z', '9');")
        };
        releases.release(&[("01_all.sql", &files("('a', '1')"))]);
        releases.deploys(&database);
        assert_eq!(value::<String>(&database, settings), "a=1 z=9");
        database.psql("UPDATE cfg SET v = '2' WHERE k = 'a'");
        releases.is_done(&database);
        // One of its texts is new: all of it runs.
        releases.release(&[("01_all.sql", &files("('a', '1'), ('b', '1')"))]);
        releases.plan(&database).ends(0).says("the rows are put in anew");
        releases.deploys(&database);
        assert_eq!(value::<String>(&database, settings), "a=1 b=1 z=9");
    }
}

fn table_and_its_rows(context: &Context) {
    let (releases, database) = (Releases::new(context), context.database());
    let files = |columns: &str| {
        format!(
            "-- xtask: drops rows: they are made anew\nDROP TABLE IF EXISTS lookup;\nCREATE TABLE lookup ({columns});\n\
             INSERT INTO lookup (id) VALUES (1), (2);"
        )
    };
    releases
        .release(&[("01_all.sql", &files("id int PRIMARY KEY"))])
        .deploys(&database);
    releases
        .release(&[("01_all.sql", &files("id int PRIMARY KEY, more text"))])
        .deploys(&database);
    // The rows went with the table: the statement that puts them in ran again.
    assert_eq!(value::<i64>(&database, "SELECT count(*) FROM lookup"), 2);
    releases.is_done(&database);
}

fn columns_with_values_stay(context: &Context) {
    let (releases, database) = (Releases::new(context), context.database());
    releases
        .release(&[("01_all.sql", "CREATE TABLE IF NOT EXISTS t (id int, a text, b text);")])
        .deploys(&database);
    database.psql("INSERT INTO t VALUES (1, 'x', NULL)");
    let dropping =
        |column: &str| format!("CREATE TABLE IF NOT EXISTS t (id int);\nALTER TABLE t DROP COLUMN IF EXISTS {column};");
    releases.release(&[("01_all.sql", &dropping("a"))]);
    releases
        .migrate(&database)
        .ends(1)
        .says("column public.t.a: 1 row with a value");
    assert_eq!(value::<String>(&database, "SELECT a FROM t"), "x");
    // The same inside of a block.
    let block = "CREATE TABLE IF NOT EXISTS t (id int);\n\
                 DO $$ BEGIN IF EXISTS (SELECT FROM pg_attribute WHERE attrelid = 't'::regclass AND attname = 'a') THEN \
                 EXECUTE 'ALTER TABLE t DR' || 'OP COLUMN a'; END IF; END $$;";
    releases.release(&[("01_all.sql", block)]);
    releases.migrate(&database).ends(1).says("column public.t.a: 1 row");
    // One without values goes.
    releases.release(&[("01_all.sql", &dropping("b"))]).deploys(&database);
    assert!(!Catalog::of(&database).has("column", "public.t.b"));
}

fn working_table_of_a_later_release(context: &Context) {
    let (releases, database) = (Releases::new(context), context.database());
    let first = (
        "01_all.sql",
        "CREATE TABLE IF NOT EXISTS customer (id int PRIMARY KEY, name text, first text);",
    );
    releases.release(&[first]).deploys(&database);
    database.psql("INSERT INTO customer VALUES (1, 'Ann Bee'), (2, 'Cid Dee')");
    let second = (
        "02_names.sql",
        "CREATE TABLE parts (id int, first text);
         INSERT INTO parts SELECT id, split_part(name, ' ', 1) FROM customer;
         UPDATE customer SET first = parts.first FROM parts WHERE parts.id = customer.id;
         DROP TABLE parts;",
    );
    releases.release(&[first, second]).deploys(&database);
    let names = "SELECT string_agg(first, ' ' ORDER BY id) FROM customer";
    assert_eq!(value::<String>(&database, names), "Ann Cid");
    assert!(!Catalog::of(&database).has("relation", "public.parts"));
    releases.deploys(&context.database());
}

fn trigger_switched_off_for_a_while(context: &Context) {
    let (releases, database) = (Releases::new(context), context.database());
    let first = (
        "01_all.sql",
        "CREATE TABLE IF NOT EXISTS t (id int, n int, changes int DEFAULT 0);
         CREATE OR REPLACE FUNCTION count_it() RETURNS trigger LANGUAGE plpgsql
             AS $$ BEGIN NEW.changes := OLD.changes + 1; RETURN NEW; END $$;
         CREATE OR REPLACE TRIGGER t_count BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION count_it();",
    );
    releases.release(&[first]).deploys(&database);
    database.psql("INSERT INTO t VALUES (1, 1)");
    let second = (
        "02_backfill.sql",
        "ALTER TABLE t DISABLE TRIGGER t_count;\nUPDATE t SET n = 2;\nALTER TABLE t ENABLE TRIGGER t_count;",
    );
    releases.release(&[first, second]).deploys(&database);
    assert_eq!(value::<i32>(&database, "SELECT n * 10 + changes FROM t"), 20);
    database.psql("UPDATE t SET n = 3");
    assert_eq!(value::<i32>(&database, "SELECT changes FROM t"), 1, "it is off");
}

/// As in long histories: what a later statement renames or drops, an earlier one names.
fn dml_that_names_what_is_gone(context: &Context) {
    let (releases, database) = (Releases::new(context), context.database());
    releases.release(&[
        (
            "01_all.sql",
            "CREATE TABLE kind (name text PRIMARY KEY); INSERT INTO kind VALUES ('a'), ('b');
             CREATE TABLE host (id int PRIMARY KEY, kind text REFERENCES kind, old text, version int NOT NULL DEFAULT 1);
             INSERT INTO host VALUES (1, 'a', 'x'); UPDATE host SET old = 'y';
             CREATE FUNCTION up() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.version := OLD.version + 1; RETURN NEW; END $$;
             CREATE TRIGGER host_up BEFORE UPDATE ON host FOR EACH ROW EXECUTE FUNCTION up();",
        ),
        (
            "02_next.sql",
            "ALTER TABLE host RENAME COLUMN old TO label; UPDATE host SET label = 'z';
             ALTER TABLE host DROP COLUMN kind; DROP TABLE kind;
             ALTER TABLE host RENAME TO machine;
             CREATE TABLE network (id int PRIMARY KEY); INSERT INTO network SELECT id FROM machine;
             DROP TRIGGER host_up ON machine; DROP FUNCTION up();
             CREATE FUNCTION up() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.version := OLD.version + 2; RETURN NEW; END $$;
             CREATE TRIGGER machine_up BEFORE UPDATE ON machine FOR EACH ROW EXECUTE FUNCTION up();",
        ),
    ]);
    releases.deploys(&database);
    assert_eq!(value::<String>(&database, "SELECT label FROM machine"), "z");
    database.psql("UPDATE machine SET label = 'own'");
    releases.is_done(&database);
    assert_eq!(value::<String>(&database, "SELECT label FROM machine"), "own");
}

/// COPY, too, names a column that goes later: the second time it fails before it takes a row.
fn copy_that_names_what_is_gone(context: &Context) {
    let (releases, database) = (Releases::new(context), context.database());
    let rows = "CREATE TABLE IF NOT EXISTS t (id int, old text);\nCOPY t (id, old) FROM stdin;\n1\tx\n2\ty\n\\.\n";
    releases.release(&[("01_all.sql", rows)]).deploys(&database);
    database.psql("UPDATE t SET old = NULL");
    releases
        .release(&[
            ("01_all.sql", rows),
            (
                "02_more.sql",
                "ALTER TABLE t DROP COLUMN old;\nCREATE TABLE u (id int);",
            ),
        ])
        .deploys(&database);
    assert_eq!(value::<i64>(&database, "SELECT count(*) FROM t"), 2);
    // What fails here, where it did not on the scratch server, is told.
    let other = context.database();
    other.psql("CREATE TABLE t (id int, old int)");
    releases.release(&[("01_all.sql", rows)]);
    Xtask::migrate(&other)
        .phases(releases.path())
        .arg("--run-once")
        .run()
        .ends(1)
        .says("01_all.sql:2")
        .says("22P02");
}

/// All that a release leaves in the end is new: the database is not empty for that.
fn nothing_that_is_left_is_new(context: &Context) {
    let (releases, database) = (Releases::new(context), context.database());
    let first = (
        "01_a.sql",
        "CREATE TABLE IF NOT EXISTS acct (id int, bal int);\nINSERT INTO acct VALUES (1, 100);\nUPDATE acct SET bal = bal * 2;",
    );
    releases.release(&[first]).deploys(&database);
    let second = (
        "02_b.sql",
        "CREATE TABLE account (id int, bal int);\nINSERT INTO account SELECT * FROM acct;\n\
         -- xtask: drops rows: copied\nDROP TABLE acct;",
    );
    releases.release(&[first, second]).deploys(&database);
    let rows = "SELECT string_agg(id || ' ' || bal, ', ') FROM account";
    assert_eq!(value::<String>(&database, rows), "1 200");
}

fn rows_are_kept_whoever_made_the_table(context: &Context) {
    let phases = "CREATE TABLE IF NOT EXISTS orders (id int);\nDROP TABLE orders;\nCREATE TABLE customers (id int);";
    let (releases, database) = (Releases::new(context), context.database());
    releases.release(&[("01_all.sql", phases)]);
    database.psql("CREATE TABLE orders (id int); INSERT INTO orders VALUES (1)");
    releases.migrate(&database).ends(1).says("table public.orders: 1 row");
    // Under another name in the same release, and by a function.
    for (drop, told) in [
        (
            "ALTER TABLE t RENAME a TO a_old;\nALTER TABLE t DROP a_old;",
            "1 row with a value",
        ),
        (
            "ALTER TABLE t RENAME TO t_old;\nDROP TABLE t_old;",
            "table public.t_old: 1 row",
        ),
        (
            "CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $$ BEGIN DROP TABLE t; END $$;\nSELECT f();",
            "table public.t: 1 row",
        ),
    ] {
        let (releases, database) = (Releases::new(context), context.database());
        let table = "CREATE TABLE IF NOT EXISTS t (id int, a text);\n";
        releases.release(&[("01_all.sql", table)]).deploys(&database);
        database.psql("INSERT INTO t VALUES (1, 'x')");
        releases.release(&[("01_all.sql", table), ("02_drop.sql", drop)]);
        releases.migrate(&database).ends(1).says(told);
    }
}

fn column_to_work_with(context: &Context) {
    let (releases, database) = (Releases::new(context), context.database());
    let table = "CREATE TABLE IF NOT EXISTS t (id int);\n";
    releases.release(&[("01_all.sql", table)]).deploys(&database);
    database.psql("INSERT INTO t VALUES (1), (2)");
    let work = "ALTER TABLE t ADD x int;\nUPDATE t SET x = id;\nUPDATE t SET id = x + 1;\nALTER TABLE t DROP x;";
    releases
        .release(&[("01_all.sql", table), ("02_work.sql", work)])
        .deploys(&database);
    assert_eq!(value::<i64>(&database, "SELECT sum(id) FROM t"), 5);
}

fn composite_type_alone(context: &Context) {
    let (releases, database) = (Releases::new(context), context.database());
    releases
        .release(&[(
            "01_all.sql",
            "CREATE TYPE point3 AS (x float8, y float8, z float8);\nCREATE TABLE IF NOT EXISTS t (at point3);",
        )])
        .deploys(&database);
}

fn owner_and_privilege_of_a_later_release(context: &Context) {
    let (releases, database) = (Releases::new(context), context.database());
    let table = "CREATE TABLE IF NOT EXISTS t (id int);\nGRANT SELECT ON t TO PUBLIC;\n";
    releases.release(&[("01_all.sql", table)]).deploys(&database);
    let role = format!("{}_group", database.owner);
    let grant = format!(
        "CREATE ROLE {role}; GRANT {role} TO {} WITH ADMIN OPTION",
        database.owner
    );
    database.admin().batch_execute(&grant).unwrap();
    let text = format!(
        "CREATE TABLE IF NOT EXISTS t (id int);\nREVOKE SELECT ON t FROM PUBLIC;\n\
         DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{role}') THEN CREATE ROLE {role}; END IF; END $$;\n\
         GRANT CREATE ON SCHEMA public TO {role};\nALTER TABLE t OWNER TO {role};"
    );
    releases.release(&[("01_all.sql", &text)]).deploys(&database);
    let owner = "SELECT relowner::regrole::text FROM pg_class WHERE oid = 't'::regclass";
    assert_eq!(value::<String>(&database, owner), role);
    let public =
        "SELECT EXISTS (SELECT FROM pg_class c, aclexplode(c.relacl) a WHERE c.oid = 't'::regclass AND a.grantee = 0)";
    assert!(!value::<bool>(&database, public), "the privilege is still there");
    database
        .admin()
        .batch_execute(&format!("DROP OWNED BY {role}; DROP ROLE {role}"))
        .unwrap();
}

fn second_run_differs_is_told(context: &Context) {
    let releases = Releases::new(context);
    releases.release(&[(
        "01_all.sql",
        "CREATE TABLE IF NOT EXISTS a (id int);\nALTER TABLE a RENAME TO b;\n",
    )]);
    let output = context.snapshot(releases.path(), &[]);
    output.ends(0).says("01_all.sql:1").says("table public.a");
    let database = context.database();
    releases.deploys(&database);
    Xtask::verify(&database)
        .phases(releases.path())
        .arg("--strict")
        .run()
        .ends(0);
}
