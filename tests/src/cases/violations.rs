//! Rows that a constraint refuses: a directive says what becomes of them, and none is lost.

use serde_json::Value;

use crate::harness::Context;
use crate::harness::database::Database;
use crate::harness::phases::Phases;
use crate::harness::xtask::Xtask;

tests![
    each_directive,
    as_many_as_there_are,
    arrive_meanwhile,
    without_a_directive,
    a_directive_that_does_not_fit,
    statements_that_keep_what_they_change,
    kept_in_one_transaction_with_others,
    rows_that_would_be_meant_again,
    what_works_in_no_batches,
    changed_between_look_and_batch,
    keys_whose_equality_is_elsewhere,
];

const TABLES: &str = "CREATE TABLE p (id int PRIMARY KEY);
CREATE TABLE t (n serial, id int, code text, p_id int, size int, at timestamptz);
";

const CONSTRAINTS: &str = "-- xtask: duplicates keep latest by at, n
ALTER TABLE t ADD CONSTRAINT t_code UNIQUE (code);

-- xtask: violations set id = -n
ALTER TABLE t ALTER COLUMN id SET NOT NULL;

-- xtask: violations set null
ALTER TABLE t ADD CONSTRAINT t_p FOREIGN KEY (p_id) REFERENCES p (id);

-- xtask: violations quarantine
ALTER TABLE t ADD CONSTRAINT t_size CHECK (size > 0);
";

/// Tables with `rows` rows, of which some are refused: of codes a tenth has a duplicate, and so on.
fn with_rows(context: &Context, rows: u32) -> (Database, Phases) {
    let (database, phases) = (context.database(), Phases::new(&[("01_tables.sql", TABLES)]));
    context.observe(phases.path());
    Xtask::migrate(&database).phases(phases.path()).run().ends(0);
    database.psql(&format!(
        "INSERT INTO p SELECT i FROM generate_series(1, 100) AS i;
         INSERT INTO t (id, code, p_id, size, at)
         SELECT nullif(i % 50, 0), 'code ' || i % ({rows} * 9 / 10), i % 105 + 1, i % 20, now() + i * interval '1 s'
         FROM generate_series(1, {rows}) AS i"
    ));
    phases.write("02_constraints.sql", CONSTRAINTS);
    context.observe(phases.path());
    (database, phases)
}

fn count(database: &Database, what: &str) -> i64 {
    database
        .admin()
        .query_one(&format!("SELECT count(*) FROM {what}"), &[])
        .unwrap()
        .get(0)
}

fn each_directive(context: &Context) {
    let (database, phases) = with_rows(context, 1000);
    let told = Xtask::plan(&database).phases(phases.path()).arg("--json").run();
    let planned: Vec<i64> = told.ends(0).json()["statements"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|step| step["set_aside"]["rows"].as_i64())
        .collect();
    let refused = [
        "t AS a WHERE EXISTS (SELECT FROM t AS b WHERE b.code = a.code AND b.at > a.at)",
        "t WHERE id IS NULL",
        "t WHERE p_id NOT IN (SELECT id FROM p)",
        "t WHERE size <= 0",
    ];
    let refused = refused.map(|rows| count(&database, rows));
    assert!(
        refused.iter().all(|rows| *rows > 0) && planned == refused,
        "{planned:?} {refused:?}"
    );
    let latest: String = {
        let sql = "SELECT string_agg(n::text, ',' ORDER BY n) FROM (SELECT max(n) AS n FROM t GROUP BY code) AS kept";
        database.admin().query_one(sql, &[]).unwrap().get(0)
    };
    let told = Xtask::migrate(&database).phases(phases.path()).run();
    told.ends(0)
        .says("100 rows of public.t: duplicate code")
        .says("migration.quarantine");
    Xtask::verify(&database)
        .phases(phases.path())
        .arg("--strict")
        .run()
        .ends(0);
    // Of duplicates the latest stays.
    let kept = "SELECT string_agg(n::text, ',' ORDER BY n) FROM (SELECT n FROM t UNION
                SELECT (row_data->>'n')::int FROM migration.quarantine WHERE reason LIKE 'not %') AS kept";
    let kept: String = database.admin().query_one(kept, &[]).unwrap().get(0);
    assert_eq!(kept, latest);
    let numbers = "(SELECT n FROM t UNION SELECT (row_data->>'n')::int FROM migration.quarantine) AS all_of_them";
    assert_eq!(count(&database, numbers), 1000);
    assert!(count(&database, "t WHERE id < 0") > 0 && count(&database, "t WHERE p_id IS NULL") > 0);
    // The history shows it as steps.
    assert_eq!(
        count(
            &database,
            "migration.steps WHERE summary LIKE 'set aside%' AND rows > 0"
        ),
        4
    );
    let before = count(&database, "migration.quarantine");
    Xtask::migrate(&database)
        .phases(phases.path())
        .run()
        .ends(0)
        .says("nothing to do");
    assert_eq!(count(&database, "migration.quarantine"), before);
}

/// More than one batch, on a table that is large, and so in its online form.
fn as_many_as_there_are(context: &Context) {
    let (database, phases) = with_rows(context, 60_000);
    let rows = count(&database, "t");
    let told = Xtask::plan(&database).phases(phases.path()).arg("--json").run();
    let told = told.ends(0).json();
    let forms = told["statements"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|step| step["form"] == "online");
    assert_eq!(forms.count(), 4);
    Xtask::migrate(&database).phases(phases.path()).run().ends(0);
    Xtask::verify(&database)
        .phases(phases.path())
        .arg("--strict")
        .run()
        .ends(0);
    let removed = count(
        &database,
        "migration.quarantine WHERE reason LIKE 'dup%' OR reason LIKE 'not %'",
    );
    assert_eq!(count(&database, "t") + removed, rows);
    assert!(removed > 8000, "{removed}");
}

/// The application goes on writing what will be refused, until the constraint is there; duplicates for a while only, since
/// they are refused no sooner than the index is built.
fn arrive_meanwhile(context: &Context) {
    let (database, phases) = with_rows(context, 60_000);
    let migrated = std::sync::atomic::AtomicBool::new(false);
    let written = std::thread::scope(|scope| {
        let application = scope.spawn(|| {
            let mut client = database.connect();
            let mut written = 0;
            let sql = "INSERT INTO t (id, code, p_id, size, at) VALUES ($1, $2, $3, $4, now())";
            while !migrated.load(std::sync::atomic::Ordering::Relaxed) {
                let bad = match written % 4 {
                    1 if written > 100 => 2,
                    bad => bad,
                };
                let id = (bad != 0).then_some(7);
                let code = format!("code {}", if bad == 1 { 1 } else { 1_000_000 + written });
                let (p, size) = (if bad == 2 { 9999 } else { 1 }, if bad == 3 { -1 } else { 1 });
                let done = client.execute(sql, &[&id, &code, &p, &size]);
                written += i32::from(done.is_ok());
                if done.is_err() {
                    std::thread::yield_now();
                    // What is refused from now on is the application's own affair.
                    let fine = client.execute(sql, &[&7, &format!("fine {written}"), &1, &1]);
                    written += i32::from(fine.is_ok());
                }
            }
            i64::from(written)
        });
        let before = count(&database, "t");
        let mut told = Xtask::migrate(&database).phases(phases.path()).run();
        // More than the rounds can meet ends with an error, and the next run goes on.
        if told.status != Some(0) {
            told = Xtask::migrate(&database).phases(phases.path()).run();
        }
        migrated.store(true, std::sync::atomic::Ordering::Relaxed);
        told.ends(0);
        (before, application.join().unwrap())
    });
    Xtask::verify(&database)
        .phases(phases.path())
        .arg("--strict")
        .run()
        .ends(0);
    let removed = count(
        &database,
        "migration.quarantine WHERE reason LIKE 'dup%' OR reason LIKE 'not %'",
    );
    assert!(written.1 > 0);
    assert!(
        count(&database, "t") + removed >= 60_000 + written.1 - 1,
        "rows are lost"
    );
}

/// Nothing is tried: the rows are counted, and the directives are named that would do.
fn without_a_directive(context: &Context) {
    let (database, phases) = with_rows(context, 100);
    database.psql("INSERT INTO t (code, p_id, size) VALUES ('A', 1000, 1), ('a', NULL, NULL); UPDATE t SET id = n");
    let refused = [
        (
            "ALTER TABLE t ADD CONSTRAINT t_code UNIQUE (code)",
            "10 rows",
            "duplicate code",
            "duplicates keep latest by <columns>",
        ),
        (
            "CREATE UNIQUE INDEX ON t (lower(code) DESC) WHERE size > 0",
            "9 rows",
            "duplicate lower(code)",
            "duplicates keep latest by",
        ),
        (
            "ALTER TABLE t ALTER p_id SET NOT NULL",
            "1 row",
            "p_id is missing",
            "violations set p_id = <expression>",
        ),
        (
            "ALTER TABLE t ADD FOREIGN KEY (p_id) REFERENCES p",
            "2 rows",
            "p_id refers to no row of public.p",
            "violations set null",
        ),
        (
            "ALTER TABLE t ADD CHECK (size <> 4), ADD a int",
            "5 rows",
            "not (size <> 4)",
            "violations set <column> = <expression>",
        ),
    ];
    for (sql, rows, reason, directive) in refused {
        phases.write("02_constraints.sql", format!("{sql};\n"));
        context.observe(phases.path());
        let told = Xtask::plan(&database).phases(phases.path()).run();
        let says = format!("{rows} of public.t would be refused ({reason}");
        told.ends(0).says(&says).says(directive);
        let told = Xtask::migrate(&database).phases(phases.path()).run();
        told.ends(1)
            .says("02_constraints.sql:1: ")
            .says(&says)
            .says(directive)
            .says("nothing of it was tried");
        assert_eq!(
            count(
                &database,
                "pg_constraint WHERE conrelid = 't'::regclass AND contype <> 'n'"
            ),
            0
        );
    }
    assert_eq!(count(&database, "t"), 102);
    // The keys are those of the primary key, where there is one.
    database.psql("DELETE FROM t WHERE size IS DISTINCT FROM 4; ALTER TABLE t ADD PRIMARY KEY (n, code)");
    let told = Xtask::migrate(&database).phases(phases.path()).run();
    told.ends(1)
        .says("such as (n, code) = (4, code 4), (n, code) = (24, code 24), (n, code) = (44, code 44)\n");
    let told = Xtask::plan(&database).phases(phases.path()).arg("--json").run();
    let told = told.ends(0).json();
    let refuses = told["statements"]
        .as_array()
        .unwrap()
        .iter()
        .find_map(|step| step["refuses"].get(0))
        .unwrap();
    assert_eq!(
        (&refuses["rows"], &refuses["examples"][2]),
        (&Value::from(5), &Value::from("(n, code) = (44, code 44)"))
    );
    // What an earlier statement puts right is refused by nobody.
    database.psql("ALTER TABLE t DROP CONSTRAINT t_pkey, ALTER code DROP NOT NULL");
    let sql = "UPDATE t SET size = 5 WHERE size = 4;\nBEGIN;\nUPDATE t SET code = n::text;\n\
               ALTER TABLE t ADD CHECK (size <> 4);\nALTER TABLE t ADD CHECK (code NOT LIKE 'c%');\nCOMMIT;\n";
    phases.write("02_constraints.sql", sql);
    context.observe(phases.path());
    Xtask::migrate(&database).phases(phases.path()).run().ends(0);
}

fn a_directive_that_does_not_fit(context: &Context) {
    let (database, phases) = with_rows(context, 100);
    let sql = "-- xtask: violations set null\nALTER TABLE t ADD CONSTRAINT t_size CHECK (size > 0);\n";
    phases.write("02_constraints.sql", sql);
    context.observe(phases.path());
    let told = Xtask::migrate(&database).phases(phases.path()).run();
    told.ends(2).says("02_constraints.sql:2").says("no foreign key");
    phases.write("02_constraints.sql", "-- xtask: violations maybe\nSELECT 1;\n");
    let told = Xtask::migrate(&database).phases(phases.path()).run();
    told.says("violations quarantine");
    assert_ne!(told.status, Some(0));
    assert_eq!(Value::from(count(&database, "t")), Value::from(100));
}

const KEEPING: &str = "-- xtask: quarantine
UPDATE t AS x SET code = 'none', (size) = ROW(7) WHERE x.code IS NULL -- of old

;
-- xtask: always
-- xtask: quarantine
DELETE FROM t WHERE size < 0 AND NOT EXISTS (SELECT FROM p WHERE p.id = t.p_id);
";

fn statements_that_keep_what_they_change(context: &Context) {
    let (database, phases) = with_rows(context, 100);
    database.psql(
        "INSERT INTO t (id, p_id, size) SELECT i, 1, i FROM generate_series(1, 2500) AS i;
         INSERT INTO t (id, code, p_id, size) SELECT i, 'x', 9999, -i FROM generate_series(1, 30) AS i",
    );
    phases.write("02_constraints.sql", KEEPING);
    context.observe(phases.path());
    let told = Xtask::plan(&database).phases(phases.path()).run();
    told.ends(0)
        .says("sets aside 2500 rows of t: x.code IS NULL: the row stays, with code = 'none', (size) = ROW(7)");
    let told = Xtask::migrate(&database).phases(phases.path()).run();
    told.ends(0)
        .says("02_constraints.sql:2  2500 rows")
        .says("30 rows of t");
    let updated = "migration.quarantine WHERE set_columns = '{code,size}' AND table_name = 'public.t'
                   AND row_data->'code' = 'null' AND row_after->>'code' = 'none' AND row_data->'n' = row_after->'n'
                   AND (row_data->>'size')::int > 0 AND row_after->>'size' = '7'";
    assert_eq!(count(&database, updated), 2500);
    assert_eq!(count(&database, "t WHERE code = 'none' AND size = 7"), 2500);
    let removed = "migration.quarantine WHERE row_after IS NULL AND (row_data->>'p_id')::int = 9999";
    assert_eq!(count(&database, removed), 30);
    assert_eq!(count(&database, "t WHERE p_id = 9999"), 0);
    // What runs once has; what runs always looks again.
    database.psql("INSERT INTO t (code, p_id, size) VALUES (NULL, 1, 1), ('y', 9999, 1)");
    let told = Xtask::migrate(&database).phases(phases.path()).run();
    told.ends(0).says("nothing to do");
    database.psql("UPDATE t SET size = -1 WHERE p_id = 9999");
    let told = Xtask::migrate(&database).phases(phases.path()).run();
    told.ends(0).says("1 row of t");
    assert_eq!(count(&database, removed), 31);
    assert_eq!(count(&database, "t WHERE code IS NULL"), 1);
}

/// Rows that are put in anew go in one transaction with those that are taken out, and those are kept in it too.
fn kept_in_one_transaction_with_others(context: &Context) {
    let file =
        |rows: &str| format!("-- xtask: quarantine\nDELETE FROM cfg WHERE true;\nINSERT INTO cfg VALUES {rows};\n");
    let (database, phases) = (
        context.database(),
        Phases::new(&[("01_a.sql", "CREATE TABLE cfg (id int);")]),
    );
    phases.write("02_rows.sql", file("(1), (2)"));
    context.observe(phases.path());
    Xtask::migrate(&database).phases(phases.path()).run().ends(0);
    assert_eq!(count(&database, "cfg"), 2);
    phases.write("02_rows.sql", file("(3), (4), (NULL)"));
    context.observe(phases.path());
    let told = Xtask::migrate(&database).phases(phases.path()).run();
    told.ends(0).says("02_rows.sql:2  2 rows of cfg: true: set aside");
    assert_eq!(count(&database, "cfg"), 3);
    let kept = "migration.quarantine WHERE table_name = 'public.cfg' AND place = '02_rows.sql:2' AND row_after IS NULL";
    assert_eq!(count(&database, kept), 2);
    // Nothing is kept of a transaction that fails.
    phases.write("02_rows.sql", file("(5), (6)"));
    context.observe(phases.path());
    database.psql("ALTER TABLE cfg ADD CHECK (id <> 6)");
    Xtask::migrate(&database).phases(phases.path()).run().ends(1);
    assert_eq!((count(&database, "cfg"), count(&database, kept)), (3, 2));
}

fn rows_that_would_be_meant_again(context: &Context) {
    let (database, phases) = with_rows(context, 100);
    let sql = "-- xtask: quarantine\nUPDATE t SET size = size - 1 WHERE size < 5;\n";
    phases.write("02_constraints.sql", sql);
    context.observe(phases.path());
    let before = count(&database, "t WHERE size < 5");
    let told = Xtask::migrate(&database).phases(phases.path()).run();
    told.ends(1).says("02_constraints.sql:2").says("would still be");
    assert_eq!(count(&database, "t WHERE size < 5"), before);
    assert_eq!(count(&database, "t WHERE size < 0"), 0);
    assert_eq!(count(&database, "migration.quarantine"), 0);
}

fn what_works_in_no_batches(context: &Context) {
    let (database, phases) = with_rows(context, 10);
    for (sql, says) in [
        ("UPDATE t SET size = p.id FROM p WHERE p.id = t.p_id", "FROM, a join"),
        ("DELETE FROM t", "no WHERE"),
    ] {
        phases.write("02_constraints.sql", format!("-- xtask: quarantine\n{sql};\n"));
        for command in ["snapshot", "plan", "migrate"] {
            let told = Xtask::new([command]).on(&database).phases(phases.path()).run();
            told.ends(1)
                .says("02_constraints.sql:2:1")
                .says(says)
                .says("which rows are meant");
        }
    }
    assert_eq!(count(&database, "t"), 10);
}

/// A row that the application changes between the look and the batch is dealt with before the statement: it need not fail
/// first. Here a trigger keeps the first rows of two keys as somebody else's change would.
fn changed_between_look_and_batch(context: &Context) {
    let (database, phases) = with_rows(context, 1000);
    database.psql(
        "CREATE SEQUENCE deleted;
         CREATE FUNCTION at_first_not() RETURNS trigger LANGUAGE plpgsql AS
         $$ BEGIN IF nextval('deleted') <= 2 THEN RETURN NULL; END IF; RETURN OLD; END $$;
         CREATE TRIGGER at_first_not BEFORE DELETE ON t FOR EACH ROW EXECUTE FUNCTION at_first_not()",
    );
    Xtask::migrate(&database)
        .phases(phases.path())
        .run()
        .ends(0)
        .says("100 rows of public.t: duplicate code");
    let steps = "migration.steps WHERE summary LIKE 'set aside%duplicate%'";
    assert_eq!(count(&database, steps), 1);
    assert_eq!(count(&database, "migration.quarantine WHERE reason LIKE 'dup%'"), 100);
}

/// The first look at keys compares them by `=`, which the search path may lack, or take for that of another type.
fn keys_whose_equality_is_elsewhere(context: &Context) {
    let tables = "CREATE SCHEMA types;
        CREATE EXTENSION citext SCHEMA types;
        CREATE EXTENSION hstore SCHEMA types;
        CREATE TABLE t (a types.citext, b types.hstore, c int);";
    let (database, phases) = (context.database(), Phases::new(&[("01_tables.sql", tables)]));
    context.observe(phases.path());
    Xtask::migrate(&database).phases(phases.path()).run().ends(0);
    database.psql(
        "INSERT INTO t SELECT CASE WHEN i % 2 = 0 THEN 'A' ELSE 'a' END || i / 2, types.hstore('k', (i / 4)::text), i
         FROM generate_series(0, 99) AS i",
    );
    let constraints = "-- xtask: duplicates keep latest by c
        ALTER TABLE t ADD CONSTRAINT t_a UNIQUE (a);
        -- xtask: duplicates keep latest by c
        ALTER TABLE t ADD CONSTRAINT t_b UNIQUE (b);";
    phases.write("02_constraints.sql", constraints);
    context.observe(phases.path());
    Xtask::migrate(&database).phases(phases.path()).run().ends(0);
    assert_eq!(count(&database, "t"), 25);
    assert_eq!(count(&database, "migration.quarantine"), 75);
}
