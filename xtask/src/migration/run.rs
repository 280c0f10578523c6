//! One run: takes the mutex, sends the statements in order, records them.

use std::time::{Duration, Instant};

use postgres::Client;

use super::executor::{Blocker, Context, Event, Executor, Failure};
use super::journal::{self, Author, Ending, Outcome, Run};
use super::mutex;
use super::phases::{Phase, Phases, Statement, line_and_column};
use crate::error::{Error, Kind, describe};

/// What a run did.
#[derive(Debug)]
pub struct Summary {
    /// Its number in the journal.
    pub run: i64,
    /// The server's version, for instance `15.18`.
    pub server_version: String,
    /// Statements that were sent.
    pub statements_run: usize,
    /// Statements that were satisfied.
    pub statements_skipped: usize,
    /// Optional statements that could not be run: `file:line`, and what PostgreSQL answered.
    pub warnings: Vec<(String, String)>,
    /// Time that statements spent waiting for locks.
    pub lock_wait: Duration,
    /// From the beginning to the end, the wait for the database included.
    pub elapsed: Duration,
}

/// Brings the database to where the phases say, and hands over the session, which still holds the mutex.
///
/// # Errors
/// See [`Kind`]; the run is recorded with its error, as far as the connection allows.
pub fn migrate(phases: &Phases, author: &Author, context: &Context<'_>) -> Result<(Summary, Client), Error> {
    let start = Instant::now();
    let mutex::Locked {
        mut client,
        pid,
        server_version,
    } = mutex::acquire(context)?;
    let (run, died) = journal::begin(&mut client, author)?;
    context.tell(Event::Started {
        run: run.id,
        died: &died,
        server_version: &server_version,
    });
    let mut migration = Migration {
        summary: Summary {
            run: run.id,
            server_version,
            statements_run: 0,
            statements_skipped: 0,
            warnings: Vec::new(),
            lock_wait: Duration::ZERO,
            elapsed: Duration::ZERO,
        },
        phases,
        run,
        executor: Executor::new(client, pid, context),
        context,
    };
    let result = migration.phases();
    migration.finish(result, start)
}

struct Migration<'a> {
    summary: Summary,
    phases: &'a Phases,
    run: Run,
    executor: Executor<'a>,
    context: &'a Context<'a>,
}

impl Migration<'_> {
    fn phases(&mut self) -> Result<(), Error> {
        let phases = self.phases;
        for phase in &phases.phases {
            let start = Instant::now();
            let before = (self.summary.statements_run, self.summary.statements_skipped);
            self.context.tell(Event::Phase { phase });
            // Held until the phase ends.
            let _cluster = if phase.mentions_shared_objects() {
                mutex::acquire_cluster(self.context)?
            } else {
                None
            };
            for statement in &phase.statements {
                self.statement(phase, statement)?;
            }
            self.context.tell(Event::PhaseDone {
                phase,
                run: self.summary.statements_run - before.0,
                skipped: self.summary.statements_skipped - before.1,
                elapsed: start.elapsed(),
            });
        }
        Ok(())
    }

    fn statement(&mut self, phase: &Phase, statement: &Statement) -> Result<(), Error> {
        if let Some(signal) = (self.context.interrupted)() {
            return Err(self.failure(statement, Failure::Interrupted(signal)));
        }
        self.context.tell(Event::Statement { statement });
        let (step, result) = self.executor.run(statement);
        self.summary.lock_wait += step.lock_wait;
        let recorded = self.run.step(&mut self.executor.client, phase, statement, &step);
        result.map_err(|failure| self.failure(statement, failure))?;
        recorded.map_err(|error| {
            Error::new(
                Kind::Failed,
                format!("{}: done, but it could not be recorded", self.place(statement)),
                describe(&error),
            )
            .next("run it again: what is done is not done twice")
        })?;
        if step.outcome == Outcome::Warning {
            self.summary
                .warnings
                .push((statement.place(), step.error.clone().unwrap_or_default()));
        }
        self.summary.statements_run += 1;
        self.context.tell(Event::Step { statement, step: &step });
        Ok(())
    }

    fn finish(mut self, result: Result<(), Error>, start: Instant) -> Result<(Summary, Client), Error> {
        let ending = Ending {
            error: result.as_ref().err().map(ToString::to_string),
            interrupted: matches!(
                &result,
                Err(Error {
                    kind: Kind::Interrupted(_),
                    ..
                })
            ),
            run: self.summary.statements_run,
            skipped: self.summary.statements_skipped,
            ..Ending::default()
        };
        let recorded = self.run.finish(&mut self.executor.client, &ending);
        // The error of the run counts for more than that it could not be recorded.
        result?;
        recorded.map_err(|error| {
            Error::new(
                Kind::Failed,
                "everything was run, but the end of the run could not be recorded",
                describe(&error),
            )
            .next("run it again: what is done is not done twice")
        })?;
        self.summary.elapsed = start.elapsed();
        Ok((self.summary, self.executor.client))
    }

    fn place(&self, statement: &Statement) -> String {
        format!("{}:{}", self.phases.dir.join(&statement.file).display(), statement.line)
    }

    fn failure(&self, statement: &Statement, failure: Failure) -> Error {
        let place = self.place(statement);
        let done = match self.summary.statements_run {
            0 => "nothing was run before it".to_owned(),
            1 => "the statement before it is committed".to_owned(),
            n => format!("the {n} statements before it are committed"),
        };
        match failure {
            Failure::Refused(error) => {
                let cause = format!("{}\n{}", excerpt(statement, &error), describe(&error));
                let next = match error.code().map(|code| code.code()) {
                    Some("42501") => {
                        "the migrating role must own what it changes (REASSIGN OWNED BY … TO …, as a superuser);\n"
                    }
                    _ => "",
                };
                Error::new(Kind::Failed, format!("{place}: the statement failed"), cause).next(format!(
                    "{next}{done}; mend this one and run migrate again: it goes on from here"
                ))
            }
            Failure::ConnectionLost(error) => Error::new(
                Kind::Failed,
                format!("{place}: the connection was lost while the statement ran"),
                describe(&error),
            )
            .next(format!(
                "{done}; when the server is back, run migrate again: it finds out what is missing"
            )),
            Failure::Busy { cause, blockers } => {
                let cause = match blockers.as_slice() {
                    [] => cause,
                    blockers => format!("{cause}\nheld by {}", list(blockers)),
                };
                Error::new(
                    Kind::Busy,
                    format!(
                        "{place}: could not get a lock within {}",
                        humantime::format_duration(self.context.lock_deadline)
                    ),
                    cause,
                )
                .next(format!(
                    "{done}; end the transaction that holds the lock (SELECT pg_terminate_backend(PID)), or allow more time\n\
                     with --lock-deadline, and run migrate again"
                ))
            }
            Failure::Interrupted(signal) => {
                Error::new(Kind::Interrupted(signal), format!("interrupted at {place}"), "")
                    .next(format!("{done}; run migrate again to go on"))
            }
        }
    }
}

/// Blockers for people, one after the other.
pub fn list(blockers: &[Blocker]) -> String {
    blockers.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// The lines of a statement around the place that an error points at, with a caret below it.
/// Without a place, its first lines.
fn excerpt(statement: &Statement, error: &postgres::Error) -> String {
    use postgres::error::ErrorPosition;
    let lines: Vec<&str> = statement.text.lines().collect();
    let position = match error.as_db_error().and_then(|db| db.position()) {
        Some(ErrorPosition::Original(position)) => {
            // PostgreSQL counts characters from 1.
            let offset = statement
                .text
                .char_indices()
                .nth((*position as usize).saturating_sub(1));
            Some(line_and_column(
                &statement.text,
                offset.map_or(statement.text.len(), |(offset, _)| offset),
            ))
        }
        // Inside a function that the statement calls: PostgreSQL's context tells where.
        Some(ErrorPosition::Internal { .. }) | None => None,
    };
    let marked = position.map_or(0, |(line, _)| line as usize - 1);
    let shown = marked.saturating_sub(2)..(marked + if position.is_some() { 1 } else { 3 }).min(lines.len());
    let mut text = String::new();
    for (n, line) in lines.iter().enumerate().take(shown.end).skip(shown.start) {
        text.push_str(&format!("{:>5} │ {line}\n", statement.line as usize + n));
    }
    match position {
        Some((line, column)) => {
            // Tabs stay tabs, so that the caret stands below its place.
            let before = lines
                .get(line as usize - 1)
                .copied()
                .unwrap_or_default()
                .chars()
                .take(column as usize - 1);
            let before: String = before.map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
            text.push_str(&format!("      │ {before}^"));
        }
        None if shown.end < lines.len() => text.push_str("      │ …"),
        None => {}
    }
    text.trim_end().to_owned()
}
