//! Whether this process can answer requests: is the database reachable, has a migration succeeded,
//! can the tables be read.
//!
//! Any succeeded run will do. While a newer one is under way, or has failed, the running backend
//! stays ready as long as its own queries work: a deploy that fails must not take it down.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant, SystemTime};

use serde::Serialize;
use tokio::sync::{Mutex, watch};
use tokio::time::timeout;
use tokio_postgres::{Error, Row};

use crate::database::{Database, Failure, FailureKind};
use crate::http;
use crate::migration::Migrations;
use crate::{GIT_COMMIT, VERSION, milliseconds};

const LAST_RUN: &str = include_str!("last_run.sql");
/// A report is given to everybody who asks within this time, so that a flood of questions takes
/// one database connection.
const FRESH: Duration = Duration::from_millis(250);
/// Longest time of all checks together.
const DEADLINE: Duration = Duration::from_secs(3);
/// How often the process looks for itself, to log changes: until it is ready, and after that.
const WATCH_UNREADY: Duration = Duration::from_millis(500);
const WATCH_READY: Duration = Duration::from_secs(5);

/// The check, and the last report.
#[derive(Debug)]
pub struct Readiness {
    database: Database,
    deploy_id: Option<String>,
    /// Held while checking: who asks meanwhile waits for that check's report.
    last: Mutex<Option<(Instant, Arc<Report>)>>,
    /// What the last check came to.
    was_ready: watch::Sender<bool>,
    /// What the journal said when it could last be asked; none: it could not, or there is no journal.
    migrations: RwLock<Option<Migrations>>,
}

/// What `/health/ready` tells.
#[derive(Debug, Serialize)]
pub struct Report {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// For the logs.
    #[serde(skip)]
    detail: Option<String>,
    version: &'static str,
    git_commit: Option<&'static str>,
    deploy_id: Option<String>,
    checked_at: String,
    checks: Checks,
    last_run: Option<LastRun>,
}

impl Report {
    /// Whether all checks succeeded.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.reason.is_none()
    }

    /// Why it is not ready; empty if it is.
    #[must_use]
    pub fn reason(&self) -> &str {
        self.reason.as_deref().unwrap_or_default()
    }

    fn log(&self) {
        match &self.reason {
            None => tracing::info!("ready"),
            Some(reason) => tracing::warn!(reason, detail = self.detail, "not ready"),
        }
    }
}

#[derive(Debug, Serialize, Default)]
struct Checks {
    database: Check,
    migration: Check,
    schema: Check,
}

#[derive(Debug, Serialize)]
struct Check {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    milliseconds: Option<f64>,
}

impl Default for Check {
    fn default() -> Self {
        Self {
            status: "not checked",
            milliseconds: None,
        }
    }
}

#[derive(Debug, Serialize)]
struct LastRun {
    id: i64,
    outcome: Option<String>,
    tool_version: Option<String>,
    git_commit: Option<String>,
    started: Option<String>,
    finished: Option<String>,
}

impl LastRun {
    fn from_row(row: &Row) -> Result<Option<Self>, Error> {
        let Some(id) = row.try_get(1)? else {
            return Ok(None);
        };
        Ok(Some(Self {
            id,
            outcome: row.try_get(2)?,
            tool_version: row.try_get(3)?,
            git_commit: row.try_get(4)?,
            started: row.try_get(5)?,
            finished: row.try_get(6)?,
        }))
    }
}

impl Readiness {
    /// Nothing is checked yet.
    #[must_use]
    pub fn new(database: Database, deploy_id: Option<String>) -> Self {
        Self {
            database,
            deploy_id,
            last: Mutex::default(),
            was_ready: watch::Sender::new(false),
            migrations: RwLock::default(),
        }
    }

    /// The report of a check that ended at most 250 ms ago, or of a new one.
    pub async fn check(&self) -> Arc<Report> {
        let mut last = self.last.lock().await;
        if let Some((at, report)) = &*last
            && at.elapsed() < FRESH
        {
            return Arc::clone(report);
        }
        let report = Arc::new(self.report().await);
        let before = last.replace((Instant::now(), Arc::clone(&report)));
        if before.is_none_or(|(_, before)| before.reason != report.reason) {
            report.log();
        }
        self.was_ready.send_replace(report.is_ready());
        report
    }

    /// Whether the last check succeeded.
    #[must_use]
    pub fn was_ready(&self) -> bool {
        *self.was_ready.borrow()
    }

    /// Waits for the first check that succeeds; somebody has to [watch](Self::watch).
    pub async fn until_ready(&self) {
        // It cannot fail: the sender lives as long as this.
        let _ = self.was_ready.subscribe().wait_for(|ready| *ready).await;
    }

    /// The migrations as the last check saw them that could ask.
    #[must_use]
    pub fn migrations(&self) -> Option<Migrations> {
        *self.migrations.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn remember(&self, migrations: Option<Migrations>) {
        *self.migrations.write().unwrap_or_else(PoisonError::into_inner) = migrations;
    }

    /// Checks again and again, so that changes are logged although nobody asks; never ends.
    pub async fn watch(self: Arc<Self>) {
        loop {
            let pause = if self.check().await.is_ready() {
                WATCH_READY
            } else {
                WATCH_UNREADY
            };
            tokio::time::sleep(pause).await;
        }
    }

    async fn report(&self) -> Report {
        let mut checks = Checks::default();
        let mut last_run = None;
        let result = timeout(DEADLINE, self.run_checks(&mut checks, &mut last_run)).await;
        let failure = match result {
            Ok(Ok(())) => None,
            Ok(Err(failure)) => Some(failure),
            Err(_) => Some(Failure::timeout()),
        };
        Report {
            status: if failure.is_none() { "ready" } else { "unready" },
            reason: failure.as_ref().map(|failure| failure.reason.clone()),
            detail: failure.map(|failure| failure.detail),
            version: VERSION,
            git_commit: GIT_COMMIT,
            deploy_id: self.deploy_id.clone(),
            checked_at: humantime::format_rfc3339_millis(SystemTime::now()).to_string(),
            checks,
            last_run,
        }
    }

    async fn run_checks(&self, checks: &mut Checks, last_run: &mut Option<LastRun>) -> Result<(), Failure> {
        timed(&mut checks.database, self.database.query("SELECT 1", &[])).await?;
        timed(&mut checks.migration, self.migrated(last_run)).await?;
        // The routes' own queries, for one row: all that they need is there, and may be read.
        timed(&mut checks.schema, http::check_queries(&self.database)).await
    }

    async fn migrated(&self, last_run: &mut Option<LastRun>) -> Result<(), Failure> {
        let rows = self.database.query(LAST_RUN, &[]).await.map_err(|mut failure| {
            if failure.kind == FailureKind::Schema {
                self.remember(None);
                failure.reason = format!("the database has no journal of migrations: {}", failure.reason);
            }
            failure
        })?;
        let mut succeeded = false;
        for row in &rows {
            succeeded = row.try_get(0)?;
            *last_run = LastRun::from_row(row)?;
            self.remember(Some(Migrations::from_row(row)?));
        }
        if succeeded {
            Ok(())
        } else {
            Err(Failure::not_migrated("no migration has succeeded yet"))
        }
    }
}

async fn timed<T>(check: &mut Check, work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let started = Instant::now();
    // Stays if the deadline of all checks ends this one.
    check.status = "failed";
    let result = work.await;
    check.milliseconds = Some(milliseconds(started.elapsed()));
    if result.is_ok() {
        check.status = "ok";
    }
    result
}
