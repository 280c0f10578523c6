//! Whether a catalog may have changed, at a fraction of what reading it costs.

use std::collections::BTreeSet;
use std::fmt;

use postgres::{GenericClient, SimpleQueryRow};
use sha2::{Digest, Sha256};

use super::query::Source;
use super::read::everything;
use super::sources::sources;
use crate::text::{hex, rows};

/// Equal fingerprints of one database: nothing that [`Catalog::read`](super::Catalog::read) reads
/// was written in between. Unequal ones say nothing, since rewriting a table or an index changes
/// the fingerprint as well.
#[derive(Debug, Clone)]
pub struct Fingerprint {
    text: String,
    next_transaction: Option<i64>,
}

impl Fingerprint {
    /// Asks the server for the fingerprint of the database: a hash travels, no definitions, and no
    /// table is locked but system catalogs.
    ///
    /// # Errors
    ///
    /// Whatever the server or the connection reports.
    pub fn read<C: GenericClient>(client: &mut C) -> Result<Self, postgres::Error> {
        let Some(row) = ask(client, &usual())? else {
            return Ok(Self::stored(String::new(), None));
        };
        let column = |name: &str| row.try_get(name).ok().flatten().unwrap_or_default();
        let mut text = format!("{}-{}", reader(column("version"), column("reader")), column("rows"));
        if column("rare") == "t"
            && let Some(rare) = ask(client, &rare())?
        {
            text.push('-');
            text.push_str(rare.try_get(0).ok().flatten().unwrap_or_default());
        }
        Ok(Self {
            text,
            next_transaction: column("next_transaction").parse().ok(),
        })
    }

    /// A fingerprint that was stored as text, and [`next_transaction`](Self::next_transaction) if nothing was
    /// written since it was read.
    pub fn stored(text: String, next_transaction: Option<i64>) -> Self {
        Self { text, next_transaction }
    }

    /// The text to store.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The number that the next transaction to write anything in the cluster was to get, if none was
    /// under way: whoever gets it knows that nothing was written in between.
    pub fn next_transaction(&self) -> Option<i64> {
        self.next_transaction
    }

    /// Whether it was read by this role from a server of this version, with the same query.
    pub fn is_by(&self, server_version_num: &str, role: &str) -> bool {
        self.text.starts_with(&reader(server_version_num, role))
    }
}

impl PartialEq for Fingerprint {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Fingerprint {}

/// What the answer of the catalog's query depends on besides the database: another version of the query reads other
/// things, another role may see others, another server may print them otherwise.
fn reader(server_version_num: &str, role: &str) -> String {
    let mut hash = Sha256::new();
    for part in [everything(&[]).as_str(), server_version_num, role] {
        hash.update(part);
        hash.update([0]);
    }
    hex(&hash.finalize()[..8])
}

fn usual() -> String {
    let sizes: Vec<_> = catalogs(true)
        .into_iter()
        .chain(UNREADABLE)
        .filter(|catalog| *catalog != "pg_authid")
        .map(|catalog| format!("pg_catalog.pg_relation_size('pg_catalog.{catalog}')"))
        .collect();
    include_str!("sql/fingerprint.sql")
        .replace("-- the sizes of rare catalogs", &sizes.join(" + "))
        .replace("-- the other catalogs", &also(catalogs(false)))
}

fn rare() -> String {
    include_str!("sql/fingerprint_rare.sql").replace("-- the rare catalogs", &also(catalogs(true)))
}

/// Not every role may read these: they are hashed by what their views show.
const UNREADABLE: [&str; 3] = ["pg_authid", "pg_user_mapping", "pg_subscription"];

/// The catalogs that initdb leaves empty, or the others; but for those that the queries name themselves.
fn catalogs(rare: bool) -> BTreeSet<&'static str> {
    sources()
        .iter()
        .filter(|source| source.is_rare == rare)
        .flat_map(Source::catalogs)
        .filter(|catalog| !UNREADABLE.contains(catalog) && *catalog != "pg_database")
        .collect()
}

fn also(catalogs: BTreeSet<&'static str>) -> String {
    let select = |catalog| format!("UNION ALL SELECT xmin FROM pg_catalog.{catalog}\n");
    catalogs.into_iter().map(select).collect()
}

fn ask<C: GenericClient>(client: &mut C, query: &str) -> Result<Option<SimpleQueryRow>, postgres::Error> {
    Ok(rows(client.simple_query(query)?).next())
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}
