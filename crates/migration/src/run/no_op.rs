//! The fast path of a run that finds nothing to do: it reads no catalog, and its journal entry is one message.

use std::time::Instant;

use connection::Error;

use super::Goal;
use super::read::read_fingerprint;
use crate::execute::Executor;
use crate::journal::{self, Newest, Record, Texts};
use crate::plan::{Actual, Input, Plan, Planned};
use crate::session::mutex::Server;

/// If the catalog is what the newest run left when it had converged to the same expected catalog, and the statements
/// that look for rows to change find none: records the run, which began at `start`, and returns its number. Otherwise
/// nothing was done.
///
/// # Errors
/// The fingerprint cannot be read.
pub(super) fn record(
    goal: &Goal,
    executor: &mut Executor<'_>,
    newest: &Newest,
    server: &Server,
    start: Instant,
) -> Result<Option<i64>, Error> {
    let Some(expected) = goal.expected.as_ref().filter(|_| !goal.prune) else {
        return Ok(None);
    };
    let Some(known) = newest.fingerprint(&expected.version) else {
        return Ok(None);
    };
    // Where nothing at all was written, neither was the catalog.
    let now = if newest.unwritten && known.is_by(&server.version_number, &server.role) {
        known.clone()
    } else {
        read_fingerprint(&mut executor.client)?
    };
    if now != *known {
        return Ok(None);
    }
    let all_done = Record::default();
    let plan = Plan::new(
        &goal.phases,
        expected,
        Input {
            force: goal.force,
            ..all_done.plan_input(Actual::Converged)
        },
    );
    let running = || plan.steps.iter().filter(|step| step.runs);
    if !running().all(Planned::looks_for_rows) {
        return Ok(None);
    }
    let statements: Vec<_> = running().map(|step| step.statement).collect();
    let record = journal::unchanged(
        &goal.author,
        plan.steps.len(),
        &expected.version,
        &now,
        start,
        Texts::of(&server.encoding),
    );
    Ok(executor
        .find_no_rows(&record, &statements)
        .and_then(|run| run.parse().ok()))
}
