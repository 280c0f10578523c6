//! Builds the backend.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Instant;

use connection::{Error, Kind};
use scratch::program;
use serde_json::Value;
use xshell::cmd;

use super::without_cargo_variables;
use crate::author::git_commit;
use crate::child::{self, Child, Event};
use crate::commands::options::workspace;
use crate::ui;

/// How many compilers cargo runs at a time.
const JOBS: &str = "CARGO_BUILD_JOBS";
/// Passwords: no build script needs them.
const SECRETS: [&str; 3] = ["DATABASE_URL", "POSTGRES_PASSWORD", "POSTGRES_READONLY_PASSWORD"];

/// For whom it is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// For use: optimised, with exactly the dependencies of `Cargo.lock`.
    Release,
    /// The same while a backend serves on this machine: with half of the processors, and behind everybody else.
    ReleaseBeside,
    /// For developers: built sooner, and a changed `Cargo.toml` may change `Cargo.lock`.
    Development,
}

/// Builds it with cargo, whose output is shown; gives the program.
///
/// # Errors
/// It does not compile, or we were told to end; cargo is not there.
pub fn build(profile: Profile) -> anyhow::Result<PathBuf> {
    let package = super::package()?;
    let started = Instant::now();
    let flags: &[&str] = match profile {
        Profile::Release | Profile::ReleaseBeside => &["--release", "--locked"],
        Profile::Development => &[],
    };
    // Where the program is depends on cargo's settings: it tells us itself. What people read goes to stderr.
    let mut command = program::command("cargo", |sh, cargo| {
        cmd!(
            sh,
            "{cargo} build --package {package} --message-format json-render-diagnostics {flags...}"
        )
    })?;
    command
        .current_dir(workspace())
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    without_cargo_variables(&mut command);
    for name in SECRETS {
        command.env_remove(name);
    }
    // It tells whoever asks for its health.
    if let Some(commit) = git_commit() {
        command.env("GIT_COMMIT", commit);
    }
    if profile == Profile::ReleaseBeside && std::env::var_os(JOBS).is_none() {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        command.env(JOBS, (processors / 2).max(1).to_string());
    }
    anstream::eprintln!("building the {package}");
    let mut child = Child::start(&mut command)?;
    if profile == Profile::ReleaseBeside {
        child.lower_priority();
    }
    let stdout = child.process().stdout.take();
    let messages = std::thread::spawn(move || stdout.and_then(|stdout| find(BufReader::new(stdout), package)));
    if let Event::Signal(signal) = child.event() {
        child.end_by(signal)?;
        let what = format!("building the {package} was interrupted");
        return Err(Error::new(Kind::Interrupted(signal), what, "nothing was launched").into());
    }
    let status = child.reap()?;
    if !status.success() {
        return Err(failed(
            package,
            format!("cargo ended with {}; nothing was launched", child::describe(status)),
        )
        .into());
    }
    let built = messages.join().ok().flatten();
    let built = built.ok_or_else(|| failed(package, "cargo told of no program of that name"))?;
    anstream::eprintln!("built {} in {}", built.display(), ui::time(started.elapsed()));
    Ok(built)
}

fn failed(package: &str, cause: impl Into<String>) -> Error {
    Error::new(Kind::Failed, format!("cannot build the {package}"), cause)
}

/// Finds the program in cargo's messages, one JSON document a line.
fn find(messages: impl BufRead, package: &str) -> Option<PathBuf> {
    let mut program = None;
    // To the end, whatever is found: cargo must be able to write.
    for line in messages.split(b'\n').map_while(Result::ok) {
        let message = serde_json::from_slice(&line).unwrap_or(Value::Null);
        let is_ours = message["reason"] == "compiler-artifact" && message["target"]["name"] == package;
        if is_ours && let Some(path) = message["executable"].as_str() {
            program = Some(PathBuf::from(path));
        }
    }
    program
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_is_found_among_the_messages() {
        let messages = concat!(
            "{\"reason\":\"compiler-artifact\",\"target\":{\"name\":\"serde\"},\"executable\":null}\n",
            "{\"reason\":\"compiler-artifact\",\"target\":{\"name\":\"backend\"},\"executable\":null}\n",
            "not JSON \u{0}\n",
            "{\"reason\":\"compiler-artifact\",\"target\":{\"name\":\"backend\"},\"executable\":\"/t/backend\"}\n",
            "{\"reason\":\"build-finished\",\"success\":true}\n",
        );
        assert_eq!(find(messages.as_bytes(), "backend"), Some(PathBuf::from("/t/backend")));
        assert_eq!(find(&b""[..], "backend"), None);
    }
}
