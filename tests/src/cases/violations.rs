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

fn without_a_directive(context: &Context) {
    let (database, phases) = with_rows(context, 100);
    phases.write(
        "02_constraints.sql",
        "ALTER TABLE t ADD CONSTRAINT t_code UNIQUE (code);\n",
    );
    context.observe(phases.path());
    let told = Xtask::migrate(&database).phases(phases.path()).run();
    told.ends(1)
        .says("02_constraints.sql:1")
        .says("duplicates keep latest by");
    assert_eq!(count(&database, "t"), 100);
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
