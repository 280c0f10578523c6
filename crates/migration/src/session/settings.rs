//! What the session of a migration is told, and what servers tell sessions by themselves.

use std::time::Duration;

use postgres::Row;

use crate::text::milliseconds;

/// What the phase files may rely on, whatever the role, the database and the server are set to.
const SETTINGS: [(&str, &str); 16] = [
    ("search_path", "public"),
    ("standard_conforming_strings", "on"),
    ("client_min_messages", "notice"),
    ("statement_timeout", "0"),
    ("idle_in_transaction_session_timeout", "0"),
    ("idle_session_timeout", "0"),
    ("default_transaction_deferrable", "off"),
    // What values are written as: literals of the phases mean what they meant on the scratch server, and what is kept of
    // rows is whole.
    ("DateStyle", "ISO, MDY"),
    ("IntervalStyle", "postgres"),
    ("bytea_output", "hex"),
    ("extra_float_digits", "1"),
    ("xmloption", "content"),
    ("quote_all_identifiers", "off"),
    ("array_nulls", "on"),
    ("default_transaction_isolation", "read committed"),
    ("synchronous_commit", "off"),
];

/// Ends what a file set, as with one `psql -f` a file. Not DISCARD ALL: that would free the mutex.
pub const END_OF_FILE: &str = include_str!("end_of_file.sql");

/// [`SETTINGS`], and those that depend on what the migration is told.
fn values(lock_timeout: Duration) -> impl Iterator<Item = (&'static str, String)> {
    SETTINGS
        .into_iter()
        .map(|(name, value)| (name, value.to_owned()))
        .chain([("lock_timeout", milliseconds(lock_timeout))])
}

/// All of them as options of the startup message: then RESET ALL in a phase brings them back.
pub fn as_options(lock_timeout: Duration) -> String {
    values(lock_timeout)
        .map(|(name, value)| format!(" -c {name}={}", value.replace(' ', "\\ ")))
        .collect()
}

/// SQL for a session that only reads. Servers before 17 know no limit for transactions.
pub fn for_reading(lock_timeout: Duration) -> String {
    format!(
        "{}SET default_transaction_read_only = on;
         SELECT CASE WHEN pg_catalog.current_setting('transaction_timeout', true) IS NOT NULL
             THEN pg_catalog.set_config('transaction_timeout', '0', false) END",
        as_sql(lock_timeout)
    )
}

/// All of them as SQL.
pub fn as_sql(lock_timeout: Duration) -> String {
    // Each value may stand as a string.
    values(lock_timeout)
        .map(|(name, value)| format!("SET {name} = '{value}';"))
        .collect()
}

/// Whose sessions ALTER ROLE or ALTER DATABASE gives a setting to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetFor {
    /// The role that it is set for, quoted; none for all.
    pub role: Option<String>,
    /// The database that it is set for, quoted; none for all.
    pub database: Option<String>,
}

impl SetFor {
    /// From the columns `role` and `database`.
    ///
    /// # Errors
    /// A column is missing.
    pub fn from_row(row: &Row) -> Result<Self, postgres::Error> {
        Ok(Self {
            role: row.try_get("role")?,
            database: row.try_get("database")?,
        })
    }

    /// For instance `role app in database shop`.
    pub fn words(&self) -> String {
        match (&self.role, &self.database) {
            (Some(role), Some(database)) => format!("role {role} in database {database}"),
            (Some(role), None) => format!("role {role}"),
            (None, Some(database)) => format!("database {database}"),
            (None, None) => "all roles".to_owned(),
        }
    }

    /// SQL that takes the setting away.
    pub fn reset(&self, setting: &str) -> String {
        let whose = match (&self.role, &self.database) {
            (Some(role), Some(database)) => format!("ROLE {role} IN DATABASE {database}"),
            (Some(role), None) => format!("ROLE {role}"),
            (None, Some(database)) => format!("DATABASE {database}"),
            (None, None) => "ROLE ALL".to_owned(),
        };
        format!("ALTER {whose} RESET {setting};")
    }
}
