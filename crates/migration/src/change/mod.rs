//! From a change of the catalog back to SQL.
//!
//! Each kind says how its objects are made, changed and dropped (`catalog::to_sql`). Here the statements for a whole
//! change are put together: what has to be made anew takes along what rests on it, what goes with something else is not
//! dropped by itself, and each statement gets its place.

mod anew;
mod names;
mod order;
mod owners;
mod risks;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::catalog::{Change, Definitions, Ends, ObjectId, Otherwise, parents, split_at_last_dot, table_of, to_sql};
use crate::locks::TableLock;
use anew::anew;
pub use names::{key, mentions};
use order::{Action, Node};
pub use owners::owners_of as owners;
use owners::{goes_along, holds_parts};
use risks::{locks, loses, rewrites};

/// Statements that bring a change about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Script {
    /// In the order in which they can run. Functions are made with `check_function_bodies = off`: their bodies may name
    /// what comes later.
    pub steps: Vec<Step>,
    /// What no statement brings about.
    pub impossible: Vec<Impossible>,
}

/// A statement of a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The object that it is about.
    pub id: ObjectId,
    /// Without a semicolon at the end.
    pub sql: String,
    /// It may lose values that rows hold.
    pub loses: bool,
    /// It writes all rows of a table anew, and keeps everybody waiting meanwhile.
    pub rewrites: bool,
    /// It makes something that is not there, and changes nothing that is.
    pub adds: bool,
    /// The locks that it takes on tables that were there before.
    pub locks: Vec<TableLock>,
}

/// An object that cannot be brought to where it shall be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Impossible {
    /// The object.
    pub id: ObjectId,
    /// Why not, as a clause.
    pub reason: &'static str,
}

/// The statements that drop these objects of a catalog; mostly there are none.
pub fn dropping(before: &Definitions, is_meant: impl Fn(&ObjectId) -> bool) -> Script {
    if !before.keys().any(&is_meant) {
        return Script::default();
    }
    let kept = before.iter().filter(|(id, _)| !is_meant(id));
    script(
        before,
        &kept.map(|(id, definition)| (id.clone(), definition.clone())).collect(),
    )
}

/// The statements that lead from one catalog to another.
pub fn script(before: &Definitions, after: &Definitions) -> Script {
    let mut impossible = BTreeMap::new();
    let anew = anew(before, after, &mut impossible);
    let ends = Ends {
        before,
        after,
        anew: &anew.objects,
    };
    let ids: BTreeSet<&ObjectId> = before.keys().chain(after.keys()).collect();
    // What a table's columns, triggers and so on name has to outlast it.
    let mut parts: HashMap<&str, Vec<&str>> = HashMap::new();
    for (id, definition) in before.iter().filter(|(id, _)| !holds_parts(id)) {
        if let Some(table) = id
            .table()
            .or_else(|| table_of(definition).filter(|_| id.kind == "index"))
        {
            parts.entry(table).or_default().push(definition);
        }
    }
    let mut nodes: Vec<Node<'_>> = Vec::new();
    let mut add = |id, action: Action, statements: Result<Vec<String>, Otherwise>, before: &str, after| match statements
    {
        Ok(statements) => {
            for (n, sql) in statements.into_iter().enumerate() {
                // What is changed is as it shall be when the last statement has run.
                let is_first = n == 0 || action == Action::Drop || !before.is_empty();
                nodes.push(Node {
                    id,
                    action: if is_first { action } else { Action::Set },
                    sql,
                    before: before.to_owned(),
                    after,
                });
            }
        }
        Err(Otherwise::Never(reason)) => {
            impossible.insert(id.clone(), reason);
        }
        Err(Otherwise::Anew) => {}
    };
    for id in ids {
        let kind = to_sql(&id.kind);
        match (before.get(id), after.get(id)) {
            (Some(was), Some(is)) if was != is && !anew.objects.contains(id) => {
                add(id, Action::Make, (kind.change)(&ends, id, was, is), was, is);
            }
            (was, is) => {
                if let Some(was) = was.filter(|_| ends.goes(id))
                    && !goes_along(&ends, id, was)
                {
                    let parts = parts.get(id.identity.as_str()).filter(|_| holds_parts(id));
                    let before = format!("{was} {}", parts.map(|parts| parts.join(" ")).unwrap_or_default());
                    add(id, Action::Drop, (kind.drop)(&ends, id, was), &before, "");
                }
                if let Some(is) = is.filter(|_| ends.comes(id)) {
                    add(id, Action::Make, (kind.make)(&ends, id, is), "", is);
                }
            }
        }
    }
    for (id, default) in &anew.defaults {
        let (table, column) = split_at_last_dot(&id.identity).unwrap_or_default();
        let alter = format!("ALTER TABLE {table} ALTER COLUMN {column}");
        add(id, Action::Drop, Ok(vec![format!("{alter} DROP DEFAULT")]), default, "");
        add(
            id,
            Action::Set,
            Ok(vec![format!("{alter} SET DEFAULT {default}")]),
            "",
            "",
        );
    }
    let steps = order::order(&nodes).into_iter().map(|n| Step {
        id: nodes[n].id.clone(),
        sql: nodes[n].sql.clone(),
        loses: loses(&nodes[n]),
        rewrites: rewrites(&nodes[n], before),
        adds: nodes[n].action != Action::Drop && !before.contains_key(nodes[n].id),
        locks: locks(&nodes[n], before),
    });
    Script {
        steps: steps.collect(),
        impossible: impossible
            .into_iter()
            .map(|(id, reason)| Impossible { id, reason })
            .collect(),
    }
}

/// The statements that bring about what a statement leaves, and keep nobody who uses a table waiting, as far as there are
/// such; none where more is to be done than to add to what is there. `tables` are those that are there: of partitioned ones
/// each partition is dealt with by itself. `snapshot` proves what they leave, and how they lock.
pub fn form(changes: &[Change], tables: &Definitions) -> Option<Vec<String>> {
    let of_table = |(id, before, after): &Change| {
        let definition = after.as_ref().or(before.as_ref())?;
        id.table().or_else(|| table_of(definition)).map(ToOwned::to_owned)
    };
    let touched: BTreeSet<String> = changes.iter().filter_map(of_table).collect();
    let is_near = |(id, definition): &(&ObjectId, &String)| {
        let is_part = || definition.contains("partition of ");
        let of_touched = || {
            parents(tables, &id.identity)
                .iter()
                .any(|parent| touched.contains(parent))
        };
        id.kind == "table" && (touched.contains(&id.identity) || is_part() && of_touched())
    };
    let near = tables.iter().filter(is_near);
    let near: Definitions = near.map(|(id, definition)| (id.clone(), definition.clone())).collect();
    let end = |state: fn(&Change) -> Option<&String>| -> Definitions {
        let states = changes
            .iter()
            .filter_map(|change| Some((change.0.clone(), state(change)?.clone())));
        near.clone().into_iter().chain(states).collect()
    };
    let (before, after) = (end(|change| change.1.as_ref()), end(|change| change.2.as_ref()));
    let adds = |(id, before, after): &Change| {
        let sets_not_null = || {
            before.as_deref()
                == after
                    .as_deref()
                    .map(|after| after.replacen(" not null", "", 1))
                    .as_deref()
        };
        let kinds = ["column", "constraint", "index", "trigger"];
        kinds.contains(&id.kind.as_str())
            && after.is_some()
            && (before.is_none() || id.kind == "column" && sets_not_null())
    };
    let script = script(&before, &after);
    let steps: Vec<String> = script.steps.into_iter().map(|step| step.sql).collect();
    (changes.iter().all(adds) && script.impossible.is_empty() && !steps.is_empty()).then_some(steps)
}

#[cfg(test)]
mod tests;
