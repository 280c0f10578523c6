//! `plan`: what `migrate` would run, and why.

use std::collections::{BTreeMap, BTreeSet};

use connection::{Error, Kind, Settings};
use migration::Expected;
use migration::catalog::Catalog;
use migration::change::Step;
use migration::execute::count_text;
use migration::plan::{
    self as engine, Actual, DropDocument, Form, Input, Plan, Reason, RefusedDocument, Repair, SetAsideDocument, Size,
    StepDocument,
};
use migration::source::statement::Class;
use migration::violations::{CleanUp, refused_rows};
use postgres::types::Type;
use serde::Serialize;

mod back;

use super::options::Common;
use super::reading::{Newer, Reading, read};
use crate::report::Report;
use crate::{hints, out, ui};
use back::{Back, back};

/// Show what migrate would run here, and why, and which tables it would lock
///
/// Changes nothing, takes no mutex, works on a standby and with a role that may only read.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Show what rollback would run, not migrate: for the last run that changed something, or for RUN.
    #[arg(long, value_name = "RUN", num_args = 0..=1)]
    pub rollback: Option<Option<i64>>,
    /// With --rollback: for all runs after this one.
    #[arg(long, value_name = "RUN", requires = "rollback")]
    pub to: Option<i64>,
    /// With --rollback: for the runs of the version that the phase files here are.
    #[arg(long, requires = "rollback", conflicts_with = "to")]
    pub release: bool,
    /// With --rollback: as if rollback were called with --down-files.
    #[arg(long, requires = "rollback")]
    pub down_files: bool,
    /// As if migrate were called with --force.
    #[arg(long, conflicts_with = "rollback")]
    pub force: bool,
    /// Plan also for a database that a later version was brought to.
    #[arg(long)]
    pub allow_older: bool,
    /// Print one JSON document on stdout.
    #[arg(long)]
    pub json: bool,
    /// Show the statements that would be skipped as well.
    #[arg(long, short)]
    pub verbose: bool,
    #[command(flatten)]
    pub common: Common,
}

/// What would be done.
#[derive(Serialize)]
#[serde(untagged)]
pub enum Planned {
    /// Nothing: the database is newer than the phase files.
    Newer {
        newer: bool,
        to_run: usize,
        statements: [(); 0],
        #[serde(skip)]
        known: Newer,
    },
    /// These statements.
    Steps(Steps),
    /// Those that take runs back.
    Back(Back),
}

/// The plan.
#[derive(Serialize)]
pub struct Steps {
    /// How many run.
    to_run: usize,
    /// How many do not.
    to_skip: usize,
    statements: Vec<StepDocument>,
    /// What makes that no statement makes, and is lost.
    heals: Vec<ScriptStep>,
    /// What migrate --repair runs besides.
    repair: Vec<ScriptStep>,
    /// What no statement brings to where it shall be, and why.
    impossible: Vec<String>,
    /// What migrate --prune runs.
    prune: Vec<ScriptStep>,
    obsolete: Vec<String>,
    /// Statements that may have run here already: migrate stops before them.
    unknown: Vec<String>,
    /// How many of those that run only look for rows to change: they count as satisfied where they find none.
    #[serde(skip)]
    look: usize,
    #[serde(skip)]
    verbose: bool,
    #[serde(skip)]
    settings: Settings,
    #[serde(skip)]
    reads_journal: bool,
}

/// A statement that is in no phase file.
#[derive(Serialize)]
struct ScriptStep {
    /// The object that it is about.
    object: String,
    sql: String,
    /// It may lose values that rows hold.
    loses: bool,
    /// It writes a table anew.
    rewrites: bool,
}

fn script_steps(steps: &[Step]) -> Vec<ScriptStep> {
    let document = |step: &Step| ScriptStep {
        object: step.id.to_string(),
        sql: step.sql.clone(),
        loses: step.loses,
        rewrites: step.rewrites,
    };
    steps.iter().map(document).collect()
}

/// The statements of a script, under a line that says what runs them.
fn show_script(title: &str, steps: &[ScriptStep]) {
    if steps.is_empty() {
        return;
    }
    out!("{title}");
    for step in steps {
        let remark = match (step.loses, step.rewrites) {
            (true, _) => "  -- may lose values: --allow-data-loss",
            (_, true) => "  -- writes the table anew: --allow-rewrite",
            _ => "",
        };
        out!("      {};{remark}", step.sql.replace('\n', "\n      "));
    }
}

impl Report for Planned {
    fn remark(&self) {
        if let Self::Newer { known, .. } = self {
            known.say();
        }
    }

    fn print(&self) {
        match self {
            Self::Steps(steps) => steps.print(),
            Self::Back(back) => back.print(),
            Self::Newer { .. } => {}
        }
    }
}

impl Steps {
    fn print(&self) {
        let mut transaction = None;
        for step in &self.statements {
            let is_told = step.runs || matches!(step.reason, Reason::Different { .. });
            if !(is_told || self.verbose) {
                continue;
            }
            // A bar beside those that are one transaction.
            let bar = match (step.runs, step.transaction) {
                (true, Some(_)) if transaction == step.transaction => "│ ",
                (true, Some(_)) => "┌ ",
                _ => "  ",
            };
            transaction = step.transaction.filter(|_| step.runs);
            show(step, bar);
        }
        show_script("heal  what is lost and no statement makes again:", &self.heals);
        show_script(
            "wrong what no statement changes, and migrate --repair does:",
            &self.repair,
        );
        for reason in &self.impossible {
            out!("wrong {reason}");
        }
        for id in &self.obsolete {
            out!("obsolete  {id}: an earlier version made it, and no file names it any more");
        }
        show_script("      migrate --prune runs:", &self.prune);
        if !self.reads_journal {
            ui::warn(hints::UNREADABLE_JOURNAL);
        }
        let Self { settings, look, .. } = self;
        if !self.unknown.is_empty() {
            ui::warn(&format!(
                "{settings} was not made by these phases: whether {} may have changed its rows already, nobody knows; migrate \
                 stops before them: baseline takes them for done, migrate --run-once runs them",
                match self.unknown.len() {
                    1 => "a statement that runs once".to_owned(),
                    n => format!("{n} statements that run once"),
                }
            ));
        }
        let once = self.statements.iter().filter(|step| step.runs && step.once).count();
        let once = match once {
            0 => String::new(),
            n => format!(" ({n} of them once)"),
        };
        ui::say(&format!(
            "{settings}: {} would run{once}, {look} would look for rows to change, {} satisfied",
            ui::count(self.to_run - look, "statement"),
            self.to_skip
        ));
    }
}

/// Runs the command.
pub fn run(args: &Args) -> anyhow::Result<Planned> {
    if let Some(run) = args.rollback {
        return back(args, run);
    }
    let phases = args.common.sql.phases()?;
    let expected = Expected::read(&phases)?;
    let reading = read(&args.common.connection, &args.common.locks, Some(&expected))?;
    if let Some(known) = reading.newer(&expected, args.allow_older) {
        return Ok(Planned::Newer {
            newer: true,
            to_run: 0,
            statements: [],
            known,
        });
    }
    let Reading {
        mut client,
        catalog,
        settings,
        record,
    } = reading;
    let large = engine::large_tables(&mut client, &expected)?;
    let input = Input {
        large: Some(&large),
        force: args.force,
        ..record.plan_input(Actual::Catalog(&catalog))
    };
    let plan = Plan::new(&phases, &expected, input);
    let effects = plan
        .steps
        .iter()
        .filter(|step| step.runs)
        .filter_map(|step| step.effect);
    let tables: BTreeSet<&str> = effects
        .flat_map(|effect| effect.locks.iter().map(|lock| lock.table.as_str()))
        .collect();
    let sizes = sizes(&mut client, &tables)?;
    let statements = plan.steps.iter().map(|step| StepDocument {
        drops: dropped_rows(&mut client, step),
        set_aside: set_aside(&mut client, step),
        refuses: refuses(&mut client, step, &catalog),
        ..step.document(&sizes)
    });
    let mut differences = expected.differences(&catalog);
    differences.retain(|difference| !plan.leaves(difference.id(), &catalog));
    // An empty database lacks what its first statements make.
    if plan.untouched {
        differences.clear();
    }
    // What a statement that runs once takes away is in no catalog.
    let takes_away =
        |step: &engine::Planned<'_>| step.runs && step.once.is_some() && step.statement.class == Class::Ddl;
    if plan.steps.iter().any(takes_away) {
        differences.retain(|difference| expected.objects.get(difference.id()).is_some_and(Option::is_some));
    }
    let Repair { heals, asked } = Repair::new(&expected, &catalog, &differences);
    let impossible = asked.impossible.iter();
    Ok(Planned::Steps(Steps {
        heals: script_steps(&heals),
        repair: script_steps(&asked.steps),
        impossible: impossible.map(|of| format!("{}: {}", of.id, of.reason)).collect(),
        prune: script_steps(&engine::prune(&expected, &catalog).steps),
        to_run: plan.count(),
        to_skip: plan.steps.len() - plan.count(),
        statements: statements.collect(),
        obsolete: expected
            .obsolete
            .iter()
            .filter(|id| catalog.get(id).is_some() && !expected.objects.contains_key(id))
            .map(ToString::to_string)
            .collect(),
        unknown: plan.unknown.iter().map(|n| plan.steps[*n].statement.place()).collect(),
        look: plan.steps.iter().filter(|step| step.looks_for_rows()).count(),
        verbose: args.verbose,
        settings,
        reads_journal: record.done.is_some(),
    }))
}

fn show(step: &StepDocument, bar: &str) {
    out!(
        "{}{bar}{:<28} {}",
        if step.runs { "run " } else { "skip" },
        step.place,
        step.statement
    );
    out!("      {}", hints::reason(&step.reason));
    if !step.runs {
        return;
    }
    if step.form == Some(Form::Online) {
        out!("      online, because the table it would read from end to end is not small:");
    }
    for statement in &step.sends {
        out!("      sends {statement}");
    }
    for lock in &step.locks {
        let size = match lock.bytes.zip(lock.rows) {
            Some((bytes, rows)) => {
                format!(" ({}, about {rows} rows)", indicatif::HumanBytes(bytes.unsigned_abs()))
            }
            None => " (not there yet)".to_owned(),
        };
        let how = match (lock.rewrites, lock.scans) {
            (true, _) => ", rewrites it",
            (_, true) => ", reads all of it",
            _ => ", for a moment",
        };
        out!("      locks {} in {} mode{how}{size}", lock.table, lock.mode);
    }
    if let Some(refused) = &step.set_aside {
        let rows = count_text(refused.rows.unsigned_abs());
        out!("      sets aside {rows} of {}: {}", refused.table, refused.reason);
    }
    for refused in &step.refuses {
        out!("      {refused}");
        let choices: Vec<String> = refused
            .directives
            .iter()
            .map(|one| format!("-- xtask: {one}"))
            .collect();
        out!(
            "      say above it what becomes of these rows: {}",
            choices.join(", or ")
        );
    }
    for dropped in &step.drops {
        let what = match &dropped.column {
            Some(column) => format!("column {}.{column}", dropped.table),
            None => format!("table {}", dropped.table),
        };
        out!("      drops {what}, which holds {}", count_text(dropped.rows));
    }
}

/// How many rows a statement sets aside, where a directive says so. Those that cannot be counted yet,
/// because their table lacks a column, say, are not.
fn set_aside(client: &mut postgres::Client, step: &engine::Planned<'_>) -> Option<SetAsideDocument> {
    let effect = step.effect.filter(|_| step.runs)?;
    let clean_up = CleanUp::of(step.statement, effect).ok()??;
    let rows = clean_up.count(client).ok().filter(|rows| *rows > 0)?;
    Some(SetAsideDocument {
        table: clean_up.table,
        rows,
        reason: clean_up.reason,
    })
}

/// The rows that a statement would refuse as they are now, where nothing says what happens to them.
fn refuses(client: &mut postgres::Client, step: &engine::Planned<'_>, catalog: &Catalog) -> Vec<RefusedDocument> {
    let directives = &step.statement.directives;
    let may_refuse = step.runs && directives.violations.is_none() && !matches!(step.reason, Reason::Renamed { .. });
    match step.effect.filter(|_| may_refuse) {
        Some(effect) => refused_rows(client, step.statement, effect, catalog),
        None => Vec::new(),
    }
}

fn sizes(client: &mut postgres::Client, tables: &BTreeSet<&str>) -> anyhow::Result<BTreeMap<String, Size>> {
    let tables: Vec<&str> = tables.iter().copied().collect();
    let rows = client
        .query_typed(include_str!("plan.sql"), &[(&tables, Type::TEXT_ARRAY)])
        .map_err(|error| {
            Error::new(
                Kind::Failed,
                "cannot ask for the sizes of tables",
                connection::describe(&error),
            )
        })?;
    rows.iter()
        .map(|row| {
            let size = Size {
                bytes: row.try_get("bytes")?,
                rows: row.try_get("rows")?,
            };
            Ok((row.try_get("name")?, size))
        })
        .collect()
}

/// What a statement says that it drops, and how many rows hold values there now. Only migrate finds out what it does drop.
fn dropped_rows(client: &mut postgres::Client, step: &engine::Planned<'_>) -> Vec<DropDocument> {
    let mut found = Vec::new();
    for (table, column) in step.statement.drops().into_iter().filter(|_| step.runs) {
        let condition = column
            .as_ref()
            .map_or(String::new(), |column| format!(" WHERE {column} IS NOT NULL"));
        let sql = format!(
            "SET statement_timeout = '5s'; SELECT pg_catalog.count(*) FROM (SELECT FROM {table}{condition} LIMIT 1000001) AS r"
        );
        // One that is not there, or may not be read, holds nothing that could be told.
        let rows = client.simple_query(&sql).ok().and_then(|answer| {
            let row = migration::text::rows(answer).next()?;
            row.get(0)?.parse::<u64>().ok()
        });
        if let Some(rows) = rows {
            found.push(DropDocument { table, column, rows });
        }
    }
    found
}
