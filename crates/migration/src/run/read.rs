//! Reading the catalog of a database that others use.

use std::time::{Duration, Instant};

use connection::{Error, Hint, Kind, Next, describe};
use postgres::Client;

use super::locked::Locked;
use crate::catalog::{Catalog, Fingerprint, Unread};
use crate::context::{Context, Event};
use crate::expected::Expected;
use crate::sqlstate;

/// Reads the fingerprint.
///
/// # Errors
/// The connection is gone, mostly.
pub fn read_fingerprint(client: &mut Client) -> Result<Fingerprint, Error> {
    Fingerprint::read(client).map_err(|error| cannot_read(&error))
}

/// Reads the catalog, with owners as the expected one tells them, and tries again for as long as somebody keeps readers out of a table whose definitions it needs.
/// Where it is known what the phases have to do with, nobody waits for other tables: the catalog is read without them,
/// and says so.
///
/// # Errors
/// Of kind [`Kind::Busy`] after the lock deadline, which names the tables and who holds them.
pub fn read_catalog(client: &mut Client, context: &Context<'_>, expected: Option<&Expected>) -> Result<Catalog, Error> {
    let start = Instant::now();
    let mut without = Vec::new();
    loop {
        let error = match read_once(client, context, expected, &without) {
            Ok(catalog) => {
                for Unread { relation, holder } in catalog.unread() {
                    context.tell(Event::NotLookedAt { relation, holder });
                }
                return Ok(catalog);
            }
            Err(error) => error,
        };
        let locked = if sqlstate::is_lock_timeout(&error) {
            Locked::find(client).map_err(|error| cannot_read(&error))?
        } else if sqlstate::is_internal(&error) && start.elapsed() <= Duration::from_secs(5) {
            Vec::new()
        } else {
            return Err(cannot_read(&error));
        };
        let (waited_for, left_out): (Vec<_>, Vec<_>) = locked
            .iter()
            .partition(|locked| expected.is_none_or(|expected| locked.matters(expected)));
        let known = without.len();
        for locked in left_out {
            if !without.iter().any(|(oid, _)| *oid == locked.oid) {
                without.push(locked.unread());
            }
        }
        // What was in the way does not matter: read again at once.
        if without.len() > known {
            continue;
        }
        let why = describe_locked(&waited_for);
        if start.elapsed() >= context.lock_deadline {
            let cause = if why.is_empty() { describe(&error) } else { why };
            let waited = humantime::format_duration(context.lock_deadline);
            return Err(
                Error::new(Kind::Busy, format!("cannot read the catalog (waited {waited})"), cause)
                    .next(Next::from("wait for it, or end it, and run again, or allow ").hint(Hint::LockDeadline)),
            );
        }
        crate::session::connect::check(context.interrupted, "reading the catalog")?;
        if !why.is_empty() {
            context.tell(Event::WaitingToRead {
                reason: &why,
                since: start.elapsed(),
            });
        }
        std::thread::sleep(Duration::from_millis(50 + fastrand::u64(..100)));
    }
}

/// The same, tried once, without these relations.
///
/// # Errors
/// The connection is gone, or somebody keeps readers out of another table.
pub fn read_once(
    client: &mut Client,
    context: &Context<'_>,
    expected: Option<&Expected>,
    without: &[(u32, Unread)],
) -> Result<Catalog, postgres::Error> {
    let mut catalog = Catalog::read_without(client, context.lock_timeout, without)?;
    if let Some(expected) = expected {
        catalog.keep_owners(&expected.objects);
    }
    Ok(catalog)
}

/// The relations with who keeps readers out of them, one a line; what only reads such a one is told where it stands
/// alone.
fn describe_locked(locked: &[&Locked]) -> String {
    let causes = locked.iter().any(|locked| locked.is_cause());
    let told = locked.iter().filter(|locked| locked.is_cause() || !causes);
    let lines: Vec<_> = told
        .map(|locked| format!("{}: {}", locked.id, locked.holder()))
        .collect();
    lines.join("\n")
}

fn cannot_read(error: &postgres::Error) -> Error {
    Error::new(Kind::Failed, "cannot read the catalog", describe(error))
}
