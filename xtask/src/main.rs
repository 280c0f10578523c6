//! `cargo xtask`: parses, dispatches, and turns the result into an exit status.

mod author;
mod backend;
mod child;
mod commands;
mod signals;
mod ui;

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

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
    Migrate(commands::migrate::Args),
    PreDeploy(commands::pre_deploy::Args),
    Deploy(commands::deploy::Args),
    Plan(commands::plan::Args),
    Verify(commands::verify::Args),
    Snapshot(commands::snapshot::Args),
    History(commands::history::Args),
    Baseline(commands::baseline::Args),
    TestMigrations(commands::test_migrations::Args),
}

fn main() -> ExitCode {
    // Before any thread is started: it changes the environment.
    if let Err(error) = load_dotenv() {
        return ui::fail(&error, false);
    }
    let matches = Cli::command().get_matches();
    let cli = match Cli::from_arg_matches(&matches) {
        Ok(cli) => cli,
        Err(error) => error.exit(),
    };
    let Some((_, given)) = matches.subcommand() else {
        return ExitCode::from(2);
    };
    let json = given
        .try_get_one::<bool>("json")
        .ok()
        .flatten()
        .copied()
        .unwrap_or(false);
    let result = match &cli.command {
        Command::Dev(args) => commands::dev::run(args),
        Command::Migrate(args) => commands::migrate::run(args, given),
        Command::PreDeploy(args) => commands::pre_deploy::run(args, given),
        Command::Deploy(args) => match commands::deploy::run(args, given) {
            Ok(status) => return ExitCode::from(status),
            Err(error) => Err(error),
        },
        Command::Plan(args) => commands::plan::run(args, given),
        Command::Verify(args) => commands::verify::run(args, given),
        Command::Snapshot(args) => commands::snapshot::run(args, given),
        Command::History(args) => commands::history::run(args, given),
        Command::Baseline(args) => commands::baseline::run(args, given),
        Command::TestMigrations(args) => commands::test_migrations::run(args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => ui::fail(&error, json),
    }
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
    use super::*;

    #[test]
    fn arguments_do_not_clash() {
        Cli::command().debug_assert();
    }
}
