//! How much of the journal is kept.

use postgres::GenericClient;
use postgres::types::Type;

use super::look::exists_table;

/// How many runs are kept, and for how long; the newest 20 always, and those that something else needs. What has run once
/// stays on record for ever.
#[derive(Debug, Clone, Copy)]
pub struct Keep {
    /// The newest.
    pub runs: u32,
    /// In days.
    pub days: u32,
}

impl Default for Keep {
    fn default() -> Self {
        Self { runs: 1000, days: 365 }
    }
}

/// Forgets older runs with their steps.
///
/// # Errors
/// The role may not, or the connection is gone.
pub(super) fn trim(client: &mut impl GenericClient, keep: Keep) -> Result<(), postgres::Error> {
    let number = |n: u32| i32::try_from(n).unwrap_or(i32::MAX);
    // The table is made when there is the first row for it.
    let quarantine = if exists_table(client, "quarantine")? {
        "migration.quarantine"
    } else {
        "(SELECT NULL::bigint AS run_id WHERE false)"
    };
    let sql = include_str!("trim.sql").replace("FROM quarantine AS q", &format!("FROM {quarantine} AS q"));
    client.query_typed(
        &sql,
        &[(&i64::from(keep.runs), Type::INT8), (&number(keep.days), Type::INT4)],
    )?;
    Ok(())
}
