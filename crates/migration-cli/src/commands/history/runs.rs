//! Runs and their steps as text.

use std::time::Duration;

use migration::failure::one_line;
use migration::journal::{Author, RecordedStep, Run};

use crate::{out, ui};

/// Columns of an error in the list.
const ERROR_WIDTH: usize = 110;

/// A line for each run, and one for its error.
pub fn print_list(runs: &[Run]) {
    print_header();
    for run in runs {
        print_line(run);
        if let Some(error) = &run.error {
            out!("      {}", cut(&first_lines(error), ERROR_WIDTH));
        }
    }
}

/// The run, its error and its steps.
pub fn print_one(run: &Run) {
    print_header();
    print_line(run);
    for line in run.error.iter().flat_map(|error| error.lines()) {
        out!("      {line}");
    }
    let details = run.details.iter();
    details.flat_map(|details| &details.steps).for_each(print_step);
}

fn print_header() {
    out!(
        "{:>4}  {:<19}  {:<11} {:>9}  {:<8}  {:<7}  {:>13}  {:>4}  {:>9} {:>9} {:>9}  who",
        "run",
        "started",
        "outcome",
        "duration",
        "version",
        "commit",
        "run/satisfied",
        "once",
        "lock wait",
        "stalled",
        "set aside",
    );
}

fn print_line(run: &Run) {
    let Author {
        os_user,
        host,
        git_commit,
        ..
    } = &run.author;
    let duration = run.milliseconds.map(|time| Duration::from_millis(time.unsigned_abs()));
    let who: Vec<&str> = [os_user, host].into_iter().flatten().map(String::as_str).collect();
    out!(
        "{:>4}  {:<19}  {:<11} {:>9}  {:<8}  {:<7}  {:>13}  {:>4}  {:>9} {:>9} {:>9}  {}",
        run.id,
        when(&run.started),
        run.outcome.name(),
        duration.map_or("-".to_owned(), ui::time),
        short(run.version.as_deref(), 8),
        short(git_commit.as_deref(), 7),
        format!("{}/{}", run.statements_run, run.statements_skipped),
        run.ran_once,
        waited(run.lock_wait).map_or("-".to_owned(), ui::time),
        waited(run.stalled).map_or("-".to_owned(), ui::time),
        run.set_aside,
        who.join("@"),
    );
}

fn print_step(recorded: &RecordedStep) {
    let step = &recorded.step;
    let waited = waited(step.lock_wait).map_or(String::new(), |time| format!(" ({} of it for locks)", ui::time(time)));
    let attempts = match step.attempts {
        0 | 1 => String::new(),
        n => format!(" {n} attempts"),
    };
    out!(
        "{:>5}  {:<30} {:<11} {:>9}{waited}{attempts}  {}",
        recorded.number,
        format!("{}:{}", recorded.file, recorded.line),
        step.outcome.name(),
        ui::time(step.duration),
        recorded.summary,
    );
}

/// What is worth telling of a wait: each statement asks for its locks, and mostly gets them at once.
fn waited(time: Duration) -> Option<Duration> {
    (time >= Duration::from_millis(1)).then_some(time)
}

/// A time as people read it, from one as ISO 8601 has it.
pub fn when(time: &str) -> String {
    time.get(..19).unwrap_or_default().replace('T', " ")
}

/// The first characters of a hash.
pub fn short(hash: Option<&str>, length: usize) -> &str {
    hash.map_or("-", |hash| hash.get(..length).unwrap_or(hash))
}

/// What happened and why, in one line, without what to do next.
fn first_lines(error: &str) -> String {
    let lines = error.lines().map(str::trim).filter(|line| !line.is_empty());
    one_line(
        &lines
            .take_while(|line| !line.starts_with('→'))
            .collect::<Vec<_>>()
            .join("; "),
    )
}

fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_in_one_line() {
        let error = "phase 02_x failed\n  2 │ SELECT nix\n    ERROR: no nix\n  → fix it\n";
        assert_eq!(first_lines(error), "phase 02_x failed; 2 │ SELECT nix; ERROR: no nix");
        assert_eq!(cut("größer", 6), "größer");
        assert_eq!(cut("größer", 4), "grö…");
    }

    #[test]
    fn hashes_are_cut_and_may_be_unknown() {
        assert_eq!(short(Some("0123456789"), 8), "01234567");
        assert_eq!(short(Some("0123"), 8), "0123");
        assert_eq!(short(None, 8), "-");
    }
}
