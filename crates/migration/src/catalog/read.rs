//! Reading all objects of a database.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use postgres::types::ToSql;
use postgres::{GenericClient, SimpleQueryMessage, Statement};
use serde::{Deserialize, Serialize};

use super::{ObjectId, query};
use crate::text::{milliseconds, rows};

/// The kind of the objects that tell an owner.
const OWNER: &str = "owner";

/// All objects of one database.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Catalog {
    objects: BTreeMap<ObjectId, String>,
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
    /// Reads all objects in a transaction of its own (a savepoint, inside of one), which writes
    /// nothing and works on a standby and for a role without privileges.
    ///
    /// # Errors
    ///
    /// SQLSTATE 55P03 (lock not available) if somebody holds an ACCESS EXCLUSIVE lock on a table for
    /// longer than `lock_timeout`: its definition cannot be read, try again. XX000 (cache lookup
    /// failed) if an object was dropped meanwhile: try again too.
    pub fn read<C: GenericClient>(client: &mut C, lock_timeout: Duration) -> Result<Self, postgres::Error> {
        Self::read_without(client, lock_timeout, &[])
    }

    /// Reads all objects but these relations (by their oid) and what belongs to them: the catalog says so in
    /// [`unread`](Self::unread).
    ///
    /// # Errors
    ///
    /// As for [`read`](Self::read).
    pub fn read_without<C: GenericClient>(
        client: &mut C,
        lock_timeout: Duration,
        without: &[(u32, Unread)],
    ) -> Result<Self, postgres::Error> {
        let mut transaction = client.transaction()?;
        let catalog = Self::read_inside(&mut transaction, lock_timeout, without)?;
        // Nothing was written; what was SET LOCAL ends, also where this was a savepoint.
        transaction.rollback()?;
        Ok(catalog)
    }

    /// As [`read`](Self::read), inside of a transaction or savepoint that the caller rolls back.
    ///
    /// # Errors
    ///
    /// As for [`read`](Self::read).
    pub fn read_inside<C: GenericClient>(
        client: &mut C,
        lock_timeout: Duration,
        without: &[(u32, Unread)],
    ) -> Result<Self, postgres::Error> {
        let oids: Vec<u32> = without.iter().map(|(oid, _)| *oid).collect();
        let probe = format!("{};\n{}", settings(lock_timeout, query::JOINS), query::PROBE);
        let mut found = BTreeSet::new();
        for row in rows(client.simple_query(&probe)?) {
            let columns = row.columns().iter().enumerate();
            found.extend(
                columns
                    .filter(|(n, _)| row.get(*n) == Some("t"))
                    .map(|(_, column)| column.name().to_owned()),
            );
        }
        let messages = client.simple_query(&query::text(Some(&found), &oids))?;
        let mut catalog: Self = messages
            .iter()
            .filter_map(|message| match message {
                SimpleQueryMessage::Row(row) => Some([row.get(0), row.get(1), row.get(2)]),
                _ => None,
            })
            .collect();
        catalog.unread = without.iter().map(|(_, unread)| unread.clone()).collect();
        Ok(catalog)
    }

    /// The definition of an object.
    pub fn get(&self, id: &ObjectId) -> Option<&str> {
        self.objects.get(id).map(String::as_str)
    }

    /// All objects in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&ObjectId, &str)> {
        self.objects.iter().map(|(id, definition)| (id, definition.as_str()))
    }

    /// All objects, in the order of their names.
    pub(super) fn into_objects(self) -> impl Iterator<Item = (ObjectId, String)> {
        self.objects.into_iter()
    }

    /// Adds an object.
    pub(super) fn insert(&mut self, id: ObjectId, definition: String) {
        self.objects.insert(id, definition);
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

/// The prepared query, for reading again and again on one connection: planned once, for all kinds.
pub struct Reader {
    statement: Statement,
}

impl Reader {
    /// Prepares the query. The reader can be used on this connection only.
    ///
    /// # Errors
    ///
    /// Whatever the server or the connection reports.
    pub fn prepare<C: GenericClient>(client: &mut C) -> Result<Self, postgres::Error> {
        Ok(Self {
            statement: client.prepare(&query::text(None, &[]))?,
        })
    }

    /// Reads all objects as [`Catalog::read`] does.
    ///
    /// # Errors
    ///
    /// As for [`Catalog::read`].
    pub fn read<C: GenericClient>(&self, client: &mut C, lock_timeout: Duration) -> Result<Catalog, postgres::Error> {
        execute(client, &self.statement, &[], &settings(lock_timeout, query::JOINS))
    }
}

/// Reads what a prepared query answers, with `settings` for its transaction.
pub(super) fn execute<C: GenericClient>(
    client: &mut C,
    statement: &Statement,
    parameters: &[&(dyn ToSql + Sync)],
    settings: &str,
) -> Result<Catalog, postgres::Error> {
    let mut transaction = client.transaction()?;
    transaction.batch_execute(settings)?;
    let rows = transaction.query(statement, parameters)?;
    transaction.rollback()?;
    Ok(rows.iter().map(|row| [row.get(0), row.get(1), row.get(2)]).collect())
}

/// What the transaction of a read is to be set to: names print qualified, no wait is long, and tables are joined as
/// `joins` says, or as the planner likes.
pub(super) fn settings(lock_timeout: Duration, joins: &str) -> String {
    format!(
        "{} {joins} SET LOCAL lock_timeout = {}",
        query::SETTINGS,
        milliseconds(lock_timeout)
    )
}

/// From the query's rows: kind, identity and definition.
impl<'a> FromIterator<[Option<&'a str>; 3]> for Catalog {
    fn from_iter<I: IntoIterator<Item = [Option<&'a str>; 3]>>(rows: I) -> Self {
        let mut catalog = Self::default();
        for row in rows {
            let [kind, identity, definition] = row.map(|text| text.unwrap_or_default().to_owned());
            if kind == "?migrator" {
                catalog.migrators.insert(identity);
                continue;
            }
            if let Some(system_catalog) = kind.strip_prefix('?') {
                catalog.unmodelled.push(Unmodelled {
                    catalog: system_catalog.to_owned(),
                    identity,
                    reason: definition,
                });
                continue;
            }
            let id = ObjectId { kind, identity };
            if let Some(other) = catalog.objects.insert(id.clone(), definition) {
                catalog.unmodelled.push(Unmodelled {
                    catalog: id.kind,
                    identity: id.identity,
                    reason: format!("a second object of this name: {other}"),
                });
            }
        }
        catalog.unmodelled.sort();
        catalog
    }
}

impl FromIterator<(ObjectId, String)> for Catalog {
    fn from_iter<I: IntoIterator<Item = (ObjectId, String)>>(objects: I) -> Self {
        Self {
            objects: objects.into_iter().collect(),
            ..Self::default()
        }
    }
}
