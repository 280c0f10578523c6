//! Folders of other migration tools, taken as they are, and the transactions that their files ask for.

use super::live::value;
use crate::harness::Context;
use crate::harness::catalog::Catalog;
use crate::harness::phases::Phases;
use crate::harness::release::Releases;
use crate::harness::xtask::Xtask;

tests![
    layouts,
    what_is_left_out_is_said,
    baseline_by_version_table,
    transaction_is_whole,
    seed_in_a_transaction,
    what_no_transaction_takes_is_refused,
    transaction_goes_on_where_it_must,
    names_cut_to_one,
    refused_with_their_line,
];

const UP: &str = "CREATE TABLE t (id int PRIMARY KEY);\nINSERT INTO t VALUES (1);\n";
const MORE: &str = "ALTER TABLE t ADD COLUMN name text;\nUPDATE t SET name = 'one';\n";
const DOWN: &str = "DROP TABLE t;\n";

fn layouts(context: &Context) {
    let marked = |up: &str, down: &str, text: &str| format!("{up}\n{text}\n{down}\n{DOWN}");
    let (dbmate, goose) = (
        [UP, MORE].map(|text| marked("-- migrate:up", "-- migrate:down", text)),
        [UP, MORE].map(|text| marked("-- +goose Up", "-- +goose Down", text)),
    );
    let layouts: [(&str, Vec<(&str, &str)>); 7] = [
        (
            "sqlx",
            vec![("20230518191501_init.sql", UP), ("20230519191501_more.sql", MORE)],
        ),
        ("Flyway, refinery", vec![("V1__init.sql", UP), ("V1_1__more.sql", MORE)]),
        (
            "golang-migrate",
            vec![
                ("0001_init.up.sql", UP),
                ("0001_init.down.sql", DOWN),
                ("0002_more.up.sql", MORE),
                ("0002_more.down.sql", DOWN),
            ],
        ),
        (
            "diesel",
            vec![
                ("2023-05-18-191501_init/up.sql", UP),
                ("2023-05-18-191501_init/down.sql", DOWN),
                ("2023-05-19-191501_more/up.sql", MORE),
                ("2023-05-19-191501_more/down.sql", DOWN),
            ],
        ),
        (
            "Prisma",
            vec![
                ("20230518191501_init/migration.sql", UP),
                ("20230519191501_more/migration.sql", MORE),
            ],
        ),
        (
            "dbmate",
            vec![
                ("20230518191501_init.sql", &dbmate[0]),
                ("20230519191501_more.sql", &dbmate[1]),
            ],
        ),
        (
            "goose",
            vec![("00001_init.sql", &goose[0]), ("00002_more.sql", &goose[1])],
        ),
    ];
    for (tool, files) in layouts {
        let (releases, database) = (Releases::new(context), context.database());
        releases.release(&files).deploys(&database);
        let name: String = value(&database, "SELECT string_agg(name, ' ') FROM t");
        assert_eq!(name, "one", "{tool}");
    }
}

fn what_is_left_out_is_said(context: &Context) {
    let (releases, database) = (Releases::new(context), context.database());
    releases.release(&[
        ("01_all.sql", UP),
        ("02_more.SQL", MORE),
        ("03_folder/a.sql", MORE),
        ("03_folder/nested/b.sql", MORE),
        (".04_hidden.sql", MORE),
    ]);
    let output = releases.migrate(&database);
    output.ends(0);
    for left_out in ["02_more.SQL", "03_folder/nested", ".04_hidden.sql"] {
        output.says(left_out);
    }
    assert_eq!(output.stderr.matches("left out").count(), 1, "{output}");
}

/// A database that golang-migrate has brought to its first version.
fn baseline_by_version_table(context: &Context) {
    let (releases, database) = (Releases::new(context), context.database());
    releases.release(&[("0001_init.up.sql", UP), ("0002_more.up.sql", MORE)]);
    database.psql(UP);
    database.psql(
        "CREATE TABLE schema_migrations (version bigint NOT NULL PRIMARY KEY, dirty boolean NOT NULL);
         INSERT INTO schema_migrations VALUES (1, false)",
    );
    releases.migrate(&database).ends(1).says("baseline");
    let baseline = Xtask::new(["baseline"]).on(&database).phases(releases.path()).run();
    baseline
        .ends(0)
        .says("schema_migrations of golang-migrate")
        .says("1 statement that runs once taken for done");
    releases.deploys(&database);
    assert_eq!(value::<String>(&database, "SELECT string_agg(name, ' ') FROM t"), "one");
    // One that was left half-way is no ground to stand on.
    let dirty = context.database();
    dirty.psql(UP);
    dirty.psql(
        "CREATE TABLE schema_migrations (version bigint NOT NULL PRIMARY KEY, dirty boolean NOT NULL);
         INSERT INTO schema_migrations VALUES (1, true)",
    );
    let refused = Xtask::new(["baseline"]).on(&dirty).phases(releases.path()).run();
    refused.ends(1).says("failed, or were not finished").says("--through");
}

fn transaction_is_whole(context: &Context) {
    let (releases, database) = (Releases::new(context), context.database());
    let text = |value: &str| {
        format!(
            "CREATE TABLE IF NOT EXISTS base (n int CHECK (n > 0));\n\
             BEGIN;\nSET LOCAL search_path = public;\nCREATE TABLE a (n int);\nINSERT INTO base VALUES (1);\n\
             INSERT INTO base VALUES ({value});\nCREATE TABLE b (n int);\nCOMMIT;\n"
        )
    };
    // On the scratch server it does not fail: the setting is another one there.
    releases.release(&[(
        "01_all.sql",
        &text("coalesce(nullif(current_setting('x.bad', true), '')::int, 5)"),
    )]);
    let owner = database.owner.clone();
    database
        .admin()
        .batch_execute(&format!("ALTER ROLE {owner} SET x.bad = '-1'"))
        .unwrap();
    releases.migrate(&database).ends(1).says("01_all.sql:6").says("23514");
    let catalog = Catalog::of(&database);
    assert!(
        catalog.has("relation", "public.base") && !catalog.has("relation", "public.a"),
        "not whole"
    );
    assert_eq!(value::<i64>(&database, "SELECT count(*) FROM base"), 0);
    database
        .admin()
        .batch_execute(&format!("ALTER ROLE {owner} RESET x.bad"))
        .unwrap();
    releases.deploys(&database);
    assert_eq!(value::<i64>(&database, "SELECT count(*) FROM base"), 2);
    let at = "SELECT count(DISTINCT xmin::text) FROM pg_class WHERE relname IN ('a', 'b')";
    assert_eq!(value::<i64>(&database, at), 1, "not one transaction");
}

/// Rows of a seed that are there stay, the others arrive, in a transaction too.
fn seed_in_a_transaction(context: &Context) {
    let (releases, database) = (Releases::new(context), context.database());
    let table = "CREATE TABLE IF NOT EXISTS t (id int PRIMARY KEY);\n";
    releases.release(&[("01_all.sql", table)]).deploys(&database);
    database.psql("INSERT INTO t VALUES (1), (2)");
    let text = format!(
        "{table}BEGIN;\nINSERT INTO t VALUES (2), (3);\nCREATE TABLE u (n int);\nINSERT INTO t VALUES (1), (4);\nCOMMIT;"
    );
    releases
        .release(&[("01_all.sql", &text)])
        .deploys_saying(&database, &["1 row, 1 of 2 rows there already"]);
    assert_eq!(value::<i64>(&database, "SELECT count(*) FROM t"), 4);
}

/// As under psql.
fn what_no_transaction_takes_is_refused(context: &Context) {
    let folder = Phases::new(&[("01_all.sql", "BEGIN;\nCREATE TABLE t (n int);\nVACUUM t;\nCOMMIT;")]);
    context
        .snapshot(folder.path(), &[])
        .ends(1)
        .says("01_all.sql:3")
        .says("25001");
}

/// What is there of a transaction of an earlier release stays; the rest of it is done.
fn transaction_goes_on_where_it_must(context: &Context) {
    let (releases, database) = (Releases::new(context), context.database());
    releases
        .release(&[(
            "01_all.sql",
            "BEGIN;\nCREATE TABLE a (n int);\nINSERT INTO a VALUES (1);\nCOMMIT;",
        )])
        .deploys(&database);
    releases
        .release(&[(
            "01_all.sql",
            "BEGIN;\nCREATE TABLE a (n int);\nINSERT INTO a VALUES (1);\nCREATE TABLE b (n int);\nINSERT INTO a VALUES (2);\nCOMMIT;",
        )])
        .deploys(&database);
    assert_eq!(value::<i64>(&database, "SELECT count(*) FROM a"), 2);
}

fn names_cut_to_one(context: &Context) {
    let releases = Releases::new(context);
    let long = "a".repeat(63);
    releases.release(&[("01_all.sql", "SELECT 1;")]);
    std::fs::write(
        releases.path().join("02_names.sql"),
        format!("CREATE TABLE {long}_one ();\nCREATE TABLE {long}_two ();\n"),
    )
    .unwrap();
    context
        .snapshot(releases.path(), &[])
        .ends(1)
        .says("02_names.sql:1")
        .says("02_names.sql:2")
        .says("63 bytes");
}

fn refused_with_their_line(context: &Context) {
    let (releases, database) = (Releases::new(context), context.database());
    releases.release(&[("01_all.sql", "CREATE TABLE IF NOT EXISTS t ();")]);
    for statement in [
        "DROP DATABASE IF EXISTS other",
        "CREATE DATABASE other",
        "ALTER SYSTEM SET work_mem = '1MB'",
        "\\connect other",
        "ROLLBACK",
        "BEGIN",
    ] {
        std::fs::write(
            releases.path().join("02_more.sql"),
            format!("SELECT 1;\n{statement};\n"),
        )
        .unwrap();
        for command in ["migrate", "plan", "snapshot"] {
            let mut xtask = Xtask::new([command]).phases(releases.path());
            if command != "snapshot" {
                xtask = xtask.on(&database);
            }
            xtask.run().ends(1).says("02_more.sql:2");
        }
    }
}
