//! `snapshot`: observes the phases on a scratch server and writes `expected.json`.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use clap::ArgMatches;
use connection::{Config, Error, Kind, Settings, SslMode};
use migration::expected::{Expected, FILE};
use migration::session::connect::Session;
use migration::session::{Connector, Target};
use migration::snapshot::Observation;
use migration::{Phases, snapshot};
use scratch::{Server, ServerOptions};

use super::options::Sql;
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
    /// Write nothing; fail if expected.json is stale, and show the difference.
    #[arg(long)]
    pub check: bool,
    /// Fail if a statement would keep users of a table waiting, unless a directive accepts it with a reason.
    #[arg(long)]
    pub deny: bool,
}

/// Who runs the phases on the scratch server.
const OWNER: &str = "xtask_snapshot_owner";

/// Runs the command.
pub fn run(args: &Args, _given: &ArgMatches) -> anyhow::Result<()> {
    signals::watch()?;
    let start = Instant::now();
    let phases = args.sql.phases()?;
    names_differ(&phases)?;
    let spinner = ui::Spinner::new();
    let server = Server::start(&ServerOptions::from_environment()?, &signals::received, &|text| {
        spinner.say(text)
    })
    .map_err(Error::from)?;
    let mut config = Config::new();
    config
        .host(server.host())
        .port(server.port())
        .user(server.user())
        .password(server.password())
        .dbname("postgres");
    let connect = |config: &Config| {
        let settings = Settings {
            config: config.clone(),
            ssl: SslMode::Disable,
            ssl_ca: None,
        };
        Connector::new(settings, None)?.wait(
            Target::Writable,
            &Session::default(),
            Duration::from_secs(30),
            &signals::received,
            &|_, _| {},
        )
    };
    // The owner's name is told from all others in a catalog. The server's own superuser is one that phases may name.
    let password = postgres_protocol::escape::escape_literal(server.password());
    let mut admin = connect(&config)?;
    admin.batch_execute(&format!("CREATE ROLE {OWNER} SUPERUSER LOGIN PASSWORD {password}"))?;
    admin.batch_execute(&format!("CREATE DATABASE snapshot OWNER {OWNER}"))?;
    drop(admin);
    config.user(OWNER).dbname("snapshot");
    let mut client = connect(&config)?;
    let observer = connect(&config)?;
    let observed = snapshot::observe(&mut client, observer, &phases, &|n, total, statement| {
        spinner.say(&format!("{n}/{total}  {}  {}", statement.place(), statement.summary()));
    });
    drop(client);
    let description = server.description();
    if let Some(signal) = signals::received() {
        return Err(Error::new(
            Kind::Interrupted(signal),
            "interrupted while observing, nothing was written",
            "",
        )
        .into());
    }
    let mut observed = observed?;
    server.stop()?;
    spinner.clear();
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
    let counts = format!(
        "{}, {}, observed on {description} in {}",
        ui::count(observed.expected.statements.len(), "statement"),
        ui::count(observed.expected.objects.len(), "object"),
        ui::time(start.elapsed())
    );
    if args.check {
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
        anstream::eprintln!("{} is up to date: {counts}", path.display());
    } else if old.as_deref() == Some(&text) {
        anstream::eprintln!("{} is unchanged: {counts}", path.display());
    } else {
        std::fs::write(&path, &text).map_err(|error| {
            Error::new(
                Kind::Failed,
                format!("cannot write {}", path.display()),
                error.to_string(),
            )
        })?;
        anstream::eprintln!("wrote {}: {counts}", path.display());
    }
    report(&observed, args.deny)
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
        let git = which::which("git").ok()?;
        let shown = Command::new(git)
            .arg("-C")
            .arg(dir)
            .args(["show", &format!("HEAD:./{FILE}")])
            .output()
            .ok()?;
        shown
            .status
            .success()
            .then(|| String::from_utf8_lossy(&shown.stdout).into_owned())
    };
    if is_conflicted { None } else { committed() }.or_else(|| there.map(ToOwned::to_owned))
}

/// The lines of two versions of the file that differ. Locks are left out: they are those of the server's version.
fn difference(old: &Expected, new: &Expected) -> anyhow::Result<Vec<String>> {
    let lines = |expected: &Expected| -> anyhow::Result<Vec<String>> {
        let mut expected = expected.clone();
        expected
            .statements
            .iter_mut()
            .for_each(|statement| statement.locks.clear());
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

/// Says what would keep users of a table waiting, and what a second run changes.
fn report(observed: &Observation, deny: bool) -> anyhow::Result<()> {
    let hazards = &observed.hazards;
    let accepted = hazards.iter().filter(|hazard| hazard.accepted.is_some()).count();
    let open: Vec<_> = hazards.iter().filter(|hazard| hazard.accepted.is_none()).collect();
    for hazard in &open {
        ui::warn(&format!("{}: {}", hazard.place, hazard.text));
    }
    if accepted > 0 {
        anstream::eprintln!("{} accepted by directives", ui::count(accepted, "such lock"));
    }
    for (place, objects) in &observed.unstable {
        let objects: Vec<_> = objects.iter().map(ToString::to_string).collect();
        ui::warn(&format!(
            "{place}: run twice in a row as they stand, the phases would leave otherwise: {} (migrate does not run it again)",
            objects.join(", ")
        ));
    }
    for (place, rows) in &observed.restless {
        ui::warn(&format!(
            "{place}: shall run always, and changes {rows} rows when it runs again: it has to find nothing to do then"
        ));
    }
    let mut wrong = Vec::new();
    if !open.is_empty() {
        let statements = ui::count(open.len(), "statement");
        wrong.push((
            format!("{statements} would keep users of a table waiting"),
            "write them as proposed, or accept one above the statement: -- xtask: accepts <reason>",
        ));
    }
    if !observed.restless.is_empty() {
        let statements = ui::count(observed.restless.len(), "statement");
        wrong.push((
            format!("{statements} with `always` would change rows at each deploy"),
            "give it a condition that a changed row no longer meets, or take the directive away",
        ));
    }
    match wrong.into_iter().next() {
        Some((what, next)) if deny => Err(Error::new(Kind::Failed, what, "").next(next).into()),
        _ => Ok(()),
    }
}
