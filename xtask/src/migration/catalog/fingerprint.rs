//! Whether a catalog may have changed, at a fraction of what reading it costs.

use std::fmt;

use postgres::{GenericClient, SimpleQueryMessage};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::query;

/// Equal fingerprints of one database: nothing that [`Catalog::read`](super::Catalog::read) reads
/// was written in between. Unequal ones say nothing, since rewriting a table or an index changes
/// the fingerprint as well.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fingerprint(String);

impl Fingerprint {
    /// Asks the server for the fingerprint of the database: a hash travels, no definitions, and no
    /// table is locked but system catalogs.
    ///
    /// # Errors
    ///
    /// Whatever the server or the connection reports.
    pub fn read<C: GenericClient>(client: &mut C) -> Result<Self, postgres::Error> {
        let (mut rows, rare) = ask(client, include_str!("sql/fingerprint.sql"))?;
        if rare {
            rows += &ask(client, include_str!("sql/fingerprint_rare.sql"))?.0;
        }
        // Another version of the query reads other things: its fingerprints must not match.
        let query = Sha256::digest(query::text(None));
        let prefix: String = query[..4].iter().map(|b| format!("{b:02x}")).collect();
        Ok(Self(format!("{prefix}-{rows}")))
    }

    /// A fingerprint that was stored as text.
    pub fn from_text(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text to store.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The two columns of the answer: a hash, and whether there is more to ask for.
fn ask<C: GenericClient>(client: &mut C, query: &str) -> Result<(String, bool), postgres::Error> {
    let messages = client.simple_query(query)?;
    let answer = messages.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => {
            let more = row.len() > 1 && row.get(1) == Some("t");
            Some((row.get(0).unwrap_or_default().to_owned(), more))
        }
        _ => None,
    });
    Ok(answer.unwrap_or_default())
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}
