//! In which order statements go: each behind what it names, and before what it named is dropped.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::names::{key, mentions, without_body};
use crate::catalog::{ObjectId, has_index};

/// What a statement does with its object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    /// Takes it away.
    Drop,
    /// Makes it, or makes it otherwise.
    Make,
    /// Says something of it that others need not wait for.
    Set,
}

/// A statement that has no place yet.
pub struct Node<'a> {
    pub id: &'a ObjectId,
    pub action: Action,
    pub sql: String,
    /// The definition that the object has; empty where it is not there.
    pub before: String,
    /// The definition that it shall have.
    pub after: &'a str,
}

/// The numbers of the nodes, in the order in which they can run.
pub fn order(nodes: &[Node<'_>]) -> Vec<usize> {
    let graph = Graph::of(nodes);
    let mut waits: Vec<BTreeSet<usize>> = graph.behind;
    let mut left: BTreeSet<(Place, usize)> = nodes.iter().enumerate().map(|(n, node)| (place(node), n)).collect();
    let mut ordered = Vec::with_capacity(nodes.len());
    let mut done = BTreeSet::new();
    while let Some(first) = left.first().copied() {
        // In a circle the first goes ahead.
        let next = left
            .iter()
            .find(|(_, n)| waits[*n].iter().all(|other| done.contains(other)))
            .copied()
            .unwrap_or(first);
        left.remove(&next);
        waits[next.1].clear();
        done.insert(next.1);
        ordered.push(next.1);
    }
    ordered
}

/// Where a statement stands if nothing else is known: what can go goes first, then comes what is new.
type Place = (u8, i32);

fn place(node: &Node<'_>) -> Place {
    let rank = rank(node);
    match node.action {
        // Much may rest on these without naming them.
        Action::Drop if rank < 10 => (2, -rank),
        Action::Drop => (0, -rank),
        Action::Make | Action::Set => (1, rank),
    }
}

fn rank(node: &Node<'_>) -> i32 {
    let attaches = node.action == Action::Set;
    match node.id.kind.as_str() {
        "role" => 0,
        "role membership" => 1,
        "schema" => 2,
        "extension" => 3,
        "access method" | "language" => 4,
        "foreign-data wrapper" => 5,
        "server" => 6,
        "user mapping" => 11,
        "user mapping option" => 12,
        "collation" | "conversion" => 13,
        "type" | "domain" => 14,
        "domain constraint" => 15,
        "sequence" => 16,
        "function" | "procedure" | "aggregate" => 17,
        "operator" => 18,
        "operator family" => 19,
        "operator class" => 20,
        "cast" | "transform" => 21,
        "text search parser" | "text search template" => 22,
        "text search dictionary" => 23,
        "text search configuration" => 24,
        "table" | "foreign table" if attaches => 34,
        "table" | "foreign table" => 25,
        "column" => 26,
        "constraint" | "index" if attaches => 35,
        "constraint" if has_index(node.after) || has_index(&node.before) => 30,
        "index" => 31,
        "constraint" => 32,
        "statistics" => 33,
        "view" | "materialized view" => 40,
        "rule" | "policy" => 41,
        "trigger" => 42,
        "publication" => 43,
        "publication table" | "publication schema" => 44,
        "owner" => 50,
        "comment" | "security label" | "extension dependency" => 51,
        "privilege" => 52,
        "default privilege" => 53,
        // It sees all that comes after it.
        "event trigger" => 60,
        _ => 55,
    }
}

fn is_generated(column: &str) -> bool {
    column.contains("generated always as (")
}

struct Graph {
    /// For each node, those that come before it.
    behind: Vec<BTreeSet<usize>>,
}

impl Graph {
    fn of(nodes: &[Node<'_>]) -> Self {
        let mut by_key: HashMap<String, Vec<usize>> = HashMap::new();
        let mut keys_of: HashMap<&str, Vec<usize>> = HashMap::new();
        let mut by_id: BTreeMap<&ObjectId, Vec<usize>> = BTreeMap::new();
        for (n, node) in nodes.iter().enumerate() {
            by_id.entry(node.id).or_default().push(n);
            by_key.entry(key(node.id).unwrap_or_default()).or_default().push(n);
            if node.id.kind == "constraint"
                && (has_index(node.after) || has_index(&node.before))
                && let Some(table) = node.id.table()
            {
                keys_of.entry(table).or_default().push(n);
            }
        }
        let mut graph = Self {
            behind: vec![BTreeSet::new(); nodes.len()],
        };
        // The statements of one object in their order.
        for numbers in by_id.values() {
            for pair in numbers.windows(2) {
                graph.put(pair[0], pair[1]);
            }
        }
        let named = |text: &str, is_key: bool| -> BTreeSet<usize> {
            let names = mentions(text);
            let own = names.iter().filter_map(|name| by_key.get(name)).flatten();
            let keys = names
                .iter()
                .filter(|_| is_key)
                .filter_map(|name| keys_of.get(name.as_str()))
                .flatten();
            own.chain(keys).copied().collect()
        };
        for (n, node) in nodes.iter().enumerate() {
            let may_depend = |other: &usize| {
                let other = &nodes[*other];
                let of_one_table =
                    node.id.kind == "column" && other.id.kind == "column" && node.id.table() == other.id.table();
                // The expression of a generated column names others of its table.
                let generated = [(node.after, other.after), (&node.before, &other.before)];
                let generated = generated
                    .iter()
                    .any(|(one, other)| is_generated(one) && !is_generated(other));
                other.id != node.id && (!of_one_table || generated)
            };
            let of_table = node.id.table().unwrap_or_default();
            if node.action != Action::Drop {
                let text = without_body(&node.sql);
                for other in named(text, text.contains(" FOREIGN KEY "))
                    .into_iter()
                    .filter(may_depend)
                {
                    if nodes[other].action == Action::Make {
                        graph.put(other, n);
                    }
                }
            }
            if !node.before.is_empty() && node.action != Action::Set {
                let text = format!("{} {of_table}", without_owner(without_body(&node.before)));
                for other in named(&text, node.before.contains("FOREIGN KEY "))
                    .into_iter()
                    .filter(may_depend)
                {
                    let drops = nodes[other].action == Action::Drop;
                    // A view goes before a column becomes another type.
                    let retypes = node.action == Action::Drop
                        && nodes[other].action == Action::Make
                        && !nodes[other].before.is_empty();
                    if drops || retypes {
                        graph.put(n, other);
                    }
                }
            }
        }
        graph
    }

    fn put(&mut self, first: usize, then: usize) {
        if first != then && !self.behind[first].contains(&then) {
            self.behind[then].insert(first);
        }
    }
}

/// A sequence goes with its column, not before.
fn without_owner(text: &str) -> &str {
    text.find(" owned by ").map_or(text, |at| &text[..at])
}
