//! `verify`: the expected catalog against the actual one.

use connection::{Error, Kind, Settings};
use migration::catalog::{Difference, ObjectId, Unmodelled, Unread};
use migration::failure::one_line;
use migration::plan::{Actual, Plan, Planned};
use migration::session::strangers::refuse_strangers;
use migration::source::statement::Statement;
use migration::{Expected, Phases};
use serde::Serialize;

use super::options::Common;
use super::reading::{Newer, Reading, read};
use crate::report::Report;
use crate::{hints, out, ui};

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

/// How the database compares.
#[derive(Serialize)]
#[serde(untagged)]
pub enum Verified {
    /// It is newer than the phase files.
    Newer {
        outcome: &'static str,
        exit_status: u8,
        #[serde(skip)]
        newer: Newer,
    },
    /// As it is.
    Compared(Compared),
}

/// A comparison.
#[derive(Serialize)]
pub struct Compared {
    outcome: &'static str,
    exit_status: u8,
    /// How many are expected.
    objects: usize,
    differences: Vec<Difference>,
    obsolete: Vec<String>,
    /// Statements that run once and have not run.
    outstanding: Vec<String>,
    invalid: Vec<Invalid>,
    unmodelled: Vec<Unmodelled>,
    not_looked_at: Vec<Unread>,
    /// The summaries of those that are outstanding.
    #[serde(skip)]
    statements: Vec<String>,
    #[serde(skip)]
    settings: Settings,
    #[serde(skip)]
    reads_journal: bool,
}

/// An object that is INVALID or NOT VALID.
#[derive(Serialize)]
struct Invalid {
    id: ObjectId,
    definition: String,
}

impl Compared {
    fn new(reading: &Reading, phases: &Phases, expected: &Expected, strict: bool) -> Self {
        let Reading { catalog, record, .. } = reading;
        let plan = Plan::new(phases, expected, record.plan_input(Actual::Catalog(catalog)));
        // Where the journal knows nothing, nobody knows what has run.
        let is_outstanding = |step: &&Planned<'_>| step.runs && step.once.is_some() && record.since_empty;
        let outstanding = || plan.steps.iter().filter(is_outstanding).map(|step| step.statement);
        let differences = expected.differences(catalog);
        let is_invalid =
            |definition: &str| definition.ends_with(" INVALID") || definition.to_uppercase().ends_with(" NOT VALID");
        let invalid = catalog.iter().filter(|(_, definition)| is_invalid(definition));
        let extra = differences.iter().filter(|difference| difference.is_extra());
        let mut compared = Self {
            outcome: "converged",
            exit_status: 0,
            objects: expected.objects.len(),
            obsolete: extra
                .map(Difference::id)
                .filter(|id| expected.obsolete.contains(id))
                .map(ToString::to_string)
                .collect(),
            outstanding: outstanding().map(Statement::place).collect(),
            statements: outstanding().map(Statement::summary).collect(),
            invalid: invalid
                .map(|(id, definition)| Invalid {
                    id: id.clone(),
                    definition: definition.to_owned(),
                })
                .collect(),
            unmodelled: catalog.unmodelled().to_vec(),
            not_looked_at: catalog.unread().to_vec(),
            differences,
            settings: reading.settings.clone(),
            reads_journal: record.done.is_some(),
        };
        let converged = compared.wrong() == 0 && compared.outstanding.is_empty() && !(strict && compared.extra() > 0);
        if !converged {
            compared.outcome = "not converged";
            compared.exit_status = Kind::NotConverged.exit_status();
        }
        compared
    }

    /// How many are missing or different.
    fn wrong(&self) -> usize {
        self.differences
            .iter()
            .filter(|difference| !difference.is_extra())
            .count()
    }

    /// How many are in no phase file; what was not looked at is what no phase has to do with.
    fn extra(&self) -> usize {
        self.differences.len() - self.wrong() - self.obsolete.len() + self.not_looked_at.len()
    }

    fn summary(&self) -> String {
        format!(
            "{}: {} expected, {} missing or different, {} outstanding, {} extra, {} obsolete, {} not valid, {} unmodelled",
            self.settings,
            ui::count(self.objects, "object"),
            self.wrong(),
            ui::count(self.outstanding.len(), "statement"),
            self.extra(),
            self.obsolete.len(),
            self.invalid.len(),
            self.unmodelled.len()
        )
    }

    fn print(&self) {
        for difference in &self.differences {
            match difference {
                Difference::Missing { id, expected } => out!("missing    {id}\n           - {}", one_line(expected)),
                Difference::Different { id, expected, actual } => {
                    out!("different  {id}");
                    print_words(expected, actual);
                }
                Difference::Extra { id, .. } if self.obsolete.contains(&id.to_string()) => {
                    out!("obsolete   {id}\n             an earlier version made it, and no file names it any more");
                }
                Difference::Extra { id, .. } => out!("extra      {id}"),
            }
        }
        for unread in &self.not_looked_at {
            out!("extra      {} (not looked at)", unread.relation);
        }
        for (place, statement) in self.outstanding.iter().zip(&self.statements) {
            out!("not run    {place}  {statement}");
        }
        for Invalid { id, definition } in &self.invalid {
            out!("not valid  {id}\n             {}", one_line(definition));
        }
        for thing in &self.unmodelled {
            out!("unmodelled {} ({}): {}", thing.identity, thing.catalog, thing.reason);
        }
        if self.exit_status == 0 {
            ui::say(&format!("converged: {}", self.summary()));
        }
    }
}

impl Report for Verified {
    fn remark(&self) {
        match self {
            Self::Newer { newer, .. } => newer.say(),
            Self::Compared(compared) if !compared.reads_journal => ui::warn(hints::UNREADABLE_JOURNAL),
            Self::Compared(_) => {}
        }
    }

    fn print(&self) {
        if let Self::Compared(compared) = self {
            compared.print();
        }
    }

    fn failure(&self) -> Option<Error> {
        match self {
            Self::Compared(compared) if compared.exit_status != 0 => Some(
                Error::new(Kind::NotConverged, compared.summary(), "")
                    .next("cargo xtask plan shows what migrate would do about it"),
            ),
            _ => None,
        }
    }
}

/// Runs the command.
pub fn run(args: &Args) -> anyhow::Result<Verified> {
    let phases = Phases::read(&args.common.sql.dir()).map_err(Error::from)?;
    let expected = Expected::read(&phases)?;
    let mut reading = read(&args.common.connection, &args.common.locks, Some(&expected))?;
    refuse_strangers(&mut reading.client, &expected.tables())?;
    if let Some(newer) = reading.newer(&expected, args.allow_older) {
        return Ok(Verified::Newer {
            outcome: "newer",
            exit_status: 0,
            newer,
        });
    }
    Ok(Verified::Compared(Compared::new(
        &reading,
        &phases,
        &expected,
        args.strict,
    )))
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
