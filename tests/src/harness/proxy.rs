//! A TCP proxy whose connections a test can cut, as a failing network does.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// Forwards 127.0.0.1:`port` to a server until it is dropped.
pub struct Proxy {
    /// Where it listens.
    pub port: u16,
    state: Arc<State>,
}

struct State {
    closed: AtomicBool,
    streams: Mutex<Vec<TcpStream>>,
}

impl Proxy {
    /// Listens on a free port and forwards to `target` (`host:port`).
    pub fn start(target: (String, u16)) -> Self {
        Self::start_on(0, target)
    }

    /// Listens on the given port of 127.0.0.1.
    pub fn start_on(port: u16, target: (String, u16)) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).expect("the port is free");
        let port = listener.local_addr().expect("bound").port();
        let state = Arc::new(State {
            closed: AtomicBool::new(false),
            streams: Mutex::default(),
        });
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for client in listener.incoming() {
                if shared.closed.load(Ordering::SeqCst) {
                    return;
                }
                if let Ok(client) = client {
                    let _ = forward(&shared, client, &target);
                }
            }
        });
        Proxy { port, state }
    }

    /// Cuts every connection that is open now; new ones are let through.
    pub fn cut(&self) {
        for stream in self
            .state
            .streams
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .drain(..)
        {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.state.closed.store(true, Ordering::SeqCst);
        self.cut();
        // Wakes the listening thread so that it sees that it shall end.
        let _ = TcpStream::connect(SocketAddr::from(([127, 0, 0, 1], self.port)));
    }
}

fn forward(state: &Arc<State>, client: TcpStream, target: &(String, u16)) -> io::Result<()> {
    let server = TcpStream::connect((target.0.as_str(), target.1))?;
    let mut streams = state.streams.lock().unwrap_or_else(PoisonError::into_inner);
    for (from, to) in [(&client, &server), (&server, &client)] {
        let (from, to) = (from.try_clone()?, to.try_clone()?);
        thread::spawn(move || pump(from, to));
    }
    streams.push(client);
    streams.push(server);
    Ok(())
}

fn pump(mut from: TcpStream, mut to: TcpStream) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        if to.write_all(&buffer[..length]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
    let _ = from.shutdown(Shutdown::Both);
}
