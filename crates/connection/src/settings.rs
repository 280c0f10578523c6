//! Where the database is and how to get in: from flags, the environment and `.env`.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use crate::conninfo::{ConnInfo, ports, shown};
use crate::{Error, Kind, describe};

/// The host, where none is given.
pub const HOST: &str = "localhost";
/// The port, where none is given.
pub const PORT: &str = "5432";
/// What is taken where nothing is given: an application's own names.
#[derive(Debug, Clone, Copy)]
pub struct Defaults {
    /// The database.
    pub database: &'static str,
    /// The user.
    pub user: &'static str,
}

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
                    "“{}” is neither true (verify the certificate) nor false, nor one of disable, allow, prefer, \
                     require, verify-ca, verify-full",
                    shown(text)
                ));
            }
        })
    }
}

/// One setting as it was given.
#[derive(Debug, Clone, Default)]
pub struct Parameter {
    /// The value; empty counts as not given.
    pub value: String,
    /// Whether it was a flag: a flag is stronger than a part of the URL, the URL stronger than the rest.
    pub from_flag: bool,
}

/// The settings as they were given, before they are put together. It holds passwords: it has no `Debug`.
#[derive(Clone)]
pub struct Parameters {
    /// What is taken where neither a flag, nor the URL, nor a variable says it.
    pub defaults: Defaults,
    /// `DATABASE_URL`: a URL, or libpq's `key=value` form.
    pub url: Option<String>,
    /// `POSTGRES_HOST`: one or several, separated by commas; a folder for a Unix socket.
    pub host: Parameter,
    /// `POSTGRES_PORT`: one, or as many as hosts.
    pub port: Parameter,
    /// `POSTGRES_DB`.
    pub database: Parameter,
    /// `POSTGRES_USER`.
    pub user: Parameter,
    /// `POSTGRES_PASSWORD`: there is no flag, arguments are seen by every user of a machine.
    pub password: Option<String>,
    /// `POSTGRES_SSL`.
    pub ssl: Parameter,
    /// `POSTGRES_SSL_CA`: a PEM file.
    pub ssl_ca: Parameter,
}

impl Parameters {
    /// The settings of a program without flags: `variable` gives the value of a variable.
    ///
    /// # Errors
    /// What `variable` says.
    pub fn from_variables<E>(
        defaults: Defaults,
        variable: impl Fn(&str) -> Result<Option<String>, E>,
    ) -> Result<Self, E> {
        let given = |name: &str| {
            variable(name).map(|value| Parameter {
                value: value.unwrap_or_default(),
                from_flag: false,
            })
        };
        Ok(Self {
            defaults,
            url: variable("DATABASE_URL")?,
            host: given("POSTGRES_HOST")?,
            port: given("POSTGRES_PORT")?,
            database: given("POSTGRES_DB")?,
            user: given("POSTGRES_USER")?,
            password: variable("POSTGRES_PASSWORD")?,
            ssl: given("POSTGRES_SSL")?,
            ssl_ca: given("POSTGRES_SSL_CA")?,
        })
    }
}

/// Where the database is and how to get in. `Debug` and `Display` never show the password.
#[derive(Clone)]
pub struct Settings {
    /// Hosts, ports, database, user, password, as the driver takes them.
    pub config: tokio_postgres::Config,
    /// How TLS is used.
    pub ssl: SslMode,
    /// A PEM file with the root certificates that count, instead of the system's.
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
    /// `database shop on localhost:5432 as shop_owner`
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
            tokio_postgres::config::Host::Tcp(name) => name.clone(),
            tokio_postgres::config::Host::Unix(path) => path.display().to_string(),
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
    pub fn resolve(given: &Parameters) -> Result<Self, Error> {
        let mut info = ConnInfo::parse(given.url.as_deref().unwrap_or_default()).map_err(|cause| {
            usage("DATABASE_URL", &cause)
                .next("its form is postgres://user:password@host:5432/database; encode special characters as %XX")
        })?;
        if given.host.from_flag || info.get("host").is_none() {
            // It says where the host of the URL is.
            info.take("hostaddr");
            let hosts = list(or_default(&given.host.value, HOST)).join(",");
            if hosts.is_empty() {
                return Err(usage("POSTGRES_HOST", "it names no host"));
            }
            if info.get("port").is_none() {
                info.set("port", port(given)?);
            }
            info.set("host", hosts);
        }
        if given.port.from_flag {
            info.set("port", port(given)?);
        }
        let count = |name| info.get(name).map_or(1, |list| list.split(',').count());
        let (hosts, ports) = (count("host"), count("port"));
        if ports != 1 && ports != hosts {
            return Err(usage(
                "POSTGRES_PORT",
                &format!("{ports} ports for {hosts} hosts: give one, or one for each"),
            ));
        }
        if given.database.from_flag || info.get("dbname").is_none() {
            info.set("dbname", or_default(&given.database.value, given.defaults.database));
        }
        if given.user.from_flag || info.get("user").is_none() {
            info.set("user", or_default(&given.user.value, given.defaults.user));
        }
        let (url_ssl, mut url_ca) = (info.take("sslmode"), info.take("sslrootcert"));
        let mut config = tokio_postgres::Config::from_str(&info.text()).map_err(|error| {
            // What was given, and not what the driver was told: that holds the password.
            usage("DATABASE_URL", &describe(&error))
        })?;
        if config.get_password().is_none()
            && let Some(password) = given.password.as_deref().filter(|password| !password.is_empty())
        {
            config.password(password);
        }
        let (variable, mode) = match &url_ssl {
            Some(mode) if !given.ssl.from_flag => ("DATABASE_URL", mode),
            _ => ("POSTGRES_SSL", &given.ssl.value),
        };
        let ssl = mode.parse().map_err(|error: String| usage(variable, &error))?;
        if given.ssl_ca.from_flag || url_ca.is_none() {
            url_ca = Some(given.ssl_ca.value.clone());
        }
        let ssl_ca = url_ca
            .filter(|path| !path.is_empty() && path != "system")
            .map(PathBuf::from);
        if ssl == SslMode::Disable && ssl_ca.is_some() && given.ssl_ca.from_flag {
            return Err(
                usage("POSTGRES_SSL_CA", "a root certificate is named and TLS is off").next("set POSTGRES_SSL=true")
            );
        }
        Ok(Self { config, ssl, ssl_ca })
    }
}

/// `POSTGRES_PORT`, or a list of them.
fn port(given: &Parameters) -> Result<String, Error> {
    let ports = ports(or_default(&given.port.value, PORT)).map_err(|cause| usage("POSTGRES_PORT", &cause))?;
    Ok(ports.iter().map(ToString::to_string).collect::<Vec<_>>().join(","))
}

fn list(value: &str) -> Vec<String> {
    value
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

#[cfg(test)]
mod tests {
    use super::*;

    const DEFAULTS: Defaults = Defaults {
        database: "shop",
        user: "shop_owner",
    };

    fn parameters() -> Parameters {
        let given = |value: &str| Parameter {
            value: value.into(),
            from_flag: false,
        };
        Parameters {
            defaults: DEFAULTS,
            url: None,
            host: given("localhost"),
            port: given("5432"),
            database: given("shop"),
            user: given("shop_owner"),
            password: None,
            ssl: given("false"),
            ssl_ca: given(""),
        }
    }

    #[test]
    fn url_beats_environment_and_flag_beats_url() {
        let mut given = parameters();
        given.url =
            Some("postgres://u:p%40ss@db.example:6000/other?sslmode=verify-ca&sslrootcert=%2Fetc%2Fca.pem".into());
        let settings = Settings::resolve(&given).unwrap();
        assert_eq!(settings.to_string(), "database other on db.example:6000 as u");
        assert_eq!(settings.ssl, SslMode::VerifyCa);
        assert_eq!(settings.ssl_ca, Some(PathBuf::from("/etc/ca.pem")));
        given.host = Parameter {
            value: "flag.example".into(),
            from_flag: true,
        };
        given.database = Parameter {
            value: "flag_db".into(),
            from_flag: true,
        };
        let settings = Settings::resolve(&given).unwrap();
        assert_eq!(settings.to_string(), "database flag_db on flag.example:6000 as u");
        assert_eq!(settings.config.get_password(), Some(b"p@ss".as_slice()));
    }

    #[test]
    fn debug_has_no_password() {
        let mut given = parameters();
        given.password = Some("hunter2".into());
        let settings = Settings::resolve(&given).unwrap();
        assert!(!format!("{settings:?}{settings}").contains("hunter2"));
    }

    #[test]
    fn several_hosts_and_empty_values() {
        let mut given = parameters();
        given.host.value = "a, b".into();
        given.port.value = "5433".into();
        given.database.value = String::new();
        assert_eq!(
            Settings::resolve(&given).unwrap().to_string(),
            "database shop on a:5433, b:5433 as shop_owner"
        );
        given.port.value = "1,2,3".into();
        assert_eq!(Settings::resolve(&given).unwrap_err().kind, Kind::Usage);
        for wrong in ["many", "0", "65536", "1,", ",", "5432,,5433"] {
            given.port.value = wrong.into();
            let error = Settings::resolve(&given).unwrap_err();
            assert_eq!(error.kind, Kind::Usage);
            assert!(
                error.what.contains("POSTGRES_PORT") && error.cause.contains("port"),
                "{error}"
            );
        }
    }

    #[test]
    fn the_driver_is_told_what_was_given() {
        let mut given = parameters();
        given.url = Some("host=h password='a  b\\'c\\\\d' options='-c work_mem=8MB' keepalives_count=3".into());
        let config = Settings::resolve(&given).unwrap().config;
        assert_eq!(config.get_password(), Some(b"a  b'c\\d".as_slice()));
        assert_eq!(config.get_options(), Some("-c work_mem=8MB"));
        assert_eq!(config.get_keepalives_retries(), Some(3));
        assert_eq!(config.get_dbname(), Some("shop"));
        // A flag says where; the rest of the string stays.
        given.host = Parameter {
            value: "elsewhere".into(),
            from_flag: true,
        };
        let settings = Settings::resolve(&given).unwrap();
        assert_eq!(settings.addresses(), ["elsewhere:5432"]);
        assert_eq!(settings.config.get_options(), Some("-c work_mem=8MB"));
        given.host.value = " , ".into();
        assert!(Settings::resolve(&given).unwrap_err().what.contains("POSTGRES_HOST"));
    }

    /// What xtask and the backend once read in two ways.
    #[test]
    fn every_program_reads_the_same() {
        let read = |url: &str| {
            let get = |name: &str| Ok::<_, Error>((name == "DATABASE_URL").then(|| url.to_owned()));
            Settings::resolve(&Parameters::from_variables(DEFAULTS, get)?)
        };
        let quoted = read("host=h user='a  user' password = 'p  w' dbname=x\\ y").unwrap();
        assert_eq!(quoted.to_string(), "database x y on h:5432 as a  user");
        assert_eq!(quoted.config.get_password(), Some(b"p  w".as_slice()));
        for (url, word) in [
            ("host=h port=0", "port"),
            ("postgres://h:0/d", "port"),
            ("postgres://u:s3cr3t@w0rd@h/d", "%40"),
            ("postgres://u:s3cr3t/w0rd@h/d", "%2F"),
            // Where nothing stands behind the =, the next part is taken for the value.
            ("host=h sslmode= password=s3cr3t", "disable, allow"),
            ("postgres://u:s3cr3t@h/d?sslmode=maybe", "maybe"),
        ] {
            let error = read(url).unwrap_err();
            assert_eq!(error.kind, Kind::Usage);
            assert!(
                error.what.contains("DATABASE_URL") && error.cause.contains(word),
                "{error}"
            );
            assert!(
                !error.to_string().contains("s3cr3t") && !error.to_string().contains("w0rd"),
                "{error}"
            );
        }
    }

    #[test]
    fn nonsense_is_named() {
        let mut given = parameters();
        given.ssl.value = "perhaps".into();
        assert!(Settings::resolve(&given).unwrap_err().what.contains("POSTGRES_SSL"));
        given.ssl.value = "false".into();
        given.url = Some("postgres://u:secret@host:99999/db".into());
        let error = Settings::resolve(&given).unwrap_err();
        assert!(
            error.what.contains("DATABASE_URL") && !error.to_string().contains("secret"),
            "{error}"
        );
    }
}
