//! Rows that a statement would refuse are dealt with before it is sent.

use std::time::Instant;

use connection::{Error, Kind, describe};

use super::pass::{Pass, not_recorded};
use super::{Migration, SetAside};
use crate::context::Event;
use crate::execute::Failure;
use crate::journal::Step;
use crate::locks::TableLock;
use crate::plan::{Item, Planned};
use crate::source::statement::Statement;
use crate::sqlstate;
use crate::violations::{CleanUp, ROUNDS};

impl Migration<'_> {
    /// What becomes of rows that the statement's constraint refuses, if it says so and there can be any.
    pub(super) fn clean_up(&mut self, pass: &Pass<'_, '_>, planned: &Planned<'_>) -> Result<Option<CleanUp>, Error> {
        let Some(effect) = planned.effect.filter(|_| !pass.empty) else {
            return Ok(None);
        };
        CleanUp::of(planned.statement, effect).map_err(|cause| {
            Error::new(
                Kind::Usage,
                format!("{}: cannot tell which rows are meant", planned.statement.place()),
                cause,
            )
            .next("take the directive away, or say what fits")
        })
    }

    /// Runs a statement after the rows are dealt with that it would refuse; again, if such rows arrive meanwhile.
    pub(super) fn cleanly(
        &mut self,
        pass: &Pass<'_, '_>,
        planned: &Planned<'_>,
        item: Item<'_>,
        locks: &[TableLock],
        clean_up: Option<&CleanUp>,
    ) -> Result<bool, Error> {
        let Some(clean_up) = clean_up else {
            return Ok(self.statement(pass, planned, item, locks, false)?.unwrap_or_default());
        };
        for round in 1.. {
            self.deal_with_rows(pass, planned, clean_up)?;
            let again = round < ROUNDS;
            let result = self.statement(pass, planned, item, locks, again);
            let result = result.map_err(|error| match again {
                true => error,
                false => error.next(format!(
                    "rows that it refuses arrived again in each of {ROUNDS} rounds: run migrate again when less is written, \
                     or keep the application from writing such rows"
                )),
            });
            if let Some(satisfied) = result? {
                return Ok(satisfied);
            }
        }
        Ok(false)
    }

    fn deal_with_rows(&mut self, pass: &Pass<'_, '_>, planned: &Planned<'_>, clean_up: &CleanUp) -> Result<(), Error> {
        let start = Instant::now();
        let place = planned.statement.place();
        let text = format!("set aside rows of {}: {}", clean_up.table, clean_up.reason);
        let statement = Statement::plain(&planned.statement.file, planned.statement.line, text);
        self.context.tell(Event::Statement { statement: &statement });
        let (context, run) = (self.context, self.recorder.run);
        let progress = |rows| {
            let text = format!("{rows} rows set aside");
            context.tell(Event::Progress { text: &text });
            (context.interrupted)().is_none()
        };
        let result = self.executor.watched(&statement, |client| {
            clean_up.run(client, run, &place, context.lock_deadline, &progress)
        });
        let rows = match result {
            Ok(0) => return Ok(()),
            Ok(rows) => rows,
            // The statement itself makes the column that is looked at: no row can be wrong yet.
            Err(error) if sqlstate::lacks_column(&error) => return Ok(()),
            Err(_) if (context.interrupted)().is_some() => return self.check_interrupted(pass, planned.statement),
            Err(error) if sqlstate::is_connection_lost(&error) => {
                return Err(self.failed(pass, planned.statement, Failure::ConnectionLost(error)));
            }
            Err(error) => {
                return Err(Error::new(
                    Kind::Failed,
                    format!("{place}: the rows that it would refuse could not be dealt with"),
                    describe(&error),
                )
                .next("what was done is committed; put right what PostgreSQL says, and run migrate again"));
            }
        };
        let step = Step {
            duration: start.elapsed(),
            attempts: 1,
            rows,
            ..Step::default()
        };
        let item = Item {
            statement: &statement,
            once: None,
            ..planned.item()
        };
        self.record(&item, &step)
            .map_err(|error| not_recorded(&statement, &error))?;
        self.context.tell(Event::Step {
            statement: &statement,
            step: &step,
        });
        self.summary.set_aside.push(SetAside {
            place,
            table: clean_up.table.clone(),
            rows,
            reason: clean_up.reason.clone(),
        });
        self.check_interrupted(pass, planned.statement)
    }
}
