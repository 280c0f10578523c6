//! The same command on many databases.

use std::fs;

use serde_json::Value;

use crate::harness::Context;
use crate::harness::database::Database;
use crate::harness::phases::Phases;
use crate::harness::xtask::{Output, Xtask};

tests![
    those_that_match,
    first_one_fails,
    one_fails_in_the_middle,
    a_release_is_taken_back_where_it_came,
    listed_in_a_file,
    nonsense,
];

const TABLE: &str = "CREATE TABLE IF NOT EXISTS t (id int PRIMARY KEY);";

/// Databases of one owner, named after a prefix that no other test has.
fn databases(context: &Context, prefix: &str, names: &[&str]) -> Database {
    let owner = context.database();
    for name in names {
        let name = format!("{prefix}{name}").replace('"', "\"\"");
        owner
            .admin()
            .batch_execute(&format!("CREATE DATABASE \"{name}\" OWNER \"{}\"", owner.owner))
            .unwrap();
    }
    owner
}

fn migrate(owner: &Database, phases: &Phases, arguments: &[&str]) -> Output {
    Xtask::migrate(owner).phases(phases.path()).args(arguments).run()
}

fn observed(context: &Context, sql: &str) -> Phases {
    let phases = Phases::new(&[("01_all.sql", sql)]);
    context.observe(phases.path());
    phases
}

fn documents(output: &Output) -> Vec<Value> {
    output
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).expect("a document a line"))
        .collect()
}

fn those_that_match(context: &Context) {
    let owner = databases(context, "fleet a ", &["1", "2 % '", "3 \"x", "other"]);
    let phases = observed(context, TABLE);
    let all = migrate(&owner, &phases, &["--databases", "fleet a *", "--jobs", "2", "--json"]);
    let told = documents(all.ends(0));
    let mut names: Vec<&str> = told.iter().filter_map(|one| one["database"].as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["fleet a 1", "fleet a 2 % '", "fleet a 3 \"x", "fleet a other"]);
    assert!(
        told.iter().all(|one| one["document"]["statements_run"] == 1),
        "{told:?}"
    );
    // The second time there is nothing to do.
    let again = migrate(&owner, &phases, &["--databases", "fleet a *"]);
    again.ends(0).says("4 databases: 4 done").hides("statement run");
    let verified = Xtask::verify(&owner)
        .phases(phases.path())
        .args(["--databases", "fleet a ?", "--json"])
        .run();
    assert_eq!(documents(verified.ends(0)).len(), 1);
}

fn first_one_fails(context: &Context) {
    let owner = databases(context, "fleet b ", &["1", "2", "3"]);
    let phases = observed(context, "CREATE TABLE t (id int);");
    let table = |name: &str, sql: &str| owner.in_database(name).batch_execute(sql).unwrap();
    // Another type: nothing that a statement changes.
    table("fleet b 1", "CREATE TABLE t (id text)");
    let output = migrate(&owner, &phases, &["--databases", "fleet b *"]);
    output
        .ends(4)
        .says("fleet b 1: exit status 4")
        .says("1 failed, 2 not begun");
    let output = migrate(&owner, &phases, &["--databases", "fleet b *", "--keep-going"]);
    output.ends(4).says("2 done, 1 failed");
}

fn one_fails_in_the_middle(context: &Context) {
    let owner = databases(context, "fleet c ", &["1", "2", "3", "4"]);
    let phases = observed(context, "CREATE TABLE t (id int);");
    owner
        .in_database("fleet c 2")
        .batch_execute("CREATE TABLE t (id text)")
        .unwrap();
    let output = migrate(&owner, &phases, &["--databases", "fleet c *", "--jobs", "1"]);
    output.ends(4).says("4 databases: 1 done, 1 failed, 2 not begun");
    owner.in_database("fleet c 2").batch_execute("DROP TABLE t").unwrap();
    let output = migrate(&owner, &phases, &["--databases", "fleet c *", "--canary", "2"]);
    output.ends(0).says("4 databases: 4 done");
}

fn a_release_is_taken_back_where_it_came(context: &Context) {
    let owner = databases(context, "fleet d ", &["1", "2"]);
    let first = observed(context, TABLE);
    let second = observed(
        context,
        &format!("{TABLE}\nALTER TABLE t ADD COLUMN IF NOT EXISTS a text;"),
    );
    let all = ["--databases", "fleet d *"];
    migrate(&owner, &first, &all).ends(0);
    migrate(&owner, &second, &["--dbname", "fleet d 1"]).ends(0);
    let back = |arguments: &[&str]| {
        let rollback = Xtask::new(["rollback"]).on(&owner).phases(second.path());
        rollback.args(all).args(arguments).run()
    };
    back(&[]).ends(2).says("--release");
    let told = documents(back(&["--release", "--json"]).ends(0));
    let mut told: Vec<_> = told
        .iter()
        .map(|one| (&one["database"], &one["document"]["outcome"]))
        .collect();
    told.sort_by_key(|(name, _)| name.as_str());
    assert_eq!(told[0], (&"fleet d 1".into(), &"succeeded".into()));
    assert_eq!(told[1], (&"fleet d 2".into(), &"nothing to take back".into()));
    Xtask::verify(&owner).phases(first.path()).args(all).run().ends(0);
}

fn listed_in_a_file(context: &Context) {
    let (first, second) = (context.database(), context.database());
    let phases = observed(context, TABLE);
    let list = tempfile::NamedTempFile::new().unwrap();
    let path = list.path().to_str().unwrap();
    fs::write(path, format!("# of two owners\n{}\n\n{}\n", first.url(), second.url())).unwrap();
    let output = migrate(&first, &phases, &["--databases", path]);
    output.ends(0).says("2 databases: 2 done").hides(&second.password);
    let verified = Xtask::verify(&second).phases(phases.path()).run();
    verified.ends(0);
    fs::write(path, format!("{}\npostgres://h:port/x\n", first.url())).unwrap();
    migrate(&first, &phases, &["--databases", path])
        .ends(2)
        .says(":2: ")
        .hides("1 done");
}

fn nonsense(context: &Context) {
    let owner = context.database();
    let phases = observed(context, TABLE);
    migrate(&owner, &phases, &["--databases", "no such file"])
        .ends(2)
        .says("no such file");
    migrate(&owner, &phases, &["--databases", "no such database *"])
        .ends(2)
        .says("no database");
    let told = migrate(&owner, &phases, &["--jobs", "3", "--json"]);
    assert_eq!(told.ends(2).json()["exit_status"], 2, "{told}");
    migrate(&owner, &phases, &["--databases", "x*", "--jobs", "0"]).ends(2);
}
