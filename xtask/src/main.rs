//! `cargo xtask`: parses, dispatches, and turns the result into an exit status.

mod author;
mod backend;
mod child;
mod commands;
mod fleet;
mod handover;
mod hints;
mod report;
mod signals;
mod ui;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use fleet::Many;

/// Migrates, checks and deploys the database and the backend.
///
/// Settings come from flags, then the environment, then the file .env. Exit status: 0 done, also when there was
/// nothing to do; 1 failed; 2 wrong usage; 3 cannot connect; 4 not converged; 5 another migration is under way, or
/// locks could not be had in time; 128 + n ended by signal n.
#[derive(Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    version,
    disable_help_subcommand = true
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Dev(commands::dev::Args),
    Migrate(Many<commands::migrate::Args>),
    PreDeploy(commands::pre_deploy::Args),
    Deploy(commands::deploy::Args),
    Plan(Many<commands::plan::Args>),
    Verify(Many<commands::verify::Args>),
    Snapshot(commands::snapshot::Args),
    History(Many<commands::history::Args>),
    Rollback(Many<commands::rollback::Args>),
    Quarantine(commands::quarantine::Args),
    Baseline(commands::baseline::Args),
    TestMigrations(commands::test_migrations::Args),
}

fn main() -> ExitCode {
    // Before any thread is started: it changes the environment.
    if let Err(error) = load_dotenv() {
        return report::fail(&error, false);
    }
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return report::usage(&error),
    };
    match &cli.command {
        Command::Dev(args) => report::end(commands::dev::run(args), args.json),
        Command::Migrate(many) => many.run(many.args.json, many.args.connection(), any, |args| {
            report::finish(commands::migrate::run(args), args.json)
        }),
        Command::PreDeploy(args) => report::finish(commands::pre_deploy::run(args), args.json),
        Command::Deploy(args) => report::end(commands::deploy::run(args), false),
        Command::Plan(many) => many.run(
            many.args.json,
            &many.args.common.connection,
            |args| commands::rollback::of_many(args.release || args.rollback.is_none()),
            |args| report::finish(commands::plan::run(args), args.json),
        ),
        Command::Verify(many) => many.run(many.args.json, &many.args.common.connection, any, |args| {
            report::finish(commands::verify::run(args), args.json)
        }),
        Command::Snapshot(args) => report::finish(commands::snapshot::run(args), args.json),
        Command::History(many) => many.run(many.args.json, &many.args.connection, any, |args| {
            report::finish(commands::history::run(args), args.json)
        }),
        Command::Rollback(many) => many.run(
            many.args.json,
            &many.args.connection,
            |args| commands::rollback::of_many(args.release),
            |args| report::finish(commands::rollback::run(args), args.json),
        ),
        Command::Quarantine(args) => report::finish(commands::quarantine::run(args), args.json()),
        Command::Baseline(args) => report::finish(commands::baseline::run(args), args.json),
        Command::TestMigrations(args) => report::end(commands::test_migrations::run(args), false),
    }
}

/// What may be done for many databases as for one.
fn any<A>(_: &A) -> Result<(), connection::Error> {
    Ok(())
}

/// Loads `.env` from the current folder or one above; a missing file is fine.
fn load_dotenv() -> anyhow::Result<()> {
    match dotenvy::dotenv() {
        Ok(_) => Ok(()),
        Err(error) if error.not_found() => Ok(()),
        // The error's own text shows the line, which may hold a password.
        Err(dotenvy::Error::LineParse(_, column)) => Err(connection::Error::new(
            connection::Kind::Usage,
            "cannot read the file .env",
            format!("a line in it is not NAME=value (the trouble is at its character {column})"),
        )
        .next("put values with spaces or special characters into quotes")
        .into()),
        Err(error) => {
            Err(connection::Error::new(connection::Kind::Usage, "cannot read the file .env", error.to_string()).into())
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn arguments_do_not_clash() {
        Cli::command().debug_assert();
    }
}
