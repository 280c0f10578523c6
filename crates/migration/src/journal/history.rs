//! Reading the journal: what runs did.

use std::collections::BTreeMap;

use postgres::types::Type;
use postgres::{Client, GenericClient};

use super::answers::{ChangedBy, PhaseTimes};
use super::look::{exists, exists_table};
use super::record::{Change, Details, RecordedStep, Run};
use crate::catalog::ObjectId;
use crate::source::statement::Statement;

/// The newest runs, the newest first; none where there is no journal yet.
///
/// # Errors
/// The journal may not be read, or the connection is gone.
pub fn runs(client: &mut impl GenericClient, limit: i64) -> Result<Vec<Run>, postgres::Error> {
    read(client, limit, None)
}

/// One run with its changes and steps; none where there is no such run.
///
/// # Errors
/// As [`runs`].
pub fn run(client: &mut impl GenericClient, id: i64) -> Result<Option<Run>, postgres::Error> {
    let Some(mut run) = read(client, 1, Some(id))?.pop() else {
        return Ok(None);
    };
    let changes = client.query_typed(include_str!("changes.sql"), &[(&id, Type::INT8)])?;
    let steps = client.query_typed(include_str!("steps.sql"), &[(&id, Type::INT8)])?;
    run.details = Some(Details {
        changes: changes.iter().map(Change::from_row).collect::<Result<_, _>>()?,
        steps: steps.iter().map(RecordedStep::from_row).collect::<Result<_, _>>()?,
    });
    Ok(Some(run))
}

fn read(client: &mut impl GenericClient, limit: i64, id: Option<i64>) -> Result<Vec<Run>, postgres::Error> {
    if !exists(client)? {
        return Ok(Vec::new());
    }
    let rows = client.query_typed(include_str!("runs.sql"), &[(&limit, Type::INT8), (&id, Type::INT8)])?;
    let mut runs = rows.iter().map(Run::from_row).collect::<Result<Vec<_>, _>>()?;
    if exists_table(client, "quarantine")? {
        let ids: Vec<i64> = runs.iter().map(|run| run.id).collect();
        let rows = client.query_typed(include_str!("set_aside.sql"), &[(&ids, Type::INT8_ARRAY)])?;
        let counted = rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?)));
        let counts = counted.collect::<Result<BTreeMap<i64, i64>, postgres::Error>>()?;
        for run in &mut runs {
            run.set_aside = counts.get(&run.id).copied().unwrap_or_default();
        }
    }
    Ok(runs)
}

/// The runs that changed an object, the newest first.
///
/// # Errors
/// As [`runs`].
pub fn changes_of_object(
    client: &mut impl GenericClient,
    object: &ObjectId,
    limit: i64,
) -> Result<Vec<ChangedBy>, postgres::Error> {
    if !exists(client)? {
        return Ok(Vec::new());
    }
    let rows = client.query_typed(
        include_str!("object.sql"),
        &[
            (&object.kind, Type::TEXT),
            (&object.identity, Type::TEXT),
            (&limit, Type::INT8),
        ],
    )?;
    rows.iter().map(ChangedBy::from_row).collect()
}

/// How long each phase took, in the order of their names.
///
/// # Errors
/// As [`runs`].
pub fn times_of_phases(client: &mut impl GenericClient) -> Result<Vec<PhaseTimes>, postgres::Error> {
    if !exists(client)? {
        return Ok(Vec::new());
    }
    let rows = client.query_typed(include_str!("stats.sql"), &[])?;
    rows.iter().map(PhaseTimes::from_row).collect()
}

/// Whether a statement changed rows in the run before this one.
///
/// # Errors
/// As [`runs`].
pub fn changed_rows_before(client: &mut Client, run: i64, statement: &Statement) -> Result<bool, postgres::Error> {
    let sql = "SELECT EXISTS (
        SELECT FROM migration.steps AS s
        WHERE s.statement_hash = $2 AND s.rows > 0
          AND s.run_id = (SELECT pg_catalog.max(r.id) FROM migration.runs AS r WHERE r.id < $1))";
    let rows = client.query_typed(sql, &[(&run, Type::INT8), (&statement.hash(), Type::TEXT)])?;
    rows.first().map_or(Ok(false), |row| row.try_get(0))
}
