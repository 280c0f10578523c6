//! One error type for what the crates do: a kind, what was being done, why it failed, what to do next.

use std::fmt;

mod next;

pub use next::{Hint, Next};

/// Asks whether the process was told to end, and by which signal.
pub type Interrupted<'a> = &'a (dyn Fn() -> Option<i32> + Sync);

/// What went wrong, as far as a caller must tell the cases apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Anything not listed below.
    Failed,
    /// Settings that make no sense.
    Usage,
    /// No connection to the database.
    Connect,
    /// The database is not as the expected catalog says.
    NotConverged,
    /// Another migration is under way, or locks could not be had in time.
    Busy,
    /// The connection was lost in the middle of what was being done.
    Lost,
    /// Ended by this signal.
    Interrupted(i32),
}

impl Kind {
    /// The exit status of a command that ends with such an error. Nothing else maps kinds to statuses.
    pub fn exit_status(self) -> u8 {
        match self {
            Self::Failed | Self::Lost => 1,
            Self::Usage => 2,
            Self::Connect => 3,
            Self::NotConverged => 4,
            Self::Busy => 5,
            Self::Interrupted(signal) => 128_u8.saturating_add(u8::try_from(signal).unwrap_or(2)),
        }
    }
}

/// An error of these crates, made for people: each part is text that can be shown.
#[derive(Debug)]
pub struct Error {
    /// Tells the cases apart.
    pub kind: Kind,
    /// What was being done, and where; one line.
    pub what: String,
    /// Why it failed: what PostgreSQL or the system answered; some lines.
    pub cause: String,
    /// What to do next; some lines, empty where nothing can be said.
    pub next: Next,
}

impl Error {
    /// An error of a kind; [`next`](Self::next) adds what to do.
    pub fn new(kind: Kind, what: impl Into<String>, cause: impl Into<String>) -> Self {
        Self {
            kind,
            what: what.into(),
            cause: cause.into(),
            next: Next::default(),
        }
    }

    /// The same with what to do next.
    #[must_use]
    pub fn next(mut self, next: impl Into<Next>) -> Self {
        self.next = next.into();
        self
    }

    /// All of it, with the words that the caller has for hints.
    pub fn text(&self, words: fn(Hint) -> &'static str) -> String {
        let mut text = self.what.clone();
        for line in self.cause.lines() {
            text.push_str(&format!("\n  {line}"));
        }
        for (n, line) in self.next.text(words).lines().enumerate() {
            text.push_str(&format!("\n  {} {line}", if n == 0 { "→" } else { " " }));
        }
        text
    }
}

impl fmt::Display for Error {
    /// In words that name no command and no flag.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text(Hint::words))
    }
}

impl std::error::Error for Error {}

/// What PostgreSQL, or the connection to it, answered: message, detail, hint and SQLSTATE.
/// (`Display` of [`tokio_postgres::Error`] says "db error" and no more.)
pub fn describe(error: &tokio_postgres::Error) -> String {
    if let Some(db) = error.as_db_error() {
        let mut text = format!("{}: {} (SQLSTATE {})", db.severity(), db.message(), db.code().code());
        for (label, part) in [("detail", db.detail()), ("hint", db.hint()), ("where", db.where_())] {
            if let Some(part) = part {
                text.push_str(&format!("\n{label}: {part}"));
            }
        }
        return text;
    }
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(&format!(": {cause_text}"));
        }
        source = cause.source();
    }
    text
}
