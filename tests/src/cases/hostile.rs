//! Hostile clients of the backend: whatever they send, they get an answer below 500 or a closed connection. The backend
//! never panics, stays ready for others, stays the same process, and its memory stays bounded.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Resource, getrlimit, setrlimit};
use socket2::{Domain, Socket, Type};

use crate::harness::Context;
use crate::harness::deploy::{Deployed, real};
use crate::harness::http::get;
use crate::harness::raw::{PATIENCE, answer, end, endure, is_well};
use crate::harness::wait;

tests![
    requests_to_every_route,
    broken_requests,
    ten_thousand_idle_connections,
    ten_thousand_idle_connections_at_once,
    unfinished_heads,
    slow_heads,
];

const ROUTES: [&str; 8] = [
    "/health/live",
    "/health/ready",
    "/api/health",
    "/api/events",
    "/api/events/none",
    "/api/sync",
    "/metrics",
    "/no/such/route",
];

/// Parameters that the lists refuse.
#[rustfmt::skip]
const QUERIES: [&str; 32] = [
    "limit=0", "limit=-1", "limit=101", "limit=9223372036854775807", "limit=18446744073709551616", "limit=1e9",
    "limit=0x10", "limit=NaN", "limit=", "limit", "limit=%00", "limit=%FF", "limit=1&limit=2", "limit[]=1",
    "after=a&after=b", "after=", "after=%00", "after=%FF", "after=%C3%28", "after=%ED%A0%80", "after=a%0D%0Ab",
    "offset=1", "page=-1", "unknown=1", "%FF=1", "=", "=1", "%00", "limit=1;DROP", "?", "limit=%", "limit=%zz",
];

/// What makes another path of a route.
#[rustfmt::skip]
const SUFFIXES: [&str; 18] = [
    "/%00", "/%FF", "/%C3%28", "/%ED%A0%80", "/%F0%9F%98%80", "/-1", "/99999999999999999999999999", "//", "/%", "/%zz",
    "/..%2f..%2fetc%2fpasswd", "/../../etc/passwd", "/'%20OR%20'1'='1", "/%0d%0aX:%201", "/a/b/c", "%00", "%FF",
    ".json",
];

/// No requests, or hardly.
#[rustfmt::skip]
const BROKEN: [&[u8]; 34] = [
    b"", b"\0", b"\r\n", b"\n\n\n\n", b"GET", b"GET ", b"GET  HTTP/1.1\r\n\r\n", b" / HTTP/1.1\r\n\r\n",
    b"GET /\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"GET / HTTP/1.1\r\nNo colon\r\n\r\n",
    b"GET / HTTP/1.1\r\n: empty\r\n\r\n", b"GET / HTTP/1.1\r\nA b: c\r\n\r\n", b"GET / HTTP/1.1\r\nA: \0\r\n\r\n",
    b"GET /\0 HTTP/1.1\r\n\r\n", b"GET /api/events/\xff\xfe HTTP/1.1\r\n\r\n",
    b"GET /api/events/\xc3\xa9 HTTP/1.1\r\n\r\n", b"GET /api/events?after=\xff HTTP/1.1\r\n\r\n",
    b"G\0T / HTTP/1.1\r\n\r\n", b"G\xffT / HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\nHost: x\n\n",
    b"GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n", b"GET * HTTP/1.1\r\n\r\n", b"OPTIONS * HTTP/1.1\r\n\r\n",
    b"CONNECT /api/events HTTP/1.1\r\n\r\n", b"CONNECT 127.0.0.1:1 HTTP/1.1\r\n\r\n",
    b"GET http://127.0.0.1:1/api/events HTTP/1.1\r\n\r\n", b"GET ://:: HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
    b"GET / HTTP/1.1\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAA\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"PROXY TCP4 127.0.0.1 127.0.0.1 1 2\r\n", b"\xff\xff\xff\xff\xff",
];

/// Ways to leave open where a body ends.
#[rustfmt::skip]
const FRAMINGS: [&str; 9] = [
    "Content-Length: -1", "Content-Length: 1e3", "Content-Length: 99999999999999999999999", "Content-Length: 1, 2",
    "Content-Length: 1\r\nContent-Length: 2", "Content-Length: 5\r\nTransfer-Encoding: chunked",
    "Transfer-Encoding: chunked, chunked", "Transfer-Encoding: gzip", "Transfer-Encoding: \x0bchunked",
];

fn requests_to_every_route(context: &Context) {
    let database = context.database();
    let deployed = Deployed::new(&database);
    let address = deployed.address;
    let long = "9".repeat(8_000);
    let (long_limit, long_after) = (format!("limit={long}"), format!("after={long}"));
    let long_name = format!("{long}=1");
    let many = "limit=1&".repeat(1_000);
    let long_queries = [
        long_limit.as_str(),
        long_after.as_str(),
        long_name.as_str(),
        many.as_str(),
    ];
    for route in ROUTES {
        for query in QUERIES.into_iter().chain(long_queries) {
            let (status, _) = answer(address, "GET", &format!("{route}?{query}"), "");
            let health = route.contains("health") || route == "/metrics";
            // Nothing that a route does not understand is guessed.
            let fits = if health {
                status == 200
            } else {
                (400..500).contains(&status)
            };
            assert!(fits, "{status} for {route}?{query:.60}");
        }
        let long_suffixes = [format!("/{long}"), "/%F0%9F%98%80".repeat(600), "/..".repeat(2_000)];
        for suffix in SUFFIXES.into_iter().chain(long_suffixes.iter().map(String::as_str)) {
            let (status, _) = answer(address, "GET", &format!("{route}{suffix}"), "");
            assert!((400..500).contains(&status), "{status} for {route}{suffix:.60}");
        }
        let known = route != "/no/such/route";
        for method in [
            "POST",
            "PUT",
            "PATCH",
            "DELETE",
            "TRACE",
            "PROPFIND",
            "FOO",
            "get",
            &"M".repeat(4_000),
        ] {
            let (status, _) = answer(address, method, route, "");
            assert_eq!(status, if known { 405 } else { 404 }, "{method:.60} {route}");
        }
        for method in ["HEAD", "OPTIONS"] {
            let (status, answer) = answer(address, method, route, "");
            let fine = matches!(status, 200 | 204) || status == 404 && (!known || route.ends_with("none"));
            assert!(fine, "{status} for {method} {route}");
            assert!(
                method != "HEAD" || answer.ends_with("\r\n\r\n"),
                "a body for HEAD {route}: {answer}"
            );
        }
        // Heads that are long, but not too long.
        let padded = format!("X-Long: {}\r\n", "x".repeat(12_000));
        for more in [
            padded.as_str(),
            &"X-A: b\r\n".repeat(50),
            "Expect: 100-continue\r\n",
            "Range: bytes=-1\r\n",
        ] {
            answer(address, "GET", route, more);
        }
        for body in [
            "Content-Length: 3\r\n\r\nabc",
            "Content-Length: 99999999999\r\n",
            "Transfer-Encoding: chunked\r\n",
        ] {
            let bytes = format!("GET {route} HTTP/1.1\r\nHost: x\r\n{body}\r\n");
            endure(address, bytes.as_bytes());
        }
        is_well(&deployed);
    }
    end(deployed);
}

fn broken_requests(context: &Context) {
    let database = context.database();
    let deployed = Deployed::new(&database);
    let address = deployed.address;
    BROKEN.iter().for_each(|bytes| endure(address, bytes));
    for framing in FRAMINGS {
        for method in ["GET", "POST"] {
            for body in [
                "",
                "ffffffffffffffffff\r\n",
                "-1\r\nabc\r\n",
                "0\r\n\r\nGET /api/sync HTTP/1.1\r\n\r\n",
            ] {
                let bytes = format!("{method} /api/events HTTP/1.1\r\nHost: x\r\n{framing}\r\n\r\n{body}");
                endure(address, bytes.as_bytes());
            }
        }
    }
    for size in [16 << 10, 64 << 10, 1 << 20, 16 << 20] {
        let long = "x".repeat(size);
        for bytes in [
            format!("GET /api/events/{long} HTTP/1.1\r\n\r\n"),
            format!("GET /api/events?after={long} HTTP/1.1\r\n\r\n"),
            format!("{long} /api/events HTTP/1.1\r\n\r\n"),
            format!("GET /api/events HTTP/1.1\r\nA: {long}\r\n\r\n"),
            format!("GET /api/events HTTP/1.1\r\n{long}: a\r\n\r\n"),
            format!("GET /api/events HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(size / 6)),
            format!("POST /api/events HTTP/1.1\r\nContent-Length: {size}\r\n\r\n{long}"),
            "\r\n".repeat(size / 2),
        ] {
            endure(address, bytes.as_bytes());
        }
        is_well(&deployed);
    }
    // Many at once, whose answers nobody reads before the last one is sent.
    endure(address, &b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n".repeat(1_000));
    mutations(address);
    end(deployed);
}

/// A good request with bytes changed, removed and added: the same ones each time.
fn mutations(address: SocketAddr) {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below as u64) as usize
    };
    for n in 0..1_000 {
        let target = ["/api/events?limit=10&after=rec1", "/api/events/rec1", "/api/sync"][n % 3];
        let mut bytes =
            format!("GET {target} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nAccept: */*\r\n\r\n").into_bytes();
        for _ in 0..=random(4) {
            let place = random(bytes.len());
            match random(3) {
                0 => bytes[place] = random(256) as u8,
                1 => drop(bytes.remove(place)),
                _ => bytes.insert(place, random(256) as u8),
            }
        }
        endure(address, &bytes);
    }
}

/// How many connections this process can have beside what the other tests need, at most ten thousand; and the turn to
/// have them, because two floods at a time would need twice as many.
fn affordable(context: &Context) -> Option<(usize, MutexGuard<'static, ()>)> {
    static TURN: Mutex<()> = Mutex::new(());
    const WANTED: usize = 10_000;
    const LEAST: usize = 2_000;
    const OTHERS: u64 = 1_000;
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // Of this process alone.
    let _ = setrlimit(Resource::Nofile, limit);
    let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let count = WANTED.min(usize::try_from(files.saturating_sub(OTHERS)).unwrap_or(WANTED));
    if count < LEAST {
        context.leave_out(&format!("{files} open files are too few"));
        return None;
    }
    if count < WANTED {
        eprintln!("hostile: {count} connections instead of {WANTED}, because only {files} files may be open");
    }
    Some((count, TURN.lock().unwrap_or_else(PoisonError::into_inner)))
}

/// Opens many connections, each of which sends these bytes and no more, while others get their answers. They are
/// closed when they are dropped.
fn flood(deployed: &Deployed, count: usize, bytes: &'static [u8]) -> Vec<Socket> {
    /// Few enough that the ports of one address do.
    const FROM_ONE_ADDRESS: usize = 2_500;
    let address = deployed.address;
    let clients = thread::spawn(move || {
        let open = |n: usize| {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
            // From addresses that no server of the tests listens on: its port must not be taken when it comes.
            let last = u8::try_from(2 + n / FROM_ONE_ADDRESS).expect("few addresses");
            socket.set_reuse_address(true).unwrap();
            let source = SocketAddr::from((Ipv4Addr::new(127, 0, 0, last), 0));
            socket.bind(&source.into()).expect("a port");
            socket.set_write_timeout(Some(PATIENCE)).unwrap();
            let connected = socket.connect_timeout(&address.into(), PATIENCE);
            connected.unwrap_or_else(|error| panic!("connection {n}: {error}"));
            // It may have been closed already to make room.
            let _ = (&socket).write_all(bytes);
            socket
        };
        (0..count).map(open).collect()
    });
    while !clients.is_finished() {
        is_well(deployed);
    }
    clients.join().expect("all connections were made")
}

/// The backend's own count of open connections.
fn connections(address: SocketAddr) -> usize {
    let (_, text) = get(address, "/metrics").expect("an answer");
    let value = text.lines().find_map(|line| line.strip_prefix("backend_connections "));
    value.and_then(|value| value.parse().ok()).expect("the metric is there")
}

/// More than it takes: the oldest ones make room, and everybody else is answered.
fn ten_thousand_idle_connections(context: &Context) {
    const MOST: usize = 2_048;
    let Some((count, _turn)) = affordable(context) else {
        return;
    };
    let database = context.database();
    let deployed = Deployed::start(real("deploy").on(&database).env("MAX_CONNECTIONS", MOST.to_string()));
    let clients = flood(&deployed, count, b"");
    for path in ["/health/ready", "/api/events", "/api/sync", "/metrics"] {
        assert_eq!(get(deployed.address, path).unwrap().0, 200, "{path}");
    }
    let open = connections(deployed.address);
    assert!(open <= MOST, "{open} connections");
    drop(clients);
    end(deployed);
}

/// As many as it takes: they stay, and cost little.
fn ten_thousand_idle_connections_at_once(context: &Context) {
    let Some((count, _turn)) = affordable(context) else {
        return;
    };
    let database = context.database();
    let deploy = real("deploy").on(&database);
    let most = (count + 100).to_string();
    let deployed = Deployed::start(deploy.env("MAX_CONNECTIONS", most).env("HEADER_TIMEOUT", "5m"));
    let clients = flood(&deployed, count, b"");
    // The last ones may still wait to be accepted.
    wait::until_true("all connections are open", PATIENCE, || {
        connections(deployed.address) >= count
    });
    for path in ["/health/ready", "/api/events", "/api/sync"] {
        assert_eq!(get(deployed.address, path).unwrap().0, 200, "{path}");
    }
    is_well(&deployed);
    drop(clients);
    wait::until_true("no connection is left", PATIENCE, || connections(deployed.address) <= 1);
    end(deployed);
}

/// Heads almost as long as they may be, without their end: the dearest connections there are.
fn unfinished_heads(context: &Context) {
    static HEAD: [u8; 15_000] = {
        let mut head = [b'x'; 15_000];
        let start = b"GET /api/events HTTP/1.1\r\nX-Long: ";
        let mut n = 0;
        while n < start.len() {
            head[n] = start[n];
            n += 1;
        }
        head
    };
    let Some((count, _turn)) = affordable(context) else {
        return;
    };
    let database = context.database();
    let deployed = Deployed::new(&database);
    // More than it takes by default.
    let clients = flood(&deployed, count.min(3_000), &HEAD);
    is_well(&deployed);
    drop(clients);
    end(deployed);
}

/// One byte at a time: in time that is a request like any other, later its connection is closed, also when there are
/// more such clients than places.
fn slow_heads(context: &Context) {
    const CLIENTS: usize = 200;
    let database = context.database();
    let deploy = real("deploy").on(&database);
    let deployed = Deployed::start(deploy.env("MAX_CONNECTIONS", "100").env("HEADER_TIMEOUT", "2s"));
    let address = deployed.address;
    let connect = || {
        let stream = TcpStream::connect_timeout(&address, PATIENCE).expect("the backend accepts");
        stream.set_nodelay(true).unwrap();
        // Reading paces the writing.
        stream.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
        stream
    };
    let step = |stream: &mut TcpStream, byte: u8| {
        let mut answer = [0; 1024];
        let sent = stream.write_all(&[byte]).is_ok();
        match stream.read(&mut answer) {
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) && sent => None,
            Ok(length) => Some(String::from_utf8_lossy(&answer[..length]).into_owned()),
            Err(_) => Some(String::new()),
        }
    };
    let mut slow = connect();
    let request = format!("GET /health/live HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    let early: String = request.bytes().filter_map(|byte| step(&mut slow, byte)).collect();
    slow.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut late = String::new();
    slow.read_to_string(&mut late).unwrap();
    assert!(format!("{early}{late}").starts_with("HTTP/1.1 200 "), "{early}{late}");

    let started = Instant::now();
    let mut endless: Vec<_> = (0..CLIENTS).map(|_| connect()).collect();
    let head = b"GET /api/events HTTP/1.1\r\nX: "
        .iter()
        .copied()
        .chain(std::iter::repeat(b'x'));
    for byte in head {
        endless.retain_mut(|stream| match step(stream, byte) {
            None => true,
            Some(answer) => {
                assert!(!answer.starts_with("HTTP/1.1 5"), "{answer}");
                false
            }
        });
        is_well(&deployed);
        if endless.is_empty() {
            break;
        }
        let left = endless.len();
        assert!(
            started.elapsed() < PATIENCE,
            "{left} connections are open after {PATIENCE:?}"
        );
    }
    end(deployed);
}
