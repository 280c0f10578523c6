//! A script that is in no phase file, as a plan.

use super::{Plan, Planned, Reason, Sent, statements};
use crate::change::Step;
use crate::locks::TableLock;
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
        let locks = |statement: &Statement| -> Vec<TableLock> {
            let step = steps.iter().find(|step| step.sql == *statement.text);
            step.map(|step| step.locks.clone()).unwrap_or_default()
        };
        let planned = statements(phases).map(|(phase, statement)| {
            let unit = statement.transaction.map(|number| number as usize);
            Planned {
                runs: true,
                reason: Reason::Forced,
                unit,
                instead: match unit {
                    Some(_) => Vec::new(),
                    None => vec![Sent {
                        statement: statement.clone(),
                        locks: locks(statement),
                    }],
                },
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
