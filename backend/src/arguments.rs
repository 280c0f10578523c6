//! The command line: a few flags, everything else comes from the environment.

use std::ffi::OsString;
use std::io::Write as _;

use anyhow::Context as _;

use crate::settings::VARIABLES;
use crate::{GIT_COMMIT, VERSION};

/// What the command line asks for.
#[derive(Debug, PartialEq, Eq)]
pub enum Action {
    /// Serve until told to end.
    Serve,
    /// Ask the running backend whether it is ready.
    HealthCheck,
    /// Make the hash of a password for the console.
    HashPassword,
    /// Print the help.
    Help,
    /// Print the version.
    Version,
}

/// Reads the arguments (without the program's name).
///
/// # Errors
/// A message for the person who typed them.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Action, String> {
    let mut arguments = arguments.into_iter();
    let Some(first) = arguments.next() else {
        return Ok(Action::Serve);
    };
    let action = match first.to_str() {
        Some("--health-check") => Action::HealthCheck,
        Some("--hash-password") => Action::HashPassword,
        Some("--help" | "-h") => Action::Help,
        Some("--version" | "-V") => Action::Version,
        _ => return Err(format!("unknown argument {first:?}")),
    };
    match arguments.next() {
        None => Ok(action),
        Some(further) => Err(format!("unexpected argument {further:?}")),
    }
}

/// The text of `--version`.
#[must_use]
pub fn version() -> String {
    match GIT_COMMIT {
        Some(commit) => format!("backend {VERSION} ({commit})\n"),
        None => format!("backend {VERSION}\n"),
    }
}

/// The text of `--help`, with each variable that is read.
#[must_use]
pub fn help() -> String {
    let mut text = String::from(
        "The HTTP service of the Daydream Portal.\n\n\
         Usage: backend [OPTION]\n\n\
         Without an option it serves until SIGTERM or SIGINT. It listens on a socket that is passed on to it (as by\n\
         systemd, LISTEN_FDS) instead of one of its own; if a second one is, it is asked there whether it is ready,\n\
         and clients are let in from then on.\n\n\
         Options:\n\
         \x20     --health-check  ask the backend on BIND_ADDRESS whether it is ready: 0 yes, 1 no\n\
         \x20     --hash-password read a password from standard input, print its hash for CONSOLE_PASSWORD_HASH\n\
         \x20 -h, --help          print this\n\
         \x20 -V, --version       print the version\n\n\
         Environment (a .env file is read too; the environment wins):\n",
    );
    for (name, default, meaning) in VARIABLES {
        let default = if default.is_empty() {
            String::new()
        } else {
            format!(" [{default}]")
        };
        text.push_str(&format!("  {name:<26} {meaning}{default}\n"));
    }
    text
}

/// Writes `text` to stdout.
///
/// # Errors
/// When stdout cannot be written, except by a reader that has gone: that is no failure.
pub fn print(text: &str) -> anyhow::Result<()> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        result => result.context("cannot write to stdout"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(arguments: &[&str]) -> Result<Action, String> {
        parse(arguments.iter().map(OsString::from))
    }

    #[test]
    fn known_arguments() {
        assert_eq!(parsed(&[]), Ok(Action::Serve));
        assert_eq!(parsed(&["--health-check"]), Ok(Action::HealthCheck));
        assert_eq!(parsed(&["-h"]), Ok(Action::Help));
        assert_eq!(parsed(&["--version"]), Ok(Action::Version));
    }

    #[test]
    fn others_are_wrong_usage() {
        assert!(parsed(&["--port"]).is_err());
        assert!(parsed(&["--help", "me"]).is_err());
        assert!(parsed(&[""]).is_err());
    }

    #[test]
    fn help_names_each_variable() {
        let help = help();
        assert!(VARIABLES.iter().all(|(name, ..)| help.contains(name)));
    }
}
