//! Which database, how to reach it and how long to wait for it.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use tokio_postgres::config::SslMode;

use super::conninfo::{ConnInfo, ports};
use super::{Variables, duration, number, text};

/// How sessions are named.
const NAME: &str = "daydream-backend";

/// The connection, the pool and their time limits. The password stays inside
/// [`tokio_postgres::Config`], whose `Debug` leaves it out.
#[derive(Debug, Clone)]
pub struct DatabaseSettings {
    /// Hosts, database, user, password.
    pub config: tokio_postgres::Config,
    /// Whether to use TLS and what to check.
    pub tls: TlsMode,
    /// PEM file of the root certificates, instead of the system's.
    pub root_certificates: Option<PathBuf>,
    /// Most connections.
    pub pool_size: usize,
    /// Longest time to connect to one host.
    pub connect_timeout: Duration,
    /// Longest time of one query, and of waiting for a free connection.
    pub statement_timeout: Duration,
}

/// PostgreSQL's `sslmode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsMode {
    /// Never.
    Disable,
    /// Only if the server refuses to go without.
    Allow,
    /// If the server can; its certificate is not checked.
    Prefer,
    /// Always; the server's certificate is not checked.
    Require,
    /// Always; the certificate is checked, the name in it is not.
    VerifyCa,
    /// Always; the certificate and the name in it are checked.
    VerifyFull,
}

impl TlsMode {
    fn parse(name: &str, value: &str) -> anyhow::Result<Self> {
        Ok(match value.to_ascii_lowercase().as_str() {
            "false" | "disable" => Self::Disable,
            "allow" => Self::Allow,
            "prefer" => Self::Prefer,
            "require" => Self::Require,
            "verify-ca" => Self::VerifyCa,
            "true" | "verify-full" => Self::VerifyFull,
            _ => bail!(
                "{name} is one of false, true, disable, allow, prefer, require, verify-ca, verify-full, not {value:?}"
            ),
        })
    }

    /// What tokio-postgres does for this mode at its first attempt.
    #[must_use]
    pub fn negotiation(self) -> SslMode {
        match self {
            Self::Disable | Self::Allow => SslMode::Disable,
            Self::Prefer => SslMode::Prefer,
            Self::Require | Self::VerifyCa | Self::VerifyFull => SslMode::Require,
        }
    }
}

impl DatabaseSettings {
    /// Reads and checks the settings of the database.
    ///
    /// # Errors
    /// Names the variable that is wrong; a password is never in the message.
    pub fn from_variables(variables: &Variables) -> anyhow::Result<Self> {
        let statement_timeout = duration(variables, "STATEMENT_TIMEOUT")?;
        let url = variables.get("DATABASE_URL")?.unwrap_or_default();
        let mut info = ConnInfo::parse(&url).map_err(|cause| anyhow!("DATABASE_URL is wrong: {cause}"))?;
        let mut tls = TlsMode::parse("POSTGRES_SSL", &text(variables, "POSTGRES_SSL")?)?;
        if let Some(mode) = info.take("sslmode") {
            tls = TlsMode::parse("sslmode in DATABASE_URL", &mode)?;
        }
        let root_certificates = match info.take("sslrootcert") {
            Some(path) => Some(path),
            None => variables.get("POSTGRES_SSL_CA")?,
        };
        // "system" is libpq's name for what is done without a file.
        let root_certificates = root_certificates.filter(|path| path != "system").map(PathBuf::from);
        add_parts(&mut info, variables)?;
        // The message of tokio-postgres names the option, and quotes no value.
        let mut config: tokio_postgres::Config = info.text().parse().context("DATABASE_URL is wrong")?;
        let connect_timeout = match config.get_connect_timeout() {
            Some(asked) => *asked,
            None => duration(variables, "CONNECT_TIMEOUT")?,
        };
        // As libpq does: a root certificate that nothing is checked against would only seem safe.
        if tls == TlsMode::Require && root_certificates.is_some() {
            tls = TlsMode::VerifyCa;
        }
        let session = format!(
            "{} -c default_transaction_read_only=on -c statement_timeout={} -c idle_in_transaction_session_timeout=10s \
             -c search_path=pg_catalog -c TimeZone=UTC -c DateStyle=ISO",
            config.get_options().unwrap_or_default(),
            statement_timeout.as_millis().max(1),
        );
        config
            .options(session.trim_start())
            .application_name(match info.get("application_name") {
                Some(asked) => format!("{asked}: {NAME}"),
                None => NAME.to_owned(),
            })
            .ssl_mode(tls.negotiation())
            .connect_timeout(connect_timeout);
        Ok(Self {
            config,
            tls,
            root_certificates,
            pool_size: number(variables, "POSTGRES_POOL_SIZE", 1..=1000)?,
            connect_timeout,
            statement_timeout,
        })
    }
}

/// Adds what `DATABASE_URL` leaves open.
fn add_parts(info: &mut ConnInfo, variables: &Variables) -> anyhow::Result<()> {
    if info.get("host").is_none() {
        let hosts: Vec<String> = text(variables, "POSTGRES_HOST")?
            .split(',')
            .map(|host| host.trim().to_owned())
            .filter(|host| !host.is_empty())
            .collect();
        if hosts.is_empty() {
            bail!("POSTGRES_HOST names no host");
        }
        info.set("host", hosts.join(","));
        if info.get("port").is_none() {
            let ports = ports(&text(variables, "POSTGRES_PORT")?);
            let ports = ports.map_err(|cause| anyhow!("POSTGRES_PORT is wrong: {cause}"))?;
            let ports: Vec<_> = ports.iter().map(ToString::to_string).collect();
            info.set("port", ports.join(","));
        }
    }
    let count = |name| info.get(name).map_or(1, |list| list.split(',').count());
    let (hosts, ports) = (count("host"), count("port"));
    if ports > 1 && ports != hosts {
        bail!("POSTGRES_PORT has {ports} ports for {hosts} hosts: give one, or one for each");
    }
    for (name, variable) in [
        ("dbname", "POSTGRES_DB"),
        ("user", "POSTGRES_USER"),
        ("password", "POSTGRES_PASSWORD"),
    ] {
        let value = text(variables, variable)?;
        if info.get(name).is_none() && !value.is_empty() {
            info.set(name, value);
        }
    }
    for (name, seconds) in [
        ("keepalives_idle", "30"),
        ("keepalives_interval", "10"),
        ("keepalives_retries", "3"),
        ("tcp_user_timeout", "30"),
    ] {
        if info.get(name).is_none() {
            info.set(name, seconds);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio_postgres::config::Host;

    fn settings(pairs: &[(&str, &str)]) -> anyhow::Result<DatabaseSettings> {
        DatabaseSettings::from_variables(&Variables::of(pairs))
    }

    #[test]
    fn defaults() {
        let config = settings(&[]).unwrap().config;
        assert_eq!(config.get_hosts(), [Host::Tcp("localhost".into())]);
        assert_eq!(config.get_ports(), [5432]);
        assert_eq!(config.get_dbname(), Some("daydream_portal"));
        assert_eq!(config.get_user(), Some("daydream_user"));
        assert_eq!(config.get_password(), None);
        assert_eq!(config.get_ssl_mode(), SslMode::Disable);
    }

    #[test]
    fn several_hosts() {
        let config = settings(&[("POSTGRES_HOST", "a, b"), ("POSTGRES_PORT", "5433,5434")])
            .unwrap()
            .config;
        assert_eq!(config.get_hosts(), [Host::Tcp("a".into()), Host::Tcp("b".into())]);
        assert_eq!(config.get_ports(), [5433, 5434]);
        assert!(settings(&[("POSTGRES_HOST", ",")]).is_err());
        assert!(settings(&[("POSTGRES_HOST", "a,b,c"), ("POSTGRES_PORT", "1,2")]).is_err());
    }

    #[test]
    fn tls_modes() {
        for (value, mode) in [
            ("false", TlsMode::Disable),
            ("TRUE", TlsMode::VerifyFull),
            ("verify-ca", TlsMode::VerifyCa),
            ("allow", TlsMode::Allow),
        ] {
            assert_eq!(settings(&[("POSTGRES_SSL", value)]).unwrap().tls, mode);
        }
        let strict = settings(&[("POSTGRES_SSL", "require"), ("POSTGRES_SSL_CA", "ca.pem")]).unwrap();
        assert_eq!(strict.tls, TlsMode::VerifyCa);
        assert!(settings(&[("POSTGRES_SSL", "yes")]).is_err());
    }

    #[test]
    fn one_string() {
        let url =
            "postgresql://u:p%40ss@h1:1,h2:2/d?sslmode=verify-full&sslrootcert=%2Fca.pem&options=-c%20work_mem%3D8MB";
        let settings = settings(&[("DATABASE_URL", url), ("POSTGRES_HOST", "other")]).unwrap();
        assert_eq!(settings.tls, TlsMode::VerifyFull);
        assert_eq!(settings.root_certificates, Some("/ca.pem".into()));
        assert_eq!(settings.config.get_password(), Some(b"p@ss".as_slice()));
        assert_eq!(settings.config.get_ports(), [1, 2]);
        assert!(
            settings
                .config
                .get_options()
                .unwrap()
                .starts_with("-c work_mem=8MB -c default_")
        );
    }

    #[test]
    fn a_string_may_leave_parts_open() {
        let pairs = [
            ("DATABASE_URL", "host=h  sslmode=require dbname=d"),
            ("POSTGRES_USER", "u"),
            ("POSTGRES_PASSWORD", "p"),
            ("POSTGRES_PORT", "9"),
        ];
        let settings = settings(&pairs).unwrap();
        assert_eq!(settings.tls, TlsMode::Require);
        assert_eq!(settings.config.get_hosts(), [Host::Tcp("h".into())]);
        assert_eq!(settings.config.get_dbname(), Some("d"));
        assert_eq!(settings.config.get_user(), Some("u"));
        assert_eq!(settings.config.get_password(), Some(b"p".as_slice()));
        assert_eq!(settings.config.get_ports(), [] as [u16; 0]);
    }

    #[test]
    fn each_part_of_a_string_is_obeyed_or_refused() {
        let url = "host=h password='a  b\\'c' application_name=shop connect_timeout=7 keepalives_count=9 \
                   client_encoding=UTF8 options='-c work_mem=8MB'";
        let settings = settings(&[("DATABASE_URL", url)]).unwrap();
        assert_eq!(settings.config.get_password(), Some(b"a  b'c".as_slice()));
        assert_eq!(settings.config.get_application_name(), Some("shop: daydream-backend"));
        assert_eq!(settings.connect_timeout, Duration::from_secs(7));
        assert_eq!(settings.config.get_keepalives_retries(), Some(9));
        assert_eq!(settings.config.get_keepalives_idle(), Duration::from_secs(30));
        let options = settings.config.get_options().unwrap();
        assert!(options.starts_with("-c work_mem=8MB -c default_transaction_read_only=on"));
        for (variable, value, word) in [
            ("DATABASE_URL", "postgres://h/d?service=x", "service"),
            ("DATABASE_URL", "postgres://h:0/d", "port"),
            ("DATABASE_URL", "postgres://h:/d", "port"),
            ("DATABASE_URL", "host=h port=65536", "port"),
            ("POSTGRES_PORT", "0", "port"),
            ("POSTGRES_PORT", "5432,", "port"),
            ("POSTGRES_PORT", "99999", "port"),
        ] {
            let message = format!("{:#}", super::tests::settings(&[(variable, value)]).unwrap_err());
            assert!(message.starts_with(variable) && message.contains(word), "{message}");
        }
    }

    #[test]
    fn passwords_are_never_shown() {
        let secret = "s3cr3t-w0rd";
        let shown = format!("{:?}", settings(&[("POSTGRES_PASSWORD", secret)]).unwrap());
        assert!(!shown.contains(secret));
        for url in [
            "postgres://u:s3cr3t-w0rd@h:port/d",
            "postgres://u:s3cr3t-w0rd@h/d?sslmode=maybe",
            "postgres://u:s3cr3t-w0rd@h/d?nonsense=1",
            "postgres://u:s3cr3t-w0rd%FF@h/%FF",
            "mysql://u:s3cr3t-w0rd@h/d",
            "host=h password=s3cr3t-w0rd port=x",
        ] {
            let message = format!("{:#}", settings(&[("DATABASE_URL", url)]).unwrap_err());
            assert!(
                message.contains("DATABASE_URL") && !message.contains(secret),
                "{message}"
            );
        }
    }
}
