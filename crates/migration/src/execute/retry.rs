//! What is tried again, and after how long.

use std::time::Duration;

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
/// Codes: PostgreSQL's appendix "PostgreSQL Error Codes".
pub fn classify(error: &postgres::Error, attempt: u32) -> Retry {
    let Some(db) = error.as_db_error() else {
        return Retry::Never;
    };
    let doubtful = |yes: bool| {
        if yes && attempt < ATTEMPTS_OF_DOUBTFUL_RACE {
            Retry::Race
        } else {
            Retry::Never
        }
    };
    match db.code().code() {
        // lock_not_available
        "55P03" => Retry::Lock,
        // serialization_failure, deadlock_detected
        "40001" | "40P01" => Retry::Race,
        // internal_error: two sessions changed one row of a catalog
        "XX000" if db.message().starts_with("tuple concurrently") => Retry::Race,
        // unique_violation in a catalog: two sessions made the same object
        "23505" => doubtful(db.constraint().is_some_and(|name| name.starts_with("pg_"))),
        // duplicate_object, duplicate_table
        "42710" | "42P07" => doubtful(true),
        _ => Retry::Never,
    }
}

/// Whether an optional statement may fail so: a privilege is lacking, or an extension is not there.
pub fn is_acceptable_where_optional(error: &postgres::Error) -> bool {
    // insufficient_privilege, feature_not_supported, undefined_file, undefined_object,
    // object_not_in_prerequisite_state
    error
        .code()
        .is_some_and(|code| matches!(code.code(), "42501" | "0A000" | "58P01" | "42704" | "55000"))
}

/// Whether it says that the statement cannot run inside of a transaction.
pub fn is_unfit_for_a_transaction(error: &postgres::Error) -> bool {
    // active_sql_transaction, invalid_transaction_termination
    error
        .code()
        .is_some_and(|code| matches!(code.code(), "25001" | "2D000"))
}

/// Whether it says that what is to be made is there already.
pub fn is_already_there(error: &postgres::Error) -> bool {
    // duplicate_table, duplicate_object, duplicate_column, duplicate_function, duplicate_schema, invalid_table_definition
    // (a second primary key)
    error
        .code()
        .is_some_and(|code| matches!(code.code(), "42P07" | "42710" | "42701" | "42723" | "42P06" | "42P16"))
}

/// Whether the session is gone: no answer at all, or the server says good-bye.
pub fn is_connection_lost(error: &postgres::Error) -> bool {
    match error.code() {
        // admin_shutdown, crash_shutdown, cannot_connect_now
        Some(code) => matches!(code.code(), "57P01" | "57P02" | "57P03"),
        None => true,
    }
}

/// Pauses that double from 50 ms to 5 s, each shortened by chance so that two do not keep step.
pub struct Pause(Duration);

impl Default for Pause {
    fn default() -> Self {
        Self(Duration::from_millis(50))
    }
}

impl Pause {
    /// The next one.
    pub fn next(&mut self) -> Duration {
        let pause = self.0.mul_f64(0.5 + fastrand::f64() / 2.0);
        self.0 = (self.0 * 2).min(Duration::from_secs(5));
        pause
    }
}
