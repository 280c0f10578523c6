//! Asks the backend whether it is ready.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use serde_json::Value;

/// The backend checks for 3 s at most.
const DEADLINE: Duration = Duration::from_secs(5);
/// An answer is a few hundred bytes: what is longer is not the backend's.
const LONGEST_ANSWER: u64 = 64 * 1024;

/// Asks `GET /health/ready` once.
///
/// # Errors
/// Why it is not ready, in one line: no answer, 503 with its reason, or an answer of a process that was not launched
/// with this `deploy_id`.
pub fn ready(address: SocketAddr, deploy_id: &str) -> Result<(), String> {
    ready_within(address, deploy_id, DEADLINE)
}

fn ready_within(address: SocketAddr, deploy_id: &str, deadline: Duration) -> Result<(), String> {
    let answer = request(address, deadline).map_err(|error| format!("no answer on {address} yet ({error})"))?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let report = serde_json::from_str(body).unwrap_or(Value::Null);
    if report["deploy_id"] != deploy_id {
        return Err(format!("another process answers on {address}"));
    }
    if head.split(' ').nth(1) == Some("200") {
        return Ok(());
    }
    Err(report["reason"].as_str().unwrap_or("it gives no reason").to_owned())
}

fn request(address: SocketAddr, deadline: Duration) -> std::io::Result<Vec<u8>> {
    let end = Instant::now() + deadline;
    let mut stream = TcpStream::connect_timeout(&address, deadline)?;
    stream.set_write_timeout(Some(deadline))?;
    let head = format!(
        "GET /health/ready HTTP/1.1\r\nHost: {address}\r\nAccept: application/json\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes())?;
    let mut answer = Vec::new();
    let mut part = [0; 4096];
    // The time limit of a socket is for one read: a peer that drips bytes must not stretch the whole.
    while let Some(left) = end
        .checked_duration_since(Instant::now())
        .filter(|left| !left.is_zero())
    {
        stream.set_read_timeout(Some(left))?;
        let count = stream.read(&mut part)?;
        answer.extend_from_slice(part.get(..count).unwrap_or_default());
        if count == 0 || answer.len() as u64 > LONGEST_ANSWER {
            return Ok(answer);
        }
    }
    Err(std::io::ErrorKind::TimedOut.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    fn answered(answer: &'static str) -> Result<(), String> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut head = [0; 512];
            assert!(stream.read(&mut head).unwrap() > 0);
            stream.write_all(answer.as_bytes()).unwrap();
        });
        let result = ready(address, "ours");
        server.join().unwrap();
        result
    }

    #[test]
    fn ready_is_200_of_our_own_process() {
        assert_eq!(answered("HTTP/1.1 200 OK\r\n\r\n{\"deploy_id\":\"ours\"}"), Ok(()));
        let other = answered("HTTP/1.1 200 OK\r\n\r\n{\"deploy_id\":\"other\"}").unwrap_err();
        assert!(other.starts_with("another process answers"), "{other}");
        for nonsense in ["HTTP/1.1 200 OK\r\n\r\n{}", "220 mail.example", "", "\r\n\r\n"] {
            assert!(answered(nonsense).is_err(), "{nonsense}");
        }
        let unready =
            answered("HTTP/1.1 503 No\r\n\r\n{\"deploy_id\":\"ours\",\"reason\":\"no database\"}").unwrap_err();
        assert_eq!(unready, "no database");
    }

    #[test]
    fn silence_has_an_end() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let started = Instant::now();
        assert!(ready_within(listener.local_addr().unwrap(), "ours", Duration::from_millis(50)).is_err());
        assert!(started.elapsed() < Duration::from_secs(2));
    }
}
