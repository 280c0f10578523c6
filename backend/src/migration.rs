//! What the journal of migrations says, for the metrics.

use std::time::Instant;

use tokio_postgres::{Error, Row};

/// The migrations of the database, as the last readiness check saw them.
#[derive(Clone, Copy, Debug)]
pub struct Migrations {
    /// A run has begun and not ended: it is under way, or its process has died.
    pub in_progress: bool,
    /// The newest run that has ended; none: there is none.
    pub last: Option<EndedRun>,
}

/// A run that has ended.
#[derive(Clone, Copy, Debug)]
pub struct EndedRun {
    /// From its beginning to its end, in seconds; none: its process has died.
    pub duration: Option<f64>,
    /// It succeeded.
    pub succeeded: bool,
    /// The database was as expected.json says when it ended.
    pub converged: bool,
    /// Statements that it ran.
    pub statements: f64,
    /// Seconds since it ended when it was looked at.
    age: f64,
    seen: Instant,
}

impl Migrations {
    /// From the row of `last_run.sql`.
    ///
    /// # Errors
    /// When a column has another type.
    pub fn from_row(row: &Row) -> Result<Self, Error> {
        let outcome: Option<&str> = row.try_get(2)?;
        let succeeded: Option<bool> = row.try_get(8)?;
        let last = succeeded.map(|succeeded| {
            Ok(EndedRun {
                duration: row.try_get(7)?,
                succeeded,
                converged: row.try_get(9)?,
                statements: row.try_get(10)?,
                age: row.try_get(11)?,
                seen: Instant::now(),
            })
        });
        Ok(Self {
            in_progress: outcome == Some("running"),
            last: last.transpose()?,
        })
    }
}

impl EndedRun {
    /// Seconds since it ended, by the database's clock and by how long ago it was looked at.
    #[must_use]
    pub fn age(&self) -> f64 {
        self.age + self.seen.elapsed().as_secs_f64()
    }

    /// One that ended so many seconds ago, for tests.
    #[cfg(test)]
    pub(crate) fn ended(age: f64) -> Self {
        Self {
            duration: Some(0.25),
            succeeded: true,
            converged: false,
            statements: 3.0,
            age,
            seen: Instant::now(),
        }
    }
}
