//! Which rows a constraint refuses, from its definition.

use postgres::Client;
use postgres_protocol::escape::escape_literal;

use super::rows::{CleanUp, LOOK, Rows};
use crate::catalog::{Catalog, ObjectId, outside_quotes, split_at_last_dot, split_on};
use crate::expected::Effect;
use crate::plan::RefusedDocument;
use crate::source::statement::{Statement, Violations, divide, unquoted};

/// So much of a value is shown.
const SHOWN: u32 = 60;

/// Rows that a constraint refuses.
pub(super) struct Refused<'a> {
    table: &'a str,
    /// Of keys: the columns.
    key: Option<Vec<&'a str>>,
    /// Of foreign keys: the columns.
    links: Vec<&'a str>,
    /// Of NOT NULL: the column.
    column: Option<&'a str>,
    /// The condition that they meet, of the row `t`; of keys, that they have a key.
    condition: String,
    /// In words.
    what: String,
}

/// The rows that a statement would refuse as they are now. What cannot be told is left out: of a column that is not there
/// yet, say.
pub fn refused_rows(
    client: &mut Client,
    statement: &Statement,
    effect: &Effect,
    actual: &Catalog,
) -> Vec<RefusedDocument> {
    // What runs code may deal with the rows before it makes the constraint, and so may a change of a type.
    if !statement.text.begins_with(&["alter", "create"]) || statement.text.tokens().any(|token| token.is("type")) {
        return Vec::new();
    }
    let is_there = |refused: &&Refused<'_>| actual.get(&ObjectId::new("table", refused.table)).is_some();
    let left = Refused::all(effect, &|id, definition| match actual.get(id) {
        Some(is) if id.kind == "column" => !is.contains(NOT_NULL),
        None if id.kind == "column" => false,
        is => is != Some(definition) && !definition.ends_with(" NOT VALID") && !definition.ends_with(" NOT ENFORCED"),
    });
    let refused = left.iter().filter(is_there);
    refused
        .filter_map(|refused| refused.look(client, actual).ok().flatten())
        .collect()
}

/// What the definition of a column has that takes no NULL.
const NOT_NULL: &str = " not null";

impl<'a> Refused<'a> {
    /// Those that a directive above the statement is about.
    pub(super) fn by(effect: &'a Effect) -> Option<Self> {
        Self::all(effect, &|_, _| true).into_iter().next()
    }

    /// Of each object that refuses rows, if it is `new`.
    fn all(effect: &'a Effect, new: &dyn Fn(&ObjectId, &str) -> bool) -> Vec<Self> {
        let left = || {
            let states = effect.objects.iter();
            let states = states.filter_map(|(id, state)| Some((id, state.as_deref()?)));
            states.filter(|(id, definition)| new(id, definition))
        };
        let constraints = left().filter(|(id, _)| id.kind == "constraint");
        // The index of a constraint refuses the same.
        let is_own = |id: &ObjectId| {
            let name = split_at_last_dot(&id.identity).map_or("", |(_, name)| name);
            left().any(|(other, _)| other.kind == "constraint" && other.identity.starts_with(&format!("{name} on ")))
        };
        let indexes = left().filter(|(id, _)| id.kind == "index" && !is_own(id));
        let columns = left().filter(|(id, definition)| id.kind == "column" && definition.contains(NOT_NULL));
        constraints
            .filter_map(|(id, definition)| Self::by_constraint(id, definition))
            .chain(indexes.filter_map(|(_, definition)| Self::by_index(definition)))
            .chain(columns.filter_map(|(id, _)| Self::by_column(id)))
            .collect()
    }

    fn by_column(id: &'a ObjectId) -> Option<Self> {
        let (table, column) = split_at_last_dot(&id.identity)?;
        Some(Self {
            table,
            key: None,
            links: Vec::new(),
            column: Some(column),
            condition: format!("t.{column} IS NULL"),
            what: format!("{column} is missing"),
        })
    }

    fn by_index(definition: &'a str) -> Option<Self> {
        let rest = definition.strip_prefix("CREATE UNIQUE INDEX ")?;
        let (on, _) = outside_quotes(rest).find(|(at, _)| rest[*at..].starts_with(" ON "))?;
        let rest = &rest[on + " ON ".len()..];
        let (table, rest) = rest.split_once(" USING ")?;
        let (inside, after) = parenthesis(rest)?;
        let columns: Vec<&str> = divide(inside).into_iter().map(without_options).collect();
        let mut refused = Self::by_key(table.trim_start_matches("ONLY "), inside, columns, after);
        if let Some((_, condition)) = after.split_once(" WHERE ") {
            refused.condition = format!("{} AND ({condition})", refused.condition);
        }
        Some(refused)
    }

    fn by_key(table: &'a str, inside: &str, columns: Vec<&'a str>, after: &str) -> Self {
        let condition = if after.contains("NULLS NOT DISTINCT") {
            "true".to_owned()
        } else {
            all_there(&columns)
        };
        Self {
            table,
            key: Some(columns),
            links: Vec::new(),
            column: None,
            condition,
            what: format!("duplicate {inside}"),
        }
    }

    fn by_constraint(id: &'a ObjectId, definition: &'a str) -> Option<Self> {
        let (_, table) = split_on(&id.identity)?;
        let (inside, after) = parenthesis(definition)?;
        if definition.starts_with("PRIMARY KEY") || definition.starts_with("UNIQUE") {
            return Some(Self::by_key(table, inside, divide(inside), definition));
        }
        let mut refused = Self {
            table,
            key: None,
            links: Vec::new(),
            column: None,
            condition: String::new(),
            what: String::new(),
        };
        if definition.starts_with("FOREIGN KEY") {
            let (to, rest) = after.trim_start().strip_prefix("REFERENCES ")?.split_once('(')?;
            let theirs = divide(rest.split_once(')')?.0);
            refused.links = divide(inside);
            let pairs = refused.links.iter().zip(&theirs);
            let same: Vec<_> = pairs.map(|(own, their)| format!("p.{their} = t.{own}")).collect();
            refused.condition = format!(
                "{} AND NOT EXISTS (SELECT FROM {to} AS p WHERE {})",
                all_there(&refused.links),
                same.join(" AND ")
            );
            refused.what = format!("{inside} refers to no row of {to}");
        } else if definition.starts_with("CHECK") {
            refused.condition = format!("({inside}) IS FALSE");
            refused.what = format!("not {inside}");
        } else {
            return None;
        }
        Some(refused)
    }

    /// Counts them, and names some.
    fn look(&self, client: &mut Client, actual: &Catalog) -> Result<Option<RefusedDocument>, postgres::Error> {
        let key = primary_key(actual, self.table).unwrap_or_else(|| {
            let concerned = self.key.iter().flatten().chain(&self.links);
            concerned.copied().collect()
        });
        let values: Vec<_> = key
            .iter()
            .map(|column| format!("coalesce(pg_catalog.left(({})::text, {SHOWN}), 'NULL')", of_row(column)))
            .collect();
        let example = match (key.as_slice(), values.as_slice()) {
            ([], _) => "NULL".to_owned(),
            ([column], [value]) => format!("{} || {value}", escape_literal(&format!("{column} = "))),
            _ => format!(
                "{} || pg_catalog.concat_ws(', ', {}) || ')'",
                escape_literal(&format!("({}) = (", key.join(", "))),
                values.join(", ")
            ),
        };
        let Self { table, condition, .. } = self;
        let found = match &self.key {
            Some(key) => format!(
                "SELECT t.example FROM (SELECT {example} AS example, pg_catalog.row_number() OVER \
                 (PARTITION BY {} ORDER BY t.ctid) AS place FROM {table} AS t WHERE {condition}) AS t WHERE t.place > 1",
                key.join(", ")
            ),
            None => format!("SELECT {example} AS example FROM {table} AS t WHERE {condition}"),
        };
        let sql = format!(
            "WITH found AS (SELECT f.example FROM ({found}) AS f LIMIT {LOOK})
             SELECT (SELECT pg_catalog.count(*) FROM found), f.example FROM found AS f LIMIT 3"
        );
        let rows = client.query_typed(&sql, &[])?;
        let Some(first) = rows.first() else { return Ok(None) };
        let mut examples = Vec::new();
        for row in &rows {
            examples.extend(row.try_get::<_, Option<String>>(1)?);
        }
        Ok(Some(RefusedDocument {
            table: (*table).to_owned(),
            rows: first.try_get(0)?,
            reason: self.what.clone(),
            examples,
            directives: self.directives(),
        }))
    }

    /// The directives to choose from.
    fn directives(&self) -> Vec<String> {
        let special = match self {
            Self { key: Some(_), .. } => "duplicates keep latest by <columns>".to_owned(),
            Self {
                column: Some(column), ..
            } => format!("violations set {column} = <expression>"),
            Self { links, .. } if !links.is_empty() => "violations set null".to_owned(),
            _ => "violations set <column> = <expression>".to_owned(),
        };
        vec![special, "violations quarantine".to_owned()]
    }

    /// What becomes of them.
    ///
    /// # Errors
    /// It does not fit the constraint.
    pub(super) fn clean_up(&self, violations: &Violations) -> Result<CleanUp, String> {
        // Without a word on which is the latest the one that was there first stays.
        let order = match violations {
            Violations::KeepLatest(_) if self.key.is_none() => {
                return Err("`duplicates keep latest` above what is no key: say `violations …`".to_owned());
            }
            Violations::KeepLatest(by) => by
                .iter()
                .map(|by| format!("{by} DESC NULLS LAST, "))
                .collect::<String>(),
            _ => String::new(),
        };
        let set = match violations {
            Violations::KeepLatest(_) | Violations::Quarantine => None,
            Violations::SetNull if self.links.is_empty() => {
                return Err("`violations set null` above what is no foreign key".to_owned());
            }
            Violations::SetNull => {
                let assigned: Vec<_> = self.links.iter().map(|column| format!("{column} = NULL")).collect();
                let columns = self.links.iter().map(|column| unquoted(column)).collect();
                Some((assigned.join(", "), columns))
            }
            Violations::Set { column, expression } => {
                Some((format!("{column} = {expression}"), vec![unquoted(column)]))
            }
        };
        let becomes = match (violations, &set) {
            (Violations::KeepLatest(by), _) => format!("the row with the latest {} is kept", by.join(", ")),
            (_, None) => "set aside".to_owned(),
            (_, Some((set, _))) => format!("the row stays, with {set}"),
        };
        let rows = Rows {
            target: &format!("{} AS t", self.table),
            name: "t",
            condition: &self.condition,
            key: self.key.as_ref().map(|key| (key.clone(), order)),
            set,
        };
        Ok(rows.clean_up(self.table, format!("{}: {becomes}", self.what)))
    }
}

fn all_there(columns: &[&str]) -> String {
    let conditions: Vec<_> = columns
        .iter()
        .map(|column| format!("{} IS NOT NULL", of_row(column)))
        .collect();
    conditions.join(" AND ")
}

/// An expression of an index as one of the row `t`: of a column with the row's name.
fn of_row(expression: &str) -> String {
    match expression.contains('(') {
        true => expression.to_owned(),
        false => format!("t.{expression}"),
    }
}

/// Of a column of an index the column or expression, with its collation, without the order and the operator class.
fn without_options(column: &str) -> &str {
    let mut depth = 0;
    let mut end = column.len();
    for (at, c) in outside_quotes(column) {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            ' ' if depth == 0 && !column[at..].starts_with(" COLLATE ") && !column[..at].ends_with(" COLLATE") => {
                end = at;
                break;
            }
            _ => {}
        }
    }
    &column[..end]
}

/// The columns of a table's primary key.
fn primary_key<'c>(catalog: &'c Catalog, table: &str) -> Option<Vec<&'c str>> {
    let (_, definition) = catalog.iter().find(|(id, definition)| {
        id.kind == "constraint" && id.table() == Some(table) && definition.starts_with("PRIMARY KEY")
    })?;
    Some(divide(parenthesis(definition)?.0))
}

/// What stands inside the first parentheses, and what comes after them.
fn parenthesis(text: &str) -> Option<(&str, &str)> {
    let start = text.find('(')?;
    let mut depth = 0;
    let mut literal = false;
    for (at, c) in outside_quotes(&text[start..]) {
        match c {
            '\'' => literal = !literal,
            '(' if !literal => depth += 1,
            ')' if !literal => {
                depth -= 1;
                if depth == 0 {
                    return Some((&text[start + 1..start + at], &text[start + at + 1..]));
                }
            }
            _ => {}
        }
    }
    None
}
