//! Online forms: what a statement that would keep users of a table waiting is sent as instead.

use serde_json::Value;

use crate::harness::Context;
use crate::harness::catalog::Catalog;
use crate::harness::database::Database;
use crate::harness::phases::Phases;
use crate::harness::release::Releases;
use crate::harness::xtask::Xtask;

tests![
    made_and_proved,
    sent_where_the_table_is_large,
    as_written_where_it_is_small,
    goes_on_wherever_it_died,
    partitions_one_by_one,
    index_that_failed_is_built_again,
    empty_column_is_not_looked_for_under_the_lock,
];

const TABLES: &str = "CREATE TABLE t (id int, n int, m text, \"O\" int DEFAULT 1);
CREATE TABLE other (id int PRIMARY KEY, t_id int);
";

/// Each takes another form, and so many statements.
const CHANGES: &[(&str, usize)] = &[
    ("CREATE INDEX t_n ON t (n) WHERE n > 0", 1),
    ("CREATE UNIQUE INDEX t_m_id ON t (lower(m), id)", 1),
    ("ALTER TABLE t ADD CONSTRAINT positive CHECK (n >= 0)", 2),
    ("ALTER TABLE t ALTER COLUMN \"O\" SET NOT NULL", 4),
    (
        "ALTER TABLE t ADD CONSTRAINT t_n_key UNIQUE (n, id) DEFERRABLE INITIALLY DEFERRED",
        2,
    ),
    ("ALTER TABLE t ADD PRIMARY KEY (id)", 6),
    (
        "ALTER TABLE other ADD CONSTRAINT other_t FOREIGN KEY (t_id) REFERENCES t ON DELETE CASCADE",
        2,
    ),
    (
        "ALTER TABLE t ADD COLUMN later int DEFAULT 7, ADD CONSTRAINT late CHECK (later > 0)",
        3,
    ),
];

fn changes() -> String {
    CHANGES.iter().map(|(sql, _)| format!("{sql};\n")).collect()
}

/// The tables with rows, enough to be large, and phases that change them.
pub fn in_use(context: &Context) -> (Database, Phases) {
    let (database, phases) = (context.database(), Phases::new(&[("01_tables.sql", TABLES)]));
    context.observe(phases.path());
    Xtask::migrate(&database).phases(phases.path()).run().ends(0);
    database.psql(
        "INSERT INTO t (id, n, m) SELECT i, i, repeat(i::text, 20) FROM generate_series(1, 30000) AS i;
         INSERT INTO other SELECT i, i % 30000 + 1 FROM generate_series(1, 90000) AS i",
    );
    phases.write("02_changes.sql", changes());
    context.observe(phases.path());
    (database, phases)
}

fn plan(database: &Database, phases: &Phases) -> Vec<Value> {
    let output = Xtask::plan(database).phases(phases.path()).arg("--json").run();
    let told = output.ends(0).json();
    let statements = told["statements"].as_array().expect("a list");
    let of_changes = |one: &&Value| one["place"].as_str().is_some_and(|place| place.starts_with("02_"));
    statements.iter().filter(of_changes).cloned().collect()
}

fn sends(step: &Value) -> Vec<&str> {
    let sends = step["sends"].as_array().expect("a list");
    sends.iter().filter_map(Value::as_str).collect()
}

fn converges(database: &Database, phases: &Phases) {
    Xtask::migrate(database).phases(phases.path()).run().ends(0);
    Xtask::verify(database)
        .phases(phases.path())
        .arg("--strict")
        .run()
        .ends(0);
}

/// Nothing is left that would keep anybody waiting, and `expected.json` shows what is sent.
fn made_and_proved(context: &Context) {
    let phases = Phases::new(&[("01_tables.sql", TABLES), ("02_changes.sql", &changes())]);
    context.snapshot(phases.path(), &["--deny"]).ends(0).hides("while it");
    let text = std::fs::read_to_string(phases.path().join("expected.json")).unwrap();
    assert!(text.contains("CREATE INDEX CONCURRENTLY t_n ON public.t"), "{text}");
    context.snapshot(phases.path(), &["--check", "--deny"]).ends(0);
    // What has none is still told, and what shall have none.
    phases.write(
        "03_more.sql",
        "ALTER TABLE t ALTER COLUMN n TYPE bigint;\n-- xtask: as written\nCREATE INDEX t_m ON t (m);\n",
    );
    let told = context.snapshot(phases.path(), &["--deny"]);
    told.ends(1)
        .says("03_more.sql:1: ")
        .says("03_more.sql:3: ")
        .hides("02_changes");
}

fn sent_where_the_table_is_large(context: &Context) {
    let (database, phases) = in_use(context);
    let steps = plan(&database, &phases);
    for (step, (sql, count)) in steps.iter().zip(CHANGES) {
        assert_eq!(step["form"], Value::from("online"), "{sql}: {step}");
        assert_eq!(sends(step).len(), *count, "{sql}: {step}");
    }
    assert_eq!(steps.len(), CHANGES.len());
    converges(&database, &phases);
    // It is what the statements leave themselves.
    let given = context.database();
    given.psql(TABLES);
    given.psql(&changes());
    Catalog::of(&database).equals(&Catalog::of(&given));
    let told = Xtask::migrate(&database).phases(phases.path()).run();
    told.ends(0).says("nothing to do");
}

fn as_written_where_it_is_small(context: &Context) {
    let (database, phases) = in_use(context);
    database.psql("TRUNCATE t, other");
    assert!(plan(&database, &phases).iter().all(|step| step["form"] != "online"));
    converges(&database, &phases);
}

/// As after a run that was killed between any two steps, or between a step and its record.
fn goes_on_wherever_it_died(context: &Context) {
    let (database, phases) = in_use(context);
    let steps = plan(&database, &phases);
    let all: Vec<&str> = steps.iter().flat_map(sends).collect();
    assert_eq!(all.len(), CHANGES.iter().map(|(_, count)| count).sum::<usize>());
    for (n, sql) in all.iter().enumerate() {
        database.psql(sql);
        let rest = plan(&database, &phases);
        let rest: Vec<&str> = rest.iter().flat_map(sends).collect();
        assert_eq!(rest, all[n + 1..], "after {sql}");
    }
    converges(&database, &phases);
    for done in [3, 8, 15, 19] {
        let (database, phases) = in_use(context);
        for sql in &all[..done] {
            database.psql(sql);
        }
        converges(&database, &phases);
    }
}

const PARTITIONED: &str =
    "CREATE TABLE log (id bigint NOT NULL, day date NOT NULL, kind text, ref int) PARTITION BY RANGE (day);
CREATE TABLE log_1 PARTITION OF log FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
CREATE TABLE log_2 PARTITION OF log FOR VALUES FROM ('2026-02-01') TO ('2026-03-01');
CREATE TABLE ref (id int PRIMARY KEY);
";
const ON_PARTITIONED: &str = "CREATE INDEX log_kind ON log (kind);
ALTER TABLE log ADD CONSTRAINT log_pkey PRIMARY KEY (id, day);
ALTER TABLE log ADD CONSTRAINT positive CHECK (id > 0);
ALTER TABLE log ALTER COLUMN kind SET NOT NULL;
ALTER TABLE log ADD CONSTRAINT log_ref FOREIGN KEY (ref) REFERENCES ref;
";

/// A partitioned table passes on to its partitions what keeps them waiting: each is dealt with by itself, those that no
/// file names too. Wherever it died, it goes on.
fn partitions_one_by_one(context: &Context) {
    let phases = Phases::new(&[("01_tables.sql", PARTITIONED)]);
    context.observe(phases.path());
    let in_use = || {
        let database = context.database();
        Xtask::migrate(&database).phases(phases.path()).run().ends(0);
        database.psql(
            "CREATE TABLE \"Log own\" PARTITION OF log FOR VALUES FROM ('2026-03-01') TO ('2026-04-01');
             INSERT INTO ref SELECT generate_series(0, 9);
             INSERT INTO log SELECT n, date '2026-01-01' + n % 89, repeat('k' || n, 10), n % 10
                 FROM generate_series(1, 100000) AS n",
        );
        database
    };
    let databases = [in_use(), in_use()];
    phases.write("02_more.sql", ON_PARTITIONED);
    context.observe(phases.path());
    let [database, other] = &databases;
    let steps = plan(database, &phases);
    let all: Vec<String> = steps.iter().flat_map(sends).map(ToOwned::to_owned).collect();
    let own = all.iter().filter(|sql| sql.contains("Log own")).count();
    assert_eq!(own, 7, "an index, a key, a reference, attached: {all:#?}");
    for (n, sql) in all.iter().enumerate() {
        other.psql(sql);
        let rest = plan(other, &phases);
        let rest: Vec<&str> = rest.iter().flat_map(sends).collect();
        assert_eq!(rest, all[n + 1..], "after {sql}");
    }
    for database in [database, other] {
        Xtask::migrate(database).phases(phases.path()).run().ends(0);
        Xtask::verify(database).phases(phases.path()).run().ends(0);
        let valid =
            "SELECT bool_and(indisvalid) FROM pg_index WHERE indrelid IN ('log'::regclass, '\"Log own\"'::regclass)";
        assert!(database.admin().query_one(valid, &[]).unwrap().get::<_, bool>(0));
        let log = "SELECT count(*) FROM pg_constraint WHERE conrelid = '\"Log own\"'::regclass AND contype = 'f'";
        assert_eq!(database.admin().query_one(log, &[]).unwrap().get::<_, i64>(0), 1);
    }
}

fn index_that_failed_is_built_again(context: &Context) {
    let (database, phases) = in_use(context);
    phases.write("02_changes.sql", "ALTER TABLE t ADD CONSTRAINT t_m UNIQUE (m);\n");
    context.observe(phases.path());
    database.psql("UPDATE t SET m = '1' WHERE id < 3");
    let told = Xtask::migrate(&database).phases(phases.path()).run();
    told.ends(1).says("02_changes.sql:1").says("duplicate");
    database.psql("DELETE FROM t WHERE id = 2");
    converges(&database, &phases);
}

/// Reading all rows under the lock of DROP COLUMN would keep everybody waiting.
fn empty_column_is_not_looked_for_under_the_lock(context: &Context) {
    let releases = Releases::new(context);
    let database = context.database();
    releases
        .release(&[("01_all.sql", "CREATE TABLE t (id int, a text, \"B\" text, c text);")])
        .deploys(&database);
    database.psql("INSERT INTO t (id, c) SELECT i, 'x' FROM generate_series(1, 100000) AS i");
    let without =
        |column: &str| format!("CREATE TABLE IF NOT EXISTS t (id int);\nALTER TABLE t DROP COLUMN IF EXISTS {column};");
    releases
        .release(&[("01_all.sql", &without("\"B\""))])
        .deploys(&database);
    let steps = "SELECT coalesce(string_agg(summary, ' | ' ORDER BY number), '') FROM migration.steps
                 WHERE run_id = (SELECT max(run_id) FROM migration.steps)";
    let told: String = database.connect().query_one(steps, &[]).expect("the steps").get(0);
    assert!(told.contains("VALIDATE CONSTRAINT"), "{told}");
    // One with values is refused as ever, and no check is left.
    releases
        .release(&[("01_all.sql", &without("c"))])
        .migrate(&database)
        .ends(1)
        .says("column public.t.c: 100000 rows");
    // A run that died has left its check: whoever writes such a value shall not meet it for ever.
    database.psql("ALTER TABLE t ADD CONSTRAINT xtask_empty_0123456789abcdef CHECK (a IS NULL) NOT VALID");
    releases
        .release(&[("01_all.sql", &without("gone"))])
        .migrate(&database)
        .ends(0);
    let left = "SELECT count(*) FROM pg_constraint WHERE conname LIKE 'xtask%'";
    assert_eq!(
        database
            .connect()
            .query_one(left, &[])
            .expect("a count")
            .get::<_, i64>(0),
        0
    );
}
