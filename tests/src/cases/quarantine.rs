//! Rows that were set aside are listed, shown and put back; what does not fit stays, and why is told.

use serde_json::Value;

use crate::harness::Context;
use crate::harness::database::Database;
use crate::harness::phases::Phases;
use crate::harness::xtask::{Output, Xtask};

tests![
    nothing_yet,
    there_and_back,
    half_of_them,
    changed_rows,
    gone_since,
    one_refers_to_the_other
];

const TABLES: &str = "CREATE TABLE p (id int PRIMARY KEY, name text);
CREATE TABLE \"T x\" (
    id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, t text, code text, size int NOT NULL, p_id int REFERENCES p,
    double int GENERATED ALWAYS AS (size * 2) STORED, at timestamptz DEFAULT now()
);
";

/// A database with rows in \"T x\", of which the statements set some aside; as they were before.
fn with_set_aside(context: &Context, rows: u32, statements: &str) -> (Database, Phases, Value) {
    let (database, phases) = (context.database(), Phases::new(&[("01_tables.sql", TABLES)]));
    context.observe(phases.path());
    Xtask::migrate(&database).phases(phases.path()).run().ends(0);
    database.psql(&format!(
        "INSERT INTO p SELECT i, 'p' || i FROM generate_series(1, 10) AS i;
         INSERT INTO \"T x\" (t, code, size, p_id) SELECT 't' || i, 'code ' || i, i, i % 10 + 1
         FROM generate_series(1, {rows}) AS i"
    ));
    let before = rows_of(&database);
    phases.write("02_clean.sql", statements);
    context.observe(phases.path());
    Xtask::migrate(&database).phases(phases.path()).run().ends(0);
    (database, phases, before)
}

fn rows_of(database: &Database) -> Value {
    let sql = "SELECT coalesce(jsonb_agg(to_jsonb(x.*) ORDER BY id), '[]')::text FROM \"T x\" AS x";
    let text: String = database.admin().query_one(sql, &[]).unwrap().get(0);
    serde_json::from_str(&text).unwrap()
}

fn count(database: &Database, what: &str) -> i64 {
    let sql = format!("SELECT count(*) FROM {what}");
    database.admin().query_one(&sql, &[]).unwrap().get(0)
}

fn quarantine(database: &Database, arguments: &[&str]) -> Output {
    Xtask::new([&["quarantine"], arguments].concat()).on(database).run()
}

const REMOVING: &str = "-- xtask: quarantine\nDELETE FROM \"T x\" WHERE size > 500;\n";

fn nothing_yet(context: &Context) {
    let database = context.database();
    quarantine(&database, &["list"]).ends(0).says("no rows were set aside");
    quarantine(&database, &["show", "--run", "1"])
        .ends(0)
        .says("no such rows");
    quarantine(&database, &["restore"]).ends(0).says("0 rows put back");
}

/// More than a batch, with an identity and a computed column.
fn there_and_back(context: &Context) {
    let (database, phases, before) = with_set_aside(context, 2600, REMOVING);
    assert_eq!(count(&database, "\"T x\""), 500);
    let told = quarantine(&database, &["list", "--json"]);
    let told = told.ends(0).json();
    let [group] = told.as_array().unwrap().as_slice() else {
        panic!("{told}")
    };
    assert_eq!(
        (&group["run"], &group["rows"], &group["restored"]),
        (&2.into(), &2100.into(), &0.into())
    );
    assert_eq!(
        (&group["place"], &group["table"]),
        (&"02_clean.sql:2".into(), &"public.\"T x\"".into())
    );
    quarantine(&database, &["list", "--table", "p"])
        .ends(0)
        .says("no rows were set aside");
    let told = quarantine(
        &database,
        &["show", "--run", "2", "--table", "\"T x\"", "--limit", "2", "--json"],
    );
    let told = told.ends(0).json();
    assert_eq!(told.as_array().unwrap().len(), 2);
    assert_eq!(
        told[0]["row"]["t"],
        before[told[0]["row"]["id"].as_u64().unwrap() as usize - 1]["t"]
    );
    let id = told[0]["id"].to_string();
    let told = quarantine(&database, &["restore", "--id", &id]);
    told.ends(0)
        .says("1 row put back")
        .says("02_clean.sql:2  1 row of public.\"T x\"");
    quarantine(&database, &["list"])
        .ends(0)
        .says("2100 rows of public.\"T x\" (1 put back): size > 500: set aside");
    quarantine(&database, &["restore", "--run", "1"])
        .ends(0)
        .says("0 rows put back");
    let told = quarantine(&database, &["restore", "--json"]);
    let told = told.ends(0).json();
    assert_eq!((&told["restored"], &told["left"]), (&2099.into(), &0.into()));
    assert_eq!(rows_of(&database), before);
    assert_eq!(
        count(
            &database,
            "migration.quarantine WHERE restored IS NOT NULL AND restored_by LIKE 'tester@%'"
        ),
        2100
    );
    // What runs once has run: the rows stay.
    Xtask::migrate(&database)
        .phases(phases.path())
        .run()
        .ends(0)
        .says("nothing to do");
    quarantine(&database, &["restore"]).ends(0).says("0 rows put back");
    assert_eq!(rows_of(&database), before);
}

/// Somebody has taken the place of half of the rows; of the others each comes back.
fn half_of_them(context: &Context) {
    let (database, _phases, _) = with_set_aside(context, 700, REMOVING);
    database.psql(
        "CREATE UNIQUE INDEX code ON \"T x\" (code);
         INSERT INTO \"T x\" (code, size) SELECT 'code ' || i, 0 FROM generate_series(501, 700) AS i WHERE i % 2 = 0",
    );
    let told = quarantine(&database, &["restore"]);
    told.ends(1)
        .says("100 rows put back")
        .says("100 rows do not fit")
        .says("duplicate key value violates unique constraint \"code\", such as id = 502 (entry 2), id = 504 (entry 4), id = 506");
    assert_eq!(count(&database, "\"T x\" WHERE size > 500"), 100);
    assert_eq!(count(&database, "migration.quarantine WHERE restored IS NULL"), 100);
    database.psql("DELETE FROM \"T x\" WHERE size = 0 AND code <> 'code 700'");
    let told = quarantine(&database, &["restore", "--json"]);
    let told = told.ends(1).json();
    assert_eq!((&told["restored"], &told["left"]), (&99.into(), &1.into()));
    let misfit = &told["groups"][0]["misfits"][0];
    assert_eq!(
        (&misfit["rows"], &misfit["examples"][0]),
        (&1.into(), &"id = 700 (entry 200)".into())
    );
}

/// Rows that stayed get their values back where nobody has changed them since.
fn changed_rows(context: &Context) {
    let sql = "-- xtask: quarantine\nUPDATE \"T x\" AS x SET code = NULL, at = '2020-01-01' WHERE code IS NOT NULL AND size > 20;\n\
               -- xtask: quarantine\nUPDATE \"T x\" SET size = 1, code = '' WHERE size = 30;\n";
    let (database, _phases, before) = with_set_aside(context, 40, sql);
    database.psql(
        "UPDATE \"T x\" SET code = 'new' WHERE id = 21; UPDATE \"T x\" SET t = 'other' WHERE id = 22;
         DELETE FROM \"T x\" WHERE id IN (23, 24)",
    );
    let told = quarantine(&database, &["restore"]);
    told.ends(1)
        .says("18 rows put back")
        .says("1 row of public.\"T x\": what was set was changed since, such as id = 21 (entry 1)")
        .says("2 rows of public.\"T x\": the row is not there any more, such as id = 23 (entry 3), id = 24");
    let now = rows_of(&database);
    let of = |id: i64| now.as_array().unwrap().iter().find(|row| row["id"] == id).unwrap();
    assert_eq!(
        (&of(21)["code"], &of(22)["code"], &of(22)["t"]),
        (&"new".into(), &"code 22".into(), &"other".into())
    );
    // It was changed twice, and is as it was at first.
    assert_eq!(of(30), &before[29]);
    assert_eq!(of(40), &before[39]);
}

/// The table lost a column, and got one; another table is gone.
fn gone_since(context: &Context) {
    let sql = "-- xtask: quarantine\nUPDATE \"T x\" SET code = 'none' WHERE size = 3 AND code <> 'none';\n\
               -- xtask: quarantine\nDELETE FROM p WHERE id NOT IN (SELECT p_id FROM \"T x\");\n\
               -- xtask: quarantine\nDELETE FROM \"T x\" WHERE size > 3;\n";
    let (database, _phases, before) = with_set_aside(context, 5, sql);
    database.psql(
        "ALTER TABLE \"T x\" DROP COLUMN code, ADD COLUMN fresh text DEFAULT 'new', DROP CONSTRAINT \"T x_p_id_fkey\";
         DROP TABLE p",
    );
    let told = quarantine(&database, &["restore"]);
    told.ends(1)
        .says("2 rows put back")
        .says("1 row of public.\"T x\": column code is not there any more, such as id = 3 (entry 1)")
        .says("5 rows of public.p: the table is not there any more, such as entry 2, entry 3, entry 4");
    let now = rows_of(&database);
    assert_eq!(
        (&now[4]["t"], &now[4]["fresh"], &now[4]["at"]),
        (&before[4]["t"], &"new".into(), &before[4]["at"])
    );
    // What has no place any more is in the quarantine still.
    assert_eq!(
        count(&database, "migration.quarantine WHERE row_data->>'code' = 'code 5'"),
        1
    );
}

/// Rows of two tables, of which the ones set aside last refer to those set aside first.
fn one_refers_to_the_other(context: &Context) {
    let sql = "-- xtask: quarantine\nUPDATE \"T x\" SET p_id = NULL WHERE p_id > 5;\n\
               -- xtask: quarantine\nDELETE FROM p WHERE id > 5;\n";
    let (database, _phases, before) = with_set_aside(context, 20, sql);
    database
        .psql("CREATE TABLE other (id int PRIMARY KEY); ALTER TABLE p ADD FOREIGN KEY (id) REFERENCES other NOT VALID");
    quarantine(&database, &["restore"])
        .ends(1)
        .says("5 rows of public.p: insert or update on table \"p\" violates foreign key");
    database.psql("ALTER TABLE p DROP CONSTRAINT p_id_fkey");
    quarantine(&database, &["restore", "--table", "public.\"T x\""]).ends(1);
    quarantine(&database, &["restore"]).ends(0);
    assert_eq!(rows_of(&database), before);
    assert_eq!(count(&database, "p"), 10);
}
