//! Where the database is and how to get in: from flags, the environment and `.env`.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use crate::error::{Error, Kind};

/// How TLS is used, by the names that libpq has for `sslmode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SslMode {
    /// No TLS.
    Disable,
    /// TLS only if the server refuses a connection without.
    Allow,
    /// TLS if the server offers it; the certificate is not verified.
    Prefer,
    /// TLS, the certificate is not verified (as in libpq: unless a root certificate is named).
    Require,
    /// TLS, and the certificate's chain is verified.
    VerifyCa,
    /// TLS, and the certificate's chain and name are verified.
    VerifyFull,
}

impl SslMode {
    /// libpq's name for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Disable => "disable",
            Self::Allow => "allow",
            Self::Prefer => "prefer",
            Self::Require => "require",
            Self::VerifyCa => "verify-ca",
            Self::VerifyFull => "verify-full",
        }
    }
}

impl FromStr for SslMode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Ok(match text.to_ascii_lowercase().as_str() {
            "" | "false" | "disable" => Self::Disable,
            "allow" => Self::Allow,
            "prefer" => Self::Prefer,
            "require" => Self::Require,
            "verify-ca" => Self::VerifyCa,
            "true" | "verify-full" => Self::VerifyFull,
            _ => {
                return Err(format!(
                    "“{text}” is neither true (verify the certificate) nor false, nor one of disable, allow, prefer, \
                     require, verify-ca, verify-full"
                ));
            }
        })
    }
}

/// One setting as it was given.
#[derive(Debug, Clone)]
pub struct Given {
    /// The value; empty counts as not given.
    pub value: String,
    /// Whether it was a flag: a flag is stronger than a part of the URL, the URL stronger than the rest.
    pub from_flag: bool,
}

/// The settings as they were given, before they are put together.
#[derive(Debug, Clone)]
pub struct Raw {
    /// `DATABASE_URL`: a URL, or libpq's `key=value` form.
    pub url: Option<String>,
    /// `POSTGRES_HOST`: one or several, separated by commas; a folder for a Unix socket.
    pub host: Given,
    /// `POSTGRES_PORT`: one, or as many as hosts.
    pub port: Given,
    /// `POSTGRES_DB`.
    pub database: Given,
    /// `POSTGRES_USER`.
    pub user: Given,
    /// `POSTGRES_PASSWORD`: there is no flag, arguments are seen by every user of a machine.
    pub password: Option<String>,
    /// `POSTGRES_SSL`.
    pub ssl: Given,
    /// `POSTGRES_SSL_CA`: a PEM file.
    pub ssl_ca: Given,
}

/// Where the database is and how to get in. `Debug` and `Display` never show the password.
#[derive(Clone)]
pub struct Settings {
    /// Hosts, ports, database, user, password, as the driver wants them.
    pub config: postgres::Config,
    /// How TLS is used.
    pub ssl: SslMode,
    /// A PEM file with further root certificates.
    pub ssl_ca: Option<PathBuf>,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The driver's own `Debug` leaves the password out, too; this does not depend on it.
        f.debug_struct("Settings")
            .field("target", &self.to_string())
            .field("password", &self.config.get_password().map(|_| "…"))
            .field("ssl", &self.ssl)
            .field("ssl_ca", &self.ssl_ca)
            .finish()
    }
}

impl fmt::Display for Settings {
    /// `database daydream_portal on localhost:5432 as daydream_user`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "database {} on {} as {}",
            self.config.get_dbname().unwrap_or("?"),
            self.addresses().join(", "),
            self.config.get_user().unwrap_or("?")
        )
    }
}

impl Settings {
    /// `host:port` of each server.
    pub fn addresses(&self) -> Vec<String> {
        let ports = self.config.get_ports();
        let port = |n: usize| ports.get(n).or(ports.first()).copied().unwrap_or(5432);
        let hosts = self.config.get_hosts().iter().map(|host| match host {
            postgres::config::Host::Tcp(name) => name.clone(),
            postgres::config::Host::Unix(path) => path.display().to_string(),
        });
        hosts
            .enumerate()
            .map(|(n, host)| format!("{host}:{}", port(n)))
            .collect()
    }

    /// Puts the given settings together.
    ///
    /// # Errors
    /// Of kind [`Kind::Usage`]: a value that makes no sense, named with its variable.
    pub fn resolve(raw: &Raw) -> Result<Self, Error> {
        let url = raw.url.as_deref().filter(|url| !url.is_empty());
        let misread = url.and_then(misread);
        let (url, mut url_ssl, mut url_ca) = url.map(take_ssl).unwrap_or_default();
        let parsed = match misread {
            Some(cause) => Err(cause.to_owned()),
            None => postgres::Config::from_str(&url).map_err(|error| describe_url_error(&error)),
        };
        let mut config = parsed.map_err(|cause| {
            usage("DATABASE_URL", &cause)
                .next("its form is postgres://user:password@host:5432/database; encode special characters as %XX")
        })?;
        let mut fresh = postgres::Config::new();

        if raw.host.from_flag || raw.port.from_flag || config.get_hosts().is_empty() {
            // Hosts cannot be taken out of a `Config`: build the list anew, and keep what the URL says of the rest.
            let hosts = match (raw.host.from_flag, config.get_hosts()) {
                (false, hosts @ [_, ..]) => hosts
                    .iter()
                    .map(|host| match host {
                        postgres::config::Host::Tcp(name) => name.clone(),
                        postgres::config::Host::Unix(path) => path.display().to_string(),
                    })
                    .collect(),
                _ => list(&raw.host.value, "localhost"),
            };
            let ports = match (raw.port.from_flag, config.get_ports()) {
                (false, ports @ [_, ..]) => ports.to_vec(),
                _ => list(&raw.port.value, "5432")
                    .iter()
                    .map(|port| {
                        port.parse()
                            .map_err(|_| usage("POSTGRES_PORT", &format!("“{port}” is not a port (1 to 65535)")))
                    })
                    .collect::<Result<_, _>>()?,
            };
            if ports.len() != 1 && ports.len() != hosts.len() {
                return Err(usage(
                    "POSTGRES_PORT",
                    &format!(
                        "{} ports for {} hosts: give one, or one for each",
                        ports.len(),
                        hosts.len()
                    ),
                ));
            }
            hosts.iter().for_each(|host| {
                fresh.host(host);
            });
            ports.iter().for_each(|port| {
                fresh.port(*port);
            });
            config = with_hosts_of(config, fresh);
        }
        if raw.database.from_flag || config.get_dbname().is_none() {
            config.dbname(or_default(&raw.database.value, "daydream_portal"));
        }
        if raw.user.from_flag || config.get_user().is_none() {
            config.user(or_default(&raw.user.value, "daydream_user"));
        }
        if config.get_password().is_none()
            && let Some(password) = raw.password.as_deref().filter(|password| !password.is_empty())
        {
            config.password(password);
        }
        if raw.ssl.from_flag || url_ssl.is_none() {
            url_ssl = Some(raw.ssl.value.clone());
        }
        let ssl = url_ssl
            .unwrap_or_default()
            .parse()
            .map_err(|error: String| usage("POSTGRES_SSL", &error))?;
        if raw.ssl_ca.from_flag || url_ca.is_none() {
            url_ca = Some(raw.ssl_ca.value.clone());
        }
        let ssl_ca = url_ca
            .filter(|path| !path.is_empty() && path != "system")
            .map(PathBuf::from);
        if ssl == SslMode::Disable && ssl_ca.is_some() && raw.ssl_ca.from_flag {
            return Err(
                usage("POSTGRES_SSL_CA", "a root certificate is named and TLS is off").next("set POSTGRES_SSL=true")
            );
        }
        Ok(Self { config, ssl, ssl_ca })
    }
}

/// The parts of `config` with the hosts and ports of `hosts`.
fn with_hosts_of(config: postgres::Config, mut hosts: postgres::Config) -> postgres::Config {
    if let Some(user) = config.get_user() {
        hosts.user(user);
    }
    if let Some(password) = config.get_password() {
        hosts.password(password);
    }
    if let Some(database) = config.get_dbname() {
        hosts.dbname(database);
    }
    if let Some(options) = config.get_options() {
        hosts.options(options);
    }
    if let Some(timeout) = config.get_connect_timeout() {
        hosts.connect_timeout(*timeout);
    }
    hosts
}

/// Takes `sslmode` and `sslrootcert` out of a connection string: the driver knows fewer modes.
fn take_ssl(url: &str) -> (String, Option<String>, Option<String>) {
    let (mut ssl, mut ca) = (None, None);
    let mut keep = |part: &&str| match part.split_once('=') {
        Some(("sslmode", value)) => {
            ssl = Some(value.to_owned());
            false
        }
        Some(("sslrootcert", value)) => {
            ca = Some(
                percent_encoding::percent_decode_str(value)
                    .decode_utf8_lossy()
                    .into_owned(),
            );
            false
        }
        _ => true,
    };
    let url = if url.starts_with("postgres://") || url.starts_with("postgresql://") {
        match url.split_once('?') {
            None => url.to_owned(),
            Some((base, query)) => {
                let query: Vec<_> = query.split('&').filter(|part| keep(part)).collect();
                if query.is_empty() {
                    base.to_owned()
                } else {
                    format!("{base}?{}", query.join("&"))
                }
            }
        }
    } else {
        url.split_whitespace()
            .filter(|part| keep(part))
            .collect::<Vec<_>>()
            .join(" ")
    };
    (url, ssl, ca)
}

fn list(value: &str, default: &str) -> Vec<String> {
    or_default(value, default)
        .split(',')
        .map(|part| part.trim().to_owned())
        .filter(|part| !part.is_empty())
        .collect()
}

fn or_default<'a>(value: &'a str, default: &'a str) -> &'a str {
    if value.trim().is_empty() { default } else { value.trim() }
}

fn usage(variable: &str, cause: &str) -> Error {
    Error::new(Kind::Usage, format!("the setting {variable} makes no sense"), cause)
}

/// Why a URL would be taken for something else than was meant, and a part of its password for a host, a port or a
/// database, which are shown.
fn misread(url: &str) -> Option<&'static str> {
    // The other form, name=value, has no scheme.
    let (scheme, rest) = url.split_once("://").filter(|(scheme, _)| !scheme.contains('='))?;
    if !matches!(scheme, "postgres" | "postgresql") {
        return Some("it does not begin with postgres://");
    }
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let in_password = match authority.matches('@').count() {
        // Behind the first = are options.
        0 => path.split('=').next().unwrap_or_default().contains('@'),
        count => count > 1,
    };
    in_password.then_some("user or password holds a special character: @ is written %40, / %2F, ? %3F, # %23, % %25")
}

fn describe_url_error(error: &postgres::Error) -> String {
    crate::error::describe(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_part_of_a_password_is_taken_for_something_else() {
        for url in [
            "mysql://a",
            "postgres://u:h@p@host/db",
            "postgres://u:12/3@host/db",
            "postgresql://u:a?b@host/db",
        ] {
            assert!(misread(url).is_some(), "{url}");
        }
        for url in [
            "postgres://u:h%40p@host:5432/db",
            "postgres:///db?host=/run&password=p@ss",
            "postgres://host/db",
            "host=h password=a://b@c",
        ] {
            assert_eq!(misread(url), None, "{url}");
        }
    }

    fn raw() -> Raw {
        let given = |value: &str| Given {
            value: value.into(),
            from_flag: false,
        };
        Raw {
            url: None,
            host: given("localhost"),
            port: given("5432"),
            database: given("daydream_portal"),
            user: given("daydream_user"),
            password: None,
            ssl: given("false"),
            ssl_ca: given(""),
        }
    }

    #[test]
    fn url_beats_environment_and_flag_beats_url() {
        let mut raw = raw();
        raw.url =
            Some("postgres://u:p%40ss@db.example:6000/other?sslmode=verify-ca&sslrootcert=%2Fetc%2Fca.pem".into());
        let settings = Settings::resolve(&raw).unwrap();
        assert_eq!(settings.to_string(), "database other on db.example:6000 as u");
        assert_eq!(settings.ssl, SslMode::VerifyCa);
        assert_eq!(settings.ssl_ca, Some(PathBuf::from("/etc/ca.pem")));
        raw.host = Given {
            value: "flag.example".into(),
            from_flag: true,
        };
        raw.database = Given {
            value: "flag_db".into(),
            from_flag: true,
        };
        let settings = Settings::resolve(&raw).unwrap();
        assert_eq!(settings.to_string(), "database flag_db on flag.example:6000 as u");
        assert_eq!(settings.config.get_password(), Some(b"p@ss".as_slice()));
    }

    #[test]
    fn debug_has_no_password() {
        let mut raw = raw();
        raw.password = Some("hunter2".into());
        let settings = Settings::resolve(&raw).unwrap();
        assert!(!format!("{settings:?}{settings}").contains("hunter2"));
    }

    #[test]
    fn several_hosts_and_empty_values() {
        let mut raw = raw();
        raw.host.value = "a, b".into();
        raw.port.value = "5433".into();
        raw.database.value = String::new();
        assert_eq!(
            Settings::resolve(&raw).unwrap().to_string(),
            "database daydream_portal on a:5433, b:5433 as daydream_user"
        );
        raw.port.value = "1,2,3".into();
        assert_eq!(Settings::resolve(&raw).unwrap_err().kind, Kind::Usage);
        raw.port.value = "many".into();
        assert!(Settings::resolve(&raw).unwrap_err().cause.contains("many"));
    }

    #[test]
    fn nonsense_is_named() {
        let mut raw = raw();
        raw.ssl.value = "perhaps".into();
        assert!(Settings::resolve(&raw).unwrap_err().what.contains("POSTGRES_SSL"));
        raw.ssl.value = "false".into();
        raw.url = Some("postgres://u:secret@host:99999/db".into());
        let error = Settings::resolve(&raw).unwrap_err();
        assert!(
            error.what.contains("DATABASE_URL") && !error.to_string().contains("secret"),
            "{error}"
        );
    }
}
