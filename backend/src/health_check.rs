//! `backend --health-check`: one plain request to the running backend, for a container's
//! HEALTHCHECK that needs no further program.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

/// Longest time that the whole check takes.
const DEADLINE: Duration = Duration::from_secs(4);
/// An answer is a few hundred bytes: what is longer does not come from the backend.
const LONGEST_ANSWER: usize = 64 * 1024;

/// Asks the backend that is bound to `bind_address` whether it is ready.
///
/// # Errors
/// When it cannot be reached, does not answer in time, or answers that it is not ready.
pub fn run(bind_address: SocketAddr) -> anyhow::Result<()> {
    let address = reachable(bind_address);
    let answer = request(address).with_context(|| format!("no answer from http://{address}"))?;
    let text = String::from_utf8_lossy(&answer);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    match head.split(' ').nth(1) {
        Some("200") => Ok(()),
        Some(status) => bail!("http://{address} is not ready (status {status}): {}", body.trim()),
        None => bail!("http://{address} does not answer in HTTP"),
    }
}

/// The address under which a server bound to `address` is reached from the same machine.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

fn request(address: SocketAddr) -> anyhow::Result<Vec<u8>> {
    let end = Instant::now() + DEADLINE;
    let mut stream = TcpStream::connect_timeout(&address, DEADLINE)?;
    stream.set_write_timeout(Some(DEADLINE))?;
    let head = format!("GET /health/ready HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes())?;
    let mut answer = Vec::new();
    let mut part = [0; 4096];
    loop {
        // The time limit of a socket is for one read: a slow peer must not stretch the whole.
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            bail!("the deadline of {DEADLINE:?} has passed");
        }
        stream.set_read_timeout(Some(left))?;
        match stream.read(&mut part)? {
            0 => return Ok(answer),
            count => answer.extend_from_slice(part.get(..count).unwrap_or_default()),
        }
        if answer.len() > LONGEST_ANSWER {
            bail!("the answer is too long");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    fn answered(answer: &'static str) -> anyhow::Result<()> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut head = [0; 512];
            assert!(stream.read(&mut head).unwrap() > 0);
            stream.write_all(answer.as_bytes()).unwrap();
        });
        let result = run(address);
        server.join().unwrap();
        result
    }

    #[test]
    fn ready_is_200_and_nothing_else() {
        assert!(answered("HTTP/1.1 200 OK\r\n\r\n{}").is_ok());
        let unready = answered("HTTP/1.1 503 Service Unavailable\r\n\r\nno database").unwrap_err();
        assert!(unready.to_string().contains("status 503): no database"), "{unready}");
        assert!(answered("220 mail.example.org").is_err());
        assert!(answered("").is_err());
    }

    #[test]
    fn unspecified_addresses_are_reached_by_loopback() {
        let reached = |address: &str| reachable(address.parse().unwrap()).to_string();
        assert_eq!(reached("0.0.0.0:3001"), "127.0.0.1:3001");
        assert_eq!(reached("[::]:3001"), "[::1]:3001");
        assert_eq!(reached("10.0.0.7:80"), "10.0.0.7:80");
    }
}
