//! From a change of the catalog back to SQL.
//!
//! Each kind says how its objects are made, changed and dropped (`catalog::to_sql`). Here the statements for a whole
//! change are put together: what has to be made anew takes along what rests on it, what goes with something else is not
//! dropped by itself, and each statement gets its place.

mod names;
mod order;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::catalog::{
    Change, Definition, Definitions, Ends, ObjectId, Otherwise, Value, attached_to, constraint_of, has_index, parents,
    split_at_last_dot, split_on, table_of, target, to_sql, words,
};
use crate::locks::{LockMode, TableLock};
pub use names::{key, mentions};
use order::{Action, Node};

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

/// What is dropped and made again.
#[derive(Default)]
struct Anew {
    objects: BTreeSet<ObjectId>,
    /// Columns whose defaults are taken away meanwhile.
    defaults: BTreeMap<ObjectId, String>,
}

/// Finds what cannot be changed, and what rests on it. What rows rest on stays as it is.
fn anew(before: &Definitions, after: &Definitions, impossible: &mut BTreeMap<ObjectId, &'static str>) -> Anew {
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

fn holds_parts(id: &ObjectId) -> bool {
    ["table", "foreign table", "view", "materialized view"].contains(&id.kind.as_str())
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
    let text = match id.kind.as_str() {
        "comment" | "owner" | "privilege" | "security label" | "extension dependency" | "sequence" => return false,
        "function" | "procedure" => definition.find("\nAS ").map_or(definition, |at| &definition[..at]),
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

/// Whether an object is dropped by dropping others.
fn goes_along(ends: &Ends<'_>, id: &ObjectId, definition: &str) -> bool {
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
fn owners(id: &ObjectId, definition: &str) -> Vec<ObjectId> {
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

/// Whether rows may hold values that a statement takes away.
fn loses(node: &Node<'_>) -> bool {
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
fn rewrites(node: &Node<'_>, before: &Definitions) -> bool {
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
fn locks(node: &Node<'_>, before: &Definitions) -> Vec<TableLock> {
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
    let lock = |table: &str| {
        let waits_for_nobody = node.sql.contains(" CONCURRENTLY ") || node.sql.contains(" VALIDATE ");
        let mode = match Some(table) == own {
            _ if waits_for_nobody => LockMode::ShareUpdateExclusive,
            _ if refers => LockMode::ShareRowExclusive,
            true => LockMode::AccessExclusive,
            false => return None,
        };
        Some(TableLock {
            table: table.to_owned(),
            mode,
            scans: false,
            rewrites: false,
        })
    };
    tables.into_iter().filter_map(lock).collect()
}

/// A catalog after changes.
pub fn applied<'a>(before: &Definitions, changes: impl IntoIterator<Item = &'a Change>) -> Definitions {
    let mut after = before.clone();
    for (id, _, is) in changes {
        match is {
            Some(definition) => after.insert(id.clone(), definition.clone()),
            None => after.remove(id),
        };
    }
    after
}

#[cfg(test)]
mod tests;
