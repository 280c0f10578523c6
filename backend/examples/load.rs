//! A bounded load on a running backend, with one line of result.
//!
//! `load ADDRESS SECONDS CONNECTIONS RATE [PATH…]`: RATE requests a second over all connections,
//! each due at a fixed time whether or not the one before it was answered (so a stall shows up as
//! latency); RATE 0 sends the next request as soon as the answer is there. CONNECTIONS with an `n`
//! behind it makes a new connection for each request. SECONDS 0 is until the end of standard input.
//! Exits 1 if any answer was not 200.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{sleep_until, timeout};

const PATHS: [&str; 4] = [
    "/api/events",
    "/api/events/recEvent1",
    "/api/events?limit=10&after=recEvent2",
    "/api/sync",
];
/// Answers that take longer are counted.
const SLOW: Duration = Duration::from_millis(500);
const ANSWER_DEADLINE: Duration = Duration::from_secs(15);

#[derive(Default)]
struct Seen {
    latencies: Vec<Duration>,
    /// When a slow one was due, and what it was.
    slow: Vec<String>,
    errors: Vec<String>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, seconds, connections, rate, paths @ ..] = arguments.as_slice() else {
        bail!("usage: load ADDRESS SECONDS CONNECTIONS RATE [PATH...]");
    };
    let length = match seconds.parse().context("SECONDS")? {
        0 => Duration::MAX,
        seconds => Duration::from_secs(seconds),
    };
    let new = connections.ends_with('n');
    let connections: u32 = connections.trim_end_matches('n').parse().context("CONNECTIONS")?;
    let rate: u32 = rate.parse().context("RATE")?;
    let paths: Vec<String> = match paths {
        [] => PATHS.iter().map(ToString::to_string).collect(),
        paths => paths.to_vec(),
    };
    let end = Arc::new(AtomicBool::new(false));
    if length == Duration::MAX {
        let end = Arc::clone(&end);
        std::thread::spawn(move || {
            // However it ends.
            let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
            end.store(true, Ordering::Relaxed);
        });
    }
    let begin = Instant::now();
    let mut clients = JoinSet::new();
    for number in 0..connections {
        let (address, paths, end) = (address.clone(), paths.clone(), Arc::clone(&end));
        let every = Duration::from_secs(1) * connections / rate.max(1);
        let offset = every * number / connections.max(1);
        clients.spawn(async move {
            let mut seen = Seen::default();
            let mut stream = None;
            let mut sent = 0;
            while begin.elapsed() < length && !end.load(Ordering::Relaxed) {
                let due = if rate == 0 {
                    Instant::now()
                } else {
                    begin + offset + every * sent
                };
                if due.duration_since(begin) >= length {
                    break;
                }
                sleep_until(due.into()).await;
                let path = paths
                    .get((sent + number) as usize % paths.len())
                    .map_or("/", String::as_str);
                match timeout(ANSWER_DEADLINE, request(&mut stream, &address, path)).await {
                    Ok(Ok(())) => {
                        let latency = due.elapsed();
                        seen.latencies.push(latency);
                        if latency > SLOW {
                            seen.slow
                                .push(format!("at {:.1?}: {path}: {latency:.0?}", due.duration_since(begin)));
                        }
                    }
                    Ok(Err(error)) => seen.errors.push(format!("{path}: {error:#}")),
                    Err(_) => seen.errors.push(format!("{path}: no answer")),
                }
                sent += 1;
                if new {
                    stream = None;
                }
            }
            seen
        });
    }
    let mut all = Seen::default();
    while let Some(seen) = clients.join_next().await {
        let seen = seen?;
        all.latencies.extend(seen.latencies);
        all.slow.extend(seen.slow);
        all.errors.extend(seen.errors);
    }
    let took = begin.elapsed().as_secs_f64();
    all.latencies.sort_unstable();
    let at = |part: usize| {
        let index = (all.latencies.len() * part / 1000).min(all.latencies.len().saturating_sub(1));
        all.latencies.get(index).copied().unwrap_or_default()
    };
    println!(
        "{} answered, {} errors, {} over {SLOW:?}, {:.0}/s, p50 {:.2?}, p99 {:.2?}, worst {:.2?}",
        all.latencies.len(),
        all.errors.len(),
        all.slow.len(),
        f64::from(u32::try_from(all.latencies.len())?) / took,
        at(500),
        at(990),
        at(1000),
    );
    for line in all.slow.iter().take(5).chain(all.errors.iter().take(5)) {
        println!("  {line}");
    }
    if !all.errors.is_empty() {
        bail!("not every request was answered");
    }
    Ok(())
}

/// One request on a connection that is kept; a new one is opened when there is none.
async fn request(stream: &mut Option<BufReader<TcpStream>>, address: &str, path: &str) -> anyhow::Result<()> {
    let mut connection = match stream.take() {
        Some(connection) => connection,
        None => {
            let connection = TcpStream::connect(address).await?;
            connection.set_nodelay(true)?;
            BufReader::new(connection)
        }
    };
    let head = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\n\r\n");
    connection.write_all(head.as_bytes()).await?;
    let mut line = String::new();
    connection.read_line(&mut line).await?;
    let status = line.split(' ').nth(1).unwrap_or("no").to_owned();
    let (mut length, mut keep) = (0, true);
    loop {
        line.clear();
        if connection.read_line(&mut line).await? == 0 {
            bail!("the connection was closed");
        }
        let header = line.trim_end().to_ascii_lowercase();
        if header.is_empty() {
            break;
        }
        if let Some(value) = header.strip_prefix("content-length: ") {
            length = value.parse()?;
        }
        keep &= header != "connection: close";
    }
    let mut body = vec![0; length];
    connection.read_exact(&mut body).await?;
    if keep {
        *stream = Some(connection);
    }
    if status != "200" {
        bail!("status {status}: {}", String::from_utf8_lossy(&body));
    }
    Ok(())
}
