//! What can be set, by variables of the environment or of a `.env` file.

mod database;
mod variables;

use std::net::{SocketAddr, ToSocketAddrs as _};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context as _, bail};
use connection::settings::{Defaults, HOST, PORT};
use tracing_subscriber::filter::Targets;

pub use database::DatabaseSettings;
pub use variables::Variables;

use crate::logging::{LogFormat, LogSettings};

/// The database and the user, where nothing is said: as `cargo xtask` has them.
const DEFAULTS: Defaults = Defaults {
    database: "daydream_portal",
    user: "daydream_user",
};

/// Each variable: name, default, meaning.
pub const VARIABLES: &[(&str, &str, &str)] = &[
    (
        "DATABASE_URL",
        "",
        "the database in one string; what it leaves open comes from the next five",
    ),
    ("POSTGRES_HOST", HOST, "host, or several separated by commas"),
    ("POSTGRES_PORT", PORT, "port, or one for each host"),
    ("POSTGRES_DB", DEFAULTS.database, "database"),
    ("POSTGRES_USER", DEFAULTS.user, "user"),
    ("POSTGRES_PASSWORD", "", "password"),
    (
        "POSTGRES_SSL",
        "false",
        "false/disable, allow, prefer, require, verify-ca, true/verify-full",
    ),
    (
        "POSTGRES_SSL_CA",
        "",
        "PEM file of the root certificates, instead of the system's",
    ),
    ("POSTGRES_POOL_SIZE", "10", "most database connections"),
    ("CONNECT_TIMEOUT", "2s", "longest time to connect to one database host"),
    (
        "STATEMENT_TIMEOUT",
        "3s",
        "longest time of one query, and of waiting for a connection",
    ),
    ("BIND_ADDRESS", "127.0.0.1:3001", "where to listen"),
    ("MAX_CONNECTIONS", "2048", "most open connections of clients"),
    (
        "HEADER_TIMEOUT",
        "10s",
        "longest time for a request's head, and of an idle connection",
    ),
    (
        "WRITE_TIMEOUT",
        "10s",
        "longest time that a client may leave its answer unread",
    ),
    ("REQUEST_TIMEOUT", "10s", "longest time to answer a request"),
    (
        "DRAIN_TIME",
        "10s",
        "longest time to finish open requests after SIGTERM",
    ),
    (
        "CONSOLE_PASSWORD_HASH",
        "",
        "lets people into the console; made by backend --hash-password. Without it there is no console",
    ),
    ("CONSOLE_ADDRESS", "127.0.0.1:3002", "where the console listens"),
    (
        "CONSOLE_EXPECTED",
        "sql/expected.json",
        "what the database shall be, for the console",
    ),
    (
        "POSTGRES_READONLY_PASSWORD",
        "",
        "password of readonly_user, as whom the console reads",
    ),
    ("LOG_FORMAT", "text", "text or json"),
    (
        "LOG_LEVEL",
        "info,deadpool.postgres=error",
        "error, warn, info, debug, trace; by module: info,backend::http=debug",
    ),
    (
        "DEPLOY_ID",
        "",
        "told back by /health/ready, so that who started this process knows it",
    ),
    (
        "EXIT_ON_STDIN_EOF",
        "false",
        "true: the end of standard input is as SIGTERM, so that it does not outlive who holds that",
    ),
];

/// All settings of the service.
#[derive(Debug)]
pub struct Settings {
    /// The database and the pool.
    pub database: DatabaseSettings,
    /// The listener and its limits.
    pub server: ServerSettings,
    /// The console, if there is to be one.
    pub console: Option<ConsoleSettings>,
    /// The logs.
    pub log: LogSettings,
    /// Name of this start, told back by `/health/ready`.
    pub deploy_id: Option<String>,
}

/// The console.
#[derive(Clone)]
pub struct ConsoleSettings {
    /// Where it listens.
    pub address: SocketAddr,
    /// Of the password that lets people in: Argon2, in PHC's form.
    pub password_hash: String,
    /// The same database as the service's, read as `readonly_user`.
    pub database: DatabaseSettings,
    /// The file `expected.json`.
    pub expected: PathBuf,
}

impl std::fmt::Debug for ConsoleSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ConsoleSettings")
            .field("address", &self.address)
            .field("database", &self.database)
            .field("expected", &self.expected)
            .finish_non_exhaustive()
    }
}

impl ConsoleSettings {
    fn from_variables(variables: &Variables) -> anyhow::Result<Option<Self>> {
        let password_hash = text(variables, "CONSOLE_PASSWORD_HASH")?;
        if password_hash.is_empty() {
            return Ok(None);
        }
        if argon2::PasswordHash::new(&password_hash).is_err() {
            bail!("CONSOLE_PASSWORD_HASH is no hash of Argon2: backend --hash-password makes one");
        }
        Ok(Some(Self {
            address: address(variables, "CONSOLE_ADDRESS")?,
            password_hash,
            database: DatabaseSettings::of_reader(variables)?,
            expected: text(variables, "CONSOLE_EXPECTED")?.into(),
        }))
    }
}

/// The listener and its limits.
#[derive(Debug, Clone)]
pub struct ServerSettings {
    /// Where to listen.
    pub bind_address: SocketAddr,
    /// Most open connections.
    pub max_connections: usize,
    /// Longest time for a request's head, and of an idle connection.
    pub header_timeout: Duration,
    /// Longest time that a client may leave its answer unread.
    pub write_timeout: Duration,
    /// Longest time to answer a request.
    pub request_timeout: Duration,
    /// Longest time to finish open requests once told to end.
    pub drain_time: Duration,
    /// Whether the end of standard input ends the service, as SIGTERM does.
    pub exit_on_stdin_eof: bool,
}

impl Settings {
    /// Reads and checks all settings.
    ///
    /// # Errors
    /// Names the variable that is wrong; a password is never in the message.
    pub fn from_variables(variables: &Variables) -> anyhow::Result<Self> {
        let server = ServerSettings {
            bind_address: Self::bind_address(variables)?,
            max_connections: number(variables, "MAX_CONNECTIONS", 1..=100_000)?,
            header_timeout: duration(variables, "HEADER_TIMEOUT")?,
            write_timeout: duration(variables, "WRITE_TIMEOUT")?,
            request_timeout: duration(variables, "REQUEST_TIMEOUT")?,
            drain_time: duration(variables, "DRAIN_TIME")?,
            exit_on_stdin_eof: parsed(variables, "EXIT_ON_STDIN_EOF")?,
        };
        let log = LogSettings {
            format: match text(variables, "LOG_FORMAT")?.as_str() {
                "text" => LogFormat::Text,
                "json" => LogFormat::Json,
                other => bail!("LOG_FORMAT is text or json, not {other:?}"),
            },
            filter: parsed::<Targets>(variables, "LOG_LEVEL")?,
        };
        Ok(Self {
            database: DatabaseSettings::from_variables(variables)?,
            server,
            console: ConsoleSettings::from_variables(variables)?,
            log,
            deploy_id: variables.get("DEPLOY_ID")?,
        })
    }

    /// Where to listen: an address or a name, and a port.
    ///
    /// # Errors
    /// When `BIND_ADDRESS` is not such.
    pub fn bind_address(variables: &Variables) -> anyhow::Result<SocketAddr> {
        address(variables, "BIND_ADDRESS")
    }
}

/// An address or a name, and a port.
fn address(variables: &Variables, name: &str) -> anyhow::Result<SocketAddr> {
    let value = text(variables, name)?;
    let mut addresses = value.to_socket_addrs().ok().into_iter().flatten();
    let first = addresses.next();
    first.with_context(|| format!("{name} is an address with a port, not {value:?}"))
}

/// The value of a variable, or its default.
fn text(variables: &Variables, name: &str) -> anyhow::Result<String> {
    let default = VARIABLES
        .iter()
        .find(|(known, ..)| *known == name)
        .map_or("", |(_, default, _)| default);
    Ok(variables.get(name)?.unwrap_or_else(|| default.to_owned()))
}

fn parsed<T>(variables: &Variables, name: &str) -> anyhow::Result<T>
where
    T: FromStr,
    T::Err: std::fmt::Display,
{
    let value = text(variables, name)?;
    value
        .parse()
        .map_err(|error| anyhow::anyhow!("{name} cannot be {value:?}: {error}"))
}

fn number(variables: &Variables, name: &str, range: std::ops::RangeInclusive<usize>) -> anyhow::Result<usize> {
    let value = parsed::<usize>(variables, name)?;
    if !range.contains(&value) {
        bail!("{name} is from {} to {}, not {value}", range.start(), range.end());
    }
    Ok(value)
}

/// A time limit, as `10s` or `500ms`: no limit may be switched off, so it is not zero and not
/// longer than an hour.
fn duration(variables: &Variables, name: &str) -> anyhow::Result<Duration> {
    let value = parsed::<humantime::Duration>(variables, name)?;
    let limits = Duration::from_millis(1)..=Duration::from_secs(3600);
    if !limits.contains(&value) {
        bail!("{name} is from 1ms to 1h, not {value}");
    }
    Ok(*value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(pairs: &[(&str, &str)]) -> anyhow::Result<Settings> {
        Settings::from_variables(&Variables::of(pairs))
    }

    fn message(pairs: &[(&str, &str)]) -> String {
        format!("{:#}", settings(pairs).unwrap_err())
    }

    #[test]
    fn defaults() {
        let settings = settings(&[]).unwrap();
        assert_eq!(settings.server.bind_address.to_string(), "127.0.0.1:3001");
        assert_eq!(settings.server.drain_time, Duration::from_secs(10));
        assert_eq!(settings.log.format, LogFormat::Text);
        assert_eq!(settings.deploy_id, None);
    }

    #[test]
    fn values() {
        let settings = settings(&[
            ("BIND_ADDRESS", "[::]:80"),
            ("DRAIN_TIME", "1m 500ms"),
            ("LOG_FORMAT", "json"),
            ("LOG_LEVEL", "warn,backend=debug"),
            ("DEPLOY_ID", "d-1"),
        ])
        .unwrap();
        assert_eq!(settings.server.bind_address.to_string(), "[::]:80");
        assert_eq!(settings.server.drain_time, Duration::from_millis(60_500));
        assert_eq!(settings.deploy_id.as_deref(), Some("d-1"));
    }

    #[test]
    fn errors_name_the_variable() {
        for (name, value) in [
            ("BIND_ADDRESS", "3001"),
            ("BIND_ADDRESS", "127.0.0.1:70000"),
            ("MAX_CONNECTIONS", "0"),
            ("MAX_CONNECTIONS", "-1"),
            ("HEADER_TIMEOUT", "0s"),
            ("REQUEST_TIMEOUT", "10"),
            ("DRAIN_TIME", "2h"),
            ("EXIT_ON_STDIN_EOF", "1"),
            ("LOG_FORMAT", "xml"),
            ("CONSOLE_PASSWORD_HASH", "secret"),
            ("LOG_LEVEL", "info=info=info"),
            ("POSTGRES_POOL_SIZE", "100000"),
        ] {
            let message = message(&[(name, value)]);
            assert!(message.starts_with(name), "{message}");
        }
    }
}
