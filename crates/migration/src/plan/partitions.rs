//! Online forms on partitioned tables: this database may have partitions that no file names. Each gets what the others get
//! before the whole table asks for it.

use std::borrow::Cow;

use crate::catalog::{Catalog, ObjectId, parents, split_at_last_dot, split_on, table_of};
use crate::expected::OnlineStep;
use crate::locks::TableLock;
use crate::source::statement::Statement;
use crate::text::sha256;

/// PostgreSQL cuts longer names.
const NAME: usize = 63;

/// The steps, with those for partitions that they do not name.
pub(super) fn with_own<'s>(steps: &'s [OnlineStep], catalog: &Catalog) -> Cow<'s, [OnlineStep]> {
    let concerns = |step: &OnlineStep| index_of_partitioned(step).is_some() || foreign_key(step).is_some();
    if !steps.iter().any(concerns) {
        return Cow::Borrowed(steps);
    }
    let mut all = Vec::new();
    for step in steps {
        let mut step = step.clone();
        // What comes after it.
        let mut attach = Vec::new();
        if let Some((index, definition)) = index_of_partitioned(&step) {
            let key = key_of(&step, &index);
            for partition in own(steps, catalog, table_of(&definition)) {
                let Some((name, own)) = index_on(&index, &definition, &partition) else {
                    continue;
                };
                let schema = split_at_last_dot(&partition).map_or("", |(schema, _)| schema);
                let id = ObjectId::new("index", format!("{schema}.{name}"));
                let concurrently = own.replacen("INDEX ", "INDEX CONCURRENTLY ", 1);
                all.push(made(&partition, concurrently, (id.clone(), own.clone())));
                if let Some(kind) = key {
                    let constraint = ObjectId::new("constraint", format!("{name} on {partition}"));
                    let inside = own
                        .split_once(" USING ")
                        .and_then(|(_, rest)| rest.split_once(' '))
                        .map_or("", |(_, columns)| columns);
                    let add = format!("ALTER TABLE {partition} ADD CONSTRAINT {name} {kind} USING INDEX {name}");
                    all.push(made(&partition, add, (constraint, format!("{kind} {inside}"))));
                }
                let text = format!("ALTER INDEX {} ATTACH PARTITION {}", index.identity, id.identity);
                let attached = format!("{own} attached to {}", index.identity);
                attach.push(made(&partition, text, (id, attached)));
            }
        } else if let Some((table, name, definition)) = foreign_key(&step) {
            for partition in own(steps, catalog, Some(&table)) {
                let id = ObjectId::new("constraint", format!("{name} on {partition}"));
                let add = format!("ALTER TABLE {partition} ADD CONSTRAINT {name} {definition} NOT VALID");
                all.push(made(&partition, add, (id.clone(), format!("{definition} NOT VALID"))));
                let validate = format!("ALTER TABLE {partition} VALIDATE CONSTRAINT {name}");
                all.push(made(&partition, validate, (id.clone(), definition.clone())));
                // The whole table takes it over.
                step.leaves.push((id, None));
            }
        }
        all.push(step);
        all.extend(attach);
    }
    Cow::Owned(all)
}

/// The index of a partitioned table that a step makes.
fn index_of_partitioned(step: &OnlineStep) -> Option<(ObjectId, String)> {
    let makes = step.text.contains(" ON ONLY ") || step.text.starts_with("ALTER TABLE ONLY ");
    let mut left = step.leaves.iter().filter(|(id, _)| makes && id.kind == "index");
    left.find_map(|(id, state)| {
        let definition = state.as_ref().filter(|definition| definition.contains(" ON ONLY "))?;
        Some((id.clone(), definition.trim_end_matches(" INVALID").to_owned()))
    })
}

/// What kind of key a step makes of its index.
fn key_of(step: &OnlineStep, index: &ObjectId) -> Option<&'static str> {
    let (_, name) = split_at_last_dot(&index.identity)?;
    let is_its = |id: &ObjectId| id.kind == "constraint" && split_on(&id.identity).is_some_and(|(of, _)| of == name);
    let (_, state) = step.leaves.iter().find(|(id, _)| is_its(id))?;
    let definition = state.as_deref()?;
    ["PRIMARY KEY", "UNIQUE"]
        .into_iter()
        .find(|kind| definition.starts_with(kind))
}

/// The table, the name and the definition of a foreign key that a partitioned table gets at last.
fn foreign_key(step: &OnlineStep) -> Option<(String, String, String)> {
    let rest = step.text.strip_prefix("ALTER TABLE ")?;
    let (table, rest) = rest.split_once(" ADD CONSTRAINT ")?;
    let (name, definition) = rest.split_once(" FOREIGN KEY ")?;
    let whole = !definition.ends_with(" NOT VALID");
    whole.then(|| (table.to_owned(), name.to_owned(), format!("FOREIGN KEY {definition}")))
}

/// The partitions of a table that hold rows themselves and that no step names.
fn own(steps: &[OnlineStep], catalog: &Catalog, table: Option<&str>) -> Vec<String> {
    let Some(table) = table else { return Vec::new() };
    let is_named = |partition: &str| {
        let name = format!(" {partition} ");
        steps.iter().any(|step| step.text.contains(&name))
    };
    let is_own = |(id, definition): &(&ObjectId, &str)| {
        id.kind == "table"
            && definition.contains("partition of ")
            && !definition.contains("partition by ")
            && parents(catalog.definitions(), &id.identity)
                .iter()
                .any(|parent| parent == table)
            && !is_named(&id.identity)
    };
    catalog
        .iter()
        .filter(is_own)
        .map(|(id, _)| id.identity.clone())
        .collect()
}

/// The name and the definition of the index that a partition gets.
fn index_on(index: &ObjectId, definition: &str, partition: &str) -> Option<(String, String)> {
    let (_, of) = split_at_last_dot(&index.identity)?;
    let (_, table) = split_at_last_dot(partition)?;
    let plain = |name: &str| name.trim_matches('"').replace("\"\"", "_");
    let mut name: String = format!("{}_{}", plain(of), plain(table));
    if name.len() > NAME {
        let hash = sha256(&name);
        let kept: String = name.chars().take(40).collect();
        name = format!("{}_{}", kept.trim_end_matches('_'), &hash[..12]);
    }
    let is_plain = name
        .chars()
        .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    let name = if is_plain { name } else { format!("\"{name}\"") };
    let parent = table_of(definition)?;
    let own = definition.replacen(
        &format!("INDEX {of} ON ONLY {parent} "),
        &format!("INDEX {name} ON {partition} "),
        1,
    );
    (own != definition).then_some((name, own))
}

fn made(partition: &str, text: String, (id, definition): (ObjectId, String)) -> OnlineStep {
    OnlineStep {
        locks: vec![TableLock::taken_by(&Statement::plain("", 0, &text), partition)],
        text,
        leaves: vec![(id, Some(definition))],
    }
}
