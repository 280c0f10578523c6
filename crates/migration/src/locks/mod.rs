//! Lock modes, what a lock does to people who use a table, and who is in the way of one.

pub mod blockers;
mod mode;

use serde::{Deserialize, Serialize};

use super::source::statement::Statement;

pub use blockers::Blocker;
pub use mode::LockMode;

/// What a statement does to a table that was there before it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableLock {
    /// The qualified table.
    pub table: String,
    /// That of the strongest lock.
    pub mode: LockMode,
    /// It read the whole table meanwhile.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub scans: bool,
    /// It wrote the whole table anew.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub rewrites: bool,
}

impl TableLock {
    /// What a statement of the engine's own takes on the table that it is about: it neither reads nor writes all of it
    /// while others wait.
    pub fn taken_by(statement: &Statement, table: impl Into<String>) -> Self {
        Self {
            table: table.into(),
            mode: match statement.keeps_nobody_waiting() {
                true => LockMode::ShareUpdateExclusive,
                false => LockMode::AccessExclusive,
            },
            scans: false,
            rewrites: false,
        }
    }
}

/// What a statement would do to people who use a table while it runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Hazard {
    /// `file:line`.
    pub place: String,
    /// What happens, and what to write instead.
    pub text: String,
    /// Why it is accepted, where a directive says so.
    pub accepted: Option<String>,
}

/// The mode of this name; none if there is no such mode, which is less than any other.
pub fn strength(name: &str) -> Option<LockMode> {
    name.parse().ok()
}

/// What is wrong with a lock, if it keeps writers waiting for longer than a moment.
pub fn hazard(statement: &Statement, lock: &TableLock) -> Option<Hazard> {
    if lock.mode < LockMode::Share || !(lock.scans || lock.rewrites) {
        return None;
    }
    let words: Vec<String> = statement.text.words().collect();
    let has = |word: &str| words.iter().any(|other| other == word);
    if words.first().is_some_and(|word| word == "truncate") {
        return Some(at(
            statement,
            format!(
                "{} on {}: TRUNCATE removes all rows, and waits for everybody who uses the table while all others wait for \
                 it: DELETE in batches instead",
                lock.mode, lock.table
            ),
        ));
    }
    let advice = if lock.rewrites && has("type") {
        "add a column of the new type, fill it in batches, then switch over"
    } else if lock.rewrites {
        "add the column without the default, set the default in a statement of its own, fill old rows in batches"
    } else if has("index") && has("create") {
        "build it with CREATE INDEX CONCURRENTLY"
    } else if has("unique") || has("primary") {
        "build a unique index with CREATE UNIQUE INDEX CONCURRENTLY, then ADD CONSTRAINT … USING INDEX"
    } else if has("exclude") {
        "PostgreSQL has no other way: do it while the table is small"
    } else if has("constraint") || has("check") || has("foreign") || has("references") {
        "add it NOT VALID, then VALIDATE it in a statement of its own"
    } else if has("null") {
        "add CHECK (… IS NOT NULL) NOT VALID, VALIDATE it, SET NOT NULL, drop the check"
    } else {
        "do it in a way that does not read the whole table under this lock"
    };
    let what = if lock.rewrites {
        "is rewritten"
    } else {
        "is read from end to end"
    };
    Some(at(
        statement,
        format!("{} on {} while it {what}: {advice}", lock.mode, lock.table),
    ))
}

fn at(statement: &Statement, text: String) -> Hazard {
    Hazard {
        place: statement.place(),
        text,
        accepted: statement.directives.accepts.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str, mode: LockMode, scans: bool, rewrites: bool) -> Option<String> {
        let statement = Statement::plain("01.sql", 1, text);
        let lock = TableLock {
            table: "public.t".to_owned(),
            mode,
            scans,
            rewrites,
        };
        hazard(&statement, &lock).map(|hazard| hazard.text)
    }

    #[test]
    fn the_text_is_about_the_statement() {
        let truncate = told("TRUNCATE t", LockMode::AccessExclusive, false, true).unwrap();
        assert!(truncate.starts_with("ACCESS EXCLUSIVE on public.t"), "{truncate}");
        assert!(truncate.contains("removes all rows"), "{truncate}");
        assert!(truncate.contains("DELETE in batches"), "{truncate}");
        assert!(!truncate.contains("default"), "{truncate}");
        let column = "ALTER TABLE t ADD COLUMN truncate int DEFAULT random()";
        let column = told(column, LockMode::AccessExclusive, false, true).unwrap();
        assert!(column.contains("without the default"), "{column}");
        assert_eq!(
            told("ALTER TABLE t ADD b int", LockMode::AccessExclusive, false, false),
            None
        );
        assert_eq!(told("SELECT 1", LockMode::RowExclusive, true, false), None);
    }
}
