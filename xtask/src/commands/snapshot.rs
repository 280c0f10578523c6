//! `snapshot`: observes the phases on a scratch server and writes `expected.json`.

use std::time::{Duration, Instant};

use clap::ArgMatches;
use xtask::database::connect::Session;
use xtask::database::server::{Server, ServerOptions};
use xtask::database::{Connector, Settings, SslMode, Target};
use xtask::migration::expected::{Expected, FILE};
use xtask::migration::{Phases, snapshot};
use xtask::{Error, Kind};

use super::options::Sql;
use crate::{signals, ui};

/// Observe on a scratch server what each statement does, and write expected.json
///
/// Starts a PostgreSQL server of its own (Docker, or local binaries), runs the phases on it statement by statement,
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
    let phases = Phases::read(&args.sql.dir()).map_err(Error::from)?;
    let spinner = ui::Spinner::new();
    let server = Server::start(&ServerOptions::from_environment()?, &signals::received, &|text| {
        spinner.say(text)
    })
    .map_err(Error::from)?;
    let mut config = postgres::Config::new();
    config
        .host(server.host())
        .port(server.port())
        .user(server.user())
        .password(server.password())
        .dbname("postgres");
    let connect = |config: &postgres::Config| {
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
    let total = phases.statements().count();
    let observed = snapshot::observe(&mut client, observer, &phases, &|n, statement| {
        spinner.say(&format!(
            "{}/{total}  {}  {}",
            n + 1,
            statement.place(),
            statement.summary()
        ));
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
    let observed = observed?;
    server.stop()?;
    spinner.clear();
    for (place, reason) in &observed.not_run {
        ui::warn(&format!(
            "{place}: optional, and not available on this server: {reason}"
        ));
    }
    let path = phases.dir.join(FILE);
    let text = observed.expected.text()?;
    let old = std::fs::read_to_string(&path).ok();
    let counts = format!(
        "{}, {}, observed on {description} in {}",
        ui::count(total, "statement"),
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
    report(&observed.hazards, args.deny)
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

/// Says what would keep users of a table waiting.
fn report(hazards: &[snapshot::Hazard], deny: bool) -> anyhow::Result<()> {
    let accepted = hazards.iter().filter(|hazard| hazard.accepted.is_some()).count();
    let open: Vec<_> = hazards.iter().filter(|hazard| hazard.accepted.is_none()).collect();
    for hazard in &open {
        ui::warn(&format!("{}: {}", hazard.place, hazard.text));
    }
    if accepted > 0 {
        anstream::eprintln!("{} accepted by directives", ui::count(accepted, "such lock"));
    }
    if deny && !open.is_empty() {
        return Err(Error::new(
            Kind::Failed,
            format!(
                "{} would keep users of a table waiting",
                ui::count(open.len(), "statement")
            ),
            "",
        )
        .next("write them as proposed, or accept one above the statement: -- xtask: accepts <reason>")
        .into());
    }
    Ok(())
}
