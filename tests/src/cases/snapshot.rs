//! `snapshot`: `expected.json`, whether it is stale, and what would hurt on a live table.

use std::fs;

use migration::Expected;

use crate::harness::Context;
use crate::harness::catalog::Catalog;
use crate::harness::phases::Phases;
use crate::harness::xtask::{Xtask, workspace};

tests![
    portal_is_up_to_date_and_harmless,
    stale_with_the_difference,
    hazards_are_told_denied_accepted,
    statement_that_fails_is_marked,
    migrate_wants_it,
    without_it,
    force,
    composite_types_belong_to_their_statement,
    what_prints_others_hides_nothing,
];

/// The committed file holds on every version, and nothing in it would keep users waiting.
fn portal_is_up_to_date_and_harmless(context: &Context) {
    let output = context.snapshot(&workspace().join("sql"), &["--check", "--deny"]);
    output.ends(0).says("is up to date").hides("while it");
}

fn stale_with_the_difference(context: &Context) {
    let index = |columns: &str| {
        format!(
            "CREATE TABLE IF NOT EXISTS t (a int, b int);\n\nCREATE INDEX CONCURRENTLY IF NOT EXISTS i ON t ({columns});\n"
        )
    };
    let phases = Phases::new(&[("01_all.sql", &index("a"))]);
    context.observe(phases.path());
    context
        .snapshot(phases.path(), &["--check"])
        .ends(0)
        .says("is up to date");
    let before = fs::read(phases.path().join("expected.json")).unwrap();
    phases.write("01_all.sql", index("a, b"));
    let output = context.snapshot(phases.path(), &["--check"]);
    output.ends(1).says("is stale").says("cargo xtask snapshot");
    output
        .says("- \"index public.i\"")
        .says("+ \"index public.i\"")
        .says("(a, b)");
    assert_eq!(
        fs::read(phases.path().join("expected.json")).unwrap(),
        before,
        "--check wrote"
    );
    fs::remove_file(phases.path().join("expected.json")).unwrap();
    context
        .snapshot(phases.path(), &["--check"])
        .ends(1)
        .says("it is missing");
}

const HAZARDS: &str = "CREATE TABLE IF NOT EXISTS t (id int, n int, m text);
-- xtask: as written
ALTER TABLE t ADD CONSTRAINT positive CHECK (n > 0);
-- xtask: as written
CREATE INDEX IF NOT EXISTS t_n ON t (n);
-- xtask: as written
ALTER TABLE t ADD COLUMN IF NOT EXISTS u uuid DEFAULT gen_random_uuid();
-- xtask: as written
ALTER TABLE t ALTER COLUMN m SET NOT NULL;
-- xtask: as written
ALTER TABLE t ADD CONSTRAINT t_id UNIQUE (id);

CREATE TABLE IF NOT EXISTS other (t_id int);
-- xtask: as written
ALTER TABLE other ADD CONSTRAINT other_t FOREIGN KEY (t_id) REFERENCES t (id);
-- xtask: as written
ALTER TABLE t ALTER COLUMN n TYPE bigint;
";

fn hazards_are_told_denied_accepted(context: &Context) {
    let phases = Phases::new(&[("01_all.sql", HAZARDS)]);
    let told = context.snapshot(phases.path(), &[]);
    told.ends(0);
    assert!(phases.path().join("expected.json").is_file(), "{told}");
    for (line, advice) in [
        (3, "NOT VALID"),
        (5, "CREATE INDEX CONCURRENTLY"),
        (7, "set the default in a statement of its own"),
        (9, "IS NOT NULL) NOT VALID"),
        (11, "USING INDEX"),
        (15, "NOT VALID"),
        (17, "new type"),
    ] {
        let place = format!("01_all.sql:{line}:");
        let warning = told.stderr.lines().find(|line| line.contains(&place));
        assert!(
            warning.is_some_and(|warning| warning.contains(advice)),
            "{place} {advice}: {told}"
        );
    }
    told.hides("01_all.sql:1:").hides("01_all.sql:13:");
    context
        .snapshot(phases.path(), &["--deny"])
        .ends(1)
        .says("would keep users of a table waiting")
        .says("accepts <reason>");

    let accepted = HAZARDS.replace("as written", "accepts nobody uses it yet");
    phases.write("01_all.sql", accepted);
    context
        .snapshot(phases.path(), &["--deny"])
        .ends(0)
        .says("accepted by directives");
    // What was written is what migrate goes by.
    let database = context.database();
    Xtask::migrate(&database).phases(phases.path()).run().ends(0);
    Xtask::verify(&database)
        .phases(phases.path())
        .arg("--strict")
        .run()
        .ends(0);
}

fn statement_that_fails_is_marked(context: &Context) {
    let phases = Phases::new(&[(
        "01_all.sql",
        "CREATE TABLE t (id int);\n\nCREATE INDEX ON t (nothing);\n",
    )]);
    let output = context.snapshot(phases.path(), &[]);
    output.ends(1).says("01_all.sql:3").says("nothing").says("42703");
    assert!(!phases.path().join("expected.json").exists());
}

/// Without it, and with one made from other files, nothing is run.
fn migrate_wants_it(context: &Context) {
    let database = context.database();
    let phases = Phases::new(&[("01_all.sql", "CREATE TABLE IF NOT EXISTS t (id int);\n")]);
    let refused = |reason: &str| {
        for command in ["migrate", "plan", "verify"] {
            let output = Xtask::new([command]).on(&database).phases(phases.path()).run();
            output
                .ends(1)
                .says("expected.json")
                .says(reason)
                .says("cargo xtask snapshot");
        }
        assert!(!Catalog::of(&database).has("relation", "public.t"), "it ran something");
    };
    refused("missing");
    context.observe(phases.path());
    phases.write("02_more.sql", "CREATE TABLE IF NOT EXISTS u (id int);\n");
    refused("02_more.sql changed");
    phases.write("expected.json", "{\"format\": 1");
    refused("damaged");
    phases.write(
        "expected.json",
        "{\"format\":99,\"files\":{},\"objects\":{},\"baseline\":[],\"optional\":[],\"statements\":[]}",
    );
    refused("format");
}

fn without_it(context: &Context) {
    let database = context.database();
    let phases = Phases::new(&[(
        "01_all.sql",
        "CREATE TABLE IF NOT EXISTS t (id int);\n\nCREATE TABLE IF NOT EXISTS u (id int);\n",
    )]);
    for _ in 0..2 {
        let output = Xtask::migrate(&database)
            .phases(phases.path())
            .args(["--no-snapshot", "--json"])
            .run();
        assert_eq!(output.ends(0).json()["statements_run"], 2, "{output}");
    }
    // A run that proved nothing is none that the next one goes by.
    context.observe(phases.path());
    database.psql("DROP TABLE u");
    let output = Xtask::migrate(&database).phases(phases.path()).arg("--json").run();
    assert_eq!(output.ends(0).json()["statements_run"], 1, "{output}");
}

fn force(context: &Context) {
    let database = context.database();
    Xtask::migrate(&database).run().ends(0);
    let plan = Xtask::plan(&database).args(["--force", "--json"]).run();
    let all = plan.ends(0).json()["statements"].as_array().unwrap().len();
    let before = Catalog::of(&database);
    let output = Xtask::migrate(&database).args(["--force", "--json"]).run();
    output.ends(0);
    // Rows that had nothing to change do not count as run.
    let told = output.json();
    let run = told["statements_run"].as_u64().unwrap() as usize;
    let skipped = told["statements_skipped"].as_u64().unwrap() as usize;
    assert_eq!(run + skipped, all, "{output}");
    assert!(run * 10 > all * 8, "{run} of {all}: {output}");
    Catalog::of(&database).equals(&before);
}

/// The relation behind a composite type is no table: a look at new relations alone would miss the type.
fn composite_types_belong_to_their_statement(context: &Context) {
    let phases = Phases::new(&[(
        "01_all.sql",
        "CREATE TYPE pair AS (a int, b text);\n\nCREATE TABLE t (id int, p pair);\n\nCREATE TYPE many AS (p pair[]);\n",
    )]);
    context.snapshot(phases.path(), &[]).ends(0);
    let text = fs::read_to_string(phases.path().join("expected.json")).unwrap();
    let expected = Expected::parse(&text).unwrap();
    let left = |n: usize| -> Vec<String> {
        let objects = &expected.statements[n].objects;
        objects.iter().map(|(id, _)| id.to_string()).collect()
    };
    assert_eq!(left(0), ["type public.pair"]);
    assert_eq!(left(1), ["column public.t.id", "column public.t.p", "table public.t"]);
    assert_eq!(left(2), ["type public.many"]);
}

/// Functions with a parsed body, views and policies print other objects: what changes beside them is seen all the same.
fn what_prints_others_hides_nothing(context: &Context) {
    let phases = Phases::new(&[(
        "01_all.sql",
        "CREATE TABLE IF NOT EXISTS t (id int PRIMARY KEY, a text);
         CREATE OR REPLACE FUNCTION f(x int) RETURNS bigint LANGUAGE sql
         BEGIN ATOMIC SELECT count(*) FROM t WHERE id = x; END;
         CREATE OR REPLACE VIEW v AS SELECT t.id, u.id AS other FROM t JOIN t AS u USING (a);
         ALTER TABLE t ADD COLUMN IF NOT EXISTS b text;
         ALTER TABLE t ADD COLUMN IF NOT EXISTS c text, ALTER COLUMN a SET DEFAULT '';",
    )]);
    context.observe(phases.path());
    let expected = fs::read_to_string(phases.path().join("expected.json")).unwrap();
    let expected: serde_json::Value = serde_json::from_str(&expected).unwrap();
    for (statement, left) in [(3, "column public.t.b"), (4, "column public.t.c")] {
        assert_eq!(expected["objects"][left], "text");
        let leaves = &expected["statements"][statement]["leaves"];
        assert!(leaves.as_array().unwrap().contains(&left.into()), "{leaves}");
    }
    let database = context.database();
    Xtask::migrate(&database).phases(phases.path()).run().ends(0);
    Xtask::verify(&database).phases(phases.path()).run().ends(0);
}
