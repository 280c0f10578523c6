//! `cargo xtask` as a library: the commands, for whatever application an `xtask` of a few lines names.
//!
//! ```no_run
//! use migration_cli::Application;
//!
//! fn main() -> std::process::ExitCode {
//!     migration_cli::main(Application {
//!         database: "shop",
//!         user: "shop",
//!         ..Application::default()
//!     })
//! }
//! ```
//!
//! One that has commands of its own as well calls [`main_with`].

mod application;
mod author;
mod backend;
mod child;
mod commands;
mod fleet;
mod handover;
mod hints;
pub mod report;
pub mod signals;
pub mod ui;

use std::process::ExitCode;

pub use application::{Application, ReadonlyRole};
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
pub use commands::options::workspace;
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
struct Cli<Own: Subcommand> {
    #[command(subcommand)]
    command: Any<Own>,
}

#[derive(Subcommand)]
// There is one of it.
#[allow(clippy::large_enum_variant)]
enum Any<Own: Subcommand> {
    #[command(flatten)]
    Ours(Command),
    #[command(flatten)]
    Own(Own),
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
    New(commands::new::Args),
    Init(commands::init::Args),
    Completions(commands::completions::Args),
}

/// No commands besides ours.
#[derive(Subcommand)]
enum Nothing {}

/// All of an `xtask`: parses the arguments and carries them out for this application.
pub fn main(application: Application) -> ExitCode {
    main_with::<Nothing>(application, |nothing| match *nothing {})
}

/// The same for an `xtask` with commands of its own beside ours, which `run` carries out. What they need besides:
/// [`report`], [`signals`], [`ui`], [`workspace`].
pub fn main_with<Own: Subcommand>(application: Application, run: impl FnOnce(&Own) -> ExitCode) -> ExitCode {
    application::set(application);
    // Before any thread is started: it changes the environment.
    if let Err(error) = load_dotenv() {
        return report::fail(&error, false);
    }
    let mut parser = program::<Own>();
    let cli = parser
        .try_get_matches_from_mut(std::env::args_os())
        .and_then(|matches| Cli::<Own>::from_arg_matches(&matches).map_err(|error| error.format(&mut parser)));
    match cli {
        Ok(Cli {
            command: Any::Ours(command),
        }) => command.run(program::<Own>),
        Ok(Cli { command: Any::Own(own) }) => run(&own),
        Err(error) => report::usage(&error),
    }
}

/// The arguments, as this application needs them.
fn program<Own: Subcommand>() -> clap::Command {
    let mut program = Cli::<Own>::command();
    if application::get().backend.is_none() {
        for name in ["deploy", "pre-deploy"] {
            program = program.mut_subcommand(name, |command| command.hide(true));
        }
    }
    // Nobody who develops wants to wait for it; a backend that ends after all is told.
    program.mut_subcommand("dev", |command| {
        command.mut_arg("settle_time", |settle_time| settle_time.default_value("0s"))
    })
}

impl Command {
    /// Carries it out; `program` gives the arguments that there are.
    fn run(&self, program: fn() -> clap::Command) -> ExitCode {
        match self {
            Self::Dev(args) => report::end(commands::dev::run(args), args.json),
            Self::Migrate(many) => many.run(many.args.json, many.args.connection(), any, |args| {
                report::finish(commands::migrate::run(args), args.json)
            }),
            Self::PreDeploy(args) => report::finish(commands::pre_deploy::run(args), args.json),
            Self::Deploy(args) => report::end(commands::deploy::run(args), false),
            Self::Plan(many) => many.run(
                many.args.json,
                &many.args.common.connection,
                |args| commands::rollback::of_many(args.release || args.rollback.is_none()),
                |args| report::finish(commands::plan::run(args), args.json),
            ),
            Self::Verify(many) => many.run(many.args.json, &many.args.common.connection, any, |args| {
                report::finish(commands::verify::run(args), args.json)
            }),
            Self::Snapshot(args) => report::finish(commands::snapshot::run(args), args.json),
            Self::History(many) => many.run(many.args.json, &many.args.connection, any, |args| {
                report::finish(commands::history::run(args), args.json)
            }),
            Self::Rollback(many) => many.run(
                many.args.json,
                &many.args.connection,
                |args| commands::rollback::of_many(args.release),
                |args| report::finish(commands::rollback::run(args), args.json),
            ),
            Self::Quarantine(args) => report::finish(commands::quarantine::run(args), args.json()),
            Self::Baseline(args) => report::finish(commands::baseline::run(args), args.json),
            Self::New(args) => report::finish(commands::new::run(args), args.json),
            Self::Init(args) => report::finish(commands::init::run(args), args.json),
            Self::Completions(args) => report::end(commands::completions::run(args, program()), false),
        }
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
    use super::*;

    #[test]
    fn arguments_do_not_clash() {
        Cli::<Nothing>::command().debug_assert();
    }
}
