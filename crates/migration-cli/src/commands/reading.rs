//! What the commands share that only read the database.

use connection::{Error, Kind, Settings, describe};
use migration::catalog::Catalog;
use migration::journal::{Reached, Record};
use migration::session::connect::Session;
use migration::session::settings::for_reading;
use migration::session::{Connector, Target};
use migration::{Event, Expected, run::read_catalog};

use super::options::{Connection, Locks, context};
use crate::{signals, ui};

/// A database as it was found.
pub struct Reading {
    /// A session that cannot write.
    pub client: postgres::Client,
    /// Its catalog.
    pub catalog: Catalog,
    /// What its journal knows.
    pub record: Record,
    /// Where it is.
    pub settings: Settings,
}

impl Reading {
    /// What the database was brought to if that is newer than the phase files, and it shall be left alone.
    pub fn newer(&self, expected: &Expected, allow_older: bool) -> Option<Newer> {
        let reached = self.record.newer_than(expected).filter(|_| !allow_older)?;
        Some(Newer {
            settings: self.settings.clone(),
            reached: reached.clone(),
        })
    }
}

/// A database that a later version of the phases was brought to.
pub struct Newer {
    settings: Settings,
    reached: Reached,
}

impl Newer {
    /// Says that it is left as it is.
    pub fn say(&self) {
        ui::say_newer(&self.settings, &self.reached);
    }
}

/// Connects, to a standby as well, and reads the catalog; of tables that keep readers out, only those wait that are
/// expected. Writes nothing and takes no mutex.
pub fn read(connection: &Connection, locks: &Locks, expected: Option<&Expected>) -> anyhow::Result<Reading> {
    signals::watch()?;
    let progress = ui::Progress::new(false);
    let connector = Connector::new(connection.settings()?, None)?;
    let observer = |event: Event<'_>| progress.event(&event);
    let context = context(&connector, connection.wait, locks, &observer);
    let mut client = connector.wait(
        Target::Any,
        &Session::named("xtask (reading)"),
        context.wait,
        &signals::received,
        &|waiting| context.tell(migration::Event::Waiting(waiting)),
    )?;
    client
        .batch_execute(&for_reading(context.lock_timeout))
        .map_err(|error| {
            Error::new(
                Kind::Connect,
                format!("cannot use {}", connector.settings()),
                describe(&error),
            )
        })?;
    let record = Record::read(&mut client);
    let catalog = read_catalog(&mut client, &context, expected)?;
    progress.clear();
    Ok(Reading {
        client,
        catalog,
        record,
        settings: connector.settings().clone(),
    })
}
