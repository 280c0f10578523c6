//! Reading all objects of a database.

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::Duration;

use postgres::{GenericClient, SimpleQueryMessage};
use serde::{Deserialize, Serialize};

use super::ObjectId;

/// The parts between which `base.sql` opens and `attached.sql` closes the list of objects.
const PARTS: &[&str] = &[
    include_str!("sql/schemas.sql"),
    include_str!("sql/extensions.sql"),
    include_str!("sql/tables.sql"),
    include_str!("sql/columns.sql"),
    include_str!("sql/sequences.sql"),
    include_str!("sql/constraints.sql"),
    include_str!("sql/indexes.sql"),
    include_str!("sql/views.sql"),
    include_str!("sql/types.sql"),
    include_str!("sql/functions.sql"),
    include_str!("sql/triggers.sql"),
    include_str!("sql/operators.sql"),
    include_str!("sql/conversions.sql"),
    include_str!("sql/text_search.sql"),
    include_str!("sql/foreign.sql"),
    include_str!("sql/publications.sql"),
    include_str!("sql/roles.sql"),
];

/// The query, in one piece.
pub(super) static QUERY: LazyLock<String> = LazyLock::new(|| {
    [
        include_str!("sql/base.sql"),
        &PARTS.join("UNION ALL\n"),
        include_str!("sql/attached.sql"),
        include_str!("sql/unmodelled.sql"),
    ]
    .concat()
});

/// All objects of one database.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Catalog {
    objects: BTreeMap<ObjectId, String>,
    unmodelled: Vec<Unmodelled>,
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
        let mut transaction = client.transaction()?;
        let messages = transaction.simple_query(&format!(
            // Names are qualified in definitions unless search_path finds them. Compiling the query
            // would take longer than running it.
            "SET LOCAL search_path = ''; SET LOCAL jit = off; SET LOCAL lock_timeout = {}; \
             SET LOCAL quote_all_identifiers = off; SET LOCAL work_mem = '32MB'; \
             SET LOCAL DateStyle = 'ISO'; SET LOCAL IntervalStyle = 'postgres'; \
             SET LOCAL TimeZone = 'UTC'; SET LOCAL extra_float_digits = 1; \
             SET LOCAL bytea_output = 'hex';\n{}",
            lock_timeout.as_millis().clamp(1, i32::MAX as u128),
            *QUERY,
        ))?;
        // Nothing was written; what was SET LOCAL ends, also where this was a savepoint.
        transaction.rollback()?;
        let mut catalog = Self::default();
        for message in messages {
            let SimpleQueryMessage::Row(row) = message else {
                continue;
            };
            let text = |column| row.get(column).unwrap_or_default().to_owned();
            let (kind, identity) = (text(0), text(1));
            match kind.strip_prefix('?') {
                Some(system_catalog) => catalog.unmodelled.push(Unmodelled {
                    catalog: system_catalog.to_owned(),
                    identity,
                    reason: text(2),
                }),
                None => {
                    catalog.objects.insert(ObjectId { kind, identity }, text(2));
                }
            }
        }
        catalog.unmodelled.sort();
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
}

impl FromIterator<(ObjectId, String)> for Catalog {
    fn from_iter<I: IntoIterator<Item = (ObjectId, String)>>(objects: I) -> Self {
        Self {
            objects: objects.into_iter().collect(),
            unmodelled: Vec::new(),
        }
    }
}
