//! Passwords of roles: set as SCRAM verifiers that are computed here, so that a password never
//! travels to the server, nor into its log or `pg_stat_statements`.

use connection::{Error, Kind, describe};
use postgres::Client;

use super::connect::{Connector, Session};
use crate::sqlstate;

/// What [`ensure`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ensured {
    /// The role can already log in with the password.
    Unchanged,
    /// The password was set.
    Set,
}

/// Makes `password` the role's password, unless the role can log in with it already.
///
/// # Errors
/// The migrating role may not alter the role.
pub fn ensure(client: &mut Client, connector: &Connector, role: &str, password: &str) -> Result<Ensured, Error> {
    if accepts(connector, role, password) {
        return Ok(Ensured::Unchanged);
    }
    let verifier = postgres_protocol::password::scram_sha_256(password.as_bytes());
    let role_sql = quote_identifier(role);
    client
        .batch_execute(&format!("ALTER ROLE {role_sql} PASSWORD '{verifier}'"))
        .map_err(|error| {
            let next = if sqlstate::is_denied(&error) {
                format!(
                    "the migrating role needs CREATEROLE, from PostgreSQL 16 on also ADMIN OPTION on {role_sql}; \
                     as a superuser: GRANT {role_sql} TO CURRENT_ROLE WITH ADMIN OPTION"
                )
            } else {
                String::new()
            };
            Error::new(
                Kind::Failed,
                format!("cannot set the password of the role {role}"),
                describe(&error),
            )
            .next(next)
        })?;
    Ok(Ensured::Set)
}

/// Whether the role can log in with the password.
pub fn accepts(connector: &Connector, role: &str, password: &str) -> bool {
    connector
        .connect(&Session {
            login: Some((role, password)),
            ..Session::default()
        })
        .is_ok()
}

/// An identifier for SQL text.
pub fn quote_identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
