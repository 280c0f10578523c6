//! `history`: the journal.

use connection::{Error, Kind, describe};
use migration::journal;
use migration::session::connect::Session;
use migration::session::{Connector, Target};
use serde::Serialize;
use serde_json::Value;

use super::options::{Connection, Sql};
use crate::out;
use crate::report::Report;
use crate::{signals, ui};

/// List the runs that the database has seen, or the steps of one
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The run whose steps to list.
    run: Option<i64>,
    /// How many runs to list, the newest first.
    #[arg(long, default_value_t = 20)]
    limit: u32,
    /// Print one JSON document on stdout.
    #[arg(long)]
    pub json: bool,
    // Not needed here: so that the same flags will do for all commands.
    #[command(flatten)]
    pub sql: Sql,
    #[command(flatten)]
    pub connection: Connection,
}

/// What the journal says, as it says it.
#[derive(Serialize)]
#[serde(untagged)]
pub enum History {
    /// The newest runs.
    Runs(Vec<Value>),
    /// One run, with its steps.
    Run(Value),
}

impl Report for History {
    fn print(&self) {
        match self {
            Self::Runs(runs) if runs.is_empty() => out!("no runs yet"),
            Self::Runs(runs) => runs.iter().for_each(print_run),
            Self::Run(run) => {
                print_run(run);
                print_steps(run);
            }
        }
    }
}

/// Runs the command.
pub fn run(args: &Args) -> anyhow::Result<History> {
    signals::watch()?;
    let connector = Connector::new(args.connection.settings()?, None)?;
    let progress = ui::Progress::new(false);
    let mut client = connector.wait(
        Target::Any,
        &Session::default(),
        args.connection.wait,
        &signals::received,
        &|waiting| progress.event(&migration::Event::Waiting(waiting)),
    )?;
    progress.clear();
    let failed = |error: postgres::Error| {
        Error::new(
            Kind::Failed,
            format!("cannot read the journal of {}", connector.settings()),
            describe(&error),
        )
    };
    let Some(id) = args.run else {
        return Ok(History::Runs(
            journal::runs(&mut client, args.limit.into()).map_err(failed)?,
        ));
    };
    let run = journal::run(&mut client, id).map_err(failed)?;
    let run = run.ok_or_else(|| {
        Error::new(Kind::Failed, format!("there is no run {id}"), "").next("cargo xtask history lists the runs")
    })?;
    Ok(History::Run(run))
}

fn print_run(run: &Value) {
    let commit = text(run, "git_commit");
    out!(
        "{:>5}  {}  {:<11} {:>10}  {:>3} run, {:>3} satisfied  {}@{}{}",
        number(run, "id"),
        text(run, "started").get(..19).unwrap_or_default().replace('T', " "),
        text(run, "outcome"),
        run.get("milliseconds")
            .and_then(Value::as_f64)
            .map_or("-".to_owned(), milliseconds),
        number(run, "statements_run"),
        number(run, "statements_skipped"),
        text(run, "os_user"),
        text(run, "host"),
        if commit.is_empty() {
            String::new()
        } else {
            format!("  {commit}")
        },
    );
    for line in text(run, "error").lines() {
        out!("       {line}");
    }
}

fn print_steps(run: &Value) {
    for step in run.get("steps").and_then(Value::as_array).into_iter().flatten() {
        let waited = step
            .get("lock_wait_milliseconds")
            .and_then(Value::as_f64)
            .unwrap_or_default();
        out!(
            "{:>5}  {:<30} {:<11} {:>9}{}{}  {}",
            number(step, "number"),
            format!("{}:{}", text(step, "file"), number(step, "line")),
            text(step, "outcome"),
            milliseconds(step.get("milliseconds").and_then(Value::as_f64).unwrap_or_default()),
            if waited >= 1.0 {
                format!(" ({} of it for locks)", milliseconds(waited))
            } else {
                String::new()
            },
            match number(step, "attempts") {
                0 | 1 => String::new(),
                n => format!(" {n} attempts"),
            },
            text(step, "summary"),
        );
    }
}

fn text(value: &Value, key: &str) -> String {
    value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn number(value: &Value, key: &str) -> i64 {
    value.get(key).and_then(Value::as_i64).unwrap_or_default()
}

fn milliseconds(value: f64) -> String {
    ui::time(std::time::Duration::from_secs_f64((value / 1000.0).max(0.0)))
}
