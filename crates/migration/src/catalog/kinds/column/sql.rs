//! Columns: made, changed and dropped.

use super::definition::{Definition, Value};
use crate::catalog::ObjectId;
use crate::catalog::kinds::table::parents;
use crate::catalog::to_sql::{Definitions, Ends, MALFORMED, Otherwise, Statements, of_table, one, parameters};
use crate::catalog::words::inside;
use crate::text::own_name;

/// The columns of a table as CREATE TABLE lists them; `all`: those, too, that it has from its parent.
pub fn in_table(end: &Definitions, table: &str, all: bool) -> Result<Vec<String>, Otherwise> {
    let first = ObjectId::new("column", format!("{table}."));
    let columns = end.range(&first..).take_while(|(id, _)| id.kind == "column" && id.identity.starts_with(&first.identity));
    let mut listed = Vec::new();
    for (id, definition) in columns.filter(|(id, _)| id.table() == Some(table)) {
        let (_, name) = of_table(id)?;
        let column = Definition::parse(definition).ok_or(MALFORMED)?;
        if all || !column.inherited {
            let not_null = column.not_null.map(|not_null| format!(" {not_null}")).unwrap_or_default();
            listed.push(format!("{name} {}{not_null}", typed(&column)));
        }
    }
    Ok(listed)
}

/// Its type, and where its values come from.
fn typed(column: &Definition<'_>) -> String {
    let value = match column.value {
        Value::None => String::new(),
        Value::Default(expression) => format!(" default {expression}"),
        Value::Generated(whole) => format!(" {whole}"),
        Value::Identity { when, sequence } => format!(" generated {when} as identity {sequence}"),
    };
    let options = column.foreign_options.map(|options| format!(" options {options}")).unwrap_or_default();
    format!("{}{value}{options}", column.kind_and_collation())
}

/// What CREATE TABLE and ADD COLUMN do not say on all versions.
fn settings(alter: &str, was: &Definition<'_>, is: &Definition<'_>) -> Vec<String> {
    let mut statements = Vec::new();
    if was.storage != is.storage {
        // What a type does by itself has a name only since PostgreSQL 16.
        statements.push(format!("{alter} SET STORAGE {}", is.storage.unwrap_or(usual_storage(is.kind))));
    }
    if was.compression != is.compression {
        statements.push(format!("{alter} SET COMPRESSION {}", is.compression.unwrap_or("default")));
    }
    if was.statistics != is.statistics {
        statements.push(format!("{alter} SET STATISTICS {}", is.statistics.unwrap_or("-1")));
    }
    statements.extend(parameters(was.options, is.options).iter().map(|action| format!("{alter} {action}")));
    statements
}

fn usual_storage(kind: &str) -> &'static str {
    let is_main = kind.starts_with("numeric") || ["inet", "cidr"].contains(&kind);
    if is_main { "main" } else { "extended" }
}

/// NOT NULL without reading the table under a lock: by a check that is validated before.
fn set_not_null(table: &str, column: &str) -> Vec<String> {
    let check = own_name("xtask_not_null_", table, column);
    vec![
        format!("ALTER TABLE {table} ADD CONSTRAINT {check} CHECK ({column} IS NOT NULL) NOT VALID"),
        format!("ALTER TABLE {table} VALIDATE CONSTRAINT {check}"),
        format!("ALTER TABLE {table} ALTER COLUMN {column} SET NOT NULL"),
        format!("ALTER TABLE {table} DROP CONSTRAINT {check}"),
    ]
}

/// From PostgreSQL 18 on: what only a constraint says.
fn not_null(table: &str, column: &str, how: &str) -> Vec<String> {
    match how.strip_prefix("not null ") {
        Some(rest) => vec![format!("ALTER TABLE {table} ADD NOT NULL {column} {rest}")],
        None => set_not_null(table, column),
    }
}

/// A column that comes and goes with the parent's.
fn is_parents(ends: &Ends<'_>, id: &ObjectId, is_it: impl Fn(&ObjectId) -> bool) -> bool {
    let Ok((table, name)) = of_table(id) else { return false };
    let parents = parents(ends.after, table).into_iter().chain(parents(ends.before, table));
    parents.map(|parent| ObjectId::new("column", format!("{parent}.{name}"))).any(|id| is_it(&id))
}

pub fn make(ends: &Ends<'_>, id: &ObjectId, definition: &str) -> Statements {
    let (table, name) = of_table(id)?;
    let column = Definition::parse(definition).ok_or(MALFORMED)?;
    let alter = format!("ALTER TABLE {table} ALTER COLUMN {name}");
    let settings = settings(&alter, &Definition::default(), &column);
    if ends.after.contains_key(&ObjectId::new("view", table)) {
        let Value::Default(default) = column.value else { return Err(MALFORMED) };
        return one(format!("{alter} SET DEFAULT {default}"));
    }
    let comes_with_table = ["table", "foreign table"].iter().any(|kind| ends.makes(&ObjectId::new(*kind, table)));
    let is_settings = ends.after.contains_key(&ObjectId::new("materialized view", table));
    if comes_with_table || is_settings || column.inherited || is_parents(ends, id, |parent| ends.comes(parent)) {
        return Ok(settings);
    }
    // A value for the rows that are there is needed before NOT NULL.
    let fills_itself = column.value != Value::None;
    let at_once = column.not_null.filter(|_| fills_itself).map(|not_null| format!(" {not_null}")).unwrap_or_default();
    let mut statements = vec![format!("ALTER TABLE {table} ADD COLUMN {name} {}{at_once}", typed(&column))];
    if let Some(how) = column.not_null.filter(|_| !fills_itself) {
        statements.extend(not_null(table, name, how));
    }
    statements.extend(settings);
    Ok(statements)
}

pub fn drop(ends: &Ends<'_>, id: &ObjectId, definition: &str) -> Statements {
    let (table, name) = of_table(id)?;
    let column = Definition::parse(definition).ok_or(MALFORMED)?;
    let alter = format!("ALTER TABLE {table} ALTER COLUMN {name}");
    if ends.before.contains_key(&ObjectId::new("view", table)) {
        return one(format!("{alter} DROP DEFAULT"));
    }
    if ends.before.contains_key(&ObjectId::new("materialized view", table)) {
        return Ok(settings(&alter, &column, &Definition { kind: column.kind, ..Definition::default() }));
    }
    if column.inherited || is_parents(ends, id, |parent| ends.goes(parent)) {
        return Ok(Vec::new());
    }
    one(format!("ALTER TABLE {table} DROP COLUMN {name}"))
}

pub fn change(ends: &Ends<'_>, id: &ObjectId, before: &str, after: &str) -> Statements {
    let (table, name) = of_table(id)?;
    let (was, is) = (Definition::parse(before).ok_or(MALFORMED)?, Definition::parse(after).ok_or(MALFORMED)?);
    let alter = format!("ALTER TABLE {table} ALTER COLUMN {name}");
    let same_but_inherited = Definition { inherited: is.inherited, ..was.clone() };
    if same_but_inherited == is || is.inherited && is_parents(ends, id, |parent| ends.before.get(parent) != ends.after.get(parent)) {
        // It follows from the table's parents, or from the parent's column.
        return Ok(Vec::new());
    }
    let is_computed = |value| matches!(value, Value::Generated(_));
    if was.value != is.value && is_computed(is.value) {
        if is_computed(was.value) {
            return Err(Otherwise::Anew);
        }
        return Err(Otherwise::Never("a plain column cannot become a generated one"));
    }
    let mut statements = Vec::new();
    let retyped = was.kind != is.kind || was.collation != is.collation;
    let mut value = Vec::new();
    if was.value != is.value {
        match (was.value, is.value) {
            (Value::Generated(_), _) => statements.push(format!("{alter} DROP EXPRESSION")),
            // An old default may not fit the new type.
            (Value::Default(_), Value::Default(_)) if retyped => statements.push(format!("{alter} DROP DEFAULT")),
            (Value::Default(_), Value::None | Value::Identity { .. }) => {
                statements.push(format!("{alter} DROP DEFAULT"));
            }
            (Value::Identity { .. }, Value::None | Value::Default(_)) => {
                statements.push(format!("{alter} DROP IDENTITY"));
            }
            _ => {}
        }
        match (was.value, is.value) {
            (Value::Identity { when: was, sequence: had }, Value::Identity { when, sequence }) => {
                value.extend(numbers(had, sequence)?);
                if was != when {
                    value.push(format!("{alter} SET GENERATED {when}"));
                }
            }
            (_, Value::Identity { when, sequence }) => {
                value.push(format!("{alter} ADD GENERATED {when} AS IDENTITY {sequence}"));
            }
            (_, Value::Default(expression)) => value.push(format!("{alter} SET DEFAULT {expression}")),
            _ => {}
        }
    }
    if retyped {
        // Without a collation PostgreSQL takes the type's.
        let using = if was.kind == is.kind { String::new() } else { format!(" USING {name}::{}", is.kind) };
        statements.push(format!("{alter} TYPE {}{using}", is.kind_and_collation()));
    }
    match (was.not_null, is.not_null) {
        (had, has) if had == has => {}
        (Some("not null not valid"), Some("not null")) => {
            statements.push(format!("{alter} SET NOT NULL"));
        }
        (had, has) => {
            // An identity column must be NOT NULL before it becomes one.
            if had.is_some() {
                value.push(format!("{alter} DROP NOT NULL"));
            }
            if let Some(how) = has {
                let target = if had.is_some() { &mut value } else { &mut statements };
                target.extend(not_null(table, name, how));
            }
        }
    }
    statements.extend(value);
    if was.foreign_options != is.foreign_options {
        let options = crate::catalog::to_sql::options(was.foreign_options, is.foreign_options).unwrap_or_default();
        statements.push(format!("ALTER FOREIGN TABLE {table} ALTER COLUMN {name} {options}"));
    }
    statements.extend(settings(&alter, &was, &is));
    Ok(statements)
}

/// From one sequence of an identity column to another.
fn numbers(had: &str, has: &str) -> Result<Vec<String>, Otherwise> {
    let parts = |text: &'_ str| -> Option<(String, String)> {
        let (name, numbers) = inside(text).strip_prefix("sequence name ")?.split_once(" start with ")?;
        Some((name.to_owned(), format!("start with {numbers}")))
    };
    let ((had_name, had), (name, has)) = (parts(had).ok_or(MALFORMED)?, parts(has).ok_or(MALFORMED)?);
    let mut statements = Vec::new();
    if had_name != name {
        let (schema, old) = crate::catalog::split_at_last_dot(&had_name).ok_or(MALFORMED)?;
        let (new_schema, new) = crate::catalog::split_at_last_dot(&name).ok_or(MALFORMED)?;
        if schema != new_schema {
            statements.push(format!("ALTER SEQUENCE {had_name} SET SCHEMA {new_schema}"));
        }
        if old != new {
            statements.push(format!("ALTER SEQUENCE {new_schema}.{old} RENAME TO {new}"));
        }
    }
    if had != has {
        let no_cycle = if has.contains(" cycle") { "" } else { " no cycle" };
        statements.push(format!("ALTER SEQUENCE {name} {has}{no_cycle}"));
    }
    Ok(statements)
}
