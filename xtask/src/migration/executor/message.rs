//! The messages in which statements go to the server with their records, and what it answers.

use std::time::Duration;

use postgres::SimpleQueryMessage;

use super::milliseconds;
use crate::migration::journal::Step;
use crate::migration::statement::{Class, Statement};

/// Whether one transaction can do a statement and record it: not where it must not run in one, nor where what is
/// recorded depends on how many rows it changed, as it does unless all it touches is `new`.
pub(super) fn is_recorded_with(statement: &Statement, new: bool) -> bool {
    match statement.class {
        Class::Ddl | Class::Do => !statement.is_concurrent(),
        Class::Dml => new,
        Class::Session => false,
    }
}

/// A statement, what records it, and what sets again what it may have changed.
pub(super) fn with_record(statement: &Statement, record: &str, lock_timeout: Duration) -> String {
    let again = match statement.class {
        Class::Do | Class::Dml => format!("SET lock_timeout = {};\n", milliseconds(lock_timeout)),
        _ => String::new(),
    };
    format!("{}\n;\n{record};\n{again}", statement.text)
}

/// The steps that were recorded with their statements, from what the server answered to both.
pub(super) fn recorded(messages: &[SimpleQueryMessage]) -> Vec<Step> {
    let mut rows = 0;
    let mut steps = Vec::new();
    for message in messages {
        match message {
            SimpleQueryMessage::CommandComplete(of_statement) => rows = *of_statement,
            SimpleQueryMessage::Row(row) => {
                let Ok(Some(seconds)) = row.try_get("xtask_seconds") else {
                    continue;
                };
                steps.push(Step {
                    duration: seconds
                        .parse()
                        .ok()
                        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
                        .unwrap_or_default(),
                    attempts: 1,
                    rows,
                    recorded: true,
                    ..Step::default()
                });
            }
            _ => {}
        }
    }
    steps
}

/// The number of rows of the first statement.
pub(super) fn first_rows(messages: &[SimpleQueryMessage]) -> u64 {
    rows(messages).first().copied().unwrap_or_default()
}

/// The number of rows of each statement.
pub(super) fn rows(messages: &[SimpleQueryMessage]) -> Vec<u64> {
    messages
        .iter()
        .filter_map(|message| match message {
            SimpleQueryMessage::CommandComplete(rows) => Some(*rows),
            _ => None,
        })
        .collect()
}
