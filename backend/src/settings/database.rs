//! Which database, how to reach it and how long to wait for it.

use std::time::Duration;

use connection::settings::Parameters;

use super::{DEFAULTS, Variables, duration, number};

/// The role that may read the tables and the journal, and nothing else.
const READER: &str = "readonly_user";

/// The connection, the pool and their time limits.
#[derive(Debug, Clone)]
pub struct DatabaseSettings {
    /// Where the database is and how to get in.
    pub connection: connection::Settings,
    /// Most connections.
    pub pool_size: usize,
    /// Longest time to connect to one host.
    pub connect_timeout: Duration,
    /// Longest time of one query, and of waiting for a free connection.
    pub statement_timeout: Duration,
}

impl DatabaseSettings {
    /// Reads and checks the settings of the database.
    ///
    /// # Errors
    /// Names the variable that is wrong; a password is never in the message.
    pub fn from_variables(variables: &Variables) -> anyhow::Result<Self> {
        let connection =
            connection::Settings::resolve(&Parameters::from_variables(DEFAULTS, |name| variables.get(name))?)?;
        Ok(Self {
            connect_timeout: connection.patience(duration(variables, "CONNECT_TIMEOUT")?),
            connection,
            pool_size: number(variables, "POSTGRES_POOL_SIZE", 1..=1000)?,
            statement_timeout: duration(variables, "STATEMENT_TIMEOUT")?,
        })
    }

    /// The same for who only looks: as `readonly_user`, on few connections.
    pub(super) fn of_reader(variables: &Variables) -> anyhow::Result<Self> {
        let mut settings = Self::from_variables(variables)?;
        let config = &mut settings.connection.config;
        config.user(READER);
        config.password(variables.get("POSTGRES_READONLY_PASSWORD")?.unwrap_or_default());
        settings.pool_size = 2;
        Ok(settings)
    }
}

#[cfg(test)]
mod tests {
    use connection::SslMode;
    use tokio_postgres::config::Host;

    use super::*;

    fn settings(pairs: &[(&str, &str)]) -> anyhow::Result<DatabaseSettings> {
        DatabaseSettings::from_variables(&Variables::of(pairs))
    }

    #[test]
    fn defaults() {
        let connection = settings(&[]).unwrap().connection;
        assert_eq!(
            connection.to_string(),
            "database daydream_portal on localhost:5432 as daydream_user"
        );
        assert_eq!(connection.config.get_password(), None);
        assert_eq!(connection.ssl, SslMode::Disable);
    }

    #[test]
    fn several_hosts() {
        let connection = settings(&[("POSTGRES_HOST", "a, b"), ("POSTGRES_PORT", "5433,5434")])
            .unwrap()
            .connection;
        assert_eq!(connection.addresses(), ["a:5433", "b:5434"]);
        assert!(settings(&[("POSTGRES_HOST", ",")]).is_err());
        assert!(settings(&[("POSTGRES_HOST", "a,b,c"), ("POSTGRES_PORT", "1,2")]).is_err());
    }

    #[test]
    fn tls_modes() {
        for (value, mode) in [
            ("false", SslMode::Disable),
            ("TRUE", SslMode::VerifyFull),
            ("verify-ca", SslMode::VerifyCa),
            ("allow", SslMode::Allow),
        ] {
            assert_eq!(settings(&[("POSTGRES_SSL", value)]).unwrap().connection.ssl, mode);
        }
        assert!(settings(&[("POSTGRES_SSL", "yes")]).is_err());
    }

    #[test]
    fn one_string() {
        let url = "postgresql://u:p%40ss@h1:1,h2:2/d?sslmode=verify-full&sslrootcert=%2Fca.pem";
        let connection = settings(&[("DATABASE_URL", url), ("POSTGRES_HOST", "other")])
            .unwrap()
            .connection;
        assert_eq!(connection.ssl, SslMode::VerifyFull);
        assert_eq!(connection.ssl_ca, Some("/ca.pem".into()));
        assert_eq!(connection.config.get_password(), Some(b"p@ss".as_slice()));
        assert_eq!(connection.addresses(), ["h1:1", "h2:2"]);
    }

    #[test]
    fn a_string_may_leave_parts_open() {
        let pairs = [
            ("DATABASE_URL", "host=h  sslmode=require dbname=d"),
            ("POSTGRES_USER", "u"),
            ("POSTGRES_PASSWORD", "p"),
            ("POSTGRES_PORT", "9"),
        ];
        let connection = settings(&pairs).unwrap().connection;
        assert_eq!(connection.ssl, SslMode::Require);
        assert_eq!(connection.config.get_hosts(), [Host::Tcp("h".into())]);
        assert_eq!(connection.config.get_password(), Some(b"p".as_slice()));
        // The variable belongs to the other variable's host.
        assert_eq!(connection.to_string(), "database d on h:5432 as u");
    }

    #[test]
    fn each_part_of_a_string_is_obeyed_or_refused() {
        let url = "host=h password='a  b\\'c' application_name=shop connect_timeout=7 keepalives_count=9 \
                   client_encoding=UTF8 options='-c work_mem=8MB'";
        let settings = settings(&[("DATABASE_URL", url)]).unwrap();
        let config = &settings.connection.config;
        assert_eq!(config.get_password(), Some(b"a  b'c".as_slice()));
        assert_eq!(config.get_application_name(), Some("shop"));
        assert_eq!(settings.connect_timeout, Duration::from_secs(7));
        assert_eq!(config.get_keepalives_retries(), Some(9));
        assert_eq!(config.get_options(), Some("-c work_mem=8MB"));
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
            assert!(message.contains(variable) && message.contains(word), "{message}");
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
