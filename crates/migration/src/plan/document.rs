//! The steps of a plan as values by themselves, for programs that decide by them.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use super::{Planned, Reason};
use crate::expected::Meaning;
use crate::locks::{LockMode, TableLock};

/// How a statement is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// By itself.
    Alone,
    /// In one transaction with others.
    Transaction,
    /// Other statements in its place: it cannot run again, and these make what is missing.
    Repair,
    /// Other statements in its place, which leave the same: a table that it would read from end to end is in use.
    Online,
}

/// How large a table is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Size {
    /// With its indexes.
    pub bytes: i64,
    /// As PostgreSQL estimates.
    pub rows: i64,
}

/// A lock that a statement takes on a table.
#[derive(Debug, Clone, Serialize)]
pub struct LockDocument {
    /// The qualified table.
    pub table: String,
    /// Its mode.
    pub mode: LockMode,
    /// It reads all of the table meanwhile.
    pub scans: bool,
    /// It writes all of the table anew.
    pub rewrites: bool,
    /// Of the table here; none where it is not there yet.
    pub bytes: Option<i64>,
    /// Of the table here.
    pub rows: Option<i64>,
}

/// Rows that a statement says it drops.
#[derive(Debug, Clone, Serialize)]
pub struct DropDocument {
    /// The qualified table.
    pub table: String,
    /// The column, unless all of the table goes.
    pub column: Option<String>,
    /// How many rows hold a value there; counted to a million.
    pub rows: u64,
}

/// One statement, and what becomes of it.
#[derive(Debug, Clone, Serialize)]
pub struct StepDocument {
    /// The name of its phase.
    pub phase: String,
    /// `file:line`.
    pub place: String,
    /// Its first words.
    pub statement: String,
    /// Whether it runs.
    pub runs: bool,
    /// What it means.
    pub meaning: Meaning,
    /// Why it runs, or does not.
    #[serde(rename = "why")]
    pub reason: Reason,
    /// How it is sent; none where it does not run.
    pub form: Option<Form>,
    /// Steps with the same number are one transaction.
    pub transaction: Option<usize>,
    /// It is recorded, and never runs here again.
    pub once: bool,
    /// It may change rows.
    pub writes: bool,
    /// What is sent in its place.
    pub sends: Vec<String>,
    /// Objects that it creates, changes or drops.
    pub leaves: Vec<String>,
    /// Objects that it takes away for later statements to make them again.
    pub replaces: Vec<String>,
    /// Locks on tables that were there before it.
    pub locks: Vec<LockDocument>,
    /// Rows that it says it drops; empty unless somebody has counted them.
    pub drops: Vec<DropDocument>,
    /// Rows that it refuses or changes, and for which a directive says what happens; none unless somebody has counted.
    pub set_aside: Option<SetAsideDocument>,
    /// Rows that it would refuse as they are now, and nothing says what happens to them; empty unless somebody has counted.
    pub refuses: Vec<RefusedDocument>,
}

/// Rows that a statement sets aside.
#[derive(Debug, Clone, Serialize)]
pub struct SetAsideDocument {
    /// The qualified table.
    pub table: String,
    /// How many; counted to 100,000.
    pub rows: i64,
    /// What is wrong with them, and what becomes of them.
    pub reason: String,
}

/// Rows are counted up to this number.
pub const COUNTED: i64 = 100_000;

/// Rows that a statement would refuse, for which nothing says what becomes of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RefusedDocument {
    /// The qualified table.
    pub table: String,
    /// How many; counted to 100,000.
    pub rows: i64,
    /// What is wrong with them.
    pub reason: String,
    /// The keys of some of them.
    pub examples: Vec<String>,
    /// The directives that could say what becomes of them.
    pub directives: Vec<String>,
}

impl fmt::Display for RefusedDocument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = match self.rows {
            1 => "1 row".to_owned(),
            rows if rows >= COUNTED => format!("at least {rows} rows"),
            rows => format!("{rows} rows"),
        };
        write!(f, "{rows} of {} would be refused ({})", self.table, self.reason)?;
        match self.examples.as_slice() {
            [] => Ok(()),
            examples => write!(f, ", such as {}", examples.join(", ")),
        }
    }
}

impl Planned<'_> {
    /// How it is sent; none where it does not run.
    pub fn form(&self) -> Option<Form> {
        self.runs.then_some(match self.unit {
            _ if self.online => Form::Online,
            _ if !self.instead.is_empty() => Form::Repair,
            Some(_) => Form::Transaction,
            None => Form::Alone,
        })
    }

    /// The strongest lock on each table, of what is sent.
    fn locks(&self) -> Vec<TableLock> {
        let own = self.effect.iter().flat_map(|effect| &effect.locks);
        let instead = self.instead.iter().flat_map(|sent| &sent.locks);
        let sent: Vec<&TableLock> = if self.instead.is_empty() {
            own.collect()
        } else {
            instead.collect()
        };
        let mut strongest: BTreeMap<&str, TableLock> = BTreeMap::new();
        for lock in sent {
            let known = strongest.entry(&lock.table).or_insert_with(|| lock.clone());
            if lock.mode > known.mode {
                *known = lock.clone();
            }
        }
        strongest.into_values().collect()
    }

    /// All of it as a value, with what is known of the tables that it locks.
    pub fn document(&self, sizes: &BTreeMap<String, Size>) -> StepDocument {
        let effect = self.effect.cloned().unwrap_or_default();
        let locks = self.locks().into_iter().map(|lock| {
            let size = sizes.get(&lock.table);
            LockDocument {
                bytes: size.map(|size| size.bytes),
                rows: size.map(|size| size.rows),
                table: lock.table,
                mode: lock.mode,
                scans: lock.scans,
                rewrites: lock.rewrites,
            }
        });
        StepDocument {
            phase: self.phase.name.clone(),
            place: self.statement.place(),
            statement: self.statement.summary(),
            runs: self.runs,
            meaning: effect.meaning,
            reason: self.reason.clone(),
            form: self.form(),
            transaction: self.unit,
            once: self.once.is_some(),
            writes: effect.writes,
            sends: self
                .instead
                .iter()
                .map(|sent| sent.statement.text.as_str().to_owned())
                .collect(),
            leaves: effect.objects.iter().map(|(id, _)| id.to_string()).collect(),
            replaces: effect.replaces.iter().map(ToString::to_string).collect(),
            locks: locks.collect(),
            drops: Vec::new(),
            set_aside: None,
            refuses: Vec::new(),
        }
    }
}
