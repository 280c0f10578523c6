//! What each statement does, as a server of our own shows it: runs the phases one statement at a
//! time on an empty database, and reads the catalog after each.

pub mod cache;
mod meaning;
mod record;
mod scratch;

use std::collections::BTreeMap;

use connection::{Error, Kind, describe};
use postgres::Client;
pub use record::Record;
use record::{Again, with};
use scratch::{Scratch, Seen};

use super::catalog::ObjectId;
use super::execute::is_acceptable_where_optional;
use super::expected::Expected;
use super::failure::excerpt;
use super::locks::{Hazard, hazard};
use super::source::phases::Phases;
use super::source::statement::{Class, Statement};
use meaning::Runs;

/// What was observed.
#[derive(Debug)]
pub struct Observation {
    /// The content of `expected.json`.
    pub expected: Expected,
    /// What would hurt on a live database.
    pub hazards: Vec<Hazard>,
    /// Optional statements that could not be run here: place and reason.
    pub not_run: Vec<(String, String)>,
    /// Statements after whose second run the catalog is another one than after the first: place and objects.
    pub unstable: BTreeMap<String, Vec<ObjectId>>,
    /// Statements that shall run always, and changed rows when they ran again: place and number of rows.
    pub restless: Vec<(String, i64)>,
}

/// Runs the phases twice in a row on the empty database that `client` is connected to, and observes each statement from
/// `observer`, another session there, which statements cannot change the settings of. Both are a superuser's. `progress`
/// is told which statement of how many runs.
///
/// # Errors
/// A statement fails in the first run; the message marks it.
pub fn observe(
    client: &mut Client,
    observer: Client,
    phases: &Phases,
    progress: &dyn Fn(usize, usize, &Statement),
) -> Result<Observation, Error> {
    let mut record = Record::default();
    record.complete(client, observer, phases, progress)?;
    Ok(record.observation(phases))
}

impl Record {
    /// Runs the phases as [`observe`] does, and writes down what they do. Of the files that are on record already the
    /// first run is only done over, and not observed. Whether the record is complete then: it is not if what it knows
    /// of these files does not hold on this server. Then it cannot be used, and the database neither.
    ///
    /// # Errors
    /// A statement fails in the first run; the message marks it. The files before it are on record.
    pub fn complete(
        &mut self,
        client: &mut Client,
        observer: Client,
        phases: &Phases,
        progress: &dyn Fn(usize, usize, &Statement),
    ) -> Result<bool, Error> {
        let mut scratch = Scratch::new(client, observer).map_err(failed)?;
        let completed = self.run(&mut scratch, phases, progress);
        // What nobody has proved is not kept.
        if completed.is_err() && !matches!(prove(&mut scratch), Ok(Ok(()))) {
            *self = Self::default();
        }
        self.close(phases);
        completed
    }

    fn run(
        &mut self,
        scratch: &mut Scratch<'_>,
        phases: &Phases,
        progress: &dyn Fn(usize, usize, &Statement),
    ) -> Result<bool, Error> {
        let statements: Vec<&Statement> = phases.statements().collect();
        let total = 2 * statements.len();
        let known = self.first.len();
        if known == 0 {
            self.begin(scratch.catalog());
        } else if !self
            .holds(scratch, &statements, &|n, statement| progress(n, total, statement))
            .map_err(failed)?
        {
            return Ok(false);
        }
        for (n, statement) in statements.iter().enumerate().skip(known) {
            progress(n + 1, total, statement);
            let seen = match scratch.run(statement).map_err(failed)? {
                Ok(seen) => Ok(seen),
                Err(error) if statement.directives.optional && is_acceptable_where_optional(&error) => {
                    Err(describe(&error))
                }
                Err(error) => return Err(fails(phases, statement, &error)),
            };
            self.first.push(seen);
        }
        prove(scratch).map_err(failed)??;
        scratch.end_file().map_err(failed)?;
        let mut second = Vec::new();
        for (n, statement) in statements.iter().enumerate() {
            progress(statements.len() + n + 1, total, statement);
            second.push(match self.first[n] {
                Ok(_) => scratch.run(statement).map_err(failed)?.ok(),
                Err(_) => None,
            });
        }
        prove(scratch).map_err(failed)??;
        let restless = restless(scratch, &statements).map_err(failed)?;
        self.again = Some(Again { second, restless });
        Ok(true)
    }

    /// What a complete record tells of the phases that it was made from.
    pub fn observation(&self, phases: &Phases) -> Observation {
        let statements: Vec<&Statement> = phases.statements().collect();
        let place = |n: usize| statements.get(n).map(|statement| statement.place()).unwrap_or_default();
        let (mut first, mut not_run) = (Vec::new(), Vec::new());
        for (n, seen) in self.first.iter().enumerate() {
            first.push(seen.as_ref().ok());
            if let Err(reason) = seen {
                not_run.push((place(n), reason.clone()));
            }
        }
        let nothing = Again::default();
        let again = self.again.as_ref().unwrap_or(&nothing);
        let second: Vec<Option<&Seen>> = again.second.iter().map(Option::as_ref).collect();
        let fresh = self.fresh();
        let finished = with(&fresh, &first);
        let runs = Runs {
            statements: &statements,
            again: &with(&finished, &second),
            first: &first,
            second: &second,
            fresh: &fresh,
            finished: &finished,
        };
        let mut expected = runs.expected();
        expected.files.clone_from(&phases.hashes);
        let hazards = statements
            .iter()
            .zip(&expected.statements)
            .flat_map(|(statement, effect)| effect.locks.iter().filter_map(|lock| hazard(statement, lock)))
            .collect();
        let restless = again.restless.iter().map(|(n, rows)| (place(*n), *rows)).collect();
        Observation {
            hazards,
            not_run,
            unstable: runs.unstable(),
            restless,
            expected,
        }
    }
}

fn failed(error: postgres::Error) -> Error {
    Error::new(Kind::Failed, "cannot observe the scratch server", describe(&error))
}

fn fails(phases: &Phases, statement: &Statement, error: &postgres::Error) -> Error {
    Error::new(
        Kind::Failed,
        format!(
            "{}:{}: the statement failed on the scratch server",
            phases.dir.join(&statement.file).display(),
            statement.line
        ),
        format!("{}\n{}", excerpt(statement, error), describe(error)),
    )
    .next("fix it and run snapshot again")
}

/// Statements that shall run always, and still find rows to change when nothing else runs, as from the second deploy on.
fn restless(scratch: &mut Scratch<'_>, statements: &[&Statement]) -> Result<Vec<(usize, i64)>, postgres::Error> {
    let mut found = Vec::new();
    // The first time they meet what ran twice and will not on a database in use.
    for round in 0..2 {
        scratch.end_file()?;
        for (n, statement) in statements.iter().enumerate() {
            if !(statement.directives.always || statement.class == Class::Session) {
                continue;
            }
            if let Ok(seen) = scratch.run(statement)?
                && round > 0
                && statement.directives.always
                && seen.rows() > 0
            {
                found.push((n, seen.rows()));
            }
        }
    }
    Ok(found)
}

/// Makes sure that the catalog that was put together from statement to statement is the server's.
fn prove(scratch: &mut Scratch<'_>) -> Result<Result<(), Error>, postgres::Error> {
    if scratch.is_right()? {
        return Ok(Ok(()));
    }
    Ok(Err(Error::new(
        Kind::Failed,
        "cannot tell what each statement changes",
        "what was put together statement by statement is not what the scratch server holds in the end",
    )
    .next(
        "this is a mistake of this tool, or somebody else changed the scratch server: run snapshot again",
    )))
}
