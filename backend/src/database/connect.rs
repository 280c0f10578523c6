//! Opening one connection, with TLS as set.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use deadpool_postgres::Connect;
use rustls::ClientConfig;
use tokio::task::JoinHandle;
use tokio_postgres::config::SslMode;
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{Client, Config, Error, NoTls, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::tls;
use crate::settings::{DatabaseSettings, TlsMode};

type Connected = Result<(Client, JoinHandle<()>), Error>;

/// Opens connections.
pub(super) struct Connector {
    mode: TlsMode,
    tls: Option<Arc<ClientConfig>>,
}

impl Connector {
    /// Reads the root certificates if the mode needs them.
    pub(super) fn new(settings: &DatabaseSettings) -> anyhow::Result<Self> {
        let tls = match settings.tls {
            TlsMode::Disable => None,
            mode => Some(Arc::new(tls::client_config(
                mode,
                settings.root_certificates.as_deref(),
            )?)),
        };
        Ok(Self {
            mode: settings.tls,
            tls,
        })
    }
}

impl Connect for Connector {
    fn connect(&self, config: &Config) -> Pin<Box<dyn Future<Output = Connected> + Send + '_>> {
        let config = config.clone();
        Box::pin(async move {
            let Some(tls) = &self.tls else {
                return open(&config, NoTls).await;
            };
            let first = open(&config, MakeRustlsConnect::new(ClientConfig::clone(tls))).await;
            // A server that answers, and refuses, may take the same login with TLS.
            match first {
                Err(error) if self.mode == TlsMode::Allow && error.as_db_error().is_some() => {
                    let mut config = config;
                    config.ssl_mode(SslMode::Require);
                    open(&config, MakeRustlsConnect::new(ClientConfig::clone(tls))).await
                }
                first => first,
            }
        })
    }
}

async fn open<T>(config: &Config, tls: T) -> Connected
where
    T: MakeTlsConnect<Socket> + Send,
    T::Stream: Send + 'static,
    T::TlsConnect: Send,
    <T::TlsConnect as tokio_postgres::tls::TlsConnect<Socket>>::Future: Send,
{
    let (client, connection) = config.connect(tls).await?;
    let task = tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a database connection ended");
        }
    });
    Ok((client, task))
}
