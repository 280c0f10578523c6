//! `test-migrations`: everything that a change must pass, the migration tests on real servers above all.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context;
use connection::{Error, Kind};
use rustix::process::{Pid, Signal, kill_process_group};
use scratch::program;
use xshell::cmd;

use migration_cli::{signals, ui, workspace};

/// Test the migrations on real servers
///
/// Checks format and lints, runs the unit tests, then the migration tests on each version of PostgreSQL: in
/// containers where Docker answers, else on the PostgreSQL of this machine; last the image and compose.yaml, where
/// Docker answers. With arguments after --, only the tests on servers run, and get them:
/// `cargo xtask test-migrations -- pg18::locks`, `-- containers`, `-- --list`, `-- --help`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Install what the tests need and this machine lacks first (scripts/install-test-tools.sh); then a test that
    /// cannot run is a failure.
    #[arg(long)]
    install: bool,
    /// The images to test on, separated by commas [default: postgres:15.14,postgres:18.1; what cannot be pulled is
    /// made by scripts/make-postgres-image.sh].
    #[arg(long, env = "XTASK_TEST_IMAGES", hide_env_values = true)]
    images: Option<String>,
    /// Try each fault at each message and at 200 moments, not at a few: hours. Best with names: -- rounds races.
    #[arg(long)]
    soak: bool,
    /// For the migration tests: names or parts of names, --list, --exact, --test-threads N, ….
    #[arg(last = true, value_name = "ARGUMENTS")]
    arguments: Vec<String>,
}

/// One thing that has to pass.
struct Check {
    name: &'static str,
    command: Command,
}

/// How a check went.
struct Outcome {
    name: &'static str,
    passed: bool,
    counts: Counts,
    elapsed: Duration,
}

/// What test runners said.
#[derive(Default)]
struct Counts {
    passed: u64,
    failed: u64,
    ignored: u64,
}

/// What the names of the tests of image and `compose.yaml` begin with.
const CONTAINERS: &str = "containers::";
/// How long a check may take to end after it was told to.
const PATIENCE: Duration = Duration::from_secs(20);

/// Runs the command.
pub fn run(args: &Args) -> anyhow::Result<u8> {
    let root = workspace();
    signals::watch()?;
    if args.install {
        let script = root.join("scripts/install-test-tools.sh");
        let mut install = program::command(script, |sh, script| cmd!(sh, "{script}"))?;
        install.current_dir(&root);
        let outcome = check(Check {
            name: "installing tools",
            command: install,
        })?;
        if !outcome.passed {
            return Err(failed("scripts/install-test-tools.sh failed (see above)"));
        }
    }
    let mut outcomes = Vec::new();
    for next in checks(args, &root)? {
        outcomes.push(check(next)?);
    }
    if outcomes.len() > 1 {
        anstream::eprintln!();
        for outcome in &outcomes {
            anstream::eprintln!("{}", line(outcome));
        }
    }
    match outcomes.iter().filter(|outcome| !outcome.passed).count() {
        0 => Ok(0),
        _ => Err(failed(&format!(
            "not passed: {}",
            outcomes
                .iter()
                .filter(|outcome| !outcome.passed)
                .map(|outcome| outcome.name)
                .collect::<Vec<_>>()
                .join(", ")
        ))),
    }
}

fn checks(args: &Args, root: &Path) -> anyhow::Result<Vec<Check>> {
    let cargo = |arguments: &[&str]| {
        let mut command = program::command("cargo", |sh, cargo| cmd!(sh, "{cargo} {arguments...}"))?;
        command.current_dir(root);
        anyhow::Ok(command)
    };
    let this_program = std::env::current_exe().context("where is this program?")?;
    let tests = |arguments: &[String]| {
        // One selection of packages for all: cargo unites features by selection, and would build twice.
        let mut tests = cargo(&["test", "--quiet", "--workspace", "--test", "migrations", "--"])?;
        tests
            .args(arguments)
            .env("XTASK_BIN", &this_program)
            // It ends when this process does, whatever ends that.
            .env("XTASK_TEST_OWNER", "stdin");
        if let Some(images) = &args.images {
            tests.env("XTASK_TEST_IMAGES", images);
        }
        if args.soak {
            tests.env("XTASK_TEST_SOAK", "1");
        }
        if args.install {
            tests.env("XTASK_TEST_COMPLETE", "1");
        }
        anyhow::Ok(tests)
    };
    let mut checks = Vec::new();
    if args.arguments.is_empty() {
        let lints = [
            "clippy",
            "--quiet",
            "--workspace",
            "--all-targets",
            "--",
            "-D",
            "warnings",
        ];
        for (name, arguments) in [
            ("format", &["fmt", "--all", "--check"][..]),
            ("lints", &lints[..]),
            ("unit tests", &["test", "--quiet", "--workspace", "--lib", "--bins"][..]),
        ] {
            checks.push(Check {
                name,
                command: cargo(arguments)?,
            });
        }
        checks.extend(dependencies(root)?);
    }
    if !args.arguments.is_empty() {
        checks.push(Check {
            name: "migration tests",
            command: tests(&args.arguments)?,
        });
        return Ok(checks);
    }
    // The image is compiled on all processors, which tests that measure time would notice.
    for (name, arguments) in [
        ("migration tests", ["--skip", CONTAINERS].as_slice()),
        ("containers", &[CONTAINERS]),
    ] {
        let arguments: Vec<_> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        checks.push(Check {
            name,
            command: tests(&arguments)?,
        });
    }
    Ok(checks)
}

/// What is known of the dependencies, by deny.toml, where cargo-deny is installed.
fn dependencies(root: &Path) -> anyhow::Result<Option<Check>> {
    let deny = |arguments: &[&str]| {
        let mut deny = program::command("cargo", |sh, cargo| cmd!(sh, "{cargo} deny {arguments...}"))?;
        deny.current_dir(root).stdin(Stdio::null());
        anyhow::Ok(deny)
    };
    let quietly = |arguments: &[&str]| -> anyhow::Result<bool> {
        let status = deny(arguments)?.stdout(Stdio::null()).stderr(Stdio::null()).status();
        Ok(status.is_ok_and(|status| status.success()))
    };
    if !quietly(&["--version"])? {
        ui::warn("dependencies are not checked: cargo-deny is not installed (cargo install --locked cargo-deny)");
        return Ok(None);
    }
    let mut kinds = vec!["check", "licenses", "bans", "sources"];
    if quietly(&["fetch", "db"])? {
        kinds.push("advisories");
    } else {
        ui::warn("the database of advisories cannot be fetched: dependencies are checked without it");
    }
    Ok(Some(Check {
        name: "dependencies",
        command: deny(&kinds)?,
    }))
}

/// Runs one, shows what it says, and counts what its test runners tell.
fn check(check: Check) -> anyhow::Result<Outcome> {
    let Check { name, mut command } = check;
    anstream::eprintln!("\x1b[1m{name}\x1b[0m …");
    let start = Instant::now();
    let mut child = command
        // A group of its own, so that all of it can be told to end: cargo does not pass signals on.
        .process_group(0)
        // Never written to: it closes when this process ends.
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot run {command:?}"))?;
    let stdout = child.stdout.take();
    let reader = std::thread::spawn(move || stdout.map(show_and_count).unwrap_or_default());
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if let Some(signal) = signals::received() {
            end(&mut child, signal);
            return Err(Error::new(
                Kind::Interrupted(signal),
                "interrupted",
                format!("while running: {name}"),
            )
            .into());
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    let counts = reader.join().unwrap_or_default();
    Ok(Outcome {
        name,
        passed: status.success(),
        counts,
        elapsed: start.elapsed(),
    })
}

/// Ends a child with all its descendants.
fn end(child: &mut Child, signal: i32) {
    let group = Pid::from_child(child);
    let tell = |signal: Signal| {
        // Fails only where nobody is left.
        let _ = kill_process_group(group, signal);
    };
    tell(Signal::from_named_raw(signal).unwrap_or(Signal::TERM));
    let deadline = Instant::now() + PATIENCE;
    while matches!(child.try_wait(), Ok(None)) {
        if Instant::now() >= deadline {
            tell(Signal::KILL);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn show_and_count(stdout: impl std::io::Read) -> Counts {
    let mut counts = Counts::default();
    let mut out = std::io::stdout().lock();
    for line in BufReader::new(stdout).split(b'\n').map_while(Result::ok) {
        // Nobody reads any more: the checks go on all the same.
        let _ = out.write_all(&line).and_then(|()| out.write_all(b"\n"));
        counts.add(&String::from_utf8_lossy(&line));
    }
    counts
}

impl Counts {
    /// Adds what a line like `test result: ok. 3 passed; 0 failed; 1 ignored; …` says.
    fn add(&mut self, line: &str) {
        let Some((_, results)) = line.trim_start().split_once("test result: ") else {
            return;
        };
        let words: Vec<_> = results.split([' ', ';']).filter(|word| !word.is_empty()).collect();
        for pair in words.windows(2) {
            let [number, what] = pair else { continue };
            let Ok(number) = number.parse::<u64>() else { continue };
            match *what {
                "passed" => self.passed += number,
                "failed" => self.failed += number,
                "ignored" => self.ignored += number,
                _ => {}
            }
        }
    }
}

fn line(outcome: &Outcome) -> String {
    let mark = if outcome.passed {
        "\x1b[32m✓\x1b[0m"
    } else {
        "\x1b[31m✗\x1b[0m"
    };
    let Counts {
        passed,
        failed,
        ignored,
    } = outcome.counts;
    let counts: Vec<_> = [(passed, "passed"), (failed, "failed"), (ignored, "not run")]
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    format!(
        "{mark} {:<16} {:<28} {:>8}",
        outcome.name,
        counts.join(", "),
        ui::time(outcome.elapsed)
    )
}

fn failed(cause: &str) -> anyhow::Error {
    Error::new(Kind::Failed, "the tests did not pass", cause)
        .next("only the migration tests, and of them some: cargo xtask test-migrations -- NAME")
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_read_from_what_runners_say() {
        let mut counts = Counts::default();
        for line in [
            "running 3 tests",
            "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 2 filtered out; finished in 0.00s",
            "test result: FAILED. 10 passed; 4 failed; 0 ignored; 0 measured; 22 filtered out; finished in 118.81s",
        ] {
            counts.add(line);
        }
        assert_eq!((counts.passed, counts.failed, counts.ignored), (13, 4, 1));
    }
}
