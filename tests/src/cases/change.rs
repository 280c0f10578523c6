//! From a change of the catalog back to SQL: it leaves what the statements left that were written for it, there and back.

use std::fmt::Write;

use migration::catalog::{self, Catalog, Definitions};
use migration::change::{Script, script};
use postgres::Client;

use super::catalog::{LOCK_TIMEOUT, connect, copy, execute, in_own_database, objects, prepared};
use crate::harness::Context;
use crate::harness::changes::Change;
use crate::harness::server::Server;
use crate::harness::xtask::fixture;

tests![each_change_there_and_back, chinook, pagila, supabase];

/// What no statement says; ARCHITECTURE.md has the list.
const IMPOSSIBLE: &[&str] = &["operator class", "subscription", "user mapping"];

/// A database in one state.
struct State {
    definitions: Definitions,
    dump: Vec<String>,
}

impl State {
    fn of(server: &Server, database: &str, shared: bool) -> Self {
        let mut dump = server.tool("pg_dump", &["-s", "-O", "-C", "-d", database], "");
        // The one thing that two databases of the same schema have not in common.
        dump = dump
            .replace(&format!("DATABASE {database}"), "DATABASE it")
            .replace(&format!("\\connect {database}"), "");
        if shared {
            dump += &server.tool("pg_dumpall", &["-g", "--no-role-passwords"], "");
        }
        Self {
            definitions: read(&mut connect(server, database)),
            dump: objects(&dump).iter().map(|object| without_order(object)).collect(),
        }
    }

    fn differences(&self, other: &Self) -> Vec<String> {
        let changed = catalog::changes_of(&self.definitions, &other.definitions);
        let mut found: Vec<String> = changed
            .iter()
            .map(|(id, expected, is)| format!("{id}: {expected:?}, not {is:?}"))
            .collect();
        if found.is_empty() && self.dump != other.dump {
            let only = |of: &Self, than: &Self, sign: &str| {
                let lines = of.dump.iter().filter(|object| !than.dump.contains(object));
                lines.map(|object| format!("{sign} {object}")).collect::<Vec<_>>()
            };
            found.extend(only(self, other, "-"));
            found.extend(only(other, self, "+"));
        }
        found
    }
}

fn read(client: &mut Client) -> Definitions {
    Catalog::read(client, LOCK_TIMEOUT).unwrap().definitions().clone()
}

/// In the catalog neither columns nor storage parameters have an order, nor have the tags of event triggers.
fn without_order(object: &str) -> String {
    if object.starts_with("CREATE EVENT TRIGGER ") {
        let mut tags: Vec<&str> = object.split(['(', ')', ',', ' ']).collect();
        tags.sort_unstable();
        return tags.join(" ");
    }
    if !object.starts_with("CREATE TABLE ") {
        return object.to_owned();
    }
    let sorted = |line: &str| match line.strip_prefix("WITH (") {
        Some(parameters) => {
            let mut parameters: Vec<&str> = parameters.trim_end_matches(");").split(", ").collect();
            parameters.sort_unstable();
            format!("WITH ({});", parameters.join(", "))
        }
        None => without_name(line.trim_end_matches(',')),
    };
    let mut lines: Vec<String> = object.lines().map(sorted).collect();
    lines.sort_unstable();
    lines.join("\n")
}

/// From PostgreSQL 18 on NOT NULL has a name, which is not in the catalog.
fn without_name(line: &str) -> String {
    match line.split_once(" CONSTRAINT ") {
        Some((column, rest)) => match rest.split_once(" NOT NULL") {
            Some((_, rest)) => format!("{column} NOT NULL{rest}"),
            None => line.to_owned(),
        },
        None => line.to_owned(),
    }
}

/// Runs a script, and tells which statement failed.
fn run(server: &Server, database: &str, script: &Script) -> Result<(), String> {
    let mut client = connect(server, database);
    client
        .batch_execute("SET search_path = ''; SET check_function_bodies = off")
        .unwrap();
    for step in &script.steps {
        client.batch_execute(&step.sql).map_err(|error| {
            let cause = error
                .as_db_error()
                .map_or(error.to_string(), |error| error.message().to_owned());
            let all: Vec<&str> = script.steps.iter().map(|step| step.sql.as_str()).collect();
            format!("{cause}\n    at {}\n    of {}", step.sql, all.join(";\n       "))
        })?;
    }
    Ok(())
}

fn each_change_there_and_back(context: &Context) {
    let (server, changes) = prepared(context);
    copy(&server, "plain");
    let mut wrong = String::new();
    let mut note = |change: &Change, result: Result<(), String>| {
        if let Err(error) = &result {
            writeln!(wrong, "{}: {error}", change.name).unwrap();
        }
        result.is_ok()
    };
    for (number, change) in changes.iter().enumerate() {
        if !change.setup.is_empty() || change.is_shared() {
            in_own_database(&server, number, change, |database| {
                note(change, there_and_back(&server, database, change));
            });
        } else if !note(change, there_and_back(&server, "plain", change)) {
            // The next one begins anew.
            let drop = "DROP DATABASE plain WITH (FORCE)";
            server.admin().batch_execute(drop).unwrap();
            copy(&server, "plain");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

fn there_and_back(server: &Server, database: &str, change: &Change) -> Result<(), String> {
    let shared = change.is_shared();
    let before = State::of(server, database, shared);
    execute(server, database, &change.forward);
    let after = State::of(server, database, shared);
    for (way, to) in [("back", &before), ("there", &after), ("back again", &before)] {
        let is = read(&mut connect(server, database));
        let script = script(&is, &to.definitions);
        if !script.impossible.is_empty() {
            let expected = IMPOSSIBLE.iter().any(|name| change.name.starts_with(name));
            if expected && way == "back" {
                execute(server, database, &change.backward);
            }
            return if expected {
                Ok(())
            } else {
                Err(format!("{way}: {:?}", script.impossible))
            };
        }
        run(server, database, &script).map_err(|error| format!("{way}: {error}"))?;
        let differences = to.differences(&State::of(server, database, shared));
        if !differences.is_empty() {
            let all: Vec<&str> = script.steps.iter().map(|step| step.sql.as_str()).collect();
            return Err(format!(
                "{way}: {}\n    by {}",
                differences.join("\n    "),
                all.join(";\n       ")
            ));
        }
    }
    Ok(())
}

fn chinook(context: &Context) {
    from_nothing_and_back(context, "chinook");
}

fn pagila(context: &Context) {
    from_nothing_and_back(context, "pagila");
}

fn supabase(context: &Context) {
    from_nothing_and_back(context, "supabase");
}

/// A schema of another project is made from its definitions alone, taken away, and made again.
fn from_nothing_and_back(context: &Context, name: &str) {
    let server = context.own_server(&[]);
    let sql = std::fs::read_to_string(fixture(&format!("schemas/{name}/01_schema.sql"))).unwrap();
    for database in ["given", "made"] {
        server
            .admin()
            .batch_execute(&format!("CREATE DATABASE {database}"))
            .unwrap();
    }
    let nothing = State::of(&server, "made", false);
    execute(&server, "given", &sql);
    let given = State::of(&server, "given", false);
    for to in [&given, &nothing, &given] {
        let is = read(&mut connect(&server, "made"));
        let script = script(&is, &to.definitions);
        assert_eq!(script.impossible, [], "{name}");
        run(&server, "made", &script).unwrap_or_else(|error| panic!("{name}: {error}"));
        let made = State::of(&server, "made", false);
        let differences = to.differences(&made);
        assert!(differences.is_empty(), "{name}: {}", differences.join("\n"));
    }
}
