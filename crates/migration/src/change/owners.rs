//! What goes when something else goes.

use super::names::{key, mentions};
use crate::catalog::{Ends, ObjectId, attached_to, split_at_last_dot, split_on, table_of, target, words};

/// Kinds of objects that have columns, triggers and so on.
const RELATIONS: [&str; 4] = ["table", "foreign table", "view", "materialized view"];

pub(super) fn holds_parts(id: &ObjectId) -> bool {
    RELATIONS.contains(&id.kind.as_str())
}

/// Whether an object is dropped by dropping others.
pub(super) fn goes_along(ends: &Ends<'_>, id: &ObjectId, definition: &str) -> bool {
    // Tables may refer to each other in a circle.
    let refers_to_what_goes = || {
        let (_, referenced) = definition
            .split_once(" REFERENCES ")
            .filter(|_| id.kind == "constraint")?;
        let table = mentions(referenced).into_iter().next()?;
        Some(id.table() != Some(&table) && ends.goes(&ObjectId::new("table", table)))
    };
    // A base type and its functions rest on each other.
    let is_of_type = || {
        let key = key(id);
        let mut types = ends
            .before
            .iter()
            .filter(|(of, definition)| of.kind == "type" && definition.starts_with("base "));
        types.any(|(of, definition)| ends.goes(of) && mentions(definition).into_iter().any(|name| Some(name) == key))
    };
    match id.kind.as_str() {
        "function" => is_of_type(),
        _ => refers_to_what_goes() != Some(true) && owners(id, definition).iter().any(|owner| ends.goes(owner)),
    }
}

/// The objects with which an object is dropped.
pub(super) fn owners(id: &ObjectId, definition: &str) -> Vec<ObjectId> {
    found(id, definition).unwrap_or_default()
}

/// The objects without which an object is not: with those that it is dropped with, the table that a partition is one of.
pub fn owners_of(id: &ObjectId, definition: &str) -> Vec<ObjectId> {
    let parent = definition.strip_prefix("partition of ").filter(|_| id.kind == "table");
    match parent.and_then(|rest| mentions(rest).into_iter().next()) {
        Some(parent) => vec![ObjectId::new("table", parent)],
        None => owners(id, definition),
    }
}

fn found(id: &ObjectId, definition: &str) -> Option<Vec<ObjectId>> {
    let of_relation = |name: &str| RELATIONS.map(|kind| ObjectId::new(kind, name)).to_vec();
    let name = id.identity.as_str();
    Some(match id.kind.as_str() {
        "column" | "constraint" | "trigger" | "policy" | "rule" => of_relation(id.table()?),
        "index" => {
            let table = table_of(definition).map(of_relation).unwrap_or_default();
            attached_to(definition).into_iter().chain(table).collect()
        }
        "statistics" => {
            let words = words(definition);
            let from = words.windows(2).find(|pair| pair[0].1 == "FROM")?;
            of_relation(from[1].1)
        }
        "domain constraint" => vec![ObjectId::new("domain", split_on(name)?.1)],
        "sequence" => {
            let (_, column) = definition.split_once(" owned by ")?;
            let (table, _) = split_at_last_dot(column)?;
            [vec![ObjectId::new("column", column)], of_relation(table)].concat()
        }
        "user mapping" => vec![ObjectId::new("server", name.rsplit_once(" server ")?.1)],
        "user mapping option" => vec![ObjectId::new("user mapping", &name[name.find(" for ")? + 1..])],
        "publication table" => {
            let (table, publication) = name.rsplit_once(" in ")?;
            [vec![ObjectId::new("publication", publication)], of_relation(table)].concat()
        }
        "publication schema" => {
            let (schema, publication) = name.rsplit_once(" in ")?;
            vec![
                ObjectId::new("publication", publication),
                ObjectId::new("schema", schema),
            ]
        }
        "role membership" => {
            let (member, of) = name.split_once(" in ")?;
            vec![ObjectId::new("role", member), ObjectId::new("role", of)]
        }
        "role setting" | "role setting in database" => vec![ObjectId::new("role", name.split_once('.')?.0)],
        _ => {
            let on = target(id)?;
            // What a comment is on may go with something itself.
            let is_part = on.table().is_some() && on.kind != "table" || on.kind == "domain constraint";
            let more = if is_part { owners(&on, "") } else { Vec::new() };
            [vec![on], more].concat()
        }
    })
}
