//! What is in no phase file: repair, and the end of what an earlier version left.

use std::collections::BTreeMap;
use std::time::Instant;

use connection::{Error, Kind, describe};
use postgres::Client;

use super::{Goal, Migration, SetAside};
use crate::catalog::{Catalog, Difference, ObjectId};
use crate::change::{Script, Step};
use crate::context::Event;
use crate::expected::Expected;
use crate::failure::not_allowed;
use crate::plan::{Plan, Repair, phases_of};
use crate::source::phases::Phases;
use crate::source::statement::{Class, Statement};
use crate::violations::Lost;

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

/// The steps that lose values here, and how many rows hold them; an error where that, or that tables are written anew, is
/// not allowed.
pub(super) fn losing(client: &mut Client, steps: &[Step], goal: &Goal) -> Result<BTreeMap<usize, i64>, Error> {
    let mut losing = BTreeMap::new();
    for (n, step) in steps.iter().enumerate().filter(|(_, step)| step.loses) {
        let Some(lost) = Lost::with(&step.id, String::new()) else {
            continue;
        };
        let rows = lost.count(client).map_err(|error| {
            let what = format!("cannot tell whether values would be lost: {}", step.sql);
            Error::new(Kind::Failed, what, describe(&error))
        })?;
        if rows > 0 {
            losing.insert(n, rows);
        }
    }
    let loses = losing.iter().filter(|_| !goal.allow_data_loss);
    let loses: Vec<(&Step, i64)> = loses.filter_map(|(n, rows)| Some((steps.get(*n)?, *rows))).collect();
    let rewrites = steps.iter().filter(|step| step.rewrites && !goal.allow_rewrite);
    match not_allowed(&loses, &rewrites.collect::<Vec<_>>()) {
        Some(error) => Err(error),
        None => Ok(losing),
    }
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

    /// Runs statements under the same rules as those of the phases. Values that they drop are kept first, if they may be
    /// dropped at all.
    pub(super) fn run_script(&mut self, name: &str, steps: &[Step], actual: &Catalog) -> Result<(), Error> {
        let losing = losing(&mut self.executor.client, steps, self.goal)?;
        self.run_allowed(name, steps, &losing, actual)
    }

    /// The same of a script that is known to be allowed.
    pub(super) fn run_allowed(
        &mut self,
        name: &str,
        steps: &[Step],
        losing: &BTreeMap<usize, i64>,
        actual: &Catalog,
    ) -> Result<(), Error> {
        if steps.is_empty() {
            return Ok(());
        }
        let start = Instant::now();
        let before = self.summary.statements_run;
        let failed = |error: postgres::Error| Error::new(Kind::Failed, format!("cannot {name}"), describe(&error));
        // A function may name what comes after it.
        let set = self.executor.client.batch_execute("SET check_function_bodies = off");
        set.map_err(failed)?;
        let all = phases_of(name, steps, self.goal.allow_data_loss.then_some("asked for"));
        let Some(phase) = all.phases.first() else { return Ok(()) };
        self.context.tell(Event::Phase {
            phase,
            statements: steps.len(),
        });
        let mut first = 0;
        while first < steps.len() {
            // Up to one that loses values; and that one by itself, right after they are kept.
            let next = (first..steps.len())
                .find(|n| losing.contains_key(n))
                .unwrap_or(steps.len());
            let end = if next == first { first + 1 } else { next };
            let mut phases = all.part(first..end);
            if next == first
                && let Some(lost) = Lost::with(&steps[first].id, format!("dropped by {name}"))
            {
                let late = self.keep(&lost, &all, first)?;
                phases.precede(late);
            }
            let plan = Plan::of_script(&phases, &steps[first..end]);
            let of_phases = std::mem::replace(&mut self.satisfied, vec![None; plan.steps.len()]);
            let result = self.pass(&plan, &phases, actual);
            self.satisfied = of_phases;
            result?;
            first = end;
        }
        self.summary.repaired.extend(steps.iter().map(|step| step.sql.clone()));
        self.context.tell(Event::PhaseDone {
            phase,
            statements_run: self.summary.statements_run - before,
            statements_skipped: 0,
            elapsed: start.elapsed(),
        });
        self.executor.end_file().map_err(failed)
    }

    /// Keeps values that are about to be dropped. Returns the statements that keep those that arrive meanwhile: where a
    /// whole table goes, under its lock. The rows of a table that stays are not looked at again while everybody waits.
    pub(super) fn keep(&mut self, lost: &Lost, phases: &Phases, n: usize) -> Result<Vec<Statement>, Error> {
        let Some(statement) = phases.statements().nth(n) else {
            return Ok(Vec::new());
        };
        let place = statement.place();
        let (context, run) = (self.context, self.recorder.run);
        let progress = |rows: u64| {
            context.tell(Event::Progress {
                text: &format!("{rows} rows kept"),
            });
            (context.interrupted)().is_none()
        };
        context.tell(Event::Statement { statement });
        let kept = self
            .executor
            .watched(statement, |client| lost.keep(client, run, &place, &progress));
        let (rows, late) = kept.map_err(|error| {
            Error::new(
                Kind::Failed,
                format!("{place}: the values that it drops could not be kept; nothing of it was done"),
                describe(&error),
            )
        })?;
        if rows > 0 {
            self.summary.set_aside.push(SetAside {
                place,
                table: lost.table.clone(),
                rows,
                reason: lost.reason.clone(),
            });
        }
        let own = |text: String| Statement {
            class: Class::Dml,
            ..Statement::plain(&statement.file, statement.line, text)
        };
        Ok(match lost.column {
            None => vec![
                own(format!("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE", lost.table)),
                own(late),
            ],
            Some(_) => vec![own(late)],
        })
    }
}
