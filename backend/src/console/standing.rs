//! Whether the database is what `expected.json` says: read anew when somebody looks, and not more often than it takes.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use engine::Expected;
use engine::catalog::{Catalog, Difference};
use engine::session::Connector;
use engine::session::connect::Session;
use engine::session::settings::for_reading;
use tokio::sync::Mutex;

use crate::settings::ConsoleSettings;

/// A look is given to everybody who asks within this time.
const FRESH: Duration = Duration::from_secs(5);
/// How long the catalog may be waited for.
const LOCK_TIMEOUT: Duration = Duration::from_secs(1);

/// What a look found.
#[derive(Clone)]
pub(super) struct Look {
    /// The version that the database shall be at.
    pub version: String,
    /// How many objects are expected.
    pub expected: usize,
    /// What is missing or otherwise, and what is there besides.
    pub differences: Vec<Difference>,
}

impl Look {
    /// What is missing or otherwise.
    pub(super) fn wrong(&self) -> impl Iterator<Item = &Difference> {
        self.differences.iter().filter(|difference| !difference.is_extra())
    }
}

/// The last look.
pub(super) struct Standing {
    connection: connection::Settings,
    path: PathBuf,
    last: Mutex<Option<(Instant, Result<Look, String>)>>,
}

impl Standing {
    pub(super) fn new(settings: &ConsoleSettings) -> Self {
        Self {
            connection: settings.database.connection.clone(),
            path: settings.expected.clone(),
            last: Mutex::default(),
        }
    }

    /// Looks, or tells what has just been seen; or why nothing can be told, for people.
    pub(super) async fn look(&self) -> Result<Look, String> {
        let mut last = self.last.lock().await;
        if let Some((when, look)) = last.as_ref().filter(|(when, _)| when.elapsed() < FRESH) {
            tracing::debug!(age = ?when.elapsed(), "the last look at the catalog is told again");
            return look.clone();
        }
        let (connection, path) = (self.connection.clone(), self.path.clone());
        let look = tokio::task::spawn_blocking(move || read(connection, &path)).await;
        let look = look.unwrap_or_else(|error| Err(format!("the look at the catalog failed: {error}")));
        *last = Some((Instant::now(), look.clone()));
        look
    }
}

fn read(connection: connection::Settings, path: &std::path::Path) -> Result<Look, String> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("{} cannot be read: {error} (CONSOLE_EXPECTED)", path.display()))?;
    let expected = Expected::parse(&text).map_err(|error| format!("{}: {error}", path.display()))?;
    let failed = |error: &dyn std::fmt::Display| {
        tracing::warn!(%error, "the catalog cannot be read for the console");
        "the catalog cannot be read; the log says why".to_owned()
    };
    let connector = Connector::new(connection, None).map_err(|error| failed(&error))?;
    let mut client = connector
        .connect(&Session::named("backend (console)"))
        .map_err(|error| failed(&error))?;
    client
        .batch_execute(&for_reading(LOCK_TIMEOUT))
        .map_err(|error| failed(&error))?;
    let catalog = Catalog::read(&mut client, LOCK_TIMEOUT).map_err(|error| failed(&error))?;
    Ok(Look {
        differences: expected.differences(&catalog),
        expected: expected.objects.len(),
        version: expected.version,
    })
}
