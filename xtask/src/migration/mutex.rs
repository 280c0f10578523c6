//! One migration at a time: the mutex is the only way to the session that a migration uses.

use std::time::{Duration, Instant};

use postgres::Client;
use postgres::types::Type;

use super::executor::{Context, Event, milliseconds};
use crate::database::connect::{Session, check};
use crate::database::{Target, pooler};
use crate::error::{Error, Kind, describe};

/// The advisory lock of a migration, in its database. "xtask" in ASCII, then 1.
const MIGRATION: i64 = 0x0078_7461_736b_0001;
/// The advisory lock of a phase that touches what all databases share, in the database `postgres`.
const CLUSTER: i64 = 0x0078_7461_736b_0002;

/// The session of a migration that holds the mutex. Dropping it ends the session, which frees the mutex.
pub struct Locked {
    /// The session.
    pub client: Client,
    /// Its process on the server.
    pub pid: i32,
    /// The server's version as it prints it, for instance `15.18`.
    pub server_version: String,
    /// The version of the journal's schema; none where there is no journal yet.
    pub journal_version: Option<String>,
}

/// Waits for the database, connects, and waits for the mutex.
///
/// The lock is polled: a session that is blocked in `pg_advisory_lock` holds a snapshot, for which the
/// other migration's `CREATE INDEX CONCURRENTLY` waits.
///
/// # Errors
/// No connection; a server older than 14; the mutex is held for longer than the lock deadline ([`Kind::Busy`]).
pub fn acquire(context: &Context<'_>) -> Result<Locked, Error> {
    let mut client = pooler::connect_session(
        context.connector,
        Target::Writable,
        context.wait,
        context.interrupted,
        &|reason, since| {
            context.tell(Event::WaitingForDatabase { reason, since });
        },
    )?;
    let failed = |error: postgres::Error| {
        Error::new(
            Kind::Connect,
            format!("cannot use {}", context.connector.settings()),
            describe(&error),
        )
    };
    let lock_timeout = milliseconds(context.lock_timeout);
    let rows = client
        .query_typed(
            include_str!("mutex/session.sql"),
            &[(&MIGRATION, Type::INT8), (&lock_timeout, Type::TEXT)],
        )
        .map_err(failed)?;
    let Some(row) = rows.first() else {
        return Err(Error::new(
            Kind::Connect,
            "cannot use the database",
            "it answered with no row",
        ));
    };
    let version_number: i32 = row.try_get("version_number").map_err(failed)?;
    let server_version: String = row.try_get("version").map_err(failed)?;
    let journal_version = row.try_get("journal_version").map_err(failed)?;
    let pid = row.try_get("pid").map_err(failed)?;
    let locked: bool = row.try_get("locked").map_err(failed)?;
    if version_number < 150_000 {
        return Err(Error::new(
            Kind::Failed,
            "cannot migrate",
            format!("PostgreSQL {server_version} is too old"),
        )
        .next("PostgreSQL 15 and later are supported"));
    }
    if !locked {
        poll(&mut client, MIGRATION, "another migration of this database", context)?;
    }
    Ok(Locked {
        client,
        pid,
        server_version,
        journal_version,
    })
}

/// The mutex of a phase that touches roles or databases, which all databases of a server share:
/// held until it is dropped.
///
/// Advisory locks belong to one database, so all migrations of a cluster meet in `postgres` (or
/// `template1`). A role that may connect to neither goes without: the executor tries again what
/// fails because somebody else was at it.
///
/// # Errors
/// It is held for longer than the lock deadline ([`Kind::Busy`]).
pub fn acquire_cluster(context: &Context<'_>) -> Result<Option<Client>, Error> {
    for database in ["postgres", "template1"] {
        let Ok(mut client) = context.connector.connect(&Session {
            database: Some(database),
            ..Session::default()
        }) else {
            continue;
        };
        let named = client.batch_execute("SET application_name = 'xtask migrate (roles)'");
        if named.is_ok() && lock(&mut client, CLUSTER).is_ok_and(|locked| locked) {
            return Ok(Some(client));
        }
        poll(&mut client, CLUSTER, "another migration's work on roles", context)?;
        return Ok(Some(client));
    }
    Ok(None)
}

fn lock(client: &mut Client, key: i64) -> Result<bool, postgres::Error> {
    let rows = client.query_typed("SELECT pg_catalog.pg_try_advisory_lock($1)", &[(&key, Type::INT8)])?;
    rows.first().map_or(Ok(false), |row| row.try_get(0))
}

fn poll(client: &mut Client, key: i64, what: &str, context: &Context<'_>) -> Result<(), Error> {
    let start = Instant::now();
    let failed = |error: postgres::Error| {
        Error::new(
            Kind::Connect,
            format!("lost the connection while waiting for {what}"),
            describe(&error),
        )
    };
    loop {
        if lock(client, key).map_err(failed)? {
            return Ok(());
        }
        let holder = holder(client, key).map_err(failed)?;
        let holder = holder.as_deref().unwrap_or("somebody who has just ended");
        if start.elapsed() >= context.lock_deadline {
            return Err(Error::new(
                Kind::Busy,
                format!("{what} is under way, nothing was run"),
                format!("{holder}; waited {}", humantime::format_duration(context.lock_deadline)),
            )
            .next("wait for it and run again, or allow more time: --lock-deadline 30min"));
        }
        context.tell(Event::WaitingForMutex {
            what,
            holder,
            since: start.elapsed(),
        });
        check(context.interrupted, &format!("waiting for {what}"))?;
        std::thread::sleep(Duration::from_millis(50 + fastrand::u64(..50)).min(context.lock_deadline));
    }
}

fn holder(client: &mut Client, key: i64) -> Result<Option<String>, postgres::Error> {
    let rows = client.query_typed(include_str!("mutex/holder.sql"), &[(&key, Type::INT8)])?;
    let Some(row) = rows.first() else { return Ok(None) };
    let pid: i32 = row.try_get("pid")?;
    let user: String = row.try_get("user_name")?;
    let application: String = row.try_get("application")?;
    let address: String = row.try_get("address")?;
    let seconds: f64 = row.try_get("seconds")?;
    Ok(Some(format!(
        "held by “{application}” (pid {pid}, user {user}, from {address}, for {seconds:.0} s)"
    )))
}
