//! Version tables of other tools, made and filled as those tools do it.

use migration::takeover::{Applied, find};

use crate::harness::Context;

tests![
    sqlx,
    refinery,
    diesel,
    dbmate,
    golang_migrate,
    goose,
    flyway,
    prisma,
    atlas,
    none_and_several
];

/// What is found in a database with this content.
fn found(context: &Context, sql: &str) -> Option<Applied> {
    let database = context.database();
    let mut client = database.connect();
    client.batch_execute(sql).unwrap();
    // Names are read whatever the search_path is.
    client.batch_execute("SET search_path = pg_catalog").unwrap();
    find(&mut client).unwrap()
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

fn check(
    found: Option<Applied>,
    tool: &'static str,
    table: &str,
    versions: &[&str],
    through: Option<&str>,
    failed: &[&str],
) {
    let expected = Applied {
        tool,
        table: table.to_owned(),
        versions: texts(versions),
        through: through.map(ToOwned::to_owned),
        failed: texts(failed),
    };
    assert_eq!(found, Some(expected));
}

const SQLX: &str = include_str!("../../fixtures/takeover/sqlx.sql");

fn sqlx(context: &Context) {
    // A version that failed halfway has its row, too.
    let failed = "INSERT INTO public._sqlx_migrations VALUES (20230518191503, 'broken', now(), false, '', -1), (3, 'early', now(), true, '', 1);";
    let found = found(context, &format!("{SQLX}{failed}"));
    check(
        found,
        "sqlx",
        "public._sqlx_migrations",
        &["3", "20230518191501", "20230518191502"],
        None,
        &["20230518191503"],
    );
}

const REFINERY: &str = include_str!("../../fixtures/takeover/refinery.sql");

fn refinery(context: &Context) {
    let table = "public.refinery_schema_history";
    check(found(context, REFINERY), "refinery", table, &["1", "2"], None, &[]);
    // In a schema whose name needs quotes.
    let moved = r#"CREATE SCHEMA "App"; ALTER TABLE public.refinery_schema_history SET SCHEMA "App""#;
    check(
        found(context, &format!("{REFINERY}{moved}")),
        "refinery",
        "\"App\".refinery_schema_history",
        &["1", "2"],
        None,
        &[],
    );
}

fn diesel(context: &Context) {
    let found = found(
        context,
        "CREATE TABLE IF NOT EXISTS __diesel_schema_migrations (
             version VARCHAR(50) PRIMARY KEY NOT NULL,
             run_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP);
         INSERT INTO __diesel_schema_migrations (version) VALUES ('20221023135826'), ('00000000000000')",
    );
    let versions = &["00000000000000", "20221023135826"];
    check(
        found,
        "diesel",
        "public.__diesel_schema_migrations",
        versions,
        None,
        &[],
    );
}

fn dbmate(context: &Context) {
    let found = found(
        context,
        "CREATE TABLE IF NOT EXISTS public.schema_migrations (version varchar(255) primary key);
         INSERT INTO schema_migrations VALUES ('20151127184807'), ('001')",
    );
    check(
        found,
        "dbmate",
        "public.schema_migrations",
        &["001", "20151127184807"],
        None,
        &[],
    );
}

fn golang_migrate(context: &Context) {
    let table = "CREATE TABLE IF NOT EXISTS public.schema_migrations (version bigint not null primary key, dirty boolean not null);";
    let clean = found(
        context,
        &format!("{table} INSERT INTO schema_migrations VALUES (7, false)"),
    );
    assert!(
        clean
            .as_ref()
            .is_some_and(|applied| applied.includes("000006_x.up", "000006"))
    );
    check(
        clean,
        "golang-migrate",
        "public.schema_migrations",
        &["7"],
        Some("7"),
        &[],
    );
    let dirty = found(
        context,
        &format!("{table} INSERT INTO schema_migrations VALUES (7, true)"),
    );
    assert!(
        dirty
            .as_ref()
            .is_some_and(|applied| applied.includes("000006_x.up", "000006"))
    );
    check(dirty, "golang-migrate", "public.schema_migrations", &[], None, &["7"]);
    // Another tool's table of this name.
    let other = "CREATE TABLE schema_migrations (version varchar(255) PRIMARY KEY, applied_at timestamptz)";
    assert_eq!(found(context, other), None);
}

fn goose(context: &Context) {
    let found = found(
        context,
        "CREATE TABLE goose_db_version (
             id serial NOT NULL,
             version_id bigint NOT NULL,
             is_applied boolean NOT NULL,
             tstamp timestamp NULL default now(),
             PRIMARY KEY(id));
         INSERT INTO goose_db_version (version_id, is_applied) VALUES
             (0, true), (1, true), (9, true), (2, true), (10, true), (2, false), (10, false), (10, true)",
    );
    check(found, "goose", "public.goose_db_version", &["1", "9", "10"], None, &[]);
}

fn flyway(context: &Context) {
    let found = found(
        context,
        r#"CREATE TABLE flyway_schema_history (
               "installed_rank" INT NOT NULL,
               "version" VARCHAR(50),
               "description" VARCHAR(200) NOT NULL,
               "type" VARCHAR(20) NOT NULL,
               "script" VARCHAR(1000) NOT NULL,
               "checksum" INTEGER,
               "installed_by" VARCHAR(100) NOT NULL,
               "installed_on" TIMESTAMP NOT NULL DEFAULT now(),
               "execution_time" INTEGER NOT NULL,
               "success" BOOLEAN NOT NULL);
           ALTER TABLE flyway_schema_history ADD CONSTRAINT "flyway_schema_history_pk" PRIMARY KEY ("installed_rank");
           INSERT INTO flyway_schema_history (installed_rank, version, description, type, script, installed_by, execution_time, success)
           SELECT rank, version, 'd', type, 's', 'me', 1, success
           FROM (VALUES
               (0, NULL, 'SCHEMA', true), (1, '1', 'BASELINE', true), (2, '1.2', 'SQL', true), (3, '1.10', 'JDBC', true),
               (4, NULL, 'SQL', true), (5, '2', 'SQL', true), (6, '2', 'UNDO_SQL', true), (7, '3', 'SQL', false),
               (8, '4', 'SQL', true), (9, '4', 'UNDO_SQL', true), (10, '4', 'SQL', true), (11, '5', 'DELETE', true)
           ) v (rank, version, type, success)"#,
    );
    let versions = &["1", "1.2", "1.10", "4"];
    check(
        found,
        "Flyway",
        "public.flyway_schema_history",
        versions,
        Some("1"),
        &["3"],
    );
}

fn prisma(context: &Context) {
    let found = found(
        context,
        "CREATE TABLE _prisma_migrations (
             id VARCHAR(36) PRIMARY KEY NOT NULL,
             checksum VARCHAR(64) NOT NULL,
             finished_at TIMESTAMPTZ,
             migration_name VARCHAR(255) NOT NULL,
             logs TEXT,
             rolled_back_at TIMESTAMPTZ,
             started_at TIMESTAMPTZ NOT NULL DEFAULT now(),
             applied_steps_count INTEGER NOT NULL DEFAULT 0);
         INSERT INTO _prisma_migrations (id, checksum, migration_name, finished_at, rolled_back_at) VALUES
             ('1', '', '20230101000000_init', now(), NULL),
             ('2', '', '20230102000000_again', NULL, now()),
             ('3', '', '20230102000000_again', now(), NULL),
             ('4', '', '20230103000000_back', NULL, now()),
             ('5', '', '20230104000000_broken', NULL, NULL)",
    );
    let versions = &["20230101000000_init", "20230102000000_again"];
    let failed = &["20230104000000_broken"];
    check(found, "Prisma", "public._prisma_migrations", versions, None, failed);
}

fn atlas(context: &Context) {
    let found = found(
        context,
        r#"CREATE SCHEMA "atlas_schema_revisions";
           CREATE TABLE "atlas_schema_revisions"."atlas_schema_revisions" (
               "version" character varying NOT NULL, "description" character varying NOT NULL,
               "type" bigint NOT NULL DEFAULT 2, "applied" bigint NOT NULL DEFAULT 0, "total" bigint NOT NULL DEFAULT 0,
               "executed_at" timestamptz NOT NULL, "execution_time" bigint NOT NULL, "error" text NULL,
               "error_stmt" text NULL, "hash" character varying NOT NULL, "partial_hashes" jsonb NULL,
               "operator_version" character varying NOT NULL, PRIMARY KEY ("version"));
           INSERT INTO atlas_schema_revisions.atlas_schema_revisions
               (version, description, type, applied, total, executed_at, execution_time, hash, operator_version)
           SELECT version, '', type, applied, total, now(), 1, '', ''
           FROM (VALUES
               ('.atlas_cloud_identifier', 0, 0, 1), ('20220101000000', 1, 0, 0), ('20220318104614', 2, 3, 3),
               ('20220318104615', 6, 1, 2), ('20220318104616', 2, 1, 2)) v (version, type, applied, total)"#,
    );
    check(
        found,
        "Atlas",
        "atlas_schema_revisions.atlas_schema_revisions",
        &["20220101000000", "20220318104614", "20220318104615"],
        Some("20220101000000"),
        &["20220318104616"],
    );
}

/// A table that knows no version gives way to one that does.
fn none_and_several(context: &Context) {
    assert_eq!(found(context, "CREATE TABLE t (version bigint, success bool)"), None);
    let empty = "CREATE TABLE schema_migrations (version varchar(255) primary key)";
    check(
        found(context, empty),
        "dbmate",
        "public.schema_migrations",
        &[],
        None,
        &[],
    );
    let several = format!(
        "CREATE SCHEMA old; CREATE TABLE old._sqlx_migrations (version bigint, success bool); {empty}; {REFINERY}"
    );
    let found = found(context, &several);
    check(
        found,
        "refinery",
        "public.refinery_schema_history",
        &["1", "2"],
        None,
        &[],
    );
}
