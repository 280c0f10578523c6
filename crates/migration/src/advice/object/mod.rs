//! What is no column: the statements that make an object, change it, or take it away.

use super::{guarded, literal, unquoted};
use crate::catalog::{ObjectId, split_at_last_dot, split_on};

/// Where a statement goes among the others: what it needs comes before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    Type,
    Sequence,
    Column,
    Owner,
    Function,
    Index,
    Key,
    Check,
    View,
    OnTable,
    Drop,
}

pub(super) type Lines = Vec<(Rank, String)>;

fn at(rank: Rank, lines: impl IntoIterator<Item = String>) -> Option<Lines> {
    Some(lines.into_iter().map(|line| (rank, line)).collect())
}

/// The statements that make `id` as `expected` says, where `actual` is what is there now; none where the definition
/// does not say enough.
pub(super) fn make(id: &ObjectId, expected: &str, actual: Option<&str>) -> Option<Lines> {
    let name = id.identity.as_str();
    match id.kind.as_str() {
        "type" => enumeration(name, expected, actual),
        "sequence" => sequence(name, expected, actual),
        "index" => at(Rank::Index, index(name, expected, actual)?),
        "function" | "procedure" => at(Rank::Function, [format!("{};", one_line_function(expected)?)]),
        "view" => at(Rank::View, [format!("CREATE OR REPLACE VIEW {name} {expected};")]),
        "materialized view" => {
            let drop = actual.map(|_| format!("DROP MATERIALIZED VIEW IF EXISTS {name};"));
            let make = format!("CREATE MATERIALIZED VIEW IF NOT EXISTS {name} {expected};");
            at(Rank::View, drop.into_iter().chain([make]))
        }
        "trigger" => at(Rank::OnTable, trigger(name, expected)?),
        "policy" => {
            let (policy, table) = split_on(name)?;
            // The role that migrates has another name on each server.
            let definition = expected.replacen(" to the owner", " to CURRENT_USER", 1);
            at(
                Rank::OnTable,
                [
                    format!("DROP POLICY IF EXISTS {policy} ON {table};"),
                    format!("CREATE POLICY {policy} ON {table} AS {definition};"),
                ],
            )
        }
        _ => None,
    }
}

/// The statement that takes away what should be absent.
pub(super) fn drop(id: &ObjectId) -> Option<String> {
    let name = id.identity.as_str();
    let kind = id.kind.to_uppercase();
    Some(match id.kind.as_str() {
        "column" => {
            let (table, column) = split_at_last_dot(name)?;
            format!("ALTER TABLE {table} DROP COLUMN IF EXISTS {column};")
        }
        "constraint" => {
            let (constraint, table) = split_on(name)?;
            format!("ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {constraint};")
        }
        "trigger" | "policy" | "rule" => {
            let (object, table) = split_on(name)?;
            format!("DROP {kind} IF EXISTS {object} ON {table};")
        }
        "index" => format!("DROP INDEX CONCURRENTLY IF EXISTS {name};"),
        "table" | "foreign table" | "view" | "materialized view" | "sequence" | "type" | "domain" | "function"
        | "procedure" | "schema" | "extension" => format!("DROP {kind} IF EXISTS {name};"),
        _ => return None,
    })
}

/// Whether a constraint is kept by an index of its name.
pub(super) fn has_index(definition: &str) -> bool {
    ["UNIQUE", "PRIMARY KEY", "EXCLUDE"]
        .iter()
        .any(|kind| definition.starts_with(kind))
}

/// The statements that add a constraint or put it in place of another, with the definition of its index.
pub(super) fn constraint(
    identity: &str,
    expected: &str,
    actual: Option<&str>,
    index: Option<&str>,
    partitioned: bool,
) -> Option<Lines> {
    let (name, table) = split_on(identity)?;
    if expected.ends_with(" inherited") {
        return None;
    }
    let condition = |more: &str| {
        format!(
            "EXISTS (SELECT FROM pg_constraint WHERE conname = {} AND conrelid = {}::regclass{more})",
            literal(&unquoted(name)),
            literal(table)
        )
    };
    if !has_index(expected) {
        // Nothing depends on a check or a foreign key, so it can go and come again where it is new.
        let drop = format!("ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {name};");
        let add = format!("ALTER TABLE {table} ADD CONSTRAINT {name} {expected}");
        let is_key = expected.starts_with("FOREIGN KEY");
        let whole = expected.ends_with(" NOT VALID") || is_key && partitioned;
        let lines = if whole {
            vec![drop, format!("{add};")]
        } else {
            let validate = format!("ALTER TABLE {table} VALIDATE CONSTRAINT {name};");
            vec![drop, format!("{add} NOT VALID;"), validate]
        };
        return at(Rank::Check, lines);
    }
    if actual.is_some() {
        let differs = format!(" AND pg_get_constraintdef(oid) <> {}", literal(expected));
        let swap = format!("ALTER TABLE {table} DROP CONSTRAINT {name}, ADD CONSTRAINT {name} {expected}");
        return at(
            Rank::Key,
            [
                "-- locks the table while it is built; foreign keys that refer to it have to be dropped before, and added after"
                    .to_owned(),
                guarded(&condition(&differs), &swap)?,
            ],
        );
    }
    // Built without a lock and then made a constraint, as far as PostgreSQL can.
    let kind = ["UNIQUE", "PRIMARY KEY"]
        .into_iter()
        .find(|kind| expected.starts_with(kind));
    let by_index = kind.zip(index).filter(|(_, index)| {
        !partitioned && !expected.contains("WITHOUT OVERLAPS") && index.starts_with("CREATE UNIQUE INDEX ")
    });
    let (build, definition) = match by_index {
        Some((kind, index)) => {
            let deferrable = expected.find(" DEFERRABLE").map_or("", |start| &expected[start..]);
            let build = format!("{};", concurrently(extras(index)?.0));
            (Some(build), format!("{kind} USING INDEX {name}{deferrable}"))
        }
        None => (None, expected.to_owned()),
    };
    let add = format!("ALTER TABLE {table} ADD CONSTRAINT {name} {definition}");
    let add = guarded(&format!("NOT {}", condition("")), &add)?;
    at(Rank::Key, build.into_iter().chain([add]))
}

fn concurrently(create: &str) -> String {
    // A partitioned table's index is not built concurrently, and comes with those of the partitions.
    if create.contains(" ON ONLY ") {
        return create
            .replacen(" INDEX ", " INDEX IF NOT EXISTS ", 1)
            .replacen(" ON ONLY ", " ON ", 1);
    }
    create.replacen(" INDEX ", " INDEX CONCURRENTLY IF NOT EXISTS ", 1)
}

/// Cuts off what an index's definition says besides its CREATE INDEX; none where no statement of ours says the same.
fn extras(definition: &str) -> Option<(&str, Vec<&'static str>)> {
    let mut create = definition;
    let mut found = Vec::new();
    for word in ["INVALID", "replica identity", "clustered"] {
        if let Some(rest) = create.strip_suffix(word).and_then(|rest| rest.strip_suffix(' '))
            && !rest.ends_with(" WHERE")
        {
            create = rest;
            found.push(word);
        }
    }
    let outside = |words: &str| {
        create
            .rfind(words)
            .is_some_and(|start| !create[start..].contains(['(', ')', '\'']))
    };
    let unknown = [" tablespace ", " attached to ", " statistics of column "]
        .into_iter()
        .any(outside);
    (create.starts_with("CREATE ") && !unknown).then_some((create, found))
}

fn index(name: &str, expected: &str, actual: Option<&str>) -> Option<Vec<String>> {
    let (create, extras) = extras(expected)?;
    let mut lines = Vec::new();
    if actual.is_some_and(|actual| self::extras(actual).is_none_or(|(is, _)| is != create)) {
        let concurrently = if create.contains(" ON ONLY ") {
            ""
        } else {
            "CONCURRENTLY "
        };
        lines.push(format!("DROP INDEX {concurrently}IF EXISTS {name};"));
    }
    if actual.is_none() || !lines.is_empty() {
        lines.push(format!("{};", concurrently(create)));
    }
    let table = create.split_once(" ON ")?.1.split_once(" USING ")?.0;
    let own_name = create.split_once(" INDEX ")?.1.split_once(" ON ")?.0;
    for extra in extras {
        lines.push(match extra {
            "replica identity" => format!("ALTER TABLE {table} REPLICA IDENTITY USING INDEX {own_name};"),
            "clustered" => format!("ALTER TABLE {table} CLUSTER ON {own_name};"),
            _ => return None,
        });
    }
    (!lines.is_empty()).then_some(lines)
}

fn trigger(identity: &str, expected: &str) -> Option<Vec<String>> {
    let (name, table) = split_on(identity)?;
    let states = [
        (" DISABLED", "DISABLE TRIGGER"),
        (" ENABLED REPLICA", "ENABLE REPLICA TRIGGER"),
        (" ENABLED ALWAYS", "ENABLE ALWAYS TRIGGER"),
    ];
    let state = states.into_iter().find(|(suffix, _)| expected.ends_with(suffix));
    let create = state.map_or(expected, |(suffix, _)| &expected[..expected.len() - suffix.len()]);
    let mut lines = Vec::new();
    if let Some(rest) = create.strip_prefix("CREATE TRIGGER ") {
        lines.push(format!("CREATE OR REPLACE TRIGGER {rest};"));
    } else {
        // A constraint trigger cannot be replaced.
        lines.push(format!("DROP TRIGGER IF EXISTS {name} ON {table};"));
        lines.push(format!("{create};"));
    }
    lines.extend(state.map(|(_, action)| format!("ALTER TABLE {table} {action} {name};")));
    Some(lines)
}

/// A function on one line. Lines are indented where they are shown, and a body must not change by that.
fn one_line_function(definition: &str) -> Option<String> {
    let lines: Vec<&str> = definition.trim().lines().collect();
    let body = lines.iter().position(|line| line.starts_with("AS "))?;
    (body + 1 == lines.len()).then(|| lines.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" "))
}

fn labels(definition: &str) -> Option<Vec<&str>> {
    let inner = definition.strip_prefix("enum (")?.strip_suffix(')')?;
    let mut labels = Vec::new();
    let mut start = 0;
    let mut quoted = false;
    for (at, c) in inner.char_indices() {
        quoted ^= c == '\'';
        if c == ',' && !quoted {
            labels.push(inner[start..at].trim());
            start = at + 1;
        }
    }
    labels.push(inner[start..].trim());
    Some(labels.into_iter().filter(|label| !label.is_empty()).collect())
}

fn enumeration(name: &str, expected: &str, actual: Option<&str>) -> Option<Lines> {
    let want = labels(expected)?;
    let Some(actual) = actual else {
        let make = format!("CREATE TYPE {name} AS ENUM ({})", want.join(", "));
        return at(
            Rank::Type,
            [guarded(&format!("to_regtype({}) IS NULL", literal(name)), &make)?],
        );
    };
    let have = labels(actual)?;
    // Labels can be added, not taken away or put in another order.
    let kept: Vec<&&str> = want.iter().filter(|label| have.contains(label)).collect();
    if !kept.into_iter().eq(&have) {
        return None;
    }
    let lines = want
        .iter()
        .enumerate()
        .filter(|(_, label)| !have.contains(label))
        .map(|(n, label)| {
            let place = match (n.checked_sub(1).and_then(|n| want.get(n)), have.first()) {
                (Some(before), _) => format!(" AFTER {before}"),
                (None, Some(first)) => format!(" BEFORE {first}"),
                (None, None) => String::new(),
            };
            format!("ALTER TYPE {name} ADD VALUE IF NOT EXISTS {label}{place};")
        });
    at(Rank::Type, lines)
}

fn sequence(name: &str, expected: &str, actual: Option<&str>) -> Option<Lines> {
    let parts = |definition: &'_ str| -> (bool, String, String) {
        let rest = definition.strip_prefix("unlogged ");
        let options = rest.unwrap_or(definition);
        let (options, owner) = options.split_once(" owned by ").unwrap_or((options, ""));
        (rest.is_some(), options.to_owned(), owner.to_owned())
    };
    let (unlogged, options, owner) = parts(expected);
    let mut lines = Vec::new();
    match actual.map(parts) {
        None => {
            let unlogged = if unlogged { "UNLOGGED " } else { "" };
            lines.push((
                Rank::Sequence,
                format!("CREATE {unlogged}SEQUENCE IF NOT EXISTS {name} {options};"),
            ));
        }
        Some((was_unlogged, had, had_owner)) => {
            if was_unlogged != unlogged {
                let set = if unlogged { "UNLOGGED" } else { "LOGGED" };
                lines.push((Rank::Sequence, format!("ALTER SEQUENCE {name} SET {set};")));
            }
            if had != options {
                let no_cycle = if options.ends_with(" cycle") { "" } else { " no cycle" };
                lines.push((Rank::Sequence, format!("ALTER SEQUENCE {name} {options}{no_cycle};")));
            }
            if owner.is_empty() && !had_owner.is_empty() {
                lines.push((Rank::Owner, format!("ALTER SEQUENCE {name} OWNED BY NONE;")));
            }
        }
    }
    if !owner.is_empty() && actual.is_none_or(|actual| parts(actual).2 != owner) {
        lines.push((Rank::Owner, format!("ALTER SEQUENCE {name} OWNED BY {owner};")));
    }
    Some(lines)
}

#[cfg(test)]
mod tests;
