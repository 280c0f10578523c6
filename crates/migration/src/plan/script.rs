//! A script that is in no phase file, as a plan.

use super::{Plan, Planned, Reason, Sent, statements};
use crate::change::Step;
use crate::source::phases::Phases;
use crate::source::statement::Statement;

/// The statements of a script, as a phase of this name. `loses`: why what they drop may hold values.
pub fn phases_of(name: &str, steps: &[Step], loses: Option<&str>) -> Phases {
    let statement = |(n, step): (usize, &Step)| {
        let line = u32::try_from(n + 1).unwrap_or(u32::MAX);
        let mut statement = Statement::plain(name, line, &step.sql);
        statement.directives.drops_rows = loses.map(ToOwned::to_owned);
        statement
    };
    Phases::of_statements(name, steps.iter().enumerate().map(statement).collect())
}

impl<'a> Plan<'a> {
    /// All statements of [`phases_of`] these steps, or of a part of them with what precedes it.
    pub fn of_script(phases: &'a Phases, steps: &[Step]) -> Self {
        let planned = statements(phases).enumerate().map(|(n, (phase, statement))| {
            let unit = statement.transaction.map(|number| number as usize);
            // In a transaction with what precedes it a statement has another number, and waits for its locks only there.
            let step = steps.get(n).filter(|_| unit.is_none());
            let sent = step.map(|step| Sent {
                statement: statement.clone(),
                locks: step.locks.clone(),
            });
            Planned {
                runs: true,
                reason: Reason::Forced,
                unit,
                instead: sent.into_iter().collect(),
                ..Planned::new(phase, statement)
            }
        });
        Self {
            steps: planned.collect(),
            untouched: false,
            unknown: Vec::new(),
        }
    }
}
