//! `init` and `new`: a workspace outside of this one, with a schema of its own, has all of it by a few lines, and no word
//! of the portal.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use postgres::Client;
use tempfile::TempDir;

use crate::harness::Context;
use crate::harness::deploy::cargo_homes;
use crate::harness::xtask::{Output, Xtask, binary, workspace};

tests![another_workspace, a_workspace_that_is_there];

/// What only the portal has.
const PORTAL: [&str; 7] = [
    "portal",
    "daydream",
    "readonly_user",
    "attendee",
    "luma",
    "sync_metadata",
    "change_me",
];

/// A workspace that `init` made.
struct Workspace {
    folder: TempDir,
    program: PathBuf,
}

impl Workspace {
    fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("library-").tempdir().unwrap();
        let output = init(folder.path(), &["--database", "library", "--user", "librarian"]).run();
        output.ends(0).says("xtask/src/main.rs").says("cargo xtask snapshot");
        no_word_of_the_portal(&output.to_string());
        let program = folder.path().join("target/debug/xtask");
        Self { folder, program }
    }

    /// Compiles it as `cargo xtask` would, with the dependencies that are compiled already.
    fn build(&self) {
        let lock = "Cargo.lock";
        fs::copy(workspace().join(lock), self.folder.path().join(lock)).unwrap();
        let compiled = binary().ancestors().nth(2).expect("it is in a target folder");
        let mut cargo = Command::new("cargo");
        cargo
            .args(["build", "--quiet", "--offline", "--package", "xtask"])
            .current_dir(self.folder.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("CARGO_BUILD_BUILD_DIR", compiled)
            // As this workspace has it: otherwise the dependencies would be others.
            .env("CARGO_PROFILE_DEV_DEBUG", "0")
            .envs(cargo_homes());
        let output = cargo.output().expect("cargo starts");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
    }

    /// A call of its program; what it says is looked at.
    fn run(&self, xtask: impl FnOnce(Xtask) -> Xtask, arguments: &[&str]) -> Output {
        let call = Xtask::of(&self.program, arguments)
            .unset("XTASK_SQL")
            // As `cargo xtask` tells it.
            .env("CARGO_MANIFEST_DIR", self.folder.path().join("xtask"));
        let output = xtask(call).run();
        no_word_of_the_portal(&output.to_string());
        output
    }
}

/// `xtask init` of a folder.
fn init(folder: &Path, arguments: &[&str]) -> Xtask {
    let init = Xtask::new(["init"]).arg(folder).args(arguments);
    cargo_homes()
        .into_iter()
        .fold(init, |init, (name, path)| init.env(name, path))
}

#[track_caller]
fn no_word_of_the_portal(text: &str) {
    // The path of the engine is what this workspace's folder is called.
    let text = text.replace(&*workspace().to_string_lossy(), "").to_lowercase();
    for word in PORTAL {
        assert!(!text.contains(word), "{word:?} in:\n{text}");
    }
}

/// All files below a folder, without what cargo makes.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().flatten().map(|entry| entry.path());
    entries
        .filter(|path| !path.ends_with("target") && !path.ends_with("Cargo.lock"))
        .flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] })
        .collect()
}

fn count(client: &mut Client, query: &str) -> i64 {
    client.query_one(query, &[]).unwrap().get(0)
}

fn another_workspace(context: &Context) {
    let workspace = Workspace::new();
    workspace.build();
    let database = context.database();
    let sql = workspace.folder.path().join("sql");
    let add = |file: &str, text: &str| {
        let path = sql.join(file);
        let comment = fs::read_to_string(&path).unwrap();
        fs::write(path, comment + text).unwrap();
    };
    let plain = |xtask: Xtask| xtask;
    add(
        "01_tables.sql",
        "CREATE TABLE authors (id bigint PRIMARY KEY, name text NOT NULL);\n\
         CREATE TABLE books (id bigint PRIMARY KEY, author bigint REFERENCES authors (id), title text);\n",
    );
    let snapshot = || workspace.run(|xtask| context.with_scratch_server(xtask), &["snapshot"]);
    let migrate = || workspace.run(|xtask| xtask.on(&database), &["migrate"]);
    snapshot().ends(0).says("2 statements");
    migrate().ends(0).says("2 statements run");

    workspace
        .run(plain, &["new", "add loans"])
        .ends(0)
        .says("sql/02_add_loans.sql:1");
    snapshot().ends(0).says("2 statements");
    add(
        "02_add_loans.sql",
        "CREATE TABLE loans (book bigint NOT NULL REFERENCES books (id), until date NOT NULL);\n",
    );
    workspace
        .run(plain, &["new", "index titles", "--in", "tables"])
        .ends(0)
        .says("sql/01_tables.sql:");
    add("01_tables.sql", "CREATE INDEX books_title ON books (title);\n");
    migrate().ends(1).says("expected.json").says("cargo xtask snapshot");
    snapshot().ends(0).says("4 statements");
    migrate().ends(0).says("2 statements run, 2 satisfied");
    for command in ["verify", "plan"] {
        workspace.run(|xtask| xtask.on(&database), &[command]).ends(0);
    }
    let mut client = database.connect();
    assert_eq!(count(&mut client, "SELECT count(*) FROM loans"), 0);
    assert_eq!(count(&mut client, "SELECT count(*) FROM migration.runs"), 2);

    // Its own names are the defaults.
    let nobody = workspace.run(
        |xtask| xtask.env("POSTGRES_PORT", "1").env("XTASK_WAIT", "0"),
        &["migrate"],
    );
    nobody.ends(3).says("database library").says("as librarian");
    workspace
        .run(plain, &["deploy"])
        .ends(2)
        .says("this application has no backend");
    for command in [
        "--help",
        "migrate",
        "plan",
        "verify",
        "snapshot",
        "history",
        "rollback",
        "quarantine",
        "baseline",
        "dev",
        "new",
        "init",
    ] {
        workspace.run(plain, &[command, "--help"]).ends(0);
    }
    for shell in ["bash", "zsh", "fish"] {
        let script = workspace.run(plain, &["completions", shell]);
        script.ends(0).says("cargo xtask").says("snapshot").says("lock-timeout");
        if shell == "bash" {
            let ask = format!(
                "{}\nCOMP_WORDS=(xtask mig) COMP_CWORD=1; _xtask xtask mig xtask; echo ${{COMPREPLY[*]}}",
                script.stdout
            );
            let answer = Command::new("bash").args(["-c", &ask]).output().unwrap();
            assert_eq!(String::from_utf8_lossy(&answer.stdout), "migrate\n");
        }
    }
    for file in files(workspace.folder.path()) {
        no_word_of_the_portal(&fs::read_to_string(&file).unwrap());
    }
}

/// Of what there is nothing is lost.
fn a_workspace_that_is_there(_context: &Context) {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
    write(
        "Cargo.toml",
        "[package]\nname = \"shop\"\nversion = \"1.0.0\"\nedition = \"2024\"\n",
    );
    write("src/main.rs", "fn main() {}\n");
    write(".cargo/config.toml", "[alias]\nb = \"build\"\n");
    write("sql/0001_goods.sql", "CREATE TABLE goods ();\n");
    write(".github/workflows/test.yml", "name: test\n");
    init(folder.path(), &["--backend", "shop"]).run().ends(0);
    assert_eq!(read("sql/0001_goods.sql"), "CREATE TABLE goods ();\n");
    assert_eq!(fs::read_dir(folder.path().join("sql")).unwrap().count(), 1);
    assert!(read(".cargo/config.toml").ends_with("b = \"build\"\n"));
    assert!(read("xtask/src/main.rs").contains("backend: Some(\"shop\")"));
    assert!(read(".github/workflows/database.yml").contains("snapshot --check"));
    let metadata = Command::new("cargo")
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    let metadata: serde_json::Value = serde_json::from_slice(&metadata.stdout).unwrap();
    assert_eq!(metadata["workspace_members"].as_array().unwrap().len(), 2, "{metadata}");

    let again = init(folder.path(), &[]).run();
    again.ends(2).says("is there already");
}
