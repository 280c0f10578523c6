//! What the commands share that only read the database.

use clap::ArgMatches;
use xtask::database::connect::Session;
use xtask::database::{Connector, Settings, Target};
use xtask::error::describe;
use xtask::migration::catalog::Catalog;
use xtask::migration::{Context, run::read_catalog};
use xtask::{Error, Kind};

use super::options::{Connection, Locks};
use crate::{signals, ui};

/// A database as it was found.
pub struct Reading {
    /// A session that cannot write.
    pub client: postgres::Client,
    /// Its catalog.
    pub catalog: Catalog,
    /// Where it is.
    pub settings: Settings,
}

/// Connects, to a standby as well, and reads the catalog. Writes nothing and takes no mutex.
pub fn read(connection: &Connection, locks: &Locks, given: &ArgMatches) -> anyhow::Result<Reading> {
    signals::watch()?;
    let progress = ui::Progress::new(false);
    let connector = Connector::new(connection.settings(given)?, None)?;
    let context = Context {
        connector: &connector,
        wait: connection.wait,
        lock_timeout: locks.lock_timeout,
        lock_deadline: locks.lock_deadline,
        interrupted: &signals::received,
        observer: &|event| progress.event(&event),
    };
    let mut client = connector.wait(
        Target::Any,
        &Session::named("xtask (reading)"),
        context.wait,
        &signals::received,
        &|reason, since| {
            context.tell(xtask::migration::Event::WaitingForDatabase { reason, since });
        },
    )?;
    client
        .batch_execute("SET default_transaction_read_only = on; SET search_path = public")
        .map_err(|error| {
            Error::new(
                Kind::Connect,
                format!("cannot use {}", connector.settings()),
                describe(&error),
            )
        })?;
    let catalog = read_catalog(&mut client, &context)?;
    progress.clear();
    Ok(Reading {
        client,
        catalog,
        settings: connector.settings().clone(),
    })
}
