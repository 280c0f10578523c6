//! What PostgreSQL's error codes mean to a migration, in one place: nobody else compares codes. Those of connections that
//! are not made are `connection::Trouble`'s.

use postgres::Error;
use postgres::error::SqlState;

/// Whether a statement that failed is sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// It would fail again.
    Never,
    /// Somebody held a lock.
    Lock,
    /// Somebody else changed the same thing at the same moment.
    Race,
}

/// How often a statement is sent whose error may be a race, and may as well be what it says.
const ATTEMPTS_OF_DOUBTFUL_RACE: u32 = 3;

/// What an error of the `attempt`-th attempt calls for.
pub fn retry(error: &Error, attempt: u32) -> Retry {
    let Some(db) = error.as_db_error() else {
        return Retry::Never;
    };
    let is_race = match *db.code() {
        SqlState::LOCK_NOT_AVAILABLE => return Retry::Lock,
        SqlState::T_R_SERIALIZATION_FAILURE | SqlState::T_R_DEADLOCK_DETECTED => true,
        // Two sessions changed one row of a catalog.
        SqlState::INTERNAL_ERROR => db.message().starts_with("tuple concurrently"),
        // Two sessions made the same object; in a catalog they met at its unique index.
        SqlState::UNIQUE_VIOLATION => {
            attempt < ATTEMPTS_OF_DOUBTFUL_RACE && db.constraint().is_some_and(|name| name.starts_with("pg_"))
        }
        SqlState::DUPLICATE_OBJECT | SqlState::DUPLICATE_TABLE => attempt < ATTEMPTS_OF_DOUBTFUL_RACE,
        _ => false,
    };
    if is_race { Retry::Race } else { Retry::Never }
}

/// Whether somebody held a lock for longer than the lock timeout.
pub fn is_lock_timeout(error: &Error) -> bool {
    error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE)
}

/// Somebody has cancelled it.
pub fn is_cancelled(error: &Error) -> bool {
    error.code() == Some(&SqlState::QUERY_CANCELED)
}

/// Whether the server met what its authors did not expect. A look at the catalog meets it when an object is dropped
/// meanwhile ("cache lookup failed").
pub fn is_internal(error: &Error) -> bool {
    error.code() == Some(&SqlState::INTERNAL_ERROR)
}

/// Whether a privilege is lacking.
pub fn is_denied(error: &Error) -> bool {
    error.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE)
}

/// Whether a column that the statement names is not there.
pub fn lacks_column(error: &Error) -> bool {
    error.code() == Some(&SqlState::UNDEFINED_COLUMN)
}

/// Whether a function or an operator that the statement names is not there.
pub fn lacks_function(error: &Error) -> bool {
    error.code() == Some(&SqlState::UNDEFINED_FUNCTION)
}

/// Whether several functions have the name and the arguments of a call.
pub fn is_ambiguous(error: &Error) -> bool {
    error.code() == Some(&SqlState::AMBIGUOUS_FUNCTION)
}

/// Whether rows are in the way of a constraint.
pub fn is_violation(error: &Error) -> bool {
    matches!(
        error.code(),
        Some(
            &SqlState::UNIQUE_VIOLATION
                | &SqlState::NOT_NULL_VIOLATION
                | &SqlState::CHECK_VIOLATION
                | &SqlState::FOREIGN_KEY_VIOLATION
        )
    )
}

/// Whether values of rows are what was refused: other rows may do. By the class: data, integrity, a view's check, a
/// function of the database's own.
pub fn is_about_rows(error: &Error) -> bool {
    let class = error.code().and_then(|code| code.code().get(..2));
    matches!(class, Some("22" | "23" | "44" | "P0"))
}

/// Whether a row with the same key is there already.
pub fn is_row_already_there(error: &Error) -> bool {
    error.code() == Some(&SqlState::UNIQUE_VIOLATION)
}

/// The message of the error if a text was to be read as a value and is none: it ends with the text, in whatever language.
pub fn unreadable_value(error: &Error) -> Option<&str> {
    let error = error.as_db_error()?;
    (*error.code() == SqlState::INVALID_TEXT_REPRESENTATION).then(|| error.message())
}

/// Whether an optional statement may fail so: a privilege is lacking, or an extension is not there.
pub fn is_acceptable_where_optional(error: &Error) -> bool {
    matches!(
        error.code(),
        Some(
            &SqlState::INSUFFICIENT_PRIVILEGE
                | &SqlState::FEATURE_NOT_SUPPORTED
                | &SqlState::UNDEFINED_FILE
                | &SqlState::UNDEFINED_OBJECT
                | &SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE
        )
    )
}

/// Whether the statement cannot run inside of a transaction.
pub fn is_unfit_for_a_transaction(error: &Error) -> bool {
    matches!(
        error.code(),
        Some(&SqlState::ACTIVE_SQL_TRANSACTION | &SqlState::INVALID_TRANSACTION_TERMINATION)
    )
}

/// Whether what is to be made is there already.
pub fn is_already_there(error: &Error) -> bool {
    matches!(
        error.code(),
        Some(
            &SqlState::DUPLICATE_TABLE
                | &SqlState::DUPLICATE_OBJECT
                | &SqlState::DUPLICATE_COLUMN
                | &SqlState::DUPLICATE_FUNCTION
                | &SqlState::DUPLICATE_SCHEMA
                // A second primary key.
                | &SqlState::INVALID_TABLE_DEFINITION
        )
    )
}

/// Whether the session is gone: no answer at all, or the server says good-bye.
pub fn is_connection_lost(error: &Error) -> bool {
    matches!(
        error.code(),
        None | Some(&SqlState::ADMIN_SHUTDOWN | &SqlState::CRASH_SHUTDOWN | &SqlState::CANNOT_CONNECT_NOW)
    )
}
