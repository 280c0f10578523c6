//! What to write where a database has not converged: the very statements, as far as the catalog's definitions say them.
//!
//! The statements stand in the phases from then on, so they also run on an empty database, after the statement that makes
//! the object as it shall be. There they change nothing, and must not fail.

pub(crate) mod column;
mod object;

use std::collections::{BTreeMap, BTreeSet};

use connection::{Hint, Next};

use super::catalog::{Catalog, Difference, ObjectId, outside_quotes, split_at_last_dot, split_on};
use super::expected::{Expected, State};
use super::source::statement::Statement;
use object::{Lines, Rank};

/// What to do next about what differs after everything was run; `statements` are those of the phases.
pub fn not_converged(expected: &Expected, statements: &[&Statement], differences: &[Difference]) -> Next {
    let wrong: Vec<&Difference> = differences.iter().filter(|difference| !difference.is_extra()).collect();
    let advisor = Advisor::new(expected, statements, &wrong);
    let mut lines: Lines = Vec::new();
    let mut hints = BTreeSet::new();
    for difference in &wrong {
        match advisor.advice(difference) {
            Advice::Lines(more) => lines.extend(more),
            Advice::Hint(hint) => {
                hints.insert(hint);
            }
            Advice::Follows => {}
        }
    }
    // Stable: the statements of one object stay in their order.
    lines.sort_by_key(|(rank, _)| *rank);
    let next = Next::from(hints.iter().map(|hint| format!("{hint}\n")).collect::<String>());
    if !lines.is_empty() {
        let lines: String = lines.iter().map(|(_, line)| format!("\n{line}")).collect();
        next.then("add to the phases, then ")
            .hint(Hint::Observe)
            .then(format!(" and migrate again:{lines}"))
    } else if !next.is_empty() {
        next.then("then ").hint(Hint::Observe).then(" and migrate again")
    } else {
        next
    }
}

/// The statements that add what `actual` lacks of the columns that statements before number `before` leave.
pub fn missing_columns(expected: &Expected, before: usize, actual: &Catalog) -> Vec<String> {
    let left: BTreeMap<&ObjectId, &State> = expected
        .statements
        .iter()
        .take(before)
        .flat_map(|leaves| leaves.objects.iter().map(|(id, state)| (id, state)))
        .collect();
    let mut lines: Lines = Vec::new();
    for (id, state) in left
        .iter()
        .filter(|(id, _)| id.kind == "column" && actual.get(id).is_none())
    {
        let (Some(definition), Some((table, column))) = (state.as_deref(), split_at_last_dot(&id.identity)) else {
            continue;
        };
        let is_dropped_later = matches!(expected.objects.get(id), Some(None));
        let table_is_there = ["table", "foreign table"]
            .iter()
            .any(|kind| actual.get(&ObjectId::new(*kind, table)).is_some());
        if is_dropped_later || !table_is_there || partition_with(expected, table, |parent| column_id(parent, column)) {
            continue;
        }
        lines.extend(numbers_of(definition, &|sequence| {
            let is_missing = actual.get(sequence).is_none();
            left.get(sequence)
                .and_then(|state| state.as_deref())
                .filter(|_| is_missing)
        }));
        let added = column::add(table, column, definition).unwrap_or_default();
        lines.extend(added.into_iter().map(|line| (Rank::Column, line)));
    }
    lines.sort_by_key(|(rank, _)| *rank);
    lines.into_iter().map(|(_, line)| line).collect()
}

/// What can be said of a difference.
enum Advice {
    /// Statements.
    Lines(Lines),
    /// A sentence.
    Hint(String),
    /// Another object's advice is enough.
    Follows,
}

struct Advisor<'a> {
    expected: &'a Expected,
    statements: &'a [&'a Statement],
    /// What differs, with what is there now.
    wrong: BTreeMap<&'a ObjectId, Option<&'a str>>,
}

impl<'a> Advisor<'a> {
    fn new(expected: &'a Expected, statements: &'a [&'a Statement], wrong: &[&'a Difference]) -> Self {
        let actual = |difference: &'a Difference| match difference {
            Difference::Missing { .. } => None,
            Difference::Different { actual, .. } | Difference::Extra { actual, .. } => Some(actual.as_str()),
        };
        Self {
            expected,
            statements,
            wrong: wrong
                .iter()
                .map(|difference| (difference.id(), actual(difference)))
                .collect(),
        }
    }

    fn advice(&self, difference: &Difference) -> Advice {
        let id = difference.id();
        let actual = self.wrong.get(id).copied().flatten();
        let Some(expected) = self.definition(id) else {
            return self.absent(id);
        };
        if let Some(table) = table_of(id).or_else(|| table_in(id, expected)) {
            if self.lacks_table(table) {
                return Advice::Follows;
            }
            if self.comes_with_parent(id, table, expected) {
                return Advice::Follows;
            }
        }
        if id.kind == "index" && (self.constraint_of(id).is_some() || expected.contains(" attached to ")) {
            return Advice::Follows;
        }
        if let Some(hint) = self.replaced_by_or_replace(id) {
            return Advice::Hint(hint);
        }
        let lines = match (id.kind.as_str(), actual) {
            ("column", _) => self.column(id, expected, actual),
            ("constraint", _) => self.constraint(id, expected, actual),
            _ => object::make(id, expected, actual),
        };
        lines.map_or_else(|| Advice::Hint(self.hint(id, actual)), Advice::Lines)
    }

    /// The definition that an object shall have.
    fn definition(&self, id: &ObjectId) -> Option<&'a str> {
        self.expected.objects.get(id)?.as_deref()
    }

    /// The table is missing as a whole, or no phase leaves it.
    fn lacks_table(&self, table: &str) -> bool {
        ["table", "foreign table"].iter().any(|kind| {
            let id = ObjectId::new(*kind, table);
            matches!(self.wrong.get(&id), Some(None)) || matches!(self.expected.objects.get(&id), Some(None))
        })
    }

    /// What a partition has because its parent has it.
    fn comes_with_parent(&self, id: &ObjectId, table: &str, expected: &str) -> bool {
        if expected.ends_with(" inherited") {
            return true;
        }
        let same = |parent: &str| match (id.kind.as_str(), split_at_last_dot(&id.identity)) {
            ("column", Some((_, column))) => Some(column_id(parent, column)),
            ("constraint", _) => {
                let on = format!(" on {parent}");
                let is_it = |(id, state): &(&ObjectId, &State)| {
                    id.kind == "constraint" && id.identity.ends_with(&on) && state.as_deref() == Some(expected)
                };
                self.expected.objects.iter().find(is_it).map(|(id, _)| id.clone())
            }
            _ => None,
        };
        let parent = parent_of(self.expected, table);
        parent.and_then(same).is_some_and(|id| self.definition(&id).is_some())
    }

    /// The constraint that an index keeps, if one is expected.
    fn constraint_of(&self, index: &ObjectId) -> Option<&'a ObjectId> {
        let (schema, name) = split_at_last_dot(&index.identity)?;
        let begins = format!("{name} on {schema}.");
        let is_it = |(id, state): &(&ObjectId, &State)| {
            id.kind == "constraint"
                && id.identity.starts_with(&begins)
                && state.as_deref().is_some_and(object::has_index)
        };
        self.expected.objects.iter().find(is_it).map(|(id, _)| id)
    }

    fn column(&self, id: &ObjectId, expected: &str, actual: Option<&str>) -> Option<Lines> {
        let (table, name) = split_at_last_dot(&id.identity)?;
        let lines = match actual {
            None => column::add(table, name, expected)?,
            Some(actual) => column::alter(table, name, expected, actual)?,
        };
        Some(lines.into_iter().map(|line| (Rank::Column, line)).collect())
    }

    fn constraint(&self, id: &ObjectId, expected: &str, actual: Option<&str>) -> Option<Lines> {
        let (name, table) = split_on(&id.identity)?;
        let (schema, _) = split_at_last_dot(table)?;
        let index = self.definition(&ObjectId::new("index", format!("{schema}.{name}")));
        let partitioned = self
            .definition(&ObjectId::new("table", table))
            .is_some_and(|definition| definition.contains("partition by "));
        object::constraint(&id.identity, expected, actual, index, partitioned)
    }

    fn absent(&self, id: &ObjectId) -> Advice {
        if table_of(id).is_some_and(|table| self.is_unwanted(table)) || self.keeps_unwanted_constraint(id) {
            return Advice::Follows;
        }
        let loses = matches!(
            id.kind.as_str(),
            "table" | "column" | "schema" | "extension" | "materialized view"
        );
        match object::drop(id) {
            Some(line) => {
                let warning = loses.then(|| "-- what it holds is lost: look at it first".to_owned());
                let lines = warning.into_iter().chain([line]);
                Advice::Lines(lines.map(|line| (Rank::Drop, line)).collect())
            }
            None => Advice::Hint(format!(
                "{id} should be absent: add a statement that takes it away (DROP …, REVOKE …)"
            )),
        }
    }

    /// The table is there and shall not be.
    fn is_unwanted(&self, table: &str) -> bool {
        self.wrong.contains_key(&ObjectId::new("table", table))
            && self.definition(&ObjectId::new("table", table)).is_none()
    }

    fn keeps_unwanted_constraint(&self, id: &ObjectId) -> bool {
        let Some((schema, name)) = split_at_last_dot(&id.identity).filter(|_| id.kind == "index") else {
            return false;
        };
        let begins = format!("{name} on {schema}.");
        self.wrong.iter().any(|(id, actual)| {
            id.kind == "constraint" && id.identity.starts_with(&begins) && actual.is_some_and(object::has_index)
        })
    }

    fn maker(&self, id: &ObjectId) -> Option<&'a Statement> {
        self.statements.get(self.expected.maker(id)?).copied()
    }

    /// Whether the words follow each other at the beginning of the statement that makes the object.
    fn made_by(&self, id: &ObjectId, words: &[&str]) -> Option<&'a Statement> {
        let statement = self.maker(id)?;
        statement.first_words(words.len()).iter().eq(words).then_some(statement)
    }

    /// A statement that would have replaced what is there, but for two words.
    fn replaced_by_or_replace(&self, id: &ObjectId) -> Option<String> {
        if !matches!(id.kind.as_str(), "function" | "procedure" | "view" | "trigger") {
            return None;
        }
        let statement = self.made_by(id, &["create", &id.kind])?;
        let kind = id.kind.to_uppercase();
        Some(format!(
            "{}: write CREATE OR REPLACE {kind} instead of CREATE {kind}, so that it replaces what is there",
            statement.place()
        ))
    }

    /// What can be said without a statement.
    fn hint(&self, id: &ObjectId, actual: Option<&str>) -> String {
        let place = self.maker(id).map(Statement::place);
        let by = place.as_ref().map(|place| format!(" ({place})")).unwrap_or_default();
        match (id.kind.as_str(), actual) {
            ("extension", None) => format!(
                "{id}{by}: install it on the server; if servers may lack it, write above its statement: -- xtask: optional"
            ),
            ("table" | "foreign table", None) => format!(
                "{id}{by} was made and is gone: take out the statement that drops or renames it, or do the same in a phase"
            ),
            ("function" | "procedure", _) => {
                format!("{id}{by}: make it last with CREATE OR REPLACE; another return type needs DROP before")
            }
            ("column", Some(_)) => format!(
                "{id}{by}: ALTER COLUMN cannot change it so; add a column as it shall be, fill it, drop the old one, rename it"
            ),
            ("type" | "domain", Some(_)) => {
                format!(
                    "{id}{by}: ALTER {} cannot change it so; make a new one and change what uses it",
                    id.kind.to_uppercase()
                )
            }
            _ if self.says_if_not_exists(id) => format!(
                "{id}{by}: what is there was there before, and IF NOT EXISTS left it; add a statement that changes it to what \
                 is expected (ALTER …)"
            ),
            (_, None) => {
                format!("{id}{by}: a later statement, or somebody else, took it away; add one that makes it again")
            }
            (_, Some(_)) => format!("{id}{by}: add a statement that changes it to what is expected"),
        }
    }

    fn says_if_not_exists(&self, id: &ObjectId) -> bool {
        let words = self
            .maker(id)
            .map(|statement| statement.first_words(8))
            .unwrap_or_default();
        words.windows(3).any(|three| three == ["if", "not", "exists"])
    }
}

/// The sequence that a column's default takes its numbers from, where `missing` knows it: made before, owned after.
fn numbers_of<'a>(definition: &str, missing: &dyn Fn(&ObjectId) -> Option<&'a str>) -> Lines {
    let sequence = column::Definition::parse(definition).and_then(|column| column.sequence());
    let id = sequence.map(|name| ObjectId::new("sequence", name));
    id.and_then(|id| object::make(&id, missing(&id)?, None))
        .unwrap_or_default()
}

/// The table that an object belongs to.
fn table_of(id: &ObjectId) -> Option<&str> {
    id.table().filter(|_| id.kind != "table")
}

/// The table that an index or a sequence belongs to, which only its definition tells.
fn table_in<'a>(id: &ObjectId, definition: &'a str) -> Option<&'a str> {
    match id.kind.as_str() {
        "index" => {
            let on = outside_quotes(definition)
                .find(|(at, _)| definition[*at..].starts_with(" ON "))?
                .0;
            let rest = &definition[on + " ON ".len()..];
            let rest = rest.strip_prefix("ONLY ").unwrap_or(rest);
            Some(&rest[..rest.find(" USING ")?])
        }
        "sequence" => Some(split_at_last_dot(definition.rsplit_once(" owned by ")?.1)?.0),
        _ => None,
    }
}

/// The table that a partition belongs to.
fn parent_of<'a>(expected: &'a Expected, table: &str) -> Option<&'a str> {
    let definition = expected.objects.get(&ObjectId::new("table", table))?.as_deref()?;
    let definition = definition.strip_prefix("unlogged ").unwrap_or(definition);
    let rest = definition.strip_prefix("partition of ")?;
    // FOR VALUES …, or DEFAULT.
    let end = rest.find(" FOR VALUES ").or_else(|| rest.find(" DEFAULT"))?;
    Some(&rest[..end])
}

fn partition_with(expected: &Expected, table: &str, id: impl Fn(&str) -> ObjectId) -> bool {
    parent_of(expected, table).is_some_and(|parent| expected.objects.get(&id(parent)).is_some_and(State::is_some))
}

fn column_id(table: &str, column: &str) -> ObjectId {
    ObjectId::new("column", format!("{table}.{column}"))
}

/// An identifier as the catalog holds it.
fn unquoted(identifier: &str) -> String {
    match identifier.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(inner) => inner.replace("\"\"", "\""),
        None => identifier.to_owned(),
    }
}

/// A text as an SQL literal.
fn literal(text: &str) -> String {
    let quoted = format!("'{}'", text.replace('\'', "''"));
    if text.contains('\\') {
        // Right whatever standard_conforming_strings is.
        return format!(" E{}", quoted.replace('\\', "\\\\"));
    }
    quoted
}

/// A statement that has no IF NOT EXISTS of its own, behind a condition.
fn guarded(condition: &str, statement: &str) -> Option<String> {
    let text = format!("BEGIN IF {condition} THEN {statement}; END IF; END");
    (!text.contains("$do$")).then(|| format!("DO $do$ {text} $do$;"))
}

#[cfg(test)]
mod tests;
