//! `verify`: what is missing, different, besides, not valid.

use serde_json::Value;

use crate::harness::Context;
use crate::harness::database::Database;
use crate::harness::phases::Phases;
use crate::harness::xtask::Xtask;

tests![
    missing,
    different,
    extra,
    invalid_index,
    not_valid_constraint,
    optional_may_be_missing,
    unmodelled_is_said,
    nothing_but_reading,
    on_a_standby_and_by_a_reader,
];

const SCHEMA: &str = "CREATE TABLE IF NOT EXISTS t (id int PRIMARY KEY, name text DEFAULT 'x', n int);

CREATE INDEX CONCURRENTLY IF NOT EXISTS t_name ON t (name);

ALTER TABLE t ADD CONSTRAINT positive CHECK (n > 0) NOT VALID;

ALTER TABLE t VALIDATE CONSTRAINT positive;

CREATE OR REPLACE FUNCTION one() RETURNS int LANGUAGE sql AS 'SELECT 1 AS first';

CREATE OR REPLACE VIEW v AS SELECT id, name FROM t;

COMMENT ON TABLE t IS 'a table';
";

struct Case {
    database: Database,
    phases: Phases,
}

/// A database that has converged.
fn converged(context: &Context) -> Case {
    let case = Case {
        database: context.database(),
        phases: Phases::new(&[("01_all.sql", SCHEMA)]),
    };
    context.observe(case.phases.path());
    Xtask::migrate(&case.database).phases(case.phases.path()).run().ends(0);
    case.verify(&["--strict"]).ends(0).says("converged");
    case
}

impl Case {
    fn verify(&self, arguments: &[&str]) -> crate::harness::xtask::Output {
        Xtask::verify(&self.database)
            .phases(self.phases.path())
            .args(arguments)
            .run()
    }

    /// The differences in JSON; the outcome must fit them.
    #[track_caller]
    fn json(&self, status: i32) -> Value {
        let output = self.verify(&["--json"]);
        let told = output.ends(status).json();
        assert_eq!(told["exit_status"], status);
        assert_eq!(told["outcome"], if status == 0 { "converged" } else { "not converged" });
        told
    }

    fn psql(&self, sql: &str) {
        self.database.psql(sql);
    }
}

/// (difference, kind, identity) of each.
fn differences(told: &Value) -> Vec<(String, String, String)> {
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let list = told["differences"].as_array().expect("a list");
    list.iter()
        .map(|one| {
            (
                text(&one["difference"]),
                text(&one["id"]["kind"]),
                text(&one["id"]["identity"]),
            )
        })
        .collect()
}

fn triple(difference: &str, kind: &str, identity: &str) -> (String, String, String) {
    (difference.to_owned(), kind.to_owned(), identity.to_owned())
}

fn missing(context: &Context) {
    let case = converged(context);
    case.psql("DROP INDEX t_name; DROP FUNCTION one(); COMMENT ON TABLE t IS NULL");
    case.verify(&[])
        .ends(4)
        .says("missing")
        .says("index public.t_name")
        .says("public.one()")
        .says("cargo xtask plan");
    let found = differences(&case.json(4));
    assert!(
        found.contains(&triple("missing", "index", "public.t_name")),
        "{found:?}"
    );
    assert_eq!(found.len(), 3, "{found:?}");
}

fn different(context: &Context) {
    let case = converged(context);
    case.psql(
        "ALTER TABLE t ALTER name SET DEFAULT 'another'; CREATE OR REPLACE VIEW v AS SELECT id, upper(name) AS name FROM t",
    );
    let output = case.verify(&[]);
    output
        .ends(4)
        .says("different")
        .says("column public.t.name")
        .says("default ['x'::text]")
        .says("default ['another'::text]");
    let told = case.json(4);
    let found = differences(&told);
    assert!(
        found.contains(&triple("different", "column", "public.t.name")),
        "{found:?}"
    );
    let column = told["differences"]
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["id"]["kind"] == "column")
        .unwrap();
    assert_eq!(column["expected"], "text default 'x'::text");
    assert_eq!(column["actual"], "text default 'another'::text");
}

fn extra(context: &Context) {
    let case = converged(context);
    case.psql("CREATE TABLE besides (id int); ALTER TABLE t ADD more text");
    case.verify(&[])
        .ends(0)
        .says("extra")
        .says("table public.besides")
        .says("column public.t.more");
    case.verify(&["--strict"]).ends(4);
    let told = case.json(0);
    let found = differences(&told);
    assert!(
        found.iter().all(|(difference, _, _)| difference == "extra"),
        "{found:?}"
    );
    let strict = case.verify(&["--strict", "--json"]);
    assert_eq!(strict.ends(4).json()["exit_status"], 4);
}

/// An index that a failed concurrent build left is not the expected one, and the next run builds it.
fn invalid_index(context: &Context) {
    let case = converged(context);
    let sql = "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 't_name'::regclass";
    case.database.admin().batch_execute(sql).unwrap();
    case.verify(&[]).ends(4).says("not valid").says("INVALID");
    let told = case.json(4);
    assert_eq!(told["invalid"][0]["id"]["identity"], "public.t_name", "{told}");
    Xtask::migrate(&case.database).phases(case.phases.path()).run().ends(0);
    case.verify(&["--strict"]).ends(0);
}

fn not_valid_constraint(context: &Context) {
    let case = converged(context);
    case.psql("ALTER TABLE t DROP CONSTRAINT positive, ADD CONSTRAINT positive CHECK (n > 0) NOT VALID");
    case.verify(&[])
        .ends(4)
        .says("not valid")
        .says("constraint positive on public.t");
    let told = case.json(4);
    assert_eq!(told["invalid"][0]["id"]["kind"], "constraint", "{told}");
    let output = Xtask::migrate(&case.database)
        .phases(case.phases.path())
        .arg("--json")
        .run();
    output.ends(0);
    assert_eq!(output.json()["statements_run"], 1, "VALIDATE alone: {output}");
    case.verify(&["--strict"]).ends(0);
}

fn optional_may_be_missing(context: &Context) {
    let database = context.database();
    Xtask::migrate(&database).run().ends(0);
    database
        .admin()
        .batch_execute("DROP EXTENSION IF EXISTS pg_stat_statements")
        .unwrap();
    Xtask::verify(&database).run().ends(0);
}

/// A kind of object that no definition describes is never passed over in silence.
fn unmodelled_is_said(context: &Context) {
    let case = converged(context);
    case.database.admin().batch_execute("SELECT lo_create(4711)").unwrap();
    let told = case.json(0);
    let listed = told["unmodelled"].as_array().unwrap();
    // Large objects are data; whatever is listed has a name and a reason.
    for thing in listed {
        assert!(
            !thing["identity"].as_str().unwrap().is_empty() && !thing["reason"].as_str().unwrap().is_empty(),
            "{thing}"
        );
    }
}

/// No journal is made, no mutex taken: works beside a migration, and leaves nothing.
fn nothing_but_reading(context: &Context) {
    let database = context.database();
    let phases = Phases::new(&[("01_all.sql", SCHEMA)]);
    context.observe(phases.path());
    Xtask::verify(&database)
        .phases(phases.path())
        .run()
        .ends(4)
        .says("missing");
    let journal: i64 = database
        .admin()
        .query_one("SELECT count(*) FROM pg_namespace WHERE nspname = 'migration'", &[])
        .unwrap()
        .get(0);
    assert_eq!(journal, 0, "verify made a journal");
    let missing_file = Phases::new(&[("01_all.sql", SCHEMA)]);
    Xtask::verify(&database)
        .phases(missing_file.path())
        .run()
        .ends(1)
        .says("expected.json")
        .says("cargo xtask snapshot");
}

/// verify and plan where nothing can be written, and by a role that may not write.
fn on_a_standby_and_by_a_reader(context: &Context) {
    const SECRET: &str = "read-only-secret-7";
    let server = context.own_server(&[]);
    let database = Database::create(&server);
    Xtask::migrate(&database)
        .env("POSTGRES_READONLY_PASSWORD", SECRET)
        .run()
        .ends(0);
    for command in ["verify", "plan"] {
        let output = Xtask::new([command])
            .on(&database)
            .env("POSTGRES_USER", "readonly_user")
            .env("POSTGRES_PASSWORD", SECRET)
            .arg("--json")
            .run();
        converges_or_plans_nothing(command, &output.ends(0).json());
    }
    server.add_standby();
    let second = server.second_port.to_string();
    for command in ["verify", "plan"] {
        let output = Xtask::new([command])
            .on(&database)
            .env("POSTGRES_PORT", &second)
            .arg("--json")
            .run();
        converges_or_plans_nothing(command, &output.ends(0).json());
    }
    // What has to write says that it cannot.
    Xtask::migrate(&database)
        .env("POSTGRES_PORT", &second)
        .args(["--wait", "1s"])
        .run()
        .ends(3);
}

fn converges_or_plans_nothing(command: &str, told: &Value) {
    match command {
        "verify" => assert_eq!(told["outcome"], "converged"),
        _ => {
            let planned = told["statements"]
                .as_array()
                .unwrap()
                .iter()
                .filter(|one| one["runs"] == true);
            let reasons: Vec<_> = planned
                .map(|one| one["why"]["reason"].as_str().unwrap().to_owned())
                .collect();
            assert!(
                reasons
                    .iter()
                    .all(|reason| ["always", "puts_rows_in_once"].contains(&reason.as_str())),
                "a converged database needs more than a look at rows: {reasons:?}"
            );
        }
    }
}
