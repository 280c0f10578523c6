//! Tells a server from a pooler that swaps connections.
//!
//! A migration needs one session: its mutex, its settings and its `CREATE INDEX CONCURRENTLY` belong
//! to it. PgBouncer in transaction mode hands each transaction to another session.

use connection::{Error, Kind, describe};
use postgres::Client;

use super::Terms;
use super::connect::{Begun, Connector, Session, Target};
use crate::text::rows;

/// The session's `application_name` until it has a run.
const NAME: &str = "xtask migrate";

/// A session for a migration that is being opened.
pub struct Opening<'a> {
    connector: &'a Connector,
    /// What the server shows as the setting `xtask.session` on a direct connection, and only there: it stands in the
    /// startup message, which poolers refuse or swallow. So to know costs nothing; only where the setting is not seen,
    /// [`refuse_swapping`] has to find out whether the pooler swaps.
    pub token: String,
    options: String,
    begun: Begun,
}

impl<'a> Opening<'a> {
    /// Begins to open a session that writes, with these options where the connection is a direct one.
    pub fn begin(connector: &'a Connector, options: &str) -> Self {
        let token = format!("{:016x}", fastrand::u64(..));
        let options = format!("-c xtask.session={token}{options}");
        let begun = connector.begin(Target::Writable, &marked(&options, None));
        Self {
            connector,
            token,
            options,
            begun,
        }
    }

    /// Waits for the session.
    ///
    /// # Errors
    /// What [`Connector::wait`] says.
    pub fn wait(&self, terms: &Terms<'_>) -> Result<Client, Error> {
        let session = marked(&self.options, Some(&self.begun));
        self.connector
            .wait(Target::Writable, &session, terms.wait, terms.interrupted, &terms.tell)
    }
}

fn marked<'s>(options: &'s str, begun: Option<&'s Begun>) -> Session<'s> {
    Session {
        options: Some(options),
        begun,
        ..Session::named(NAME)
    }
}

/// While the first session is idle, a second one begins a transaction: if it is served by the
/// first one's backend, or the first one is served by another backend afterwards, the pooler swaps.
///
/// # Errors
/// Of kind [`Kind::Connect`] where a pooler swaps connections, or the connection is lost.
pub fn refuse_swapping(connector: &Connector, first: &mut Client) -> Result<(), Error> {
    let mut second = connector.connect(&Session::default())?;
    for _ in 0..3 {
        let before = backend(first).map_err(|error| connector.lost(&error))?;
        let mut transaction = second
            .transaction()
            .map_err(|error| refused(connector, &describe(&error)))?;
        let other = backend(&mut transaction).map_err(|error| refused(connector, &describe(&error)))?;
        // Asked in this order: a pool of one connection would let the first session wait for the second.
        if other == before || backend(first).map_err(|error| connector.lost(&error))? != before {
            return Err(refused(
                connector,
                "two sessions were served by the same backend process",
            ));
        }
        transaction.rollback().map_err(|error| connector.lost(&error))?;
    }
    Ok(())
}

fn backend<C: postgres::GenericClient>(client: &mut C) -> Result<i32, postgres::Error> {
    // The simple protocol: a prepared statement would not survive being swapped.
    let row = rows(client.simple_query("SELECT pg_catalog.pg_backend_pid()")?).next();
    Ok(row
        .and_then(|row| row.get(0).and_then(|pid| pid.parse().ok()))
        .unwrap_or_default())
}

fn refused(connector: &Connector, evidence: &str) -> Error {
    Error::new(
        Kind::Connect,
        format!(
            "refusing to migrate: {} is behind a pooler that swaps connections",
            connector.settings()
        ),
        format!("{evidence}; a migration needs one session from its beginning to its end"),
    )
    .next(
        "connect to PostgreSQL itself (POSTGRES_HOST, POSTGRES_PORT: usually 5432, not the pooler's 6432),\n\
         or to a pool in session mode",
    )
}
