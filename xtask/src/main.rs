//! `cargo xtask` of the portal: the commands of `migration-cli`, and the tests of this workspace.

mod test_migrations;

use std::process::ExitCode;

use migration_cli::{Application, ReadonlyRole, report};

const PORTAL: Application = Application {
    database: "daydream_portal",
    user: "daydream_user",
    readonly: Some(ReadonlyRole {
        name: "readonly_user",
        // The Node script gave it to the role, everywhere the same.
        well_known_password: Some("change_me"),
        // Then it has a console.
        read_as_if_set: Some("CONSOLE_PASSWORD_HASH"),
    }),
    backend: Some("backend"),
};

/// The commands that only this workspace has.
#[derive(clap::Subcommand)]
enum Command {
    TestMigrations(test_migrations::Args),
}

fn main() -> ExitCode {
    migration_cli::main_with(PORTAL, |command: &Command| match command {
        Command::TestMigrations(args) => report::end(test_migrations::run(args), false),
    })
}
