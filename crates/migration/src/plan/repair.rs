//! What no statement brings to where it shall be: what is missing is made from its definition, or from what is there under
//! an earlier name; what differs is changed if asked for; and what an earlier version left is dropped if asked for.

use std::collections::BTreeSet;

use super::{Actual, Planned, Sent};
use crate::catalog::{
    Catalog, Change, Definition, Definitions, Difference, ObjectId, Value, split_at_last_dot, split_on,
};
use crate::change::{self, Script, Step, dropping, script};
use crate::expected::{Effect, Expected};
use crate::locks::TableLock;
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
    let all_are_gone = missing.iter().all(|id| actual.get(id).is_none());
    if !(effect.fails_again && moves && is_done && all_are_gone) {
        return Vec::new();
    }
    let left = effect
        .objects
        .iter()
        .filter(|(id, state)| state.is_some() && missing.contains(id));
    let made: Vec<Change> = left.map(|(id, state)| (id.clone(), None, state.clone())).collect();
    let Actual::Catalog(catalog) = actual else {
        return Vec::new();
    };
    let texts = change::form(&made, catalog.definitions()).unwrap_or_default();
    texts.into_iter().map(|text| in_place_of(step, text)).collect()
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

/// What to send instead of a statement that cannot add what is missing to what is there: CREATE TABLE where the table is
/// there without some of its columns, or one of several actions of which some are done. What is missing is made from its
/// definition. Empty where the statement itself can do it, or where something that is missing cannot be made so.
pub fn missing(
    step: &Planned<'_>,
    effect: &Effect,
    wrong: &[ObjectId],
    expected: &Expected,
    actual: Actual<'_>,
) -> Vec<Sent> {
    let Actual::Catalog(catalog) = actual else {
        return Vec::new();
    };
    let is_there = |id: &ObjectId| !wrong.contains(id) && catalog.get(id).is_some();
    let mut left = effect.objects.iter().filter(|(_, state)| state.is_some());
    if !left.any(|(id, _)| is_there(id) && (effect.fails_again || id.kind == "table"))
        || wrong.iter().any(|id| expected.is_replaced(id))
    {
        return Vec::new();
    }
    let mut texts = Vec::new();
    let mut columns_are_right = true;
    let mut others: Vec<Change> = Vec::new();
    for (id, state) in effect.objects.iter().filter(|(id, _)| wrong.contains(id)) {
        match (state.as_deref(), catalog.get(id)) {
            (Some(definition), is) if id.kind == "column" => match column(id, definition, is) {
                Some(lines) => texts.extend(lines),
                None => columns_are_right = false,
            },
            (Some(_), None) => others.push((id.clone(), None, state.clone())),
            // What is there otherwise is not added to.
            _ => {}
        }
    }
    // What rests on columns that are not as it needs them would fail.
    if columns_are_right && !others.is_empty() {
        match change::form(&others, catalog.definitions()) {
            Some(lines) => texts.extend(lines),
            None => return Vec::new(),
        }
    }
    texts.into_iter().map(|text| in_use(step, text, catalog)).collect()
}

/// Statements that add a column, or the default that it lacks. Rows that are there get a default only if it is the same
/// for all: what a function returns now was not true of them then, and would be written into each. None where that is not
/// all there is to do: it has another type, say, or rows need a value that nobody knows.
fn column(id: &ObjectId, definition: &str, actual: Option<&str>) -> Option<Vec<String>> {
    let (table, column) = split_at_last_dot(&id.identity)?;
    let expected = Definition::parse(definition)?;
    let none = Definitions::new();
    let add = |definition: &str| change::form(&[(id.clone(), None, Some(definition.to_owned()))], &none);
    let set_default = |default| format!("ALTER TABLE {table} ALTER COLUMN {column} SET DEFAULT {default}");
    if let Some(actual) = actual {
        let actual = Definition::parse(actual)?;
        let Value::Default(default) = expected.value else {
            return None;
        };
        // A default of NULL is none.
        let is_none = match actual.value {
            Value::None => true,
            Value::Default(default) => default == "NULL" || default.starts_with("NULL::"),
            _ => false,
        };
        let lacks_it = is_none && actual.kind == expected.kind;
        return lacks_it.then(|| vec![set_default(default)]);
    }
    match expected.value {
        Value::Default(default) if is_constant(default) => add(definition),
        Value::Default(default) if expected.not_null.is_none() => {
            let without = definition.replacen(&format!(" default {default}"), "", 1);
            let mut statements = add(&without)?;
            statements.push(set_default(default));
            Some(statements)
        }
        Value::None if expected.not_null.is_none() => add(definition),
        _ => None,
    }
}

/// Whether an expression is a literal, with a type perhaps: PostgreSQL fills rows with it without writing them.
fn is_constant(expression: &str) -> bool {
    let begins = |c: char| c == '\'' || c == '-' || c.is_ascii_digit();
    !expression.contains('(') && (expression.starts_with(begins) || ["true", "false"].contains(&expression))
}

/// A statement of the engine's own on a table that may be in use, with the lock that it takes.
fn in_use(step: &Planned<'_>, text: String, catalog: &Catalog) -> Sent {
    let statement = Statement::plain(&step.statement.file, step.statement.line, text);
    let table = statement
        .text
        .strip_prefix("ALTER TABLE ")
        .and_then(|rest| rest.split(' ').next())
        .filter(|table| catalog.get(&ObjectId::new("table", *table)).is_some());
    Sent {
        locks: table
            .map(|table| TableLock::taken_by(&statement, table))
            .into_iter()
            .collect(),
        statement,
    }
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

/// What brings a database to where it shall be, when the statements of the phases have run.
#[derive(Debug, Default)]
pub struct Repair {
    /// Makes what is missing, and changes nothing that is there.
    pub heals: Vec<Step>,
    /// Changes what differs, and whatever else somebody has to ask for.
    pub asked: Script,
}

/// Kinds of which one that is lost is made again by itself: it holds no rows, nor a place among numbers.
const HEALED: &[&str] = &[
    "aggregate",
    "comment",
    "constraint",
    "database setting",
    "default privilege",
    "domain constraint",
    "function",
    "index",
    "materialized view",
    "owner",
    "policy",
    "privilege",
    "procedure",
    "role membership",
    "role setting",
    "role setting in database",
    "rule",
    "security label",
    "statistics",
    "trigger",
    "view",
];

impl Repair {
    /// For what differs in this catalog.
    pub fn new(expected: &Expected, actual: &Catalog, differences: &[Difference]) -> Self {
        let mut healed = actual.definitions().clone();
        let is_kind = |id: &ObjectId| HEALED.contains(&id.kind.as_str());
        let wrong = differences
            .iter()
            .filter(|difference| !difference.is_extra())
            .map(Difference::id);
        // What rests on something that is wrong as well has to wait for it.
        let wrong: BTreeSet<String> = wrong.filter(|id| !is_kind(id)).filter_map(change::key).collect();
        let is_healed = |id: &ObjectId, definition: &str| {
            let names = change::mentions(definition)
                .into_iter()
                .chain(id.table().map(ToOwned::to_owned));
            is_kind(id) && !names.into_iter().any(|name| wrong.contains(&name))
        };
        for difference in differences {
            if let Difference::Missing { id, expected } = difference
                && is_healed(id, expected)
            {
                healed.insert(id.clone(), expected.clone());
            }
        }
        let mut heals = script(actual.definitions(), &healed).steps;
        if heals.iter().any(|step| !step.adds || step.loses || step.rewrites) {
            heals.clear();
            healed.clone_from(actual.definitions());
        }
        let mut repaired = healed.clone();
        for difference in differences.iter().filter(|difference| !difference.is_extra()) {
            let id = difference.id();
            match expected.objects.get(id).cloned().flatten() {
                Some(definition) => repaired.insert(id.clone(), definition),
                None => repaired.remove(id),
            };
        }
        Self {
            heals,
            asked: script(&healed, &repaired),
        }
    }
}

/// What drops objects that an earlier version made and no file names any more.
pub fn prune(expected: &Expected, actual: &Catalog) -> Script {
    dropping(actual.definitions(), |id| {
        expected.obsolete.contains(id) && !expected.objects.contains_key(id)
    })
}
