//! Reading the catalog of a database that others use.

use std::time::{Duration, Instant};

use postgres::Client;

use crate::error::{Error, Kind, describe};
use crate::migration::catalog::{Catalog, Fingerprint};
use crate::migration::context::{Context, Event};
use crate::migration::expected::Expected;

/// Reads the fingerprint.
///
/// # Errors
/// The connection is gone, mostly.
pub fn read_fingerprint(client: &mut Client) -> Result<Fingerprint, Error> {
    Fingerprint::read(client).map_err(|error| cannot_read(&error))
}

/// Reads the catalog, with owners as the expected one tells them, and tries again for as long as somebody holds a lock that a definition needs.
///
/// # Errors
/// Of kind [`Kind::Busy`] after the lock deadline.
pub fn read_catalog(
    client: &mut Client,
    context: &Context<'_>,
    expected: Option<&Expected>,
) -> Result<Catalog, Error> {
    let start = Instant::now();
    loop {
        let error = match Catalog::read(client, context.lock_timeout) {
            Ok(mut catalog) => {
                if let Some(expected) = expected {
                    catalog.keep_owners(&expected.objects);
                }
                return Ok(catalog);
            }
            Err(error) => error,
        };
        // lock_not_available; internal_error: an object was dropped meanwhile ("cache lookup failed")
        let may_pass = error
            .code()
            .is_some_and(|code| matches!(code.code(), "55P03" | "XX000"));
        if !may_pass
            || (error.code().is_some_and(|code| code.code() == "XX000") && start.elapsed() > Duration::from_secs(5))
        {
            return Err(cannot_read(&error));
        }
        if start.elapsed() >= context.lock_deadline {
            return Err(Error {
                kind: Kind::Busy,
                ..cannot_read(&error)
            }
            .next("somebody holds an ACCESS EXCLUSIVE lock on a table: wait for it, or end it"));
        }
        crate::database::connect::check(context.interrupted, "reading the catalog")?;
        context.tell(Event::Progress {
            text: "waiting to read the catalog: a table is locked",
        });
        std::thread::sleep(Duration::from_millis(50 + fastrand::u64(..100)));
    }
}

fn cannot_read(error: &postgres::Error) -> Error {
    Error::new(Kind::Failed, "cannot read the catalog", describe(error))
}
