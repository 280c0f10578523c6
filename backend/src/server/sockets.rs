//! The sockets that clients come to: our own, or passed on by whoever started this process.

use std::io;
use std::net::SocketAddr;

use anyhow::{Context as _, bail};
use listenfd::ListenFd;
use tokio::net::{TcpListener, TcpSocket};

/// Connections that may wait to be accepted. With the usual 128 a client that comes in a flood is
/// dropped, and tries again a second later.
const BACKLOG: u32 = 1024;

/// Listening sockets that were passed on (`LISTEN_FDS`, the protocol of systemd).
#[derive(Debug, Default)]
pub struct Passed {
    /// The first: where clients come. Others may have it, too.
    pub clients: Option<std::net::TcpListener>,
    /// The second: where whoever launched this process asks how it is, before clients are let in.
    pub launcher: Option<std::net::TcpListener>,
}

impl Passed {
    /// Takes what was passed on to this process. It changes the environment: to be called before any thread is started.
    ///
    /// # Errors
    /// When something else than one or two TCP sockets was passed on.
    pub fn take() -> anyhow::Result<Self> {
        let mut passed = ListenFd::from_env();
        if passed.len() > 2 {
            bail!(
                "{} sockets were passed on (LISTEN_FDS), which is more than two",
                passed.len()
            );
        }
        let mut take = |n| passed.take_tcp_listener(n).context("what was passed on (LISTEN_FDS)");
        Ok(Self {
            clients: take(0)?,
            launcher: take(1)?,
        })
    }
}

/// For this runtime.
pub(super) fn take(listener: std::net::TcpListener) -> io::Result<TcpListener> {
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}

/// What [`TcpListener::bind`] does, with a longer backlog.
pub(super) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    }?;
    // A restart need not wait for the last one's closed connections.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}
