//! What a command comes to: printed as text or as JSON, and turned into an exit status, here and nowhere else.

use std::process::ExitCode;

use anyhow::Context;
use connection::{Error, Kind};
use serde::Serialize;

use crate::{hints, out, ui};

/// What a command has found or done. Serialised, it is the document of `--json`.
pub trait Report: Serialize {
    /// What is said on stderr beside either form.
    fn remark(&self) {}

    /// The text for people.
    fn print(&self) {}

    /// Why the command fails though it has something to report.
    fn failure(&self) -> Option<Error> {
        None
    }
}

/// Shows a report, and gives the exit status.
///
/// # Errors
/// With text, what the report says to be wrong.
pub fn show(report: &impl Report, json: bool) -> anyhow::Result<u8> {
    report.remark();
    if json {
        out!(
            "{}",
            serde_json::to_string(report).context("cannot write the document")?
        );
        return Ok(report.failure().map_or(0, |error| error.kind.exit_status()));
    }
    report.print();
    match report.failure() {
        Some(error) => Err(error.into()),
        None => Ok(0),
    }
}

/// Shows what a command reports, or its error, and gives the exit status.
pub fn finish(result: anyhow::Result<impl Report>, json: bool) -> ExitCode {
    end(result.and_then(|report| show(&report, json)), json)
}

/// Ends a command that has shown its report already, or has none.
pub fn end(result: anyhow::Result<u8>, json: bool) -> ExitCode {
    match result {
        Ok(status) => ExitCode::from(status),
        Err(error) => fail(&error, json),
    }
}

/// An error as a document.
#[derive(Serialize)]
struct Failed {
    outcome: &'static str,
    exit_status: u8,
    error: Parts,
}

#[derive(Serialize)]
struct Parts {
    what: String,
    cause: String,
    next: String,
}

/// Shows an error and tells its exit status; with `json` also as a document on stdout.
pub fn fail(error: &anyhow::Error, json: bool) -> ExitCode {
    let known = error.downcast_ref::<Error>();
    let exit_status = known.map_or(1, |error| error.kind.exit_status());
    if json {
        let parts = match known {
            Some(error) => Parts {
                what: error.what.clone(),
                cause: error.cause.clone(),
                next: error.next.text(hints::words),
            },
            None => Parts {
                what: format!("{error:#}"),
                cause: String::new(),
                next: String::new(),
            },
        };
        print_failed(exit_status, parts);
    }
    show_error(error);
    ExitCode::from(exit_status)
}

/// Shows an error that ends nothing.
pub fn show_error(error: &anyhow::Error) {
    match error.downcast_ref::<Error>() {
        Some(error) => ui::error(&error.text(hints::words)),
        None => ui::error(&format!("{error:#}")),
    }
}

/// Shows help, or what is wrong with the arguments: with --json among them also as a document.
pub fn usage(error: &clap::Error) -> ExitCode {
    if error.use_stderr() && std::env::args_os().any(|argument| argument == "--json") {
        let text = error.render().to_string();
        let (what, next) = text.split_once("\n\n").unwrap_or((&text, ""));
        print_failed(
            Kind::Usage.exit_status(),
            Parts {
                what: what.trim_start_matches("error: ").to_owned(),
                cause: String::new(),
                next: next.trim().to_owned(),
            },
        );
    }
    // Nobody may be there to read it.
    let _ = error.print();
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
}

fn print_failed(exit_status: u8, error: Parts) {
    let document = Failed {
        outcome: "failed",
        exit_status,
        error,
    };
    // A document of texts and numbers can be written.
    out!("{}", serde_json::to_string(&document).unwrap_or_default());
}
