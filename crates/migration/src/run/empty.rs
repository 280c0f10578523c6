//! A column that is about to be dropped, and holds no values: that is proved while the application goes on. Under the lock of
//! the drop it would keep everybody waiting, on a large table for long.

use super::Migration;
use crate::catalog::Catalog;
use crate::change::{Script, dropping};
use crate::context::Event;
use crate::execute::{Failure, Holder, Knowledge, empty_check, is_empty_check};
use crate::journal::Step;
use crate::locks::TableLock;
use crate::plan::{Item, large_of};
use crate::source::statement::Statement;

impl Migration<'_> {
    /// Runs a statement. If it drops columns that are empty, this is proved first.
    pub(super) fn execute(
        &mut self,
        item: Item<'_>,
        known: Knowledge<'_>,
    ) -> (Vec<Step>, Result<(), (usize, Failure)>) {
        let done = self.executor.execute(&[item], known, &self.recorder);
        let (_, Err((_, Failure::DropsEmpty(columns)))) = &done else {
            return done;
        };
        let proved: Vec<&Holder> = columns.iter().filter(|column| self.prove_empty(item, column)).collect();
        let known = Knowledge {
            looks_itself: true,
            ..known
        };
        let done = self.executor.execute(&[item], known, &self.recorder);
        if done.1.is_err() {
            // The connection may be gone: then the next run does it.
            proved.into_iter().for_each(|column| self.let_go(item, column));
        }
        done
    }

    /// Keeps values out of the column by a check that is validated, and goes with it. Tells whether it is there: not where
    /// the table is small.
    fn prove_empty(&mut self, origin: Item<'_>, holder: &Holder) -> bool {
        let (table, Some(column)) = (&holder.table, &holder.column) else {
            return false;
        };
        let large = large_of(&mut self.executor.client, &[table.as_str()]);
        if !large.is_ok_and(|tables| !tables.is_empty()) {
            return false;
        }
        let check = empty_check(table, column);
        let alter = format!("ALTER TABLE {table}");
        let texts = [
            // One of a run that died is there already.
            format!(
                "{alter} DROP CONSTRAINT IF EXISTS {check}, ADD CONSTRAINT {check} CHECK ({column} IS NULL) NOT VALID"
            ),
            format!("{alter} VALIDATE CONSTRAINT {check}"),
        ];
        let is_proved = texts.into_iter().all(|text| self.run_own(origin, table, text));
        if !is_proved {
            self.let_go(origin, holder);
        }
        is_proved
    }

    fn let_go(&mut self, origin: Item<'_>, Holder { table, column }: &Holder) {
        let check = empty_check(table, column.as_deref().unwrap_or_default());
        self.run_own(
            origin,
            table,
            format!("ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {check}"),
        );
    }

    /// Runs and records a statement of our own before that of the origin. Tells whether it was done.
    fn run_own(&mut self, origin: Item<'_>, table: &str, text: String) -> bool {
        let statement = Statement::plain(&origin.statement.file, origin.statement.line, text);
        self.context.tell(Event::Statement { statement: &statement });
        let item = Item {
            statement: &statement,
            once: None,
            ..origin
        };
        let locks = [TableLock::taken_by(&statement, table)];
        let known = Knowledge {
            locks: &locks,
            new: false,
            replaces: false,
            looks_itself: true,
            expected: None,
        };
        let (steps, result) = self.executor.execute(&[item], known, &self.recorder);
        let Some(step) = steps.first() else { return false };
        self.summary.lock_wait += step.lock_wait;
        self.record(&item, step).is_ok() && result.is_ok()
    }
}

/// What takes away the checks that a run has left which died.
pub(super) fn forgotten_checks(actual: &Catalog) -> Script {
    dropping(actual.definitions(), |id| {
        id.kind == "constraint" && is_empty_check(&id.identity)
    })
}
