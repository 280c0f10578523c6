//! What each statement does, as a server of our own shows it: runs the phases one statement at a
//! time on an empty database, and reads the catalog after each.

mod meaning;
mod scratch;

use std::collections::BTreeMap;

use connection::{Error, Kind, describe};
use postgres::Client;
use scratch::Scratch;

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
    let failed =
        |error: postgres::Error| Error::new(Kind::Failed, "cannot observe the scratch server", describe(&error));
    let statements: Vec<&Statement> = phases.statements().collect();
    let total = 2 * statements.len();
    let mut scratch = Scratch::new(client, observer).map_err(failed)?;
    let fresh = scratch.catalog().clone();
    let mut first = Vec::new();
    let mut not_run = Vec::new();
    for (n, statement) in statements.iter().enumerate() {
        progress(n + 1, total, statement);
        match scratch.run(statement).map_err(failed)? {
            Ok(seen) => first.push(Some(seen)),
            Err(error) if statement.directives.optional && is_acceptable_where_optional(&error) => {
                not_run.push((statement.place(), describe(&error)));
                first.push(None);
            }
            Err(error) => {
                return Err(Error::new(
                    Kind::Failed,
                    format!(
                        "{}:{}: the statement failed on the scratch server",
                        phases.dir.join(&statement.file).display(),
                        statement.line
                    ),
                    format!("{}\n{}", excerpt(statement, &error), describe(&error)),
                )
                .next("fix it and run snapshot again"));
            }
        }
    }
    prove(&mut scratch).map_err(failed)??;
    let finished = scratch.catalog().clone();
    scratch.end_file().map_err(failed)?;
    let mut second = Vec::new();
    for (n, (statement, first)) in statements.iter().zip(&first).enumerate() {
        progress(statements.len() + n + 1, total, statement);
        second.push(match first {
            Some(_) => scratch.run(statement).map_err(failed)?.ok(),
            None => None,
        });
    }
    prove(&mut scratch).map_err(failed)??;
    let again = scratch.catalog().clone();
    let restless = restless(&mut scratch, &statements).map_err(failed)?;
    let runs = Runs {
        statements: &statements,
        first: &first,
        second: &second,
        fresh: &fresh,
        finished: &finished,
        again: &again,
    };
    let mut expected = runs.expected();
    expected.files.clone_from(&phases.hashes);
    let hazards = statements
        .iter()
        .zip(&expected.statements)
        .flat_map(|(statement, effect)| effect.locks.iter().filter_map(|lock| hazard(statement, lock)))
        .collect();
    Ok(Observation {
        hazards,
        not_run,
        unstable: runs.unstable(),
        restless,
        expected,
    })
}

/// Statements that shall run always, and still find rows to change when nothing else runs, as from the second deploy on.
fn restless(scratch: &mut Scratch<'_>, statements: &[&Statement]) -> Result<Vec<(String, i64)>, postgres::Error> {
    let mut found = Vec::new();
    // The first time they meet what ran twice and will not on a database in use.
    for round in 0..2 {
        scratch.end_file()?;
        for statement in statements {
            if !(statement.directives.always || statement.class == Class::Session) {
                continue;
            }
            if let Ok(seen) = scratch.run(statement)?
                && round > 0
                && statement.directives.always
                && seen.rows() > 0
            {
                found.push((statement.place(), seen.rows()));
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
