//! Why a query failed: in words that any client may read, and in detail for the logs.

use std::error::Error as _;
use std::io;

use deadpool_postgres::{PoolError, TimeoutType};
use tokio_postgres::Error;
use tokio_postgres::error::DbError;

const WRONG_SCHEMA: &str = "the database schema is not the one that this version needs";

/// A query that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What it means for the client.
    pub kind: FailureKind,
    /// What any client may know: no host, user or row.
    pub reason: String,
    /// What the logs tell: PostgreSQL's message, without its `DETAIL`, which quotes rows.
    pub detail: String,
}

/// What a failed query means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// All connections of the pool are in use.
    Busy,
    /// No connection to the database.
    Unreachable,
    /// The database does not answer in time.
    Timeout,
    /// A table or a column is missing, has another type, or may not be read.
    Schema,
    /// A fault of this program.
    Fault,
}

impl Failure {
    /// No answer in time.
    #[must_use]
    pub fn timeout() -> Self {
        Self::new(FailureKind::Timeout, "the database does not answer in time")
    }

    /// The schema is not what this version needs, for a reason that any client may know.
    #[must_use]
    pub fn not_migrated(reason: &str) -> Self {
        Self::new(FailureKind::Schema, reason)
    }

    fn new(kind: FailureKind, reason: impl Into<String>) -> Self {
        let reason = reason.into();
        Self {
            kind,
            detail: reason.clone(),
            reason,
        }
    }

    fn of_database(error: &DbError) -> Self {
        let code = error.code();
        let (kind, reason) = match code.code() {
            "28000" | "28P01" => (FailureKind::Unreachable, "the database refuses the login"),
            "3D000" => (FailureKind::Unreachable, "the database does not exist"),
            "53300" => (FailureKind::Unreachable, "the database has too many connections"),
            "57P01" | "57P02" | "57P03" => (FailureKind::Unreachable, "the database is starting or shutting down"),
            "57014" => (FailureKind::Timeout, "the database does not answer in time"),
            "42P01" | "42703" | "42704" | "42883" | "3F000" => (FailureKind::Schema, WRONG_SCHEMA),
            "42501" => (FailureKind::Schema, "the database denies access to a table"),
            other if other.starts_with("08") || other.starts_with("53") => {
                (FailureKind::Unreachable, "the database cannot serve now")
            }
            _ => (FailureKind::Fault, "the database refuses the query"),
        };
        Self {
            kind,
            reason: format!("{reason} (SQLSTATE {})", code.code()),
            detail: format!("{}: {} (SQLSTATE {})", error.severity(), error.message(), code.code()),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        if let Some(error) = error.as_db_error() {
            return Self::of_database(error);
        }
        if is_conversion(&error) {
            let mut failure = Self::new(FailureKind::Schema, WRONG_SCHEMA);
            failure.detail = chain(&error);
            return failure;
        }
        let reason = match io_error(&error).map(io::Error::kind) {
            Some(io::ErrorKind::ConnectionRefused) => "the database refuses the connection",
            Some(io::ErrorKind::TimedOut) => "the database cannot be reached in time",
            // A TLS error of rustls arrives as an I/O error of these kinds.
            Some(io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput) => {
                "the TLS connection to the database fails"
            }
            Some(io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset) => "the database closed the connection",
            Some(_) => "the database cannot be reached",
            None if error.is_closed() => "the database closed the connection",
            None => "the database cannot be used",
        };
        let mut failure = Self::new(FailureKind::Unreachable, reason);
        failure.detail = chain(&error);
        failure
    }
}

impl From<PoolError> for Failure {
    fn from(error: PoolError) -> Self {
        match error {
            PoolError::Backend(error) => error.into(),
            PoolError::Timeout(TimeoutType::Wait) => {
                Self::new(FailureKind::Busy, "all database connections are in use")
            }
            PoolError::Timeout(_) => Self::new(FailureKind::Unreachable, "the database cannot be reached in time"),
            other => Self::new(FailureKind::Fault, other.to_string()),
        }
    }
}

/// Whether a column or a parameter has another type than this program expects.
/// tokio-postgres has no other way to ask for the kind.
fn is_conversion(error: &Error) -> bool {
    let message = error.to_string();
    [
        "error serializing parameter",
        "error deserializing column",
        "invalid column",
    ]
    .iter()
    .any(|start| message.starts_with(start))
}

/// The I/O error at the bottom of `error`.
pub(super) fn io_error(error: &Error) -> Option<&io::Error> {
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref() {
            return Some(error);
        }
        cause = error.source();
    }
    None
}

fn chain(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pool_errors() {
        assert_eq!(
            Failure::from(PoolError::Timeout(TimeoutType::Wait)).kind,
            FailureKind::Busy
        );
        let created = Failure::from(PoolError::Timeout(TimeoutType::Create));
        assert_eq!(created.kind, FailureKind::Unreachable);
        assert_eq!(Failure::from(PoolError::Closed).kind, FailureKind::Fault);
    }
}
