//! Opening one connection: the hosts in turn, with TLS as set.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use connection::{MakeRustlsConnect, Settings};
use deadpool_postgres::Connect;
use tokio::task::JoinHandle;
use tokio_postgres::config::TargetSessionAttrs;
use tokio_postgres::tls::{MakeTlsConnect, TlsConnect};
use tokio_postgres::{Client, Config, Error, NoTls, Socket};

use crate::settings::DatabaseSettings;

/// How sessions are named.
const NAME: &str = "daydream-backend";

type Connected = Result<(Client, JoinHandle<()>), Error>;

/// Opens connections.
pub(super) struct Connector {
    settings: Settings,
    tls: Option<MakeRustlsConnect>,
    /// What each session is told in its startup message.
    options: String,
    /// What it is told after that.
    then: Option<&'static str>,
    patience: Duration,
}

impl Connector {
    /// Reads the root certificates if they are needed.
    pub(super) fn new(settings: &DatabaseSettings) -> Result<Self, connection::Error> {
        let connection = settings.connection.clone();
        let mut options = format!(
            "-c statement_timeout={} -c idle_in_transaction_session_timeout=10s -c search_path=pg_catalog \
             -c TimeZone=UTC -c DateStyle=ISO",
            settings.statement_timeout.as_millis().max(1),
        );
        let mut then = None;
        match connection.config.get_target_session_attrs() {
            TargetSessionAttrs::Any => options.push_str(" -c default_transaction_read_only=on"),
            // The driver asks the session whether it takes writes, and is to hear what the server is.
            _ => then = Some("SET default_transaction_read_only = on"),
        }
        Ok(Self {
            tls: connection.tls()?,
            settings: connection,
            options,
            then,
            patience: settings.connect_timeout,
        })
    }

    async fn connect_to(&self, host: usize) -> Connected {
        let mut config = self.settings.session(host, NAME, Some(&self.options), self.patience);
        let mut tls = self.settings.first_tls(host);
        let mut first = None;
        loop {
            let opened = match &self.tls {
                None => self.open(config.ssl_mode(tls), NoTls).await,
                Some(connector) => self.open(config.ssl_mode(tls), connector.clone()).await,
            };
            let error = match opened {
                Ok(connected) => return Ok(connected),
                Err(error) => error,
            };
            let other = self.settings.other_tls(host, tls, &error);
            // What the settings ask for first is what they are about.
            let error = first.unwrap_or(error);
            match other {
                Some(other) => tls = other,
                None => return Err(error),
            }
            first = Some(error);
        }
    }

    async fn open<T>(&self, config: &Config, tls: T) -> Connected
    where
        T: MakeTlsConnect<Socket> + Send,
        T::Stream: Send + 'static,
        T::TlsConnect: Send,
        <T::TlsConnect as TlsConnect<Socket>>::Future: Send,
    {
        let (client, connection) = config.connect(tls).await?;
        let task = tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a database connection ended");
            }
        });
        if let Some(sql) = self.then {
            client.batch_execute(sql).await?;
        }
        Ok((client, task))
    }
}

impl Connect for Connector {
    /// The pool's settings are those of the connector.
    fn connect(&self, _: &Config) -> Pin<Box<dyn Future<Output = Connected> + Send + '_>> {
        Box::pin(async move {
            let mut hosts = self.settings.order().into_iter();
            let mut host = hosts.next().unwrap_or_default();
            loop {
                match (self.connect_to(host).await, hosts.next()) {
                    (Err(_), Some(next)) => host = next,
                    (result, _) => return result,
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Variables;

    fn connector(url: &str) -> Connector {
        Connector::new(&DatabaseSettings::from_variables(&Variables::of(&[("DATABASE_URL", url)])).unwrap()).unwrap()
    }

    #[test]
    fn sessions_only_read() {
        let connector = connector("host=h options='-c work_mem=8MB'");
        let config = connector
            .settings
            .session(0, NAME, Some(&connector.options), connector.patience);
        let options = config.get_options().unwrap();
        assert!(
            options.starts_with("-c work_mem=8MB -c statement_timeout=3000 "),
            "{options}"
        );
        assert!(options.ends_with(" -c default_transaction_read_only=on"), "{options}");
    }

    #[test]
    fn a_writable_server_is_found_although_sessions_only_read() {
        let connector = connector("host=a,b target_session_attrs=read-write");
        assert!(!connector.options.contains("read_only"));
        assert!(connector.then.is_some());
    }
}
