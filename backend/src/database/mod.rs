//! The pool, and the only way to query through it: bounded in time, tried again where that helps.

mod connect;
mod failure;

use std::time::Duration;

use connection::{SslMode, Trouble};
use deadpool_postgres::{Manager, ManagerConfig, Object, Pool, RecyclingMethod, Runtime};
use tokio::time::timeout;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Error, Row};

pub use failure::{Failure, FailureKind};

use crate::settings::DatabaseSettings;
use connect::Connector;

/// Tries of one query: a restarted server has closed several pooled connections at once.
const TRIES: u32 = 3;
/// Time for the server's own `statement_timeout` to arrive before the connection is given up.
const GRACE: Duration = Duration::from_millis(500);

/// The database, through a pool. Cloning is cheap and shares the pool.
#[derive(Clone, Debug)]
pub struct Database {
    pool: Pool,
    statement_timeout: Duration,
}

/// The pool's state.
#[derive(Clone, Copy, Debug)]
pub struct PoolStatus {
    /// Open connections.
    pub size: usize,
    /// Most open connections.
    pub most: usize,
    /// Open connections that are not in use.
    pub idle: usize,
    /// Requests that wait for one.
    pub waiting: usize,
}

impl Database {
    /// Makes the pool. It connects when the first query comes, so the database may be away.
    ///
    /// # Errors
    /// When the root certificates cannot be read.
    pub fn new(settings: &DatabaseSettings) -> anyhow::Result<Self> {
        let connector = Connector::new(settings)?;
        let hosts = u32::try_from(settings.connection.config.get_hosts().len()).unwrap_or(1);
        let attempts = match settings.connection.ssl {
            SslMode::Allow | SslMode::Prefer => 2 * hosts,
            _ => hosts,
        };
        let manager = Manager::from_connect(
            settings.connection.config.clone(),
            connector,
            ManagerConfig {
                recycling_method: RecyclingMethod::Fast,
            },
        );
        let pool = Pool::builder(manager)
            .max_size(settings.pool_size)
            .wait_timeout(Some(settings.statement_timeout))
            // Each attempt may use up the time to connect; logging in gets the same once more.
            .create_timeout(Some(settings.connect_timeout * (attempts + 1)))
            .runtime(Runtime::Tokio1)
            .build()?;
        Ok(Self {
            pool,
            statement_timeout: settings.statement_timeout,
        })
    }

    /// Runs a query that only reads, on a statement that is prepared once a connection.
    ///
    /// # Errors
    /// When no connection can be had, the time is over, or PostgreSQL refuses.
    pub async fn query(&self, sql: &str, parameters: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, Failure> {
        let mut tried = 0;
        loop {
            tried += 1;
            let connection = self.pool.get().await?;
            match timeout(self.statement_timeout + GRACE, run(&connection, sql, parameters)).await {
                Ok(Ok(rows)) => return Ok(rows),
                // It only reads, so it may run twice.
                Ok(Err(error)) if tried < TRIES && is_lost(&error) => {
                    self.pool.retain(|pooled, _| !pooled.is_closed());
                }
                Ok(Err(error)) => return Err(error.into()),
                Err(_) => {
                    // The answer may still come, and the next query would wait behind it.
                    drop(Object::take(connection));
                    return Err(Failure::timeout());
                }
            }
        }
    }

    /// The pool's state.
    #[must_use]
    pub fn status(&self) -> PoolStatus {
        let status = self.pool.status();
        PoolStatus {
            size: status.size,
            most: status.max_size,
            idle: status.available,
            waiting: status.waiting,
        }
    }
}

async fn run(connection: &Object, sql: &str, parameters: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, Error> {
    let statement = connection.prepare_cached(sql).await?;
    match connection.query(&statement, parameters).await {
        // A migration has changed a column's type: "cached plan must not change result type".
        Err(error) if error.code() == Some(&SqlState::FEATURE_NOT_SUPPORTED) => {
            connection.statement_cache.remove(sql, &[]);
            let statement = connection.prepare_cached(sql).await?;
            connection.query(&statement, parameters).await
        }
        result => result,
    }
}

/// Whether the connection is gone, so that another one may answer.
fn is_lost(error: &Error) -> bool {
    matches!(
        Trouble::of(error),
        Trouble::Closed | Trouble::Network(_) | Trouble::Tls(_) | Trouble::Starting
    )
}
