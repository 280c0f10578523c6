//! Why a query failed: in words that any client may read, and in detail for the logs.

use connection::{Trouble, describe};
use deadpool_postgres::{PoolError, TimeoutType};
use tokio_postgres::Error;

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

    /// No connection could be had, or it is lost.
    fn of_connection(error: &Error) -> Self {
        let words = Trouble::of(error).words();
        Self {
            kind: FailureKind::Unreachable,
            reason: match error.code() {
                Some(code) => format!("{words} (SQLSTATE {})", code.code()),
                None => words.to_owned(),
            },
            detail: describe(error),
        }
    }
}

impl From<Error> for Failure {
    /// Of a query.
    fn from(error: Error) -> Self {
        let Some(answer) = error.as_db_error() else {
            if is_conversion(&error) {
                let mut failure = Self::new(FailureKind::Schema, WRONG_SCHEMA);
                failure.detail = describe(&error);
                return failure;
            }
            return Self::of_connection(&error);
        };
        let code = answer.code().code();
        let (kind, reason) = match code {
            "57014" => (FailureKind::Timeout, "the database does not answer in time"),
            "42P01" | "42703" | "42704" | "42883" | "3F000" => (FailureKind::Schema, WRONG_SCHEMA),
            "42501" => (FailureKind::Schema, "the database denies access to a table"),
            _ if ["08", "53", "57P"].iter().any(|class| code.starts_with(class)) => {
                (FailureKind::Unreachable, Trouble::of(&error).words())
            }
            _ => (FailureKind::Fault, "the database refuses the query"),
        };
        Self {
            kind,
            reason: format!("{reason} (SQLSTATE {code})"),
            detail: format!("{}: {} (SQLSTATE {code})", answer.severity(), answer.message()),
        }
    }
}

impl From<PoolError> for Failure {
    fn from(error: PoolError) -> Self {
        match error {
            PoolError::Backend(error) => Self::of_connection(&error),
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
