//! Listening, within limits, until told to end.

mod connection;
mod limits;
mod sockets;
mod termination;

use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::metrics::Metrics;
use crate::settings::ServerSettings;
use connection::{Connection, Idle};
pub use sockets::Passed;
pub use termination::{Termination, termination};

/// Pause after a failed accept: the usual cause is that files are used up, which takes time to end.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A listener, and what is needed to serve those who come.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    /// Where whoever launched this process asks how it is.
    launcher: Option<TcpListener>,
    intake: Intake,
}

/// Where accepted connections go.
#[derive(Debug)]
struct Intake {
    settings: ServerSettings,
    places: Arc<Semaphore>,
    idle: Arc<Idle>,
    metrics: Arc<Metrics>,
    tasks: TaskTracker,
    /// Tells connections that the service ends.
    end: CancellationToken,
}

impl Server {
    /// Takes the socket that was passed on, or else the port. Has to be called within a Tokio runtime.
    ///
    /// # Errors
    /// When the port is taken, or may not be used.
    pub fn new(settings: &ServerSettings, passed: Passed, metrics: Arc<Metrics>) -> anyhow::Result<Self> {
        let places = limits::connections(settings.max_connections);
        let listener = match passed.clients {
            Some(listener) => sockets::take(listener),
            None => sockets::listen(settings.bind_address),
        };
        let listener = listener.with_context(|| format!("cannot listen on {}", settings.bind_address))?;
        let launcher = passed.launcher.map(sockets::take).transpose();
        Ok(Self {
            listener,
            launcher: launcher.context("cannot listen on the second socket that was passed on")?,
            intake: Intake {
                settings: settings.clone(),
                places: Arc::new(Semaphore::new(places)),
                idle: Arc::default(),
                metrics,
                tasks: TaskTracker::new(),
                end: CancellationToken::new(),
            },
        })
    }

    /// The address that was taken.
    ///
    /// # Errors
    /// When the system cannot tell.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until a signal comes, then gives open requests the drain time to finish. A second
    /// signal ends it at once.
    ///
    /// Whoever launched this process and passed a socket of its own is answered from the start; clients then wait in the
    /// backlog until `ready`, if nobody else who has the same socket takes them.
    ///
    /// # Errors
    /// When the listener's address cannot be told.
    pub async fn run(
        self,
        router: Router,
        ready: impl Future<Output = ()>,
        mut termination: Termination,
    ) -> anyhow::Result<()> {
        let address = self.address().context("cannot tell the address")?;
        let Self {
            listener,
            launcher,
            intake,
        } = self;
        let connections = intake.places.available_permits();
        let mut open = false;
        let signal = tokio::select! {
            signal = termination.next() => signal,
            () = async {
                match &launcher {
                    Some(launcher) => intake.accept(launcher, &router).await,
                    None => pending().await,
                }
            } => "nothing",
            () = async {
                if launcher.is_some() {
                    ready.await;
                }
                open = true;
                tracing::info!(connections, "listening on http://{address}");
                intake.accept(&listener, &router).await;
            } => "nothing",
        };
        // Before it was ready, they are not this process's.
        if open && let Err(error) = intake.accept_waiting(listener, &router).await {
            tracing::debug!(%error, "connections that waited to be accepted are lost");
        }
        let Intake {
            settings, tasks, end, ..
        } = intake;
        let drain_time = settings.drain_time;
        tracing::info!(signal, connections = tasks.len(), ?drain_time, "ending");
        end.cancel();
        tasks.close();
        tokio::select! {
            drained = timeout(drain_time, tasks.wait()) => match drained {
                Ok(()) => tracing::info!("ended"),
                Err(_) => tracing::warn!(connections = tasks.len(), "ended, closing what is still open"),
            },
            signal = termination.next() => {
                tracing::warn!(signal, connections = tasks.len(), "ended at once, closing what is still open");
            }
        }
        Ok(())
    }
}

impl Intake {
    async fn accept(&self, listener: &TcpListener, router: &Router) {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => self.take(stream, router).await,
                // The client has gone already: the next one need not wait for that.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    self.idle.evict_oldest();
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    /// Takes the connections that were made before the signal and not yet accepted, because closing
    /// the listener resets them with the requests that they carry; then frees the port.
    async fn accept_waiting(&self, listener: TcpListener, router: &Router) -> io::Result<()> {
        // Not through the runtime, which may not know of the newest ones yet.
        let listener = listener.into_std()?;
        while self.places.available_permits() > 0 {
            let stream = match listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            };
            stream.set_nonblocking(true)?;
            self.take(TcpStream::from_std(stream)?, router).await;
        }
        Ok(())
    }

    /// Serves a connection as soon as there is a place for it. Further ones wait in the backlog.
    async fn take(&self, stream: TcpStream, router: &Router) {
        let places = Arc::clone(&self.places);
        if places.available_permits() == 0 && self.idle.evict_oldest() {
            self.metrics.evicted.inc();
        }
        // The semaphore is never closed.
        let Ok(place) = places.acquire_owned().await else {
            return;
        };
        let connection = Connection {
            stream,
            header_timeout: self.settings.header_timeout,
            write_timeout: self.settings.write_timeout,
            idle: Arc::clone(&self.idle),
            end: self.end.clone(),
        };
        let open = self.metrics.connections.clone();
        let router = router.clone();
        self.tasks.spawn(async move {
            open.inc();
            connection.serve(router).await;
            open.dec();
            drop(place);
        });
    }
}
