//! Rows that were set aside go back: what rollbacks kept, when a run has made its table or column again; what the runs of
//! a rollback set aside.

use std::collections::BTreeSet;

use connection::{Error, Kind, describe};

use super::Migration;
use crate::catalog::ObjectId;
use crate::context::Event;
use crate::plan::Planned;
use crate::quarantine::{self, Filter, Patience};

impl Migration<'_> {
    /// What a statement has made of which rollbacks may have kept something, for the end of the run.
    pub(super) fn note_made(&mut self, planned: &Planned<'_>) -> BTreeSet<String> {
        let tables = if self.kept { tables_of(planned) } else { BTreeSet::new() };
        self.made.extend(tables.iter().cloned());
        tables
    }

    /// Values that a rollback kept go back as soon as their table or column is there: later statements may need them.
    pub(super) fn give_back_after(&mut self, planned: &Planned<'_>) -> Result<(), Error> {
        let tables = self.note_made(planned);
        if tables.is_empty() {
            return Ok(());
        }
        // The phases may have taken another role, which may not read the quarantine, and go on with it.
        let failed = |error: postgres::Error| Error::new(Kind::Failed, "cannot change the role", describe(&error));
        let role = "SELECT pg_catalog.quote_ident(pg_catalog.current_setting('role'))";
        let role: String = self
            .executor
            .client
            .query_typed_one(role, &[])
            .and_then(|row| row.try_get(0))
            .map_err(failed)?;
        self.executor.client.batch_execute("RESET ROLE").map_err(failed)?;
        let result = self.give_back_of(&tables, true);
        let again = self.executor.client.batch_execute(&format!("SET ROLE {role}"));
        result.and(again.map_err(failed))
    }

    /// What of the tables that this run has made did not go back yet.
    pub(super) fn give_back_what_was_kept(&mut self) -> Result<(), Error> {
        let made = std::mem::take(&mut self.made);
        self.give_back_of(&made, false)
    }

    /// Puts rows back that rollbacks kept of these tables and of their columns that are there again; `whole`: if all columns
    /// of a row are, and what does not fit will be tried once more.
    fn give_back_of(&mut self, tables: &BTreeSet<String>, whole: bool) -> Result<(), Error> {
        let mut kept = quarantine::kept_by_rollbacks(&mut self.executor.client, whole).map_err(|error| {
            Error::new(Kind::Failed, "cannot read the quarantine", describe(&error))
                .next("the database has converged; put the rows back that rollbacks kept")
        })?;
        kept.retain(|filter| filter.table.as_ref().is_some_and(|table| tables.contains(table)));
        let left = self.summary.not_restored;
        self.give_back(&kept)?;
        if whole {
            self.summary.not_restored = left;
        }
        for table in kept.iter().filter_map(|filter| filter.table.as_deref()) {
            let client = &mut self.executor.client;
            quarantine::let_sequences_go_on(client, table).map_err(|error| {
                let what = format!("the sequences of {table} could not be set behind the rows that are back");
                Error::new(Kind::Failed, what, describe(&error))
            })?;
        }
        Ok(())
    }

    /// Puts rows back that were set aside. Those that do not fit stay where they are kept.
    pub(super) fn give_back(&mut self, filters: &[Filter]) -> Result<(), Error> {
        let context = self.context;
        let by = self.goal.author.who();
        let progress = |rows: u64| {
            context.tell(Event::Progress {
                text: &format!("{rows} rows put back"),
            });
            (context.interrupted)().is_none()
        };
        let patience = Patience {
            deadline: context.lock_deadline,
            progress: &progress,
        };
        for filter in filters {
            let client = &mut self.executor.client;
            let restored = quarantine::restore(client, filter, &by, &patience).map_err(|error| {
                Error::new(
                    Kind::Failed,
                    "rows that were set aside could not be put back",
                    describe(&error),
                )
                .next("all else is done; what PostgreSQL says has to be put right, then put them back")
            })?;
            self.summary.restored += restored.restored;
            self.summary.not_restored += restored.left;
        }
        Ok(())
    }
}

/// The tables that a statement makes or changes columns of.
fn tables_of(planned: &Planned<'_>) -> BTreeSet<String> {
    let is_holder = |id: &&ObjectId| ["table", "column"].contains(&id.kind.as_str());
    let ids = planned
        .effect
        .iter()
        .flat_map(|effect| &effect.objects)
        .map(|(id, _)| id);
    let tables = ids.filter(is_holder).filter_map(|id| id.table());
    tables.map(ToOwned::to_owned).collect()
}
