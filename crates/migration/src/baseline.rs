//! Taking over a database that was made otherwise: statements that run once are put on record as done, and not run.

use connection::{Error, Hint, Kind, Next, describe};
use serde::Serialize;

use super::context::Context;
use super::expected::Expected;
use super::journal::{self, Author, Ending, Newest, Texts};
use super::plan::{Actual, Plan, Planned};
use super::session::mutex::{self, Locked};
use super::source::phases::Phases;
use super::takeover::{self, Applied};

/// What was taken over.
#[derive(Debug, Serialize)]
pub struct Taken {
    /// Statements that count for done: `file:line`.
    pub done: Vec<String>,
    /// Statements that run once and have not run.
    pub outstanding: Vec<String>,
    /// What says so, for people.
    #[serde(rename = "version_table")]
    pub by: String,
    /// The run that it is on record as.
    pub run: i64,
}

/// Which statements have run.
enum Through {
    All,
    /// Those of this file and the files before it.
    File(String),
    /// What another tool says.
    Tool(Applied),
}

/// Puts statements that run once on record as done: those of all files, or up to the file `through`, or of those that
/// another tool's version table has as applied.
///
/// # Errors
/// As [`migrate`](super::migrate); there is no such file; the version table says that a migration failed or is dirty.
pub fn take_over(
    phases: &Phases,
    expected: &Expected,
    through: Option<&str>,
    author: &Author,
    context: &Context<'_>,
) -> Result<Taken, Error> {
    let terms = context.terms();
    let opening = mutex::open(&terms);
    let Locked { mut client, server, .. } = mutex::acquire(&opening, &terms)?;
    let failed = |error: postgres::Error| {
        Error::new(
            Kind::Failed,
            format!(
                "cannot take over {}, nothing was recorded",
                context.connector.settings()
            ),
            describe(&error),
        )
    };
    let through = match through {
        Some(file) if phases.statements().any(|statement| statement.file == file) => Through::File(file.to_owned()),
        Some(file) => {
            return Err(Error::new(
                Kind::Usage,
                format!("there is no phase file {file} with statements in it"),
                "",
            )
            .next("name it as messages do, for instance 03_tables.sql or 03_tables/a.sql"));
        }
        None => match takeover::find(&mut client).map_err(failed)? {
            Some(applied) if applied.failed.is_empty() => Through::Tool(applied),
            Some(applied) => {
                return Err(Error::new(
                    Kind::Failed,
                    format!(
                        "{} of {} says that these failed, or were not finished",
                        applied.table, applied.tool
                    ),
                    applied.failed.join(", "),
                )
                .next(Next::from("put them right with that tool, or say how far it came").hint(Hint::Through)));
            }
            None => Through::All,
        },
    };
    let record = Newest::read(&mut client, server.journal)?.record(&mut client, server.journal)?;
    let done = record.done.clone().unwrap_or_default();
    let plan = Plan::new(phases, expected, record.plan_input(Actual::Converged));
    let files: Vec<&str> = plan.steps.iter().map(|step| step.statement.file.as_str()).collect();
    let has_run = |n: usize, step: &Planned<'_>| match &through {
        Through::All => true,
        Through::File(file) => files[n..].contains(&file.as_str()),
        Through::Tool(applied) => applied.includes(&step.phase.name, step.phase.version_text()),
    };
    let (recorder, _) = journal::begin(
        &mut client,
        server.journal,
        author,
        None,
        true,
        &[],
        Texts::of(&server.encoding),
    )?;
    let mut taken = Taken {
        done: Vec::new(),
        outstanding: Vec::new(),
        by: match &through {
            Through::All => "your word".to_owned(),
            Through::File(file) => format!("your word, through {file}"),
            Through::Tool(applied) => format!("{} of {}", applied.table, applied.tool),
        },
        run: recorder.run,
    };
    let mut sql = String::new();
    for (n, step) in plan.steps.iter().enumerate() {
        let Some(key) = step.once.as_ref().filter(|key| !done.contains(*key)) else {
            continue;
        };
        if has_run(n, step) {
            sql.push_str(&journal::once_sql(key, recorder.run, None));
            sql.push_str(";\n");
            taken.done.push(step.statement.place());
        } else {
            taken.outstanding.push(step.statement.place());
        }
    }
    // One message is one transaction.
    let result = client.batch_execute(&sql).map_err(failed);
    let ending = Ending {
        error: result.as_ref().err().map(ToString::to_string),
        changes: Some(Vec::new()),
        ..Ending::default()
    };
    let recorded = recorder.finish(&mut client, &ending).map_err(failed);
    result.and(recorded)?;
    Ok(taken)
}
