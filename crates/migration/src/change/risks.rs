//! What is to be known of a statement before it runs: what it may lose, writes anew, and locks.

use std::collections::BTreeSet;

use super::names::mentions;
use super::order::{Action, Node};
use crate::catalog::{Definition, Definitions, ObjectId, Value, table_of};
use crate::locks::{LockMode, TableLock};
use crate::source::statement::Statement;

/// Whether rows may hold values that a statement takes away.
pub(super) fn loses(node: &Node<'_>) -> bool {
    match (node.id.kind.as_str(), node.action) {
        ("table", Action::Drop) => true,
        ("column", Action::Drop) => {
            let column = Definition::parse(&node.before);
            node.sql.contains(" DROP COLUMN ")
                && !column.is_some_and(|column| matches!(column.value, Value::Generated(_)))
        }
        ("column", _) if node.sql.contains(" TYPE ") => {
            let kind = |definition| Some(Definition::parse(definition)?.kind);
            !kind(&node.before)
                .zip(kind(node.after))
                .is_some_and(|(was, is)| widens(was, is))
        }
        _ => false,
    }
}

/// Whether a statement writes a table that was there before anew. Others that might are told by their locks when they
/// are observed; of these the text tells.
pub(super) fn rewrites(node: &Node<'_>, before: &Definitions) -> bool {
    let is_there = node
        .id
        .table()
        .is_some_and(|table| before.contains_key(&ObjectId::new("table", table)));
    let sql = &node.sql;
    if node.id.kind == "column" && sql.contains(" ADD COLUMN ") {
        let value = Definition::parse(node.after).map(|column| column.value);
        // A default that is no constant is computed for each row.
        let computed = match value {
            Some(Value::Default(default)) => default.contains('('),
            Some(Value::Generated(whole)) => whole.ends_with("stored"),
            Some(Value::Identity { .. }) => true,
            Some(Value::None) | None => false,
        };
        return is_there && computed;
    }
    if node.id.kind == "column" && sql.contains(" TYPE ") {
        let kind = |definition| Some(Definition::parse(definition)?.kind.to_owned());
        let (was, is) = (
            kind(&node.before).unwrap_or_default(),
            kind(node.after).unwrap_or_default(),
        );
        // Only texts grow where they are.
        return was != is && !(was.starts_with("character varying") && widens(&was, &is));
    }
    let rewriting = [
        " SET LOGGED",
        " SET UNLOGGED",
        " SET ACCESS METHOD ",
        " SET TABLESPACE ",
    ];
    node.id.kind == "table" && rewriting.iter().any(|action| sql.contains(action))
}

/// Whether a type holds all values of another.
fn widens(was: &str, is: &str) -> bool {
    let integers = ["smallint", "integer", "bigint", "numeric"];
    let place = |kind| integers.iter().position(|integer| *integer == kind);
    let length = |kind: &str| {
        kind.strip_prefix("character varying(")?
            .strip_suffix(')')?
            .parse::<u32>()
            .ok()
    };
    // numeric(precision, scale): as many digits before the point, and behind it.
    let digits = |kind: &str| -> Option<(i32, i32)> {
        let (precision, scale) = kind.strip_prefix("numeric(")?.strip_suffix(')')?.split_once(',')?;
        let (precision, scale): (i32, i32) = (precision.trim().parse().ok()?, scale.trim().parse().ok()?);
        Some((precision - scale, scale))
    };
    let is_text = |kind: &str| kind == "text" || kind == "character varying";
    was == is
        || place(was).zip(place(is)).is_some_and(|(was, is)| was < is)
        || length(was).zip(length(is)).is_some_and(|(was, is)| was < is)
        || (is_text(was) || length(was).is_some()) && is_text(is)
        || digits(was).is_some() && is == "numeric"
        || digits(was)
            .zip(digits(is))
            .is_some_and(|(was, is)| was.0 <= is.0 && was.1 <= is.1)
}

/// The locks that a statement takes on tables that were there before, as far as its text tells.
pub(super) fn locks(node: &Node<'_>, before: &Definitions) -> Vec<TableLock> {
    let own = node
        .id
        .table()
        .or_else(|| table_of(node.after))
        .or_else(|| table_of(&node.before));
    let named = mentions(&node.sql);
    let is_there = |table: &&str| {
        ["table", "foreign table"]
            .iter()
            .any(|kind| before.contains_key(&ObjectId::new(*kind, *table)))
    };
    let refers = node.sql.contains(" FOREIGN KEY ");
    let tables: BTreeSet<&str> = own
        .into_iter()
        .chain(named.iter().map(String::as_str))
        .filter(is_there)
        .collect();
    let statement = Statement::plain("", 0, &node.sql);
    let lock = |table: &str| {
        let mut lock = TableLock::taken_by(&statement, table);
        if lock.mode == LockMode::AccessExclusive {
            lock.mode = match Some(table) == own {
                _ if refers => LockMode::ShareRowExclusive,
                true => lock.mode,
                false => return None,
            };
        }
        Some(lock)
    };
    tables.into_iter().filter_map(lock).collect()
}
