//! The address where the backend listens.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, ToSocketAddrs};

use connection::{Error, Kind};
use listenfd::ListenFd;

/// Connections that may wait until the backend takes them: as many as a backend that listens by itself has.
const BACKLOG: i32 = 1024;

/// The address that the text means.
///
/// # Errors
/// It makes no sense (of kind [`Kind::Usage`]).
pub fn address(text: &str) -> Result<SocketAddr, Error> {
    let usage = |cause: String| {
        Error::new(Kind::Usage, "the setting BIND_ADDRESS makes no sense", cause)
            .next("its form is address:port, for instance 127.0.0.1:3001, or 0.0.0.0:3001 for every network")
    };
    let address = text
        .to_socket_addrs()
        .map_err(|error| usage(format!("“{text}”: {error}")))?
        .next()
        .ok_or_else(|| usage(format!("“{text}” has no address")))?;
    if address.port() == 0 {
        return Err(usage(format!(
            "“{text}”: a port that the system chooses is known to nobody"
        )));
    }
    Ok(address)
}

/// Listens there: whoever comes waits until a backend takes it.
///
/// # Errors
/// Somebody listens there already, or the address may not be bound.
pub fn listen(address: SocketAddr) -> Result<TcpListener, Error> {
    let what = || format!("the backend cannot listen on {address}, nothing was launched");
    let listener = TcpListener::bind(address).map_err(|error| match error.kind() {
        ErrorKind::AddrInUse => {
            let cause = match listener(address.port()) {
                Some(who) => format!("{who} listens there already"),
                None => "somebody listens there already".to_owned(),
            };
            Error::new(Kind::Failed, what(), cause)
                .next("end it, or choose another address with --bind or BIND_ADDRESS")
        }
        ErrorKind::AddrNotAvailable => Error::new(Kind::Usage, what(), "no network of this machine has that address"),
        _ => Error::new(Kind::Failed, what(), error.to_string()),
    })?;
    rustix::net::listen(&listener, BACKLOG).map_err(|error| Error::new(Kind::Failed, what(), error.to_string()))?;
    Ok(listener)
}

/// Checks that it could be listened on.
///
/// # Errors
/// See [`listen`].
pub fn free(address: SocketAddr) -> Result<(), Error> {
    listen(address).map(drop)
}

/// The socket that was passed on to us, by a socket unit of systemd for instance. It changes the environment: to be called
/// before any thread is started.
///
/// # Errors
/// It is no TCP socket, or there are several.
pub fn passed() -> Result<Option<TcpListener>, Error> {
    let mut passed = ListenFd::from_env();
    let failed = |cause: String| {
        Error::new(
            Kind::Usage,
            "cannot use the socket that was passed on (LISTEN_FDS)",
            cause,
        )
    };
    if passed.len() > 1 {
        return Err(failed(format!("there are {} instead of one", passed.len())));
    }
    passed.take_tcp_listener(0).map_err(|error| failed(error.to_string()))
}

/// Checks that a socket is on the address that a later deploy will look for.
///
/// # Errors
/// It is on another one.
pub fn same(socket: &TcpListener, address: SocketAddr) -> Result<(), Error> {
    let is = socket.local_addr().map(|is| is.to_string()).unwrap_or_default();
    if is == address.to_string() {
        return Ok(());
    }
    let cause = format!("the socket that was passed on is on {is}, BIND_ADDRESS says {address}");
    Err(Error::new(Kind::Usage, "the backend has two addresses", cause).next("let both be the same"))
}

/// The address under which a server bound to `address` is reached from the same machine.
pub fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// `process 4711 (backend)`: who listens on this port, as far as Linux tells us.
fn listener(port: u16) -> Option<String> {
    let sockets = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|table| std::fs::read_to_string(table).ok())
        .flat_map(|table| listening(&table, port))
        .map(|inode| format!("socket:[{inode}]"))
        .collect::<Vec<_>>();
    let processes = std::fs::read_dir("/proc").ok()?.flatten();
    for process in processes.filter(|entry| {
        entry
            .file_name()
            .to_string_lossy()
            .starts_with(|c: char| c.is_ascii_digit())
    }) {
        // Of other users' processes it cannot be read.
        let Ok(descriptors) = std::fs::read_dir(process.path().join("fd")) else {
            continue;
        };
        let holds = |link: std::path::PathBuf| sockets.iter().any(|socket| link.as_os_str() == socket.as_str());
        if descriptors
            .flatten()
            .filter_map(|entry| std::fs::read_link(entry.path()).ok())
            .any(holds)
        {
            let name = std::fs::read_to_string(process.path().join("comm")).unwrap_or_default();
            return Some(format!(
                "process {} ({})",
                process.file_name().to_string_lossy(),
                name.trim()
            ));
        }
    }
    None
}

/// The inodes of the sockets that listen on this port.
fn listening(table: &str, port: u16) -> Vec<String> {
    const LISTEN: &str = "0A";
    let port = format!(":{port:04X}");
    table
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .filter(|fields| fields.get(1).is_some_and(|local| local.ends_with(&port)) && fields.get(3) == Some(&LISTEN))
        .filter_map(|fields| fields.get(9).map(|inode| (*inode).to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader, Read as _};
    use std::process::{Command, Stdio};

    use super::*;

    /// Tells [`listens_for_another_test`] that it is meant.
    const LISTEN: &str = "XTASK_TEST_LISTENS";
    const LISTENING: &str = "listening on ";

    /// No test by itself, but the process that the next one looks for.
    #[test]
    fn listens_for_another_test() {
        if std::env::var_os(LISTEN).is_some() {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            println!("\n{LISTENING}{}", listener.local_addr().unwrap());
            std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
        }
    }

    /// A process of its own listens: what this one listens on is in the hands of the children of other tests too, from
    /// their fork to their exec.
    #[test]
    fn a_taken_port_is_an_error_that_names_the_process() {
        let (_, module) = module_path!().split_once("::").unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", &format!("{module}::listens_for_another_test"), "--nocapture"])
            .env(LISTEN, "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let address = BufReader::new(child.stdout.take().unwrap())
            .lines()
            .find_map(|line| line.unwrap().strip_prefix(LISTENING).map(ToOwned::to_owned))
            .unwrap();
        let address = address.parse().unwrap();
        let error = free(address).unwrap_err();
        assert_eq!(error.kind, Kind::Failed);
        if cfg!(target_os = "linux") {
            assert!(error.cause.contains(&format!("process {} ", child.id())), "{error}");
        }
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(listen(address).unwrap().local_addr().unwrap(), address);
    }

    #[test]
    fn nonsense_is_wrong_usage() {
        for text in ["3001", "127.0.0.1", "127.0.0.1:99999", "127.0.0.1:0", ""] {
            assert_eq!(address(text).unwrap_err().kind, Kind::Usage, "{text}");
        }
        let elsewhere = "203.0.113.1:3001".parse().unwrap();
        assert_eq!(free(elsewhere).unwrap_err().kind, Kind::Usage);
    }

    #[test]
    fn every_network_is_reached_by_loopback() {
        let reached = |text: &str| reachable(text.parse().unwrap()).to_string();
        assert_eq!(reached("0.0.0.0:3001"), "127.0.0.1:3001");
        assert_eq!(reached("[::]:3001"), "[::1]:3001");
        assert_eq!(reached("10.0.0.7:80"), "10.0.0.7:80");
    }
}
