//! `snapshot` does not observe again what is as it was, and writes what `snapshot --cold` does, to the byte.
//!
//! `XTASK_TEST_SEED` chooses other edits, `XTASK_TEST_CASES` more of them.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use migration::expected::FILE;
use proptest::prelude::Rng;
use proptest::test_runner::{RngAlgorithm, TestRng};
use serde_json::Value;
use tempfile::TempDir;

use crate::harness::Context;
use crate::harness::phases::Phases;
use crate::harness::wait;
use crate::harness::xtask::{Output, Xtask};

tests![
    any_edit_is_as_cold,
    unchanged_needs_no_server,
    files_before_a_failure_are_known,
    what_cannot_be_used_is_thrown_away,
    nothing_can_be_kept,
    two_at_once_and_one_killed,
];

const EDITS: u64 = 8;

/// All kinds of things that a beginning may leave to what follows: roles, which belong to the cluster, rows, sequences,
/// settings of the session; and statements that a later edit may give another meaning in the second run.
const FILES: &[(&str, &str)] = &[
    (
        "01_base.sql",
        "SET search_path = app, public;\nCREATE SCHEMA IF NOT EXISTS app;\n\
         DO $$ BEGIN CREATE ROLE reader; EXCEPTION WHEN duplicate_object THEN NULL; END $$;\n\
         -- xtask: optional\nCREATE EXTENSION IF NOT EXISTS no_such_extension;\n\
         CREATE TABLE IF NOT EXISTS t (id serial PRIMARY KEY, n int);\n\
         COPY t (n) FROM stdin;\n1\n2\n\\.\n",
    ),
    (
        "02_more.sql",
        "BEGIN;\nSET LOCAL search_path = app;\nCREATE TABLE u (id int);\nCREATE INDEX u_id ON u (id);\nCOMMIT;\n\
         CREATE INDEX CONCURRENTLY IF NOT EXISTS t_n ON app.t (n);\n\
         CREATE TEMPORARY TABLE work AS SELECT 1 AS n;\nINSERT INTO app.u SELECT n FROM work;\n",
    ),
    (
        "03_views.sql",
        "DROP VIEW IF EXISTS v CASCADE;\nCREATE VIEW v AS SELECT id, n FROM app.t;\n\
         GRANT SELECT ON v TO reader;\nCOMMENT ON VIEW v IS 'all';\n",
    ),
    (
        "04_rows.sql",
        "-- xtask: always\nUPDATE app.t SET n = 3 WHERE n = 2;\nINSERT INTO app.t (n) VALUES (7);\n\
         ALTER ROLE reader SET work_mem = '8MB';\nSELECT setval('app.t_id_seq', 100);\n",
    ),
    (
        "05_last.sql",
        "CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1';\n\
         ALTER TABLE app.u ADD COLUMN IF NOT EXISTS more text DEFAULT 'x';\n",
    ),
];

/// What an edit adds to the end of a file; the number makes names that are new.
const ADDITIONS: &[&str] = &[
    "CREATE TABLE IF NOT EXISTS new_# (id int);",
    "-- a comment, # of them",
    "CREATE VIEW w_# AS SELECT n FROM app.t;",
    "DROP INDEX IF EXISTS app.t_n;",
    "DROP OWNED BY reader;",
    "ALTER TABLE app.t ADD COLUMN IF NOT EXISTS c_# int NOT NULL DEFAULT #;",
    "DELETE FROM app.t WHERE n = #;",
    "-- xtask: always\nUPDATE app.t SET n = n + #;",
    "DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'r_#') THEN CREATE ROLE r_#; END IF; END $$;",
    "SET my.setting = '#';",
    "CREATE INDEX ON app.u (id, (id + #));",
];

/// A workspace, with a `target` of its own.
struct Home(TempDir);

impl Home {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn kept(&self) -> PathBuf {
        self.0.path().join("target/snapshot")
    }

    fn call(&self, context: &Context, phases: &Path) -> Xtask {
        let package = self.0.path().join("xtask");
        context.snapshot_call(phases).env("CARGO_MANIFEST_DIR", package)
    }

    fn snapshot(&self, context: &Context, phases: &Path, arguments: &[&str]) -> Output {
        self.call(context, phases).arg("--json").args(arguments).run()
    }

    /// What is on record.
    fn records(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.kept()).into_iter().flatten().flatten();
        let paths = entries.map(|entry| entry.path());
        paths
            .filter(|path| path.extension().is_some_and(|ending| ending == "json"))
            .collect()
    }
}

fn known(output: &Output) -> u64 {
    output.ends(0).json()["known"].as_u64().unwrap()
}

/// What a document says of the phases, and not of this call.
fn findings(output: &Output) -> Value {
    let mut document = output.json();
    let fields = document.as_object_mut().unwrap();
    for of_the_call in ["file", "server", "known", "milliseconds"] {
        fields.remove(of_the_call);
    }
    document
}

fn expected(phases: &Phases) -> String {
    fs::read_to_string(phases.path().join(FILE)).unwrap()
}

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// One file at a time is edited, any of them, and all of them be it before or after the others.
fn any_edit_is_as_cold(context: &Context) {
    let seed = setting("XTASK_TEST_SEED").unwrap_or(7);
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let mut random = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut pick = |below: usize| random.next_u64() as usize % below;
    let home = Home::new();
    let (warm, cold) = (Phases::new(FILES), Phases::new(FILES));
    let mut texts: Vec<String> = FILES.iter().map(|(_, text)| (*text).to_owned()).collect();
    let mut story = format!("seed {seed}");
    let mut all_known = 0;
    for n in 0..=setting("XTASK_TEST_CASES").unwrap_or(EDITS) {
        if n > 0 {
            // The last ones more often than the first, as people do.
            let file = (pick(texts.len()) + 1).max(pick(texts.len()) + 1) - 1;
            let (name, original) = FILES[file];
            let addition = ADDITIONS[pick(ADDITIONS.len())].replace('#', &n.to_string());
            texts[file] = match pick(4) {
                0 => original.to_owned(),
                _ => format!("{}{addition}\n", texts[file]),
            };
            story.push_str(&format!("\n{n}: {name} ends with {addition}"));
            warm.write(name, &texts[file]);
            cold.write(name, &texts[file]);
        }
        let told = home.snapshot(context, warm.path(), &[]);
        let by_cold = context.snapshot(cold.path(), &["--json"]);
        assert_eq!(told.status, by_cold.status, "{story}\n{told}\n{by_cold}");
        if told.status == Some(0) {
            all_known += known(&told);
            assert_eq!(known(&by_cold), 0);
            assert_eq!(expected(&warm), expected(&cold), "{story}");
            assert_eq!(findings(&told), findings(&by_cold), "{story}");
        }
    }
    assert!(all_known > 0, "nothing was known at any time\n{story}");
}

fn unchanged_needs_no_server(context: &Context) {
    let home = Home::new();
    let phases = Phases::new(FILES);
    let first = home.snapshot(context, phases.path(), &[]);
    assert_eq!(known(&first), 0);
    let text = expected(&phases);
    // No server is started: it could not be.
    let again = |arguments: &[&str]| {
        let call = home.call(context, phases.path()).arg("--json").args(arguments);
        call.env("TMPDIR", "/nowhere").run()
    };
    let all = first.json()["statements"].as_u64().unwrap();
    assert_eq!(known(&again(&[])), all);
    assert_eq!(known(&again(&["--check"])), all);
    assert_eq!(findings(&again(&[])), {
        let mut findings = findings(&first);
        findings["outcome"] = "unchanged".into();
        findings
    });
    // Neither a comment nor a name is anything that has to be observed; the places of statements follow them.
    fs::rename(phases.path().join("04_rows.sql"), phases.path().join("04_data.sql")).unwrap();
    phases.write("04_data.sql", format!("-- More lines.\n\n{}", FILES[3].1));
    home.snapshot(context, phases.path(), &["--check"])
        .ends(1)
        .says("04_data.sql");
    assert_eq!(expected(&phases), text);
    assert_eq!(known(&again(&[])), all);
    assert_ne!(expected(&phases), text);

    assert_eq!(known(&home.snapshot(context, phases.path(), &["--cold"])), 0);
    assert_eq!(home.records().len(), 1);
}

fn files_before_a_failure_are_known(context: &Context) {
    let home = Home::new();
    let phases = Phases::new(FILES);
    phases.write(
        "05_last.sql",
        "CREATE TABLE x (id int);\nCREATE INDEX ON x (nothing);\n",
    );
    for _ in 0..2 {
        home.snapshot(context, phases.path(), &[])
            .ends(1)
            .says("05_last.sql:2")
            .says("nothing");
    }
    phases.write("05_last.sql", "CREATE TABLE x (id int);\n");
    let fixed = home.snapshot(context, phases.path(), &[]);
    assert_eq!(known(&fixed) + 1, fixed.json()["statements"].as_u64().unwrap());
}

fn what_cannot_be_used_is_thrown_away(context: &Context) {
    let home = Home::new();
    let phases = Phases::new(FILES);
    home.snapshot(context, phases.path(), &[]).ends(0);
    let text = expected(&phases);
    let [record] = &home.records()[..] else {
        panic!("one record")
    };
    let whole = fs::read(record).unwrap();
    let head = whole.iter().position(|byte| *byte == b'\n').unwrap();
    let mut flipped = whole.clone();
    flipped[head + 200] ^= 1;
    for damaged in [
        &b""[..],
        &whole[..100],
        &whole[..whole.len() - 100],
        &flipped,
        b"\xff\n\n",
    ] {
        fs::write(record, damaged).unwrap();
        let output = home.snapshot(context, phases.path(), &[]);
        assert_eq!(known(&output), 0);
        output.says("thrown away");
        assert_eq!(expected(&phases), text);
    }
    // Containers have no kept cluster.
    let clusters = || {
        let entries = fs::read_dir(home.kept()).unwrap().flatten();
        entries
            .map(|entry| entry.path().join("data/global/pg_control"))
            .filter(|path| path.exists())
    };
    for path in clusters() {
        // As long as it was: only the server can tell.
        let long = fs::metadata(&path).unwrap().len();
        fs::write(&path, vec![0; usize::try_from(long).unwrap()]).unwrap();
        fs::remove_file(record).unwrap();
        assert_eq!(known(&home.snapshot(context, phases.path(), &[])), 0);
        assert_eq!(expected(&phases), text);
    }
    for path in clusters() {
        assert!(fs::read(path).unwrap().iter().any(|byte| *byte != 0), "it was kept on");
    }
    // What it says of the first files is not what they do, which is seen when they run: all are observed then.
    let lines: Vec<&str> = std::str::from_utf8(&whole).unwrap().lines().collect();
    let body = lines[1].replace("app.t.n", "app.t.m");
    assert_ne!(body, lines[1]);
    let mut head: Value = serde_json::from_str(lines[0]).unwrap();
    head["hash"] = migration::text::sha256(&body).into();
    fs::write(record, format!("{head}\n{body}\n")).unwrap();
    phases.write("05_last.sql", "SELECT 1;\n");
    let output = home.snapshot(context, phases.path(), &[]);
    assert_eq!(known(&output), 0);
    output.says("all are observed again");
}

/// Not even a folder: nobody has to have a `target` that can be written.
fn nothing_can_be_kept(context: &Context) {
    let home = Home::new();
    fs::write(home.0.path().join("target"), "").unwrap();
    let phases = Phases::new(FILES);
    for _ in 0..2 {
        let output = home.snapshot(context, phases.path(), &[]);
        assert_eq!(known(&output), 0);
        output.says("cannot keep");
    }
}

fn two_at_once_and_one_killed(context: &Context) {
    let home = Home::new();
    let phases = Phases::new(FILES);
    for until in ["nothing", "something"] {
        let running = home.call(context, phases.path()).spawn();
        wait::until_true("the first thing that is kept", Duration::from_secs(60), || {
            until == "nothing" || fs::read_dir(home.kept()).is_ok_and(|mut entries| entries.next().is_some())
        });
        let _ = running.kill();
    }
    let [one, other] = [0, 1].map(|_| {
        let phases = Phases::new(FILES);
        (home.call(context, phases.path()).arg("--json").spawn(), phases)
    });
    let [one, other] = [one, other].map(|(running, phases)| {
        let _ = known(&running.wait());
        expected(&phases)
    });
    assert_eq!(one, other);
    let cold = Phases::new(FILES);
    context.snapshot(cold.path(), &[]).ends(0);
    assert_eq!(one, expected(&cold));
    let phases = Phases::new(FILES);
    assert!(known(&home.snapshot(context, phases.path(), &[])) > 0);
    assert_eq!(home.records().len(), 1);
}
