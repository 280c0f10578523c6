//! `snapshot`: observes the phases on a scratch server and writes `expected.json`.

mod observe;
mod spare;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use connection::{Error, Kind};
use migration::Phases;
use migration::catalog::ObjectId;
use migration::expected::{Expected, FILE};
use migration::locks::Hazard;
use scratch::{ServerOptions, program};
use serde::Serialize;
use xshell::cmd;

pub use spare::Spare;

use super::options::Sql;
use crate::report::Report;
use crate::{signals, ui};

/// Observe on a scratch server what each statement does, and write expected.json
///
/// Starts a PostgreSQL server of its own (Docker, or local binaries), runs the phases on it twice, statement by statement,
/// reads the catalog after each, and writes what a finished database must have, and what each statement leaves, to
/// expected.json beside the phases. Reports what would keep users of a table waiting. Commit the file with the phases.
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(flatten)]
    pub sql: Sql,
    #[command(flatten)]
    how: How,
    /// Print one JSON document on stdout.
    #[arg(long)]
    pub json: bool,
}

/// How phases are observed.
#[derive(clap::Args, Debug, Clone, Copy, Default)]
pub struct How {
    /// Write nothing; fail if expected.json is stale, and show the difference.
    #[arg(long)]
    pub check: bool,
    /// Fail if a statement would keep users of a table waiting, unless a directive accepts it with a reason.
    #[arg(long)]
    pub deny: bool,
    /// Observe all phases again, and keep nothing under target/snapshot. Otherwise files that are as they were, from the
    /// first one on, are not observed again; the result is the same.
    #[arg(long)]
    pub cold: bool,
}

/// What was observed, and what became of the file.
#[derive(Serialize)]
pub struct Observed {
    outcome: Outcome,
    file: PathBuf,
    statements: usize,
    objects: usize,
    server: String,
    /// How many statements were not observed again, because they and all before them ran before.
    known: usize,
    milliseconds: f64,
    /// What would keep users of a table waiting.
    hazards: Vec<Hazard>,
    /// Statements that the phases, run twice in a row, would leave otherwise, with the objects.
    unstable: BTreeMap<String, Vec<ObjectId>>,
    /// Statements with `always` that change rows when they run again, and how many.
    restless: Vec<(String, i64)>,
    /// Optional statements that this server could not run, and why.
    not_run: Vec<(String, String)>,
    #[serde(skip)]
    deny: bool,
}

/// What became of the file.
#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    UpToDate,
    Unchanged,
    Wrote,
}

/// Runs the command.
pub fn run(args: &Args) -> anyhow::Result<Observed> {
    signals::watch()?;
    let mut spare = Spare::new(ServerOptions::from_environment()?);
    make(&args.sql.phases()?, args.how, &mut spare)
}

/// The same for these phases, as the other arguments say; on the spare server, if there is one.
pub fn make(phases: &Phases, how: How, spare: &mut Spare) -> anyhow::Result<Observed> {
    let start = Instant::now();
    names_differ(phases)?;
    let observe::Observed { record, server, known } = observe::observe(phases, how.cold, spare)?;
    let mut observed = record.observation(phases);
    for (place, reason) in &observed.not_run {
        ui::warn(&format!(
            "{place}: optional, and not available on this server: {reason}"
        ));
    }
    let path = phases.dir.join(FILE);
    let old = std::fs::read_to_string(&path).ok();
    observed
        .expected
        .succeed(predecessor(&phases.dir, old.as_deref()).as_deref())?;
    let text = observed.expected.text()?;
    let outcome = if how.check {
        let stale = |cause: String| {
            Error::new(Kind::Failed, format!("{} is stale", path.display()), cause)
                .next("run cargo xtask snapshot (with the same --sql), look at the difference, and commit it")
        };
        let old = old.ok_or_else(|| stale("it is missing".into()))?;
        let old = Expected::parse(&old).map_err(stale)?;
        let difference = difference(&old, &observed.expected)?;
        if !difference.is_empty() {
            return Err(stale(difference.join("\n")).into());
        }
        Outcome::UpToDate
    } else if old.as_deref() == Some(&text) {
        Outcome::Unchanged
    } else {
        std::fs::write(&path, &text).map_err(|error| {
            Error::new(
                Kind::Failed,
                format!("cannot write {}", path.display()),
                error.to_string(),
            )
        })?;
        Outcome::Wrote
    };
    Ok(Observed {
        outcome,
        file: path,
        statements: observed.expected.statements.len(),
        objects: observed.expected.objects.len(),
        server,
        known,
        milliseconds: start.elapsed().as_secs_f64() * 1000.0,
        hazards: observed.hazards,
        unstable: observed.unstable,
        restless: observed.restless,
        not_run: observed.not_run,
        deny: how.deny,
    })
}

/// Makes sure that PostgreSQL tells all names apart: of two that it cuts to one, `IF NOT EXISTS` makes the first only.
fn names_differ(phases: &Phases) -> Result<(), Error> {
    let cut = phases.cut_names();
    if cut.is_empty() {
        return Ok(());
    }
    Err(Error::new(
        Kind::Failed,
        "PostgreSQL keeps 63 bytes of a name, and takes different names for one",
        cut.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"),
    )
    .next("shorten them in the phase files"))
}

/// What the new file is a successor of: the committed one, so that a version which was never committed is none; in the
/// middle of a merge the conflicted one, which has both sides; else the one that is there.
fn predecessor(dir: &Path, there: Option<&str>) -> Option<String> {
    let is_conflicted = there.is_some_and(|text| text.lines().any(|line| line.starts_with("<<<<<<<")));
    let committed = || {
        let name = format!("HEAD:./{FILE}");
        program::read("git", |sh, git| cmd!(sh, "{git} -C {dir} show {name}"))
    };
    if is_conflicted { None } else { committed() }.or_else(|| there.map(ToOwned::to_owned))
}

/// The lines of two versions of the file that differ. Locks, and what is done about them, are left out: they are those of the server's version.
fn difference(old: &Expected, new: &Expected) -> anyhow::Result<Vec<String>> {
    let lines = |expected: &Expected| -> anyhow::Result<Vec<String>> {
        let mut expected = expected.clone();
        expected.statements.iter_mut().for_each(|statement| {
            statement.locks.clear();
            statement.online.clear();
        });
        Ok(expected
            .text()?
            .lines()
            .map(|line| line.trim_end_matches(',').to_owned())
            .collect())
    };
    let (old, new) = (lines(old)?, lines(new)?);
    let gone = old
        .iter()
        .filter(|line| !new.contains(line))
        .map(|line| format!("- {line}"));
    let come = new
        .iter()
        .filter(|line| !old.contains(line))
        .map(|line| format!("+ {line}"));
    let mut difference: Vec<String> = gone.chain(come).collect();
    if difference.is_empty() && old != new {
        difference.push("the order of the statements changed".to_owned());
    }
    Ok(difference)
}

impl Observed {
    /// What nobody has accepted.
    fn open(&self) -> Vec<&Hazard> {
        self.hazards.iter().filter(|hazard| hazard.accepted.is_none()).collect()
    }
}

impl Report for Observed {
    /// What became of the file, what would keep users of a table waiting, and what a second run changes.
    fn remark(&self) {
        let file = self.file.display();
        let how = match self.known {
            0 => "observed on",
            known if known < self.statements => &format!("the first {known} as observed before, the others on"),
            _ => "all as observed before on",
        };
        let counts = format!(
            "{}, {}, {how} {} in {}",
            ui::count(self.statements, "statement"),
            ui::count(self.objects, "object"),
            self.server,
            ui::time(Duration::from_secs_f64(self.milliseconds / 1000.0))
        );
        ui::say(&match self.outcome {
            Outcome::UpToDate => format!("{file} is up to date: {counts}"),
            Outcome::Unchanged => format!("{file} is unchanged: {counts}"),
            Outcome::Wrote => format!("wrote {file}: {counts}"),
        });
        let open = self.open();
        for hazard in &open {
            ui::warn(&format!("{}: {}", hazard.place, hazard.text));
        }
        let accepted = self.hazards.len() - open.len();
        if accepted > 0 {
            ui::say(&format!("{} accepted by directives", ui::count(accepted, "such lock")));
        }
        for (place, objects) in &self.unstable {
            let objects: Vec<_> = objects.iter().map(ToString::to_string).collect();
            ui::warn(&format!(
                "{place}: run twice in a row as they stand, the phases would leave otherwise: {} (migrate does not run it again)",
                objects.join(", ")
            ));
        }
        for (place, rows) in &self.restless {
            ui::warn(&format!(
                "{place}: shall run always, and changes {rows} rows when it runs again: it has to find nothing to do then"
            ));
        }
    }

    fn failure(&self) -> Option<Error> {
        let open = self.open().len();
        let (what, next) = match (open, self.restless.len()) {
            _ if !self.deny => return None,
            (0, 0) => return None,
            (0, restless) => (
                format!(
                    "{} with `always` would change rows at each deploy",
                    ui::count(restless, "statement")
                ),
                "give it a condition that a changed row no longer meets, or take the directive away",
            ),
            (open, _) => (
                format!("{} would keep users of a table waiting", ui::count(open, "statement")),
                "write them as proposed, or accept one above the statement: -- xtask: accepts <reason>",
            ),
        };
        Some(Error::new(Kind::Failed, what, "").next(next))
    }
}
