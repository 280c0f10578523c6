//! Errors of a run, in words: where, what PostgreSQL answered, what is committed, what to do next.

use std::time::Duration;

use connection::{Error, Hint, Kind, Next, Settings, describe};

use super::catalog::{Catalog, Difference, ObjectId};
use super::change::{Script, Step};
use super::execute::{Failure, Holder, count_text};
use super::expected::Expected;
use super::locks::Blocker;
use super::plan::Plan;
use super::source::phases::{Phases, line_and_column};
use super::source::statement::{Class, Statement};
use super::sqlstate;
use super::text::{caret, numbered};
use super::violations::lost_rows_text;

/// What is known where a statement fails.
pub struct Setting<'a> {
    /// All statements.
    pub phases: &'a Phases,
    /// What they leave.
    pub expected: Option<&'a Expected>,
    /// The database, as it was before.
    pub actual: &'a Catalog,
    /// Statements that were run before it.
    pub statements_run: usize,
    /// How long a lock was waited for.
    pub deadline: Duration,
    /// They are in no file, and so nobody can write something above them.
    pub is_script: bool,
}

/// A statement could not be run.
pub fn failure(statement: &Statement, failure: Failure, setting: &Setting<'_>) -> Error {
    let Setting {
        phases,
        statements_run,
        deadline,
        ..
    } = *setting;
    let place = format!("{}:{}", phases.dir.join(&statement.file).display(), statement.line);
    let done = match statements_run {
        0 => "nothing was run before it".to_owned(),
        1 => "the statement before it is committed".to_owned(),
        n => format!("the {n} statements before it are committed"),
    };
    match failure {
        Failure::Refused(error) => {
            let cause = format!("{}\n{}", excerpt(statement, &error), describe(&error));
            let next = if sqlstate::is_denied(&error) {
                "the migrating role must own what it changes (REASSIGN OWNED BY … TO …, as a superuser);\n".to_owned()
            } else if sqlstate::is_ambiguous(&error) {
                obsolete_overloads(statement, setting)
            } else if sqlstate::is_violation(&error) && statement.class == Class::Ddl {
                "rows are in its way: say above it what happens to them, for instance -- xtask: violations quarantine\n\
                 (or: duplicates keep latest by <columns>; violations set null; violations set <column> = <expression>);\n"
                    .to_owned()
            } else {
                String::new()
            };
            Error::new(Kind::Failed, format!("{place}: the statement failed"), cause).next(format!(
                "{next}{done}; fix this one and run migrate again; it resumes here"
            ))
        }
        Failure::ConnectionLost(error) => Error::new(
            Kind::Failed,
            format!("{place}: the connection was lost while the statement ran"),
            describe(&error),
        )
        .next(format!(
            "{done}; when the server is back, run migrate again: it finds out what is missing"
        )),
        Failure::Busy { cause, blockers } => {
            let cause = match blockers.as_slice() {
                [] => cause,
                blockers => format!("{cause}\nheld by {}", list(blockers)),
            };
            Error::new(
                    Kind::Busy,
                    format!(
                        "{place}: could not get a lock within {}",
                        humantime::format_duration(deadline)
                    ),
                    cause,
                )
                .next(
                    Next::from(format!(
                        "{done}; end what holds the lock (a session: SELECT pg_terminate_backend(PID)) and run migrate again,\n\
                         or allow "
                    ))
                    .hint(Hint::LockDeadline),
                )
        }
        Failure::Stalled(time) => Error::new(
            Kind::Busy,
            format!("{place}: not begun"),
            format!(
                "the application was kept waiting for {} in all, by waits for locks and by locks that were held",
                humantime::format_duration(Duration::from_millis(
                    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
                ))
            ),
        )
        .next(Next::from(format!("{done}; run migrate again, it goes on here; or allow ")).hint(Hint::StallBudget)),
        Failure::DropsRows(held) => {
            let rows = |(holder, count): &(Holder, u64)| match &holder.column {
                Some(column) => format!("column {}.{column}: {} with a value", holder.table, count_text(*count)),
                None => format!("table {}: {}", holder.table, count_text(*count)),
            };
            let held: Vec<String> = held.iter().map(rows).collect();
            let error = Error::new(
                Kind::Failed,
                format!("{place}: refused, it would drop rows; nothing of it was done"),
                held.join("\n"),
            );
            if setting.is_script {
                return error.next(Next::from(format!("{done}; if these rows may go, add ")).hint(Hint::AllowDataLoss));
            }
            error.next(
                Next::from(format!(
                    "{done}; if these rows may go, write above the statement: -- xtask: drops rows: <reason>\n(then "
                ))
                .hint(Hint::Observe)
                .then(" and migrate again); else move them first"),
            )
        }
        Failure::DropsEmpty(columns) => {
            let columns: Vec<String> = columns.iter().map(|column| column.id().to_string()).collect();
            let what = format!("{place}: it drops columns that nobody has proved to be empty; nothing of it was done");
            Error::new(Kind::Failed, what, columns.join("\n")).next(format!("{done}; run migrate again"))
        }
        Failure::TakesAway(lost) => Error::new(
            Kind::Failed,
            format!("{place}: refused, it would take away what no phase makes again; nothing of it was done"),
            lost.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"),
        )
        .next(format!(
            "{done}; make these in a phase, after what they depend on, or drop them by hand, and run migrate again"
        )),
        Failure::Interrupted(signal) => Error::new(Kind::Interrupted(signal), format!("interrupted at {place}"), "")
            .next(format!("{done}; run migrate again to go on")),
    }
}

/// Functions of earlier versions that no file names any more, of a name that the statement has.
fn obsolete_overloads(statement: &Statement, setting: &Setting<'_>) -> String {
    let Some(expected) = setting.expected else {
        return String::new();
    };
    let words: Vec<String> = statement.text.words().collect();
    let is_meant = |id: &&ObjectId| {
        let name = id.identity.split('(').next().unwrap_or_default();
        let name = name
            .rsplit('.')
            .next()
            .unwrap_or_default()
            .trim_matches('"')
            .to_lowercase();
        let is_routine = matches!(id.kind.as_str(), "function" | "procedure" | "aggregate");
        is_routine && setting.actual.get(id).is_some() && words.contains(&name)
    };
    let drops = expected.obsolete.iter().filter(is_meant).map(|id| {
        format!(
            "an earlier version made {id}, and no file names it any more; if nothing uses it, add before this statement:\n\
             DROP {} IF EXISTS {};\n",
            id.kind.to_uppercase(),
            id.identity
        )
    });
    drops.collect()
}

/// The database was made otherwise, and nobody knows whether what runs once has run there.
pub fn made_otherwise(plan: &Plan<'_>, settings: &Settings) -> Error {
    const SHOWN: usize = 20;
    let unknown = plan.unknown.iter().filter_map(|n| plan.steps.get(*n));
    let mut lines: Vec<String> = unknown
        .take(SHOWN)
        .map(|step| format!("{:<28} {}", step.statement.place(), step.statement.summary()))
        .collect();
    if plan.unknown.len() > SHOWN {
        lines.push(format!("and {} more", plan.unknown.len() - SHOWN));
    }
    Error::new(
        Kind::Failed,
        format!(
            "{settings} was not made by these phases, and {} may have changed its rows already; nothing was run",
            match plan.unknown.len() {
                1 => "a statement that runs once".to_owned(),
                n => format!("{n} statements that run once"),
            }
        ),
        lines.join("\n"),
    )
    .next(
        Next::from("if they have run here: ")
            .hint(Hint::TakeOver)
            .then(", then migrate again;\nif not: ")
            .hint(Hint::RunOnce),
    )
}

/// The database is not as it shall be, although everything was run; `asked` would bring it there.
pub fn not_converged(
    phases: &Phases,
    expected: &Expected,
    differences: &[Difference],
    asked: &Script,
    settings: &Settings,
) -> Error {
    let statements: Vec<&Statement> = phases.statements().collect();
    let mut cause = String::new();
    for difference in differences.iter().filter(|difference| !difference.is_extra()) {
        let id = difference.id();
        let maker = expected.maker(id).and_then(|n| statements.get(n));
        let by = maker.map_or(String::new(), |statement| {
            format!("; {} should have made it so", statement.place())
        });
        match difference {
            Difference::Missing { expected, .. } => {
                cause.push_str(&format!("missing    {id}{by}\n             {}\n", one_line(expected)));
            }
            Difference::Different { expected, actual, .. } => cause.push_str(&format!(
                "different  {id}{by}\n             expected: {}\n             is:       {}\n",
                one_line(expected),
                one_line(actual)
            )),
            Difference::Extra { .. } => {}
        }
    }
    for impossible in &asked.impossible {
        cause.push_str(&format!(
            "no statement brings {} there: {}\n",
            impossible.id, impossible.reason
        ));
    }
    let next = if asked.steps.is_empty() {
        Next::from("change it by hand, then migrate again")
    } else {
        Next::default()
            .hint(Hint::Repair)
            .then(" runs:\n")
            .then(lines(&asked.steps))
    };
    Error::new(Kind::NotConverged, format!("{settings} has not converged"), cause).next(next)
}

/// Statements of a script that nobody has allowed: values that they drop, with the number of rows, and tables that they
/// write anew.
pub fn not_allowed(loses: &[(&Step, i64)], rewrites: &[&Step]) -> Option<Error> {
    let what = match (loses.is_empty(), rewrites.is_empty()) {
        (false, false) => "it loses values, and it writes tables anew while everybody waits",
        (false, true) => "it loses values",
        (true, false) => "it writes tables anew while everybody waits",
        (true, true) => return None,
    };
    let mut next = Next::from("if that is meant, add ");
    if !loses.is_empty() {
        next = next
            .hint(Hint::AllowDataLoss)
            .then(" (the values go to the quarantine first)");
    }
    if !rewrites.is_empty() {
        next = next
            .then(if loses.is_empty() { "" } else { ", and " })
            .hint(Hint::AllowRewrite);
    }
    let is_told = |step: &&&Step| !loses.iter().any(|(other, _)| std::ptr::eq(*other, **step));
    let rewrites = rewrites.iter().filter(is_told);
    let rewrites = rewrites.map(|step| format!("{};  -- writes the table anew", step.sql));
    let losing = loses
        .iter()
        .map(|(step, rows)| format!("{};  -- {}", step.sql, lost_rows_text(*rows)));
    let lines: Vec<String> = losing.chain(rewrites).collect();
    let error = Error::new(
        Kind::NotConverged,
        format!("refused, {what}; nothing of it was done"),
        lines.join("\n"),
    );
    Some(error.next(next))
}

/// The statements of a script for people, with what is to be known before they run.
pub fn lines(steps: &[Step]) -> String {
    let line = |step: &Step| {
        let remark = match (step.loses, step.rewrites) {
            (true, true) => "  -- may lose values, writes the table anew",
            (true, false) => "  -- may lose values",
            (false, true) => "  -- writes the table anew",
            (false, false) => "",
        };
        format!("{};{remark}", step.sql)
    };
    steps.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// A definition on one line, for lists.
pub fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Blockers for people, one after the other.
pub fn list(blockers: &[Blocker]) -> String {
    blockers.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// The lines of a statement around the place that an error points at, with a caret below it.
/// Without a place, its first lines.
pub fn excerpt(statement: &Statement, error: &postgres::Error) -> String {
    use postgres::error::ErrorPosition;
    let lines: Vec<&str> = statement.text.lines().collect();
    let position = match error.as_db_error().and_then(|db| db.position()) {
        Some(ErrorPosition::Original(position)) => {
            // PostgreSQL counts characters from 1.
            let offset = statement
                .text
                .char_indices()
                .nth((*position as usize).saturating_sub(1));
            Some(line_and_column(
                &statement.text,
                offset.map_or(statement.text.len(), |(offset, _)| offset),
            ))
        }
        // Inside a function that the statement calls: PostgreSQL's context tells where.
        Some(ErrorPosition::Internal { .. }) | None => None,
    };
    let marked = position.map_or(0, |(line, _)| line as usize - 1);
    let shown = marked.saturating_sub(2)..(marked + if position.is_some() { 1 } else { 3 }).min(lines.len());
    let mut text = String::new();
    for (n, line) in lines.iter().enumerate().take(shown.end).skip(shown.start) {
        text.push_str(&numbered(statement.line as usize + n, line));
        text.push('\n');
    }
    match position {
        Some((line, column)) => {
            let line = lines.get(line as usize - 1).copied().unwrap_or_default();
            text.push_str(&caret(line, column));
        }
        None if shown.end < lines.len() => text.push_str("      │ …"),
        None => {}
    }
    text.trim_end().to_owned()
}
