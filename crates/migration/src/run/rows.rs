//! Rows that a statement would refuse are dealt with before it is sent.

use std::time::Instant;

use connection::{Error, Hint, Kind, Next, describe};

use super::pass::{Pass, not_recorded};
use super::{Migration, SetAside};
use crate::context::Event;
use crate::execute::Failure;
use crate::journal::{Outcome, Step};
use crate::locks::TableLock;
use crate::plan::{Item, Planned, Reason};
use crate::source::statement::{Sql, Statement};
use crate::sqlstate;
use crate::violations::{CleanUp, ROUNDS, refused_rows, would_be_meant_again};

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

    /// Before a statement is tried that nothing says of what becomes of the rows that it refuses: an error if there are any.
    pub(super) fn refuse_early(&mut self, pass: &Pass<'_, '_>, planned: &Planned<'_>) -> Result<(), Error> {
        let statement = planned.statement;
        let renames = matches!(planned.reason, Reason::Renamed { .. });
        let Some(effect) = planned.effect.filter(|_| !(pass.empty || renames)) else {
            return Ok(());
        };
        let refused = self.executor.watched(statement, |client| {
            Ok(refused_rows(client, statement, effect, pass.actual))
        });
        let refused = refused.unwrap_or_default();
        self.check_interrupted(pass, statement)?;
        let [first, others @ ..] = refused.as_slice() else {
            return Ok(());
        };
        let step = Step {
            outcome: Outcome::Failed,
            error: Some(first.to_string()),
            ..Step::default()
        };
        // The error of the statement counts for more than that it could not be recorded.
        let _ = self.record(&planned.item(), &step);
        let place = self.goal.phases.dir.join(&statement.file);
        let others: Vec<String> = others.iter().map(ToString::to_string).collect();
        let choices: Vec<String> = first.directives.iter().map(|one| format!("-- xtask: {one}")).collect();
        Err(Error::new(
            Kind::Failed,
            format!("{}:{}: {first}", place.display(), statement.line),
            others.join("\n"),
        )
        .next(
            Next::from(format!(
                "nothing of it was tried; say above it what becomes of these rows: {}\n(then ",
                choices.join(", or ")
            ))
            .hint(Hint::Observe)
            .then(" and migrate again; plan counts such rows), or put them right by hand"),
        ))
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
            self.deal_with_rows(pass, planned, clean_up, round == 1)?;
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

    /// Deals with the rows that a statement would refuse, and records it as a step of its own.
    fn deal_with_rows(
        &mut self,
        pass: &Pass<'_, '_>,
        planned: &Planned<'_>,
        clean_up: &CleanUp,
        first: bool,
    ) -> Result<(), Error> {
        let start = Instant::now();
        let text = format!("set aside rows of {}: {}", clean_up.table, clean_up.reason);
        let statement = Statement::plain(&planned.statement.file, planned.statement.line, text);
        self.context.tell(Event::Statement { statement: &statement });
        let rows = match self.clean(clean_up, &statement, first) {
            Ok(0) => return Ok(()),
            Ok(rows) => rows,
            // The statement itself makes the column that is looked at: no row can be wrong yet.
            Err(error) if sqlstate::lacks_column(&error) => return Ok(()),
            Err(error) => return Err(self.not_cleaned(pass, planned, error)),
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
        self.tell_set_aside(planned.statement, clean_up, rows);
        self.check_interrupted(pass, planned.statement)
    }

    /// Does the work of a statement that keeps what it changes, and tells whether it found nothing to do.
    pub(super) fn keeping(
        &mut self,
        pass: &Pass<'_, '_>,
        planned: &Planned<'_>,
        clean_up: &CleanUp,
    ) -> Result<bool, Error> {
        let (start, statement) = (Instant::now(), planned.statement);
        self.check_interrupted(pass, statement)?;
        self.context.tell(Event::Statement { statement });
        let result = self.clean(clean_up, statement, true);
        let mut step = Step {
            duration: start.elapsed(),
            attempts: 1,
            ..Step::default()
        };
        let mut item = planned.item();
        match result {
            Ok(rows) => step.rows = rows,
            Err(error) => {
                (step.outcome, step.error) = (Outcome::Failed, Some(describe(&error)));
                // The error of the statement counts for more than that it could not be recorded.
                let _ = self.record(&item, &step);
                return Err(self.not_cleaned(pass, planned, error));
            }
        }
        let interrupted = (self.context.interrupted)().is_some();
        if interrupted {
            // It is not known to be done.
            item.once = None;
            step.outcome = Outcome::Interrupted;
        } else if step.rows == 0 && planned.looks() {
            step.outcome = Outcome::Satisfied;
        }
        self.record(&item, &step)
            .map_err(|error| not_recorded(statement, &error))?;
        if step.rows > 0 {
            self.tell_set_aside(statement, clean_up, step.rows);
        }
        self.check_interrupted(pass, statement)?;
        self.count(planned, &step);
        self.warn_of_restless(planned, &step);
        self.context.tell(Event::Step { statement, step: &step });
        Ok(step.outcome == Outcome::Satisfied)
    }

    /// What is sent in the place of a statement that keeps what it changes, in one transaction with others.
    pub(super) fn kept_at_once(
        &mut self,
        pass: &Pass<'_, '_>,
        planned: &Planned<'_>,
    ) -> Result<Option<Statement>, Error> {
        let statement = planned.statement;
        let Some(change) = statement.quarantines().filter(|_| !pass.empty) else {
            return Ok(None);
        };
        let run = self.recorder.run;
        let text = CleanUp::by(&change).at_once(&mut self.executor.client, run, &statement.place());
        match text {
            Ok(text) => Ok(Some(Statement {
                text: Sql::new(text),
                ..statement.clone()
            })),
            Err(error) => Err(self.not_cleaned(pass, planned, error)),
        }
    }

    fn clean(&mut self, clean_up: &CleanUp, statement: &Statement, first: bool) -> Result<u64, postgres::Error> {
        let (context, run) = (self.context, self.recorder.run);
        let progress = |rows| {
            let text = format!("{rows} rows set aside");
            context.tell(Event::Progress { text: &text });
            (context.interrupted)().is_none()
        };
        self.executor.watched(statement, |client| {
            clean_up.run(client, run, &statement.place(), first, context.lock_deadline, &progress)
        })
    }

    fn not_cleaned(&mut self, pass: &Pass<'_, '_>, planned: &Planned<'_>, error: postgres::Error) -> Error {
        if let Err(interrupted) = self.check_interrupted(pass, planned.statement) {
            return interrupted;
        }
        if sqlstate::is_connection_lost(&error) {
            return self.failed(pass, planned.statement, Failure::ConnectionLost(error));
        }
        let place = planned.statement.place();
        if would_be_meant_again(&error) {
            return Error::new(
                Kind::Failed,
                format!("{place}: rows would still be what they were set aside for after they are changed"),
                "nothing of this batch was changed",
            )
            .next("let it set what its condition no longer holds for, and run migrate again");
        }
        let (kind, next) = if sqlstate::is_lock_timeout(&error) {
            (
                Kind::Busy,
                "end what holds the rows, and run migrate again; what was done is committed",
            )
        } else {
            (
                Kind::Failed,
                "what was done is committed; put right what PostgreSQL says, and run migrate again",
            )
        };
        Error::new(
            kind,
            format!("{place}: the rows that it means could not be dealt with"),
            describe(&error),
        )
        .next(next)
    }

    pub(super) fn tell_set_aside(&mut self, statement: &Statement, clean_up: &CleanUp, rows: u64) {
        self.summary.set_aside.push(SetAside {
            place: statement.place(),
            table: clean_up.table.clone(),
            rows,
            reason: clean_up.reason.clone(),
        });
    }
}
