//! The messages in which statements go to the server with their records, and what it answers.

use std::io::Write as _;
use std::time::Duration;

use postgres::{Client, SimpleQueryMessage};

use super::guard;
use crate::journal::{Recorded, Step};
use crate::source::statement::{Class, Sql, Statement};
use crate::text::milliseconds;

/// Sends a statement in this form, and the rows that follow it if it is COPY … FROM stdin. Returns the number of rows.
///
/// # Errors
/// The statement's own.
pub fn send_text(client: &mut Client, statement: &Statement, text: &str) -> Result<u64, postgres::Error> {
    let Some(data) = &statement.copy_data else {
        return Ok(first_rows(&client.simple_query(text)?));
    };
    // The client loses its place in the conversation when COPY fails before it asks for rows.
    client.simple_query(&probe_of_copy(&statement.text))?;
    let mut writer = client.copy_in(text)?;
    // What goes wrong here is told by the end of the copy.
    for part in data.as_bytes().chunks(COPY_PART) {
        if writer.write_all(part).is_err() {
            break;
        }
    }
    writer.finish()
}

/// SQL that fails as COPY … FROM stdin would before the first row: because of its table, its columns, a privilege.
fn probe_of_copy(text: &Sql) -> String {
    let mut tokens = text.tokens().skip(1);
    let mut end = text.len();
    let mut columns = None;
    let mut count = 1;
    let start = tokens.next().map_or(end, |token| {
        let start = token.start;
        for token in tokens {
            match token.text {
                "(" => columns = columns.or(Some(token.start)),
                "," => count += 1,
                _ if token.is("from") => {
                    end = token.start;
                    break;
                }
                _ => {}
            }
        }
        start
    });
    match columns {
        Some(_) => format!(
            "EXPLAIN INSERT INTO {} VALUES ({})",
            &text[start..end],
            vec!["DEFAULT"; count].join(", ")
        ),
        None => format!("EXPLAIN INSERT INTO {} DEFAULT VALUES", &text[start..end]),
    }
}

/// How many bytes of rows go in one message.
const COPY_PART: usize = 64 * 1024;

/// Whether one transaction can do a statement and record it: not where it must not run in one, nor where what is
/// recorded depends on how many rows it changed, as it does unless it runs `once` or all it touches is `new`.
pub(super) fn is_recorded_with(statement: &Statement, once: bool, new: bool) -> bool {
    match statement.class {
        _ if statement.copy_data.is_some() => false,
        Class::Ddl | Class::Do => !statement.is_concurrent(),
        Class::Dml => once || new || !guard::changes_rows_only(statement),
        Class::Session => false,
    }
}

/// A statement, in this form, what records it, and what sets again what it may have changed.
pub(super) fn with_record(statement: &Statement, text: &str, record: &str, lock_timeout: Duration) -> String {
    let again = match statement.class {
        Class::Do | Class::Dml => format!("SET lock_timeout = {};\n", milliseconds(lock_timeout)),
        _ => String::new(),
    };
    format!("{text}\n;\n{record};\n{again}")
}

/// The steps of a batch, from what the server answered to it.
pub(super) fn steps_of_batch(messages: &[SimpleQueryMessage]) -> Vec<Step> {
    // BEGIN, then each statement and its time.
    let rows_of = rows(messages);
    let rows_of = rows_of.iter().skip(1).step_by(2);
    let seconds = messages.iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.try_get("xtask_seconds").ok().flatten()?.parse().ok(),
        _ => None,
    });
    seconds
        .zip(rows_of)
        .map(|(seconds, rows)| Step {
            duration: Duration::try_from_secs_f64(seconds).unwrap_or_default(),
            attempts: 1,
            rows: *rows,
            recorded: Recorded::WithoutRows,
            ..Step::default()
        })
        .collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_copy_needs_is_asked_first() {
        assert_eq!(
            probe_of_copy(&Sql::new("COPY s.t (a, \"b c\") FROM stdin WITH (FORMAT csv)")),
            "EXPLAIN INSERT INTO s.t (a, \"b c\")  VALUES (DEFAULT, DEFAULT)"
        );
        assert_eq!(
            probe_of_copy(&Sql::new("copy t from stdin")),
            "EXPLAIN INSERT INTO t  DEFAULT VALUES"
        );
    }
}
