//! Listening, within limits, until told to end.

mod connection;
mod limits;
mod termination;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::metrics::Metrics;
use crate::settings::ServerSettings;
use connection::{Connection, Idle};
pub use termination::{Termination, termination};

/// Pause after a failed accept: the usual cause is that files are used up, which takes time to end.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Connections that may wait to be accepted. With the usual 128 a client that comes in a flood is
/// dropped, and tries again a second later.
const BACKLOG: u32 = 1024;

/// A bound listener.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
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

/// What [`TcpListener::bind`] does, with a longer backlog.
fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    }?;
    // A restart need not wait for the last one's closed connections.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

impl Server {
    /// Takes the port. Has to be called within a Tokio runtime.
    ///
    /// # Errors
    /// When it is taken, or may not be used.
    pub fn bind(settings: &ServerSettings, metrics: Arc<Metrics>) -> anyhow::Result<Self> {
        let places = limits::connections(settings.max_connections);
        let listener = listen(settings.bind_address);
        let listener = listener.with_context(|| format!("cannot listen on {}", settings.bind_address))?;
        Ok(Self {
            listener,
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
    /// # Errors
    /// When the listener's address cannot be told.
    pub async fn run(self, router: Router, mut termination: Termination) -> anyhow::Result<()> {
        let address = self.address().context("cannot tell the address")?;
        let Self { listener, intake } = self;
        let connections = intake.places.available_permits();
        tracing::info!(connections, "listening on http://{address}");
        let signal = tokio::select! {
            signal = termination.next() => signal,
            () = intake.accept(&listener, &router) => "nothing",
        };
        if let Err(error) = intake.accept_waiting(listener, &router).await {
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
