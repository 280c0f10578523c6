//! `verify`: the expected catalog against the actual one.

use clap::ArgMatches;
use connection::{Error, Kind};
use migration::catalog::Difference;
use migration::failure::one_line;
use migration::plan::{Actual, Known, Plan, Planned};
use migration::{Expected, Phases};
use serde_json::json;

use super::options::Common;
use super::reading::{Reading, read};
use crate::out;
use crate::ui;

/// Compare the database with expected.json, object by object
///
/// Shows what is missing, different, INVALID or NOT VALID, which statements that run once have not run, what is there
/// besides, what earlier versions left, and what cannot be compared.
/// Changes nothing. Exit status 4 if the database has not converged.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Exit status 4 also for objects that are in no phase file.
    #[arg(long)]
    pub strict: bool,
    /// Compare also with a database that a later version was brought to.
    #[arg(long)]
    pub allow_older: bool,
    /// Print one JSON document on stdout.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub common: Common,
}

/// Runs the command.
pub fn run(args: &Args, given: &ArgMatches) -> anyhow::Result<()> {
    let phases = Phases::read(&args.common.sql.dir()).map_err(Error::from)?;
    let expected = Expected::read(&phases)?;
    let reading = read(&args.common.connection, &args.common.locks, &expected, given)?;
    if reading.is_left_alone(&expected, args.allow_older) {
        if args.json {
            out!("{}", json!({ "outcome": "newer", "exit_status": 0 }));
        }
        return Ok(());
    }
    let Reading {
        catalog,
        settings,
        record,
        ..
    } = reading;
    let known = Known {
        actual: Actual::Catalog(&catalog),
        done: record.done.as_ref(),
        since_empty: record.since_empty,
        force: false,
    };
    let plan = Plan::new(&phases, &expected, known);
    if record.done.is_none() {
        ui::warn("this role may not read the journal (schema migration): statements that run once are taken for done");
    }
    // Where the journal knows nothing, nobody knows what has run.
    let is_outstanding = |step: &&Planned<'_>| step.run && step.once.is_some() && record.since_empty;
    let outstanding: Vec<_> = plan.steps.iter().filter(is_outstanding).collect();
    let differences = expected.differences(&catalog);
    let invalid: Vec<_> = catalog
        .iter()
        .filter(|(_, definition)| definition.ends_with(" INVALID") || definition.to_uppercase().ends_with(" NOT VALID"))
        .collect();
    let wrong = differences.iter().filter(|difference| !difference.is_extra()).count();
    let is_obsolete = |difference: &Difference| expected.obsolete.contains(difference.id());
    let extra = differences
        .iter()
        .filter(|difference| difference.is_extra() && !is_obsolete(difference))
        .count();
    let obsolete = differences.len() - wrong - extra;
    // What was not looked at is what no phase has to do with.
    let extra = extra + catalog.unread().len();
    let converged = wrong == 0 && outstanding.is_empty() && !(args.strict && extra > 0);
    if args.json {
        out!(
            "{}",
            json!({
                "outcome": if converged { "converged" } else { "not converged" },
                "exit_status": if converged { 0 } else { Kind::NotConverged.exit_status() },
                "objects": expected.objects.len(),
                "differences": differences,
                "obsolete": differences.iter().filter(|difference| is_obsolete(difference)).map(|difference| difference.id().to_string()).collect::<Vec<_>>(),
                "outstanding": outstanding.iter().map(|step| step.statement.place()).collect::<Vec<_>>(),
                "invalid": invalid.iter().map(|(id, definition)| json!({ "id": id, "definition": definition })).collect::<Vec<_>>(),
                "unmodelled": catalog.unmodelled(),
                "not_looked_at": catalog.unread(),
            })
        );
        return if converged {
            Ok(())
        } else {
            Err(crate::ui::Status(Kind::NotConverged).into())
        };
    }
    for difference in &differences {
        match difference {
            Difference::Missing { id, expected } => out!("missing    {id}\n           - {}", one_line(expected)),
            Difference::Different { id, expected, actual } => {
                out!("different  {id}");
                print_words(expected, actual);
            }
            Difference::Extra { id, .. } if is_obsolete(difference) => {
                out!("obsolete   {id}\n             an earlier version made it, and no file names it any more");
            }
            Difference::Extra { id, .. } => out!("extra      {id}"),
        }
    }
    for unread in catalog.unread() {
        out!("extra      {} (not looked at)", unread.relation);
    }
    for step in &outstanding {
        out!("not run    {}  {}", step.statement.place(), step.statement.summary());
    }
    for (id, definition) in &invalid {
        out!("not valid  {id}\n             {}", one_line(definition));
    }
    for thing in catalog.unmodelled() {
        out!("unmodelled {} ({}): {}", thing.identity, thing.catalog, thing.reason);
    }
    let summary = format!(
        "{settings}: {} expected, {wrong} missing or different, {} outstanding, {extra} extra, {obsolete} obsolete, {} not valid, {} unmodelled",
        ui::count(expected.objects.len(), "object"),
        ui::count(outstanding.len(), "statement"),
        invalid.len(),
        catalog.unmodelled().len()
    );
    if !converged {
        return Err(Error::new(Kind::NotConverged, summary, "")
            .next("cargo xtask plan shows what migrate would do about it")
            .into());
    }
    anstream::eprintln!("converged: {summary}");
    Ok(())
}

/// Both definitions; where they share words at the beginning and the end, what lies between is marked.
fn print_words(expected: &str, actual: &str) {
    let (expected, actual) = (one_line(expected), one_line(actual));
    let (a, b): (Vec<&str>, Vec<&str>) = (expected.split(' ').collect(), actual.split(' ').collect());
    let start = a.iter().zip(&b).take_while(|(a, b)| a == b).count();
    let rest = a.len().min(b.len()) - start;
    let end = a
        .iter()
        .rev()
        .zip(b.iter().rev())
        .take(rest)
        .take_while(|(a, b)| a == b)
        .count();
    for (sign, words) in [('-', &a), ('+', &b)] {
        let middle = words[start..words.len() - end].join(" ");
        let parts = [
            words[..start].join(" "),
            format!("[{middle}]"),
            words[words.len() - end..].join(" "),
        ];
        out!(
            "           {sign} {}",
            parts
                .iter()
                .filter(|part| !part.is_empty())
                .cloned()
                .collect::<Vec<_>>()
                .join(" ")
        );
    }
}
