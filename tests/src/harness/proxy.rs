//! A TCP proxy whose connections a test can cut, as a failing network does.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
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
    /// How many messages clients have sent.
    messages: AtomicUsize,
    gate: Option<Gate>,
}

/// What happens at one message of the clients.
pub struct Gate {
    /// Which one, counted from 1 over all connections.
    pub at: usize,
    /// Whether the server still gets it.
    pub arrives: bool,
    /// What happens then. All connections are cut after it.
    pub act: Box<dyn Fn() + Send + Sync>,
}

impl Proxy {
    /// Listens on a free port and forwards to `target` (`host:port`).
    pub fn start(target: (String, u16)) -> Self {
        Self::start_on(0, target)
    }

    /// Listens on the given port of 127.0.0.1.
    pub fn start_on(port: u16, target: (String, u16)) -> Self {
        Self::listen(port, target, None)
    }

    /// Listens on a free port, and does what the gate says.
    pub fn with_gate(target: (String, u16), gate: Gate) -> Self {
        Self::listen(0, target, Some(gate))
    }

    fn listen(port: u16, target: (String, u16), gate: Option<Gate>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).expect("the port is free");
        let port = listener.local_addr().expect("bound").port();
        let state = Arc::new(State {
            closed: AtomicBool::new(false),
            streams: Mutex::default(),
            messages: AtomicUsize::new(0),
            gate,
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
        self.state.cut();
    }

    /// How many messages clients have sent so far.
    pub fn messages(&self) -> usize {
        self.state.messages.load(Ordering::SeqCst)
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
    let (from, to) = (server.try_clone()?, client.try_clone()?);
    thread::spawn(move || pump(from, to));
    let (from, to) = (client.try_clone()?, server.try_clone()?);
    let shared = Arc::clone(state);
    thread::spawn(move || match shared.gate {
        None => pump(from, to),
        Some(_) => {
            // Whichever side went, the other one shall know.
            let _ = shared.pump_messages(&from, &to);
            let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
        }
    });
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

impl State {
    fn cut(&self) {
        for stream in self.streams.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Forwards what a client sends, message by message. Only those that begin a session have no type before their length;
    /// of these only the last one is none of the requests whose codes begin with 1234.
    fn pump_messages(&self, mut from: &TcpStream, mut to: &TcpStream) -> io::Result<()> {
        let mut begun = false;
        loop {
            let mut message = vec![0; if begun { 5 } else { 4 }];
            from.read_exact(&mut message)?;
            let length = message.len();
            let told: [u8; 4] = message[length - 4..].try_into().expect("four bytes");
            message.resize(length - 4 + u32::from_be_bytes(told) as usize, 0);
            from.read_exact(&mut message[length..])?;
            begun = begun || message[4..6] != 1234_u16.to_be_bytes();
            let number = self.messages.fetch_add(1, Ordering::SeqCst) + 1;
            match self.gate.as_ref().filter(|gate| gate.at == number) {
                None => to.write_all(&message)?,
                Some(gate) => {
                    if gate.arrives {
                        to.write_all(&message)?;
                    }
                    (gate.act)();
                    self.cut();
                    return Ok(());
                }
            }
        }
    }
}
