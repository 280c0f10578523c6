//! What is in no phase file: repair, and the end of what an earlier version left.

use connection::{Error, Kind, describe};

use super::Migration;
use crate::catalog::{Catalog, Difference, ObjectId};
use crate::change::{Script, Step};
use crate::expected::Expected;
use crate::failure::not_allowed;
use crate::plan::{Plan, Repair, phases_of};

/// Adds columns that tables lack which are there, as far as `is_meant` says so, with the sequences of their defaults.
pub(super) fn missing_columns(expected: &Expected, actual: &Catalog, is_meant: impl Fn(&ObjectId) -> bool) -> Script {
    let is_there = |id: &ObjectId| {
        id.table()
            .is_none_or(|table| actual.get(&ObjectId::new("table", table)).is_some())
    };
    let is_column = |difference: &Difference| {
        let id = difference.id();
        let is_missing = matches!(difference, Difference::Missing { .. });
        is_missing && ["column", "sequence"].contains(&id.kind.as_str()) && is_there(id) && is_meant(id)
    };
    let mut differences = expected.differences(actual);
    differences.retain(is_column);
    // Alone a sequence is nothing that a statement misses.
    if !differences.iter().any(|difference| difference.id().kind == "column") {
        differences.clear();
    }
    Repair::new(expected, actual, &differences).asked
}

impl Migration<'_> {
    /// Where that was asked for, adds columns that no statement adds and later ones may need. Tells whether there were any.
    pub(super) fn repair_columns(&mut self, plan: &Plan<'_>, actual: &Catalog) -> Result<bool, Error> {
        let Some(expected) = self.goal.expected.as_ref().filter(|_| self.goal.repair) else {
            return Ok(false);
        };
        let script = missing_columns(expected, actual, |id| !plan.leaves(id, actual));
        self.run_script("repair", &script.steps, actual)?;
        Ok(!script.steps.is_empty())
    }

    /// Makes what is missing, and with `--repair` changes what differs. Tells whether there was anything to do.
    pub(super) fn repair(&mut self, repair: &Repair, actual: &Catalog) -> Result<bool, Error> {
        self.run_script("heal", &repair.heals, actual)?;
        let asked = if self.goal.repair {
            repair.asked.steps.as_slice()
        } else {
            &[]
        };
        self.run_script("repair", asked, actual)?;
        Ok(!(repair.heals.is_empty() && asked.is_empty()))
    }

    /// Runs statements under the same rules as those of the phases.
    pub(super) fn run_script(&mut self, name: &str, steps: &[Step], actual: &Catalog) -> Result<(), Error> {
        if steps.is_empty() {
            return Ok(());
        }
        if let Some(error) = not_allowed(steps, self.goal.allow_data_loss, self.goal.allow_rewrite) {
            return Err(error);
        }
        let loses = self.goal.allow_data_loss.then_some("asked for");
        let phases = phases_of(name, steps, loses);
        let plan = Plan::of_script(&phases, steps);
        let of_phases = std::mem::replace(&mut self.satisfied, vec![None; steps.len()]);
        let failed = |error: postgres::Error| Error::new(Kind::Failed, format!("cannot {name}"), describe(&error));
        // A function may name what comes after it.
        let client = &mut self.executor.client;
        let set = client.batch_execute("SET check_function_bodies = off").map_err(failed);
        let result = set.and_then(|()| self.pass(&plan, &phases, actual));
        self.satisfied = of_phases;
        result?;
        self.summary.repaired.extend(steps.iter().map(|step| step.sql.clone()));
        self.executor.end_file().map_err(failed)
    }
}
