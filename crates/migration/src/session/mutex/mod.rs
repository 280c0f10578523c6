//! One migration at a time: the mutex is the only way to the session that a migration uses.

use std::time::{Duration, Instant};

use connection::{Error, Hint, Kind, Next, describe};
use postgres::Client;
use postgres::types::{ToSql, Type};

use super::connect::{Begun, Session, Target, check};
use super::pooler::{self, Opening};
use super::read_only::Why;
use super::{Terms, Waiting, settings};

/// The advisory lock of a migration, in its database. "xtask" in ASCII, then 1.
const MIGRATION: i64 = 0x0078_7461_736b_0001;
/// The advisory lock of a phase that touches what all databases share, in one of [`MEETING_PLACES`].
const CLUSTER: i64 = 0x0078_7461_736b_0002;
/// Databases that every cluster has.
const MEETING_PLACES: [&str; 2] = ["postgres", "template1"];

/// The session of a migration that holds the mutex. Dropping it ends the session, which frees the mutex.
pub struct Locked {
    /// The session.
    pub client: Client,
    /// What the server told of itself.
    pub server: Server,
    /// SQL that tells the session again what RESET ALL takes away.
    pub settings: String,
}

/// What a server tells of itself and of a session.
#[derive(Debug, Clone)]
pub struct Server {
    /// The session's process on it.
    pub pid: i32,
    /// The session's role.
    pub role: String,
    /// Its version as it prints it, for instance `15.18`.
    pub version: String,
    /// Its version as a number, for instance `150018`.
    pub version_number: String,
    /// The database has a journal, of whatever version.
    pub journal: bool,
    /// The encoding of the database, for instance `UTF8`.
    pub encoding: String,
    /// Roles or databases of the cluster have, or had, settings of their own.
    pub own_settings: bool,
}

/// Begins to connect for [`acquire`].
pub fn open<'a>(terms: &Terms<'a>) -> Opening<'a> {
    Opening::begin(terms.connector, &settings::as_options(terms.lock_timeout))
}

/// Waits for the database and for the mutex.
///
/// The lock is polled: a session that is blocked in `pg_advisory_lock` holds a snapshot, for which the
/// other migration's `CREATE INDEX CONCURRENTLY` waits.
///
/// # Errors
/// No connection, or one through a pooler that swaps sessions; a server that does not accept writes, or is older than
/// 15; the mutex is held for longer than the lock deadline ([`Kind::Busy`]).
pub fn acquire(opening: &Opening<'_>, terms: &Terms<'_>) -> Result<Locked, Error> {
    let connector = terms.connector;
    let mut client = opening.wait(terms)?;
    let failed = |error: postgres::Error| connector.lost(&error);
    let mut again = String::new();
    let mut session = prepare(&mut client, &opening.token, false).map_err(failed)?;
    if !session.direct {
        pooler::refuse_swapping(connector, &mut client)?;
        again = settings::as_sql(terms.lock_timeout);
        client.batch_execute(&again).map_err(failed)?;
        session = prepare(&mut client, &opening.token, true).map_err(failed)?;
    }
    if session.read_only {
        return Err(Why::ask(&mut client).error(connector.settings()));
    }
    let mut server = session.server;
    if server
        .version_number
        .parse()
        .is_ok_and(|version: u32| version < 150_000)
    {
        return Err(Error::new(
            Kind::Failed,
            "cannot migrate",
            format!("PostgreSQL {} is too old", server.version),
        )
        .next("PostgreSQL 15 and later are supported"));
    }
    if !session.locked {
        poll(&mut client, MIGRATION, "another migration of this database", terms)?;
        // The one that held it may have made the journal. The mutex is taken once more, and ends with the session.
        server = prepare(&mut client, &opening.token, true).map_err(failed)?.server;
    }
    // As session.sql sets it.
    if session.checks_connection {
        again.push_str("SET client_connection_check_interval = '1s';");
    }
    if session.limits_transactions {
        again.push_str("SET transaction_timeout = 0;");
    }
    Ok(Locked {
        client,
        server,
        settings: again,
    })
}

struct Prepared {
    direct: bool,
    read_only: bool,
    locked: bool,
    checks_connection: bool,
    limits_transactions: bool,
    server: Server,
}

/// Tries the mutex, and asks what is to be known, unless a pooler stands in between that is not known to keep it.
fn prepare(client: &mut Client, token: &str, trusted: bool) -> Result<Prepared, postgres::Error> {
    let parameters: [(&(dyn ToSql + Sync), Type); 3] =
        [(&token, Type::TEXT), (&MIGRATION, Type::INT8), (&trusted, Type::BOOL)];
    let row = client.query_typed_one(include_str!("session.sql"), &parameters)?;
    Ok(Prepared {
        direct: row.try_get("direct")?,
        read_only: row.try_get("read_only")?,
        locked: row.try_get::<_, Option<bool>>("locked")?.unwrap_or(false),
        checks_connection: row.try_get::<_, Option<String>>("check_interval")?.is_some(),
        limits_transactions: row.try_get::<_, Option<String>>("transaction_timeout")?.is_some(),
        server: Server {
            pid: row.try_get("pid")?,
            role: row.try_get("role")?,
            version: row.try_get("version")?,
            version_number: row.try_get("version_number")?,
            journal: row.try_get("journal")?,
            encoding: row.try_get("encoding")?,
            own_settings: row.try_get("own_settings")?,
        },
    })
}

/// Begins to connect for [`acquire_cluster`].
pub fn open_cluster(terms: &Terms<'_>) -> Begun {
    terms
        .connector
        .begin(Target::Any, &meeting_place(MEETING_PLACES[0], None))
}

fn meeting_place<'s>(database: &'s str, begun: Option<&'s Begun>) -> Session<'s> {
    Session {
        database: Some(database),
        begun,
        ..Session::named("xtask migrate (roles)")
    }
}

/// The mutex of a phase that touches roles or databases, which all databases of a server share:
/// held until it is dropped.
///
/// Advisory locks belong to one database, so all migrations of a cluster meet in one of `MEETING_PLACES`. A role that
/// may connect to neither goes without: the executor tries again what fails because somebody else was at it.
///
/// # Errors
/// It is held for longer than the lock deadline ([`Kind::Busy`]).
pub fn acquire_cluster(begun: &Begun, terms: &Terms<'_>) -> Result<Option<Client>, Error> {
    for database in MEETING_PLACES {
        let begun = Some(begun).filter(|_| database == MEETING_PLACES[0]);
        let Ok(mut client) = terms.connector.connect(&meeting_place(database, begun)) else {
            continue;
        };
        if lock(&mut client, CLUSTER).is_ok_and(|locked| locked) {
            return Ok(Some(client));
        }
        // One that was begun long ago may have been cut since.
        if client.is_closed()
            && let Ok(again) = terms.connector.connect(&meeting_place(database, None))
        {
            client = again;
        }
        poll(&mut client, CLUSTER, "another migration's work on roles", terms)?;
        return Ok(Some(client));
    }
    Ok(None)
}

fn lock(client: &mut Client, key: i64) -> Result<bool, postgres::Error> {
    client
        .query_typed_one("SELECT pg_catalog.pg_try_advisory_lock($1)", &[(&key, Type::INT8)])?
        .try_get(0)
}

fn poll(client: &mut Client, key: i64, what: &str, terms: &Terms<'_>) -> Result<(), Error> {
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
        if start.elapsed() >= terms.lock_deadline {
            return Err(Error::new(
                Kind::Busy,
                format!("{what} is under way, nothing was run"),
                format!("{holder}; waited {}", humantime::format_duration(terms.lock_deadline)),
            )
            .next(Next::from("wait for it and run again, or allow ").hint(Hint::LockDeadline)));
        }
        (terms.tell)(Waiting::ForMutex {
            what,
            holder,
            since: start.elapsed(),
        });
        check(terms.interrupted, &format!("waiting for {what}"))?;
        std::thread::sleep(Duration::from_millis(50 + fastrand::u64(..50)).min(terms.lock_deadline));
    }
}

fn holder(client: &mut Client, key: i64) -> Result<Option<String>, postgres::Error> {
    let rows = client.query_typed(include_str!("holder.sql"), &[(&key, Type::INT8)])?;
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
