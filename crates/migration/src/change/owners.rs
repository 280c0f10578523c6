//! What goes when something else goes.

use super::names::{key, mentions};
use crate::catalog::{Ends, ObjectId, attached_to, split_at_last_dot, split_on, table_of, target, words};

pub(super) fn holds_parts(id: &ObjectId) -> bool {
    ["table", "foreign table", "view", "materialized view"].contains(&id.kind.as_str())
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
    let relations = ["table", "foreign table", "view", "materialized view"];
    let of_relation = |name: &str| relations.map(|kind| ObjectId::new(kind, name)).to_vec();
    match id.kind.as_str() {
        "column" | "constraint" | "trigger" | "policy" | "rule" => id.table().map(of_relation).unwrap_or_default(),
        "index" => {
            let table = table_of(definition).map(of_relation).unwrap_or_default();
            attached_to(definition).into_iter().chain(table).collect()
        }
        "statistics" => {
            let table = words(definition)
                .windows(2)
                .find(|pair| pair[0].1 == "FROM")
                .map(|pair| pair[1].1);
            table.map(of_relation).unwrap_or_default()
        }
        "domain constraint" => split_on(&id.identity)
            .map(|(_, domain)| vec![ObjectId::new("domain", domain)])
            .unwrap_or_default(),
        "sequence" => {
            let column = definition.split_once(" owned by ").map(|(_, column)| column);
            let table = column
                .and_then(split_at_last_dot)
                .map(|(table, _)| of_relation(table))
                .unwrap_or_default();
            column
                .map(|column| ObjectId::new("column", column))
                .into_iter()
                .chain(table)
                .collect()
        }
        "user mapping" => id
            .identity
            .rsplit_once(" server ")
            .map(|(_, server)| vec![ObjectId::new("server", server)])
            .unwrap_or_default(),
        "user mapping option" => id
            .identity
            .find(" for ")
            .map(|at| vec![ObjectId::new("user mapping", id.identity[at + 1..].to_owned())])
            .unwrap_or_default(),
        "publication table" => {
            let parts = id.identity.rsplit_once(" in ");
            parts
                .map(|(table, publication)| {
                    [vec![ObjectId::new("publication", publication)], of_relation(table)].concat()
                })
                .unwrap_or_default()
        }
        "publication schema" => {
            let parts = id.identity.rsplit_once(" in ");
            parts
                .map(|(schema, publication)| {
                    vec![
                        ObjectId::new("publication", publication),
                        ObjectId::new("schema", schema),
                    ]
                })
                .unwrap_or_default()
        }
        "role membership" => {
            let parts = id.identity.split_once(" in ");
            parts
                .map(|(member, of)| vec![ObjectId::new("role", member), ObjectId::new("role", of)])
                .unwrap_or_default()
        }
        "role setting" | "role setting in database" => id
            .identity
            .split_once('.')
            .map(|(role, _)| vec![ObjectId::new("role", role)])
            .unwrap_or_default(),
        _ => {
            let mut owners: Vec<ObjectId> = target(id).into_iter().collect();
            // What a comment is on may go with something itself.
            let more: Vec<ObjectId> = owners.iter().flat_map(owners_of_part).collect();
            owners.extend(more);
            owners
        }
    }
}

fn owners_of_part(id: &ObjectId) -> Vec<ObjectId> {
    if id.table().is_some() && id.kind != "table" || id.kind == "domain constraint" {
        owners(id, "")
    } else {
        Vec::new()
    }
}
