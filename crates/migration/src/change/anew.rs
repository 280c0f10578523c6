//! What has to be dropped and made again, and what rests on it.

use std::collections::{BTreeMap, BTreeSet};

use super::names::{key, mentions, without_body};
use super::owners::owners;
use crate::catalog::{
    Definition, Definitions, Ends, ObjectId, Otherwise, Value, attached_to, constraint_of, has_index,
    split_at_last_dot, split_on, to_sql,
};

/// What is dropped and made again.
#[derive(Default)]
pub(super) struct Anew {
    pub objects: BTreeSet<ObjectId>,
    /// Columns whose defaults are taken away meanwhile.
    pub defaults: BTreeMap<ObjectId, String>,
}

/// Finds what cannot be changed, and what rests on it. What rows rest on stays as it is.
pub(super) fn anew(
    before: &Definitions,
    after: &Definitions,
    impossible: &mut BTreeMap<ObjectId, &'static str>,
) -> Anew {
    let differs = |id: &&ObjectId| after.get(*id).is_some_and(|is| before.get(*id) != Some(is));
    let changed: Vec<&ObjectId> = before.keys().filter(differs).collect();
    let mut anew = Anew::default();
    loop {
        let ends = Ends {
            before,
            after,
            anew: &anew.objects,
        };
        let mut found = BTreeSet::new();
        let mut retyped = BTreeSet::new();
        for id in &changed {
            if anew.objects.contains(*id) || impossible.contains_key(*id) {
                continue;
            }
            match (to_sql(&id.kind).change)(&ends, id, &before[*id], &after[*id]) {
                Err(Otherwise::Anew) if id.kind == "table" => {
                    impossible.insert((*id).clone(), "to make it anew would lose its rows");
                }
                Err(Otherwise::Anew) => {
                    found.insert((*id).clone());
                }
                Ok(statements) if id.kind == "column" && statements.iter().any(|sql| sql.contains(" TYPE ")) => {
                    retyped.insert((*id).clone());
                }
                _ => {}
            }
        }
        let moved: BTreeSet<&ObjectId> = found.iter().chain(&anew.objects).chain(&retyped).collect();
        let drops = || before.keys().any(|id| !after.contains_key(id));
        let mut more = BTreeSet::new();
        let mut stays = BTreeSet::new();
        if !moved.is_empty() || drops() {
            let kept = before.iter().filter(|(id, _)| after.contains_key(*id));
            for (id, definition) in kept.filter(|(id, _)| !anew.objects.contains(*id) && !found.contains(*id)) {
                if !rests_on(&ends, id, definition, &moved) {
                    continue;
                }
                match Rests::of(id, definition, &moved) {
                    Rests::Whole => {
                        more.insert(id.clone());
                    }
                    Rests::Default(default) => {
                        anew.defaults.insert(id.clone(), default);
                    }
                    Rests::Rows(cause) => stays.extend(cause),
                }
            }
        }
        if !stays.is_empty() {
            // Once more, without what cannot be made anew.
            impossible.extend(stays.into_iter().map(|id| {
                (
                    id,
                    "it can only be dropped and made again, and columns or tables with rows rest on it",
                )
            }));
            anew = Anew::default();
            continue;
        }
        let count = anew.objects.len();
        anew.objects.extend(found.into_iter().chain(more));
        if anew.objects.len() == count {
            return anew;
        }
    }
}

/// How an object rests on what is made anew.
enum Rests {
    /// It is made anew, too.
    Whole,
    /// Only the default of a column does.
    Default(String),
    /// It holds rows: what it rests on has to stay.
    Rows(Vec<ObjectId>),
}

impl Rests {
    fn of(id: &ObjectId, definition: &str, moved: &BTreeSet<&ObjectId>) -> Self {
        let causes = |text: &str| -> Vec<ObjectId> {
            let names = mentions(text);
            let of = moved
                .iter()
                .filter(|other| key(other).is_some_and(|key| names.contains(&key)));
            of.map(|other| (*other).clone()).collect()
        };
        match id.kind.as_str() {
            "column" => {
                let Some(column) = Definition::parse(definition) else {
                    return Self::Rows(causes(definition));
                };
                let of_type = causes(column.kind);
                match column.value {
                    _ if !of_type.is_empty() => Self::Rows(of_type),
                    Value::Default(default) => Self::Default(default.to_owned()),
                    _ => Self::Whole,
                }
            }
            "table" | "foreign table" | "type" | "domain" => Self::Rows(causes(definition)),
            _ => Self::Whole,
        }
    }
}

/// Whether an object, which is the same in the end, does not outlast what happens to others.
fn rests_on(ends: &Ends<'_>, id: &ObjectId, definition: &str, moved: &BTreeSet<&ObjectId>) -> bool {
    if owners(id, definition).iter().any(|owner| moved.contains(owner)) {
        return true;
    }
    // An index goes with its constraint.
    if id.kind == "index"
        && constraint_of(id, definition).is_some_and(|of| ends.goes(&of) && !ends.after.contains_key(&of))
    {
        return true;
    }
    // That of a partition is not taken out of that of the whole table.
    let has_part = |other: &&&ObjectId| {
        ends.goes(other) && ends.before.get(**other).and_then(|part| attached_to(part)).as_ref() == Some(id)
    };
    if id.kind == "index" && moved.iter().any(|other| has_part(&other)) {
        return true;
    }
    if moved.is_empty() {
        return false;
    }
    let text = match id.kind.as_str() {
        "comment" | "owner" | "privilege" | "security label" | "extension dependency" | "sequence" => return false,
        "function" | "procedure" => without_body(definition),
        _ => definition,
    };
    let named: BTreeSet<String> = mentions(text).into_iter().collect();
    moved.iter().any(|other| {
        let is_named = || key(other).is_some_and(|key| named.contains(&key) || id.table() == Some(&key));
        match other.kind.as_str() {
            // What reads a column that gets another type; indexes and constraints follow by themselves.
            "column" => {
                let reads = matches!(
                    id.kind.as_str(),
                    "view"
                        | "materialized view"
                        | "rule"
                        | "policy"
                        | "trigger"
                        | "statistics"
                        | "publication table"
                        | "function"
                        | "procedure"
                );
                let name = split_at_last_dot(&other.identity).map_or("", |(_, name)| name);
                reads && is_named() && contains_word(definition, name)
            }
            "constraint" => refers_to(id, definition, other, ends.before),
            "table" | "index" | "trigger" | "policy" | "rule" => false,
            _ => *other != id && is_named(),
        }
    })
}

/// Whether a foreign key refers to the columns of a key.
fn refers_to(id: &ObjectId, definition: &str, other: &ObjectId, before: &Definitions) -> bool {
    let (Some(key), Some((_, table))) = (before.get(other), split_on(&other.identity)) else {
        return false;
    };
    let Some((_, referenced)) = definition
        .split_once(" REFERENCES ")
        .filter(|_| id.kind == "constraint" && has_index(key))
    else {
        return false;
    };
    let columns = |text: &str| -> Option<BTreeSet<String>> {
        let inside = text.split_once('(')?.1.split_once(')')?.0;
        Some(inside.split(", ").map(ToOwned::to_owned).collect())
    };
    let rest = referenced.strip_prefix(table);
    rest.is_some_and(|rest| rest.starts_with('(')) && columns(referenced) == columns(key)
}

fn contains_word(text: &str, word: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
    text.match_indices(word)
        .any(|(at, _)| !text[..at].ends_with(is_part) && !text[at + word.len()..].starts_with(is_part))
}
