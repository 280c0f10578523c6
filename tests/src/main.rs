//! The tests on real PostgreSQL servers: one binary, with a `main` that owns the servers.
//!
//! `cargo xtask test-migrations` runs them; `cargo test -p tests -- --list` names them. Each runs
//! once a version of PostgreSQL. `XTASK_TEST_IMAGES` names other images than the pinned official
//! ones, `XTASK_POSTGRES=local` uses the binaries of this machine, `XTASK_BIN` is the binary
//! under test.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "all of this is test code"
)]

mod cases;
mod harness;

use std::cell::RefCell;
use std::panic::{self, AssertUnwindSafe};
use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::{Arguments, Completion, Failed, Trial};

use cases::Test;
use harness::{Context, Fleet};

/// More than processors: the tests wait most of the time, and so do the servers.
const THREADS: usize = 4;

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads = arguments.test_threads.or(Some(THREADS));
    panic::set_hook(Box::new(|info| LAST_PANIC.set(Some(info.to_string()))));

    let fleet = Arc::new(Fleet::new());
    let labels = fleet.labels();
    let mut trials: Vec<_> = labels
        .iter()
        .enumerate()
        .flat_map(|(member, label)| trials(&fleet, member, &format!("{label}::"), cases::all()))
        .collect();
    // The newest version, where there are several, is named last.
    if let Some(member) = labels.len().checked_sub(1) {
        trials.extend(self::trials(&fleet, member, "", cases::once()));
    }
    if !arguments.list {
        eprintln!("xtask: {}", harness::xtask::binary().display());
    }
    end_with_owner();
    let conclusion = libtest_mimic::run(&arguments, trials);
    fleet.end();
    conclusion.exit_code()
}

/// `cargo xtask test-migrations` holds our standard input open: when it closes, that one is gone.
fn end_with_owner() {
    if std::env::var_os("XTASK_TEST_OWNER").is_some_and(|owner| owner == "stdin") {
        std::thread::spawn(|| {
            let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
            std::process::exit(1);
        });
    }
}

thread_local! {
    /// What the panic of a test said, with its place.
    static LAST_PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

fn trials(fleet: &Arc<Fleet>, member: usize, prefix: &str, tests: Vec<(&str, &str, Test)>) -> Vec<Trial> {
    tests
        .into_iter()
        .map(|(module, name, test)| {
            let fleet = Arc::clone(fleet);
            Trial::ignorable_test(format!("{prefix}{module}::{name}"), move || run(&fleet, member, test))
        })
        .collect()
}

fn run(fleet: &Arc<Fleet>, member: usize, test: Test) -> Result<Completion, Failed> {
    let context = Context::new(fleet, member);
    match panic::catch_unwind(AssertUnwindSafe(|| test(&context))) {
        Ok(()) => match context.skipped() {
            None if let Some(reason) = context.left_out() => Ok(Completion::ignored_with(reason)),
            None => Ok(Completion::Completed),
            // A skipped test must not look like one that passed where all have to run.
            Some(reason) if std::env::var_os("XTASK_TEST_COMPLETE").is_some() => Err(reason.into()),
            Some(reason) => Ok(Completion::ignored_with(reason)),
        },
        Err(_) => Err(LAST_PANIC.take().unwrap_or_else(|| "it panicked".to_owned()).into()),
    }
}
