//! What the history answers, as values.

use postgres::Row;
use serde::Serialize;

use super::record::Outcome;

/// A run that changed a certain object.
#[derive(Debug, Serialize)]
pub struct ChangedBy {
    /// The run.
    pub run: i64,
    /// When it began, as ISO 8601 has it.
    pub started: String,
    /// How it ended.
    pub outcome: Outcome,
    /// The version of the phases.
    pub version: Option<String>,
    /// The commit of the phase files.
    pub git_commit: Option<String>,
    /// Whether somebody has looked; otherwise this is what was planned.
    pub changes_seen: bool,
    /// The object's definition before; none: it was not there.
    pub before: Option<String>,
    /// Its definition after.
    pub after: Option<String>,
}

impl ChangedBy {
    /// From a row of `object.sql`.
    pub(super) fn from_row(row: &Row) -> Result<Self, postgres::Error> {
        Ok(Self {
            run: row.try_get("id")?,
            started: row.try_get("started")?,
            outcome: row.try_get("outcome")?,
            version: row.try_get("version")?,
            git_commit: row.try_get("git_commit")?,
            changes_seen: row.try_get("changes_seen")?,
            before: row.try_get("before")?,
            after: row.try_get("after")?,
        })
    }
}

/// How long a phase took in the runs that did something in it and came to its end.
#[derive(Debug, Clone, Serialize)]
pub struct PhaseTimes {
    /// Its name.
    pub phase: String,
    /// How many runs.
    pub runs: i64,
    /// Half of them took less, in milliseconds.
    #[serde(rename = "median_milliseconds")]
    pub median: f64,
    /// 95 of 100 took less.
    #[serde(rename = "p95_milliseconds")]
    pub p95: f64,
    /// The newest of them took so long.
    #[serde(rename = "last_milliseconds")]
    pub last: f64,
    /// The newest of them.
    pub last_run: i64,
}

impl PhaseTimes {
    /// How many times as long as the median the newest run took, if that is worth telling: there must be some runs to
    /// compare with, and a few milliseconds come and go.
    pub fn slower(&self) -> Option<f64> {
        let worth_telling = self.runs >= 3 && self.last >= 1.5 * self.median && self.last - self.median >= 10.0;
        (worth_telling && self.median > 0.0).then(|| self.last / self.median)
    }

    /// From a row of `stats.sql`.
    pub(super) fn from_row(row: &Row) -> Result<Self, postgres::Error> {
        Ok(Self {
            phase: row.try_get("phase")?,
            runs: row.try_get("runs")?,
            median: row.try_get("median")?,
            p95: row.try_get("p95")?,
            last: row.try_get("last")?,
            last_run: row.try_get("last_run")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_slower_than_usual() {
        let times = |runs, median, last| PhaseTimes {
            phase: "01_x".to_owned(),
            runs,
            median,
            p95: last,
            last,
            last_run: 9,
        };
        assert_eq!(times(5, 100.0, 250.0).slower(), Some(2.5));
        assert_eq!(times(5, 100.0, 120.0).slower(), None);
        assert_eq!(
            times(2, 100.0, 250.0).slower(),
            None,
            "of two runs the median says nothing"
        );
        assert_eq!(times(5, 1.0, 5.0).slower(), None, "it is a few milliseconds");
    }
}
