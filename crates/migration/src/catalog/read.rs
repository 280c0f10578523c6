//! Reading all objects of a database.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use postgres::{Client, GenericClient, IsolationLevel, SimpleQueryMessage};
use serde::{Deserialize, Serialize};

use super::cells::Cells;
use super::define::Objects;
use super::query::{Scope, Source};
use super::sources::{Rows, sources};
use super::{Change, Definitions, ObjectId, changes};
use crate::text::milliseconds;

/// The kind of the objects that tell an owner.
const OWNER: &str = "owner";

/// All objects of one database.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Catalog {
    objects: Definitions,
    unmodelled: Vec<Unmodelled>,
    /// The roles that may run the migrations. What they own has no object that tells its owner.
    migrators: BTreeSet<String>,
    unread: Vec<Unread>,
}

/// A relation that was not looked at, nor what belongs to it: somebody keeps readers out of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Unread {
    /// For instance `table public.events`.
    pub relation: String,
    /// Who, in words.
    pub holder: String,
}

/// Something in the database that no definition describes, so that no comparison sees it change.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Unmodelled {
    /// The system catalog in which it stands.
    pub catalog: String,
    /// What PostgreSQL calls it.
    pub identity: String,
    /// What of it is not described.
    pub reason: String,
}

impl Catalog {
    /// Reads all objects in a transaction of its own, which writes nothing and works on a standby and for a role without privileges.
    ///
    /// # Errors
    ///
    /// SQLSTATE 55P03 (lock not available) if somebody holds an ACCESS EXCLUSIVE lock on a table for
    /// longer than `lock_timeout`: its definition cannot be read, try again. XX000 (cache lookup
    /// failed) if an object was dropped meanwhile: try again too.
    pub fn read(client: &mut Client, lock_timeout: Duration) -> Result<Self, postgres::Error> {
        Self::read_without(client, lock_timeout, &[])
    }

    /// Reads all objects but these relations (by their oid) and what belongs to them: the catalog says so in
    /// [`unread`](Self::unread).
    ///
    /// # Errors
    ///
    /// As for [`read`](Self::read).
    pub fn read_without(
        client: &mut Client,
        lock_timeout: Duration,
        without: &[(u32, Unread)],
    ) -> Result<Self, postgres::Error> {
        let oids: Vec<u32> = without.iter().map(|(oid, _)| *oid).collect();
        // All queries of the message see the same.
        let mut transaction = client
            .build_transaction()
            .isolation_level(IsolationLevel::RepeatableRead)
            .read_only(true)
            .start()?;
        let (rows, unmodelled) = read_rows(&mut transaction, lock_timeout, &oids)?;
        transaction.rollback()?;
        let mut catalog = Self::of(&rows, unmodelled);
        catalog.unread = without.iter().map(|(_, unread)| unread.clone()).collect();
        Ok(catalog)
    }

    /// As [`read`](Self::read), inside of a transaction that has written and that the caller rolls back.
    ///
    /// # Errors
    ///
    /// As for [`read`](Self::read).
    pub fn read_inside<C: GenericClient>(client: &mut C, lock_timeout: Duration) -> Result<Self, postgres::Error> {
        let (rows, unmodelled) = read_rows(client, lock_timeout, &[])?;
        Ok(Self::of(&rows, unmodelled))
    }

    /// What rows define.
    pub(super) fn of(rows: &Rows, unmodelled: Vec<Unmodelled>) -> Self {
        let objects = Objects::of_all(rows);
        let mut catalog = Self {
            objects: objects.found,
            unmodelled: objects.unmodelled.into_iter().chain(unmodelled).collect(),
            migrators: rows.migrators.iter().map(|role| rows.role(*role)).collect(),
            unread: Vec::new(),
        };
        catalog.unmodelled.sort();
        catalog
    }

    /// The definition of an object.
    pub fn get(&self, id: &ObjectId) -> Option<&str> {
        self.objects.get(id).map(String::as_str)
    }

    /// Whether a role may run the migrations: what it owns has no object that tells its owner.
    pub fn is_migrator(&self, role: &str) -> bool {
        self.migrators.contains(role)
    }

    /// All objects with their definitions.
    pub fn definitions(&self) -> &Definitions {
        &self.objects
    }

    /// All objects in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&ObjectId, &str)> {
        self.objects.iter().map(|(id, definition)| (id, definition.as_str()))
    }

    /// Takes objects away and adds others, and tells what changed by it.
    pub(super) fn exchange(
        &mut self,
        gone: BTreeMap<ObjectId, String>,
        new: BTreeMap<ObjectId, String>,
    ) -> Vec<Change> {
        for id in gone.keys().filter(|id| !new.contains_key(*id)) {
            self.objects.remove(id);
        }
        let changed = changes(
            &gone.into_iter().collect(),
            &new.iter().map(|(id, of)| (id.clone(), of.clone())).collect(),
        );
        self.objects.extend(new);
        changed
    }

    /// Tells owners as an expected catalog does, which has those that a statement names: where such an object belongs
    /// to a migrating role, its owner is that role; of other objects nobody said who shall own them.
    pub fn keep_owners(&mut self, expected: &BTreeMap<ObjectId, Option<String>>) {
        self.objects
            .retain(|id, _| id.kind != OWNER || expected.contains_key(id));
        for (id, owner) in expected.iter().filter(|(id, _)| id.kind == OWNER) {
            let owned = id.identity.strip_prefix("of ").and_then(|object| object.parse().ok());
            let is_there = owned.is_some_and(|object| self.objects.contains_key(&object));
            if is_there && !self.objects.contains_key(id) {
                let named = owner.as_ref().filter(|role| self.migrators.contains(*role));
                let owner = named.or(self.migrators.first()).cloned();
                self.objects.insert(id.clone(), owner.unwrap_or_default());
            }
        }
    }

    /// How many objects there are.
    pub fn len(&self) -> usize {
        self.objects.len()
    }

    /// Whether there is no object at all.
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }

    /// What the database holds besides, sorted.
    pub fn unmodelled(&self) -> &[Unmodelled] {
        &self.unmodelled
    }

    /// What was not looked at.
    pub fn unread(&self) -> &[Unread] {
        &self.unread
    }
}

/// Reads all rows but those that belong to these relations.
pub(super) fn read_rows<C: GenericClient>(
    client: &mut C,
    lock_timeout: Duration,
    without: &[u32],
) -> Result<(Rows, Vec<Unmodelled>), postgres::Error> {
    let settings: Vec<String> = SETTINGS
        .iter()
        .map(|(name, value)| format!("SET LOCAL {name} = {value}"))
        .chain([format!("SET LOCAL lock_timeout = {}", milliseconds(lock_timeout))])
        .collect();
    let message = format!("{};\n{}", settings.join(";\n"), everything(without));
    let mut rows = Rows::default();
    let mut unmodelled = Vec::new();
    let mut at = 0_usize;
    for message in client.simple_query(&message)? {
        match message {
            SimpleQueryMessage::CommandComplete(_) => at += 1,
            SimpleQueryMessage::Row(row) => {
                let mut cells = Cells::new(&row);
                match at.checked_sub(settings.len()).and_then(|n| sources().get(n)) {
                    Some(source) => rows.add(source.name, &mut cells),
                    None => unmodelled.push(Unmodelled {
                        catalog: cells.next(),
                        identity: cells.next(),
                        reason: cells.next(),
                    }),
                }
            }
            _ => {}
        }
    }
    rows.settle();
    if let Some(session) = rows.session.get(0).filter(|session| session.version >= NEWER) {
        unmodelled.push(Unmodelled {
            catalog: "server".to_owned(),
            identity: session.version_text.clone(),
            reason: "newer than 18: its catalogs may hold what this program does not know".to_owned(),
        });
    }
    Ok((rows, unmodelled))
}

/// The queries of all sources, but of what belongs to these relations; and what is known of none.
pub(super) fn everything(without: &[u32]) -> String {
    let unknown = include_str!("sql/unmodelled.sql").replace("-- the catalogs that are known", &known());
    let queries = sources().iter().map(|source| source.query(Scope::Without(without)));
    queries.chain([unknown]).collect::<Vec<_>>().join(";\n")
}

/// The first version whose catalogs nobody has looked at yet.
const NEWER: u32 = 190_000;

/// Names are qualified in definitions unless `search_path` finds them; the rest is how values print.
pub(super) const SETTINGS: [(&str, &str); 8] = [
    ("search_path", "''"),
    ("jit", "off"),
    ("quote_all_identifiers", "off"),
    ("DateStyle", "'ISO'"),
    ("IntervalStyle", "'postgres'"),
    ("TimeZone", "'UTC'"),
    ("extra_float_digits", "1"),
    ("bytea_output", "'hex'"),
];

/// The system catalogs of which nothing goes unnoticed, as a list for SQL.
fn known() -> String {
    let catalogs: BTreeSet<String> = sources()
        .iter()
        .flat_map(Source::catalogs)
        .map(|catalog| format!("'{catalog}'"))
        .collect();
    catalogs.into_iter().collect::<Vec<_>>().join(", ")
}

impl FromIterator<(ObjectId, String)> for Catalog {
    fn from_iter<I: IntoIterator<Item = (ObjectId, String)>>(objects: I) -> Self {
        Self {
            objects: objects.into_iter().collect(),
            ..Self::default()
        }
    }
}
