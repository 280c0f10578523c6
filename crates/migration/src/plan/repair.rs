//! Making what is missing from its definition, or from what is there under an earlier name, where the statement that left
//! it cannot.

use super::{Actual, Planned, Sent};
use crate::catalog::{ObjectId, split_at_last_dot, split_on};
use crate::expected::{Effect, Expected};
use crate::source::statement::Statement;

/// What to send instead of a statement of which `missing` is not there, though the rest of what it leaves is: one that
/// moved things (a rename) finds nothing to move any more. Empty where it should run as it stands.
pub fn instead(step: &Planned<'_>, effect: &Effect, missing: &[ObjectId], actual: Actual<'_>) -> Vec<Sent> {
    let moves = effect.objects.iter().any(|(_, state)| state.is_none());
    let mut others = effect
        .objects
        .iter()
        .filter(|(id, state)| state.is_some() && !missing.contains(id));
    let is_done = others.any(|(id, state)| actual.get(id) == state.as_deref());
    if !(effect.fails_again && moves && is_done) {
        return Vec::new();
    }
    let left = effect.objects.iter().filter(|(id, _)| missing.contains(id));
    let statements = left.map(|(id, state)| {
        let text = from_definition(id, state.as_deref()?)?;
        Some(in_place_of(step, text))
    });
    statements.collect::<Option<Vec<_>>>().unwrap_or_default()
}

/// What to send instead of a statement of which nothing but this is missing: constraints and indexes that are there under
/// the name that an earlier version gave them. Empty where there are others.
pub fn by_name(step: &Planned<'_>, missing: &[ObjectId], expected: &Expected, actual: Actual<'_>) -> Vec<Sent> {
    let Actual::Catalog(catalog) = actual else {
        return Vec::new();
    };
    let mut renamed = Vec::new();
    for id in missing {
        let Some(definition) = expected
            .objects
            .get(id)
            .cloned()
            .flatten()
            .filter(|_| catalog.get(id).is_none())
        else {
            return Vec::new();
        };
        let earlier = |(other, is): &(&ObjectId, &str)| {
            other.kind == id.kind
                && expected.obsolete.contains(*other)
                && same_but_for_the_name((id, &definition), (other, is))
        };
        let Some((other, _)) = catalog.iter().find(earlier) else {
            return Vec::new();
        };
        renamed.extend(rename(other, id));
    }
    // The index of a constraint is renamed along with it.
    let constraints: Vec<&ObjectId> = missing.iter().filter(|id| id.kind == "constraint").collect();
    let belongs = |id: &ObjectId| {
        let name = split_at_last_dot(&id.identity).map_or("", |(_, name)| name);
        id.kind == "index"
            && constraints
                .iter()
                .any(|of| of.identity.starts_with(&format!("{name} on ")))
    };
    renamed
        .into_iter()
        .zip(missing)
        .filter(|(_, id)| !belongs(id))
        .map(|(text, _)| in_place_of(step, text))
        .collect()
}

fn in_place_of(step: &Planned<'_>, text: String) -> Sent {
    Sent {
        statement: Statement::plain(&step.statement.file, step.statement.line, text),
        locks: step.effect.map(|effect| effect.locks.clone()).unwrap_or_default(),
    }
}

/// Whether two constraints of a table, or two indexes, differ in their names only.
fn same_but_for_the_name((id, definition): (&ObjectId, &str), (other, is): (&ObjectId, &str)) -> bool {
    if id.kind == "constraint" {
        return id.table() == other.table() && definition == is;
    }
    let name = |id: &ObjectId| split_at_last_dot(&id.identity).map(|(_, name)| format!(" {name} ON "));
    let (Some(name), Some(other_name)) = (name(id), name(other)) else {
        return false;
    };
    definition.replacen(&name, " ON ", 1) == is.replacen(&other_name, " ON ", 1)
}

fn rename(from: &ObjectId, to: &ObjectId) -> Option<String> {
    Some(match to.kind.as_str() {
        "constraint" => {
            let (old, table) = split_on(&from.identity)?;
            let (new, _) = split_on(&to.identity)?;
            format!("ALTER TABLE {table} RENAME CONSTRAINT {old} TO {new}")
        }
        "index" => {
            let (_, new) = split_at_last_dot(&to.identity)?;
            format!("ALTER INDEX {} RENAME TO {new}", from.identity)
        }
        _ => return None,
    })
}

/// The statement that makes an object as its definition says, where that is all it takes.
fn from_definition(id: &ObjectId, definition: &str) -> Option<String> {
    Some(match id.kind.as_str() {
        "index" if definition.starts_with("CREATE UNIQUE INDEX ") => {
            definition.replacen("CREATE UNIQUE INDEX ", "CREATE UNIQUE INDEX CONCURRENTLY ", 1)
        }
        "index" => definition.replacen("CREATE INDEX ", "CREATE INDEX CONCURRENTLY ", 1),
        "trigger" => definition.to_owned(),
        "constraint" => {
            let (name, table) = split_on(&id.identity)?;
            format!("ALTER TABLE {table} ADD CONSTRAINT {name} {definition}")
        }
        _ => return None,
    })
}
