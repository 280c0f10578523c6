//! Bytes as hostile clients send them to a deployed backend, and what must hold whatever they are.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use rustix::process::Signal;

use super::deploy::Deployed;
use super::http::get;

/// For one answer, on a machine with busy processors.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// Most resident memory, in bytes, at any moment.
const MEMORY: u64 = 200 << 20;
/// More than any answer has, in bytes.
const LONGEST_ANSWER: u64 = 1 << 20;

/// What a client got back.
#[derive(Debug)]
enum Got {
    Status(u16, String),
    /// The end of the connection, without an answer.
    Closed,
}

/// Sends bytes, on a connection of their own, and waits for all that comes back. `whole`: they are a request that
/// closes the connection; otherwise nothing follows them, and the backend is told so.
fn send(address: SocketAddr, bytes: &[u8], whole: bool) -> Got {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE).expect("the backend accepts");
    for set in [TcpStream::set_read_timeout, TcpStream::set_write_timeout] {
        set(&stream, Some(PATIENCE)).unwrap();
    }
    // It may close before it has read everything.
    if stream.write_all(bytes).is_ok() && !whole {
        let _ = stream.shutdown(Shutdown::Write);
    }
    let mut answer = Vec::new();
    match stream.take(LONGEST_ANSWER).read_to_end(&mut answer) {
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
            panic!(
                "neither an answer nor a closed connection for {}",
                bytes[..bytes.len().min(100)].escape_ascii()
            )
        }
        // A reset: what came before it counts.
        _ => {}
    }
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
    status.map_or(Got::Closed, |status| Got::Status(status, answer))
}

/// The answer to a well-formed request. A handler that panics closes the connection: that is no answer.
#[track_caller]
pub fn answer(address: SocketAddr, method: &str, target: &str, more: &str) -> (u16, String) {
    let request = format!("{method} {target} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{more}\r\n");
    let shown: String = format!("{method} {target}").chars().take(100).collect();
    match send(address, request.as_bytes(), true) {
        Got::Status(status, answer) if status < 500 => (status, answer),
        got => panic!("{shown}: {got:?}"),
    }
}

/// Bytes that are no request, or hardly one.
#[track_caller]
pub fn endure(address: SocketAddr, bytes: &[u8]) {
    if let Got::Status(status @ 500.., answer) = send(address, bytes, false) {
        panic!(
            "{status} for {}: {answer}",
            bytes[..bytes.len().min(300)].escape_ascii()
        );
    }
}

/// The backend that was deployed serves others still, and has never used more memory than it may.
#[track_caller]
pub fn is_well(deployed: &Deployed) {
    let (status, report) = get(deployed.address, "/health/ready").expect("an answer");
    assert_eq!(status, 200, "{report}");
    let process = fs::read_to_string(format!("/proc/{}/status", deployed.backend.as_raw_nonzero()))
        .expect("the backend is the process that was launched");
    let field = |name: &str| {
        let value = process
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let number = value.and_then(|value| value.split_whitespace().next()?.parse::<u64>().ok());
        number.unwrap_or_else(|| panic!("no {name}:\n{process}"))
    };
    // A process id may be used again, but not for a child of the same deployment.
    assert_eq!(field("PPid"), u64::from(deployed.running.pid()));
    // The most that it ever was, so that no moment has to be met.
    let most = field("VmHWM") << 10;
    assert!(most < MEMORY, "{most} bytes of memory");
}

/// Ends the backend, which has been well all the time.
#[track_caller]
pub fn end(deployed: Deployed) {
    is_well(&deployed);
    let output = deployed.end(Signal::TERM);
    output.ends(0).hides("panic").hides(" ERROR ");
}
