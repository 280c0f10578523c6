//! A server from the PostgreSQL binaries of this machine.

use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use connection::{Error, Kind};
use xshell::cmd;

use crate::account::Account;
use crate::cluster::Kept;
use crate::process::{POLL, answer, end, ended_within, last_lines};
use crate::watchdog::Watchdog;
use crate::{Interrupted, Running, SUPERUSER, ServerOptions, program, storage};

/// Folders of binaries; `*` stands for the rest of a name.
const FOLDERS: [&str; 6] = [
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/usr/libexec/postgresql*",
    "/opt/homebrew/opt/postgresql@*/bin",
    "/usr/local/opt/postgresql@*/bin",
    "/Applications/Postgres.app/Contents/Versions/*/bin",
];
/// How long initdb may take.
const INITDB_LIMIT: Duration = Duration::from_secs(120);
/// How long a server may take to stop.
const STOP_LIMIT: Duration = Duration::from_secs(30);
/// How often another port is tried where somebody took the one that was free a moment ago.
const PORT_ATTEMPTS: usize = 5;
/// How long a server may take until it has its port, or says that it cannot have it.
const BIND_LIMIT: Duration = Duration::from_secs(10);

/// Where PostgreSQL is installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Installation {
    bin: PathBuf,
    /// "postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)"
    version: String,
    /// "15", "18"; what data belongs to.
    major: u32,
}

/// Finds the PostgreSQL of this machine: the one on PATH, else the newest.
///
/// # Errors
/// Why there is none, as text.
pub(super) fn find() -> Result<Installation, String> {
    let on_path = program::find("initdb")
        .ok()
        .and_then(|path| fs::canonicalize(path).ok()?.parent().map(Path::to_owned));
    if let Some(found) = on_path.and_then(|bin| installation(&bin)) {
        return Ok(found);
    }
    let all = FOLDERS.iter().flat_map(|pattern| folders(pattern));
    let newest = all
        .filter_map(|bin| installation(&bin))
        .max_by_key(|installation| installation.major);
    newest.ok_or_else(|| "initdb and postgres are neither on PATH nor where systems put them".to_owned())
}

fn installation(bin: &Path) -> Option<Installation> {
    let there = ["initdb", "pg_ctl"].iter().all(|program| bin.join(program).is_file());
    let postgres = bin.join("postgres");
    // postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)
    let text = there.then(|| program::read(postgres, |sh, postgres| cmd!(sh, "{postgres} --version")))??;
    let version = text.split_whitespace().nth(2)?;
    let major = version.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()?;
    Some(Installation {
        bin: bin.to_owned(),
        version: text.trim().to_owned(),
        major,
    })
}

impl std::fmt::Display for Installation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let version = self.version.split_whitespace().nth(2).unwrap_or_default();
        write!(f, "PostgreSQL {version} from {}", self.bin.display())
    }
}

impl Installation {
    /// A text that is another one as soon as initdb or a server might do anything otherwise, but for extensions. The
    /// system's time zone becomes the cluster's. `None`: that cannot be told.
    fn identity(&self) -> Option<String> {
        let postgres = self.bin.join("postgres");
        let zone = Path::new("/etc/localtime");
        let zone = (std::env::var_os("TZ"), fs::canonicalize(zone).ok(), stamp(zone).ok());
        let text = (
            &self.version,
            &postgres,
            stamp(&postgres).ok()?,
            zone,
            initdb_arguments(),
        );
        Some(format!("{text:?}"))
    }

    /// And with the extensions and text search dictionaries that are installed.
    pub(super) fn identity_with_extensions(&self) -> Option<String> {
        let account = Account::choose().ok()?;
        let mut show = account.command(&self.bin.join("initdb"), Path::new("/")).ok()?;
        let output = show.args(["--show", "-D", "/"]).output().ok()?;
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        let share = Path::new(said.lines().find_map(|line| line.strip_prefix("share_path="))?);
        let mut text = self.identity()?;
        for folder in ["extension", "tsearch_data"].map(|name| share.join(name)) {
            let mut files: Vec<_> = fs::read_dir(folder).ok()?.flatten().map(|entry| entry.path()).collect();
            files.sort();
            for file in files {
                text.push_str(&format!("\n{} {:?}", file.display(), stamp(&file).ok()));
            }
        }
        Some(text)
    }
}

/// Size and time of a file: an upgrade writes it anew.
fn stamp(file: &Path) -> io::Result<(u64, SystemTime)> {
    let metadata = fs::metadata(file)?;
    Ok((metadata.len(), metadata.modified()?))
}

/// What initdb is told, but for folder and password.
fn initdb_arguments() -> Vec<&'static str> {
    // Not every system has C.UTF-8; Linux has.
    let locale = if cfg!(target_os = "linux") { "C.UTF-8" } else { "C" };
    let mut arguments = vec!["--username", SUPERUSER, "--encoding", "UTF8", "--locale", locale];
    arguments.extend(["--auth-local", "scram-sha-256", "--auth-host", "scram-sha-256"]);
    arguments
}

/// The folders that a pattern with one `*` stands for.
fn folders(pattern: &str) -> Vec<PathBuf> {
    let Some((before, after)) = pattern.split_once('*') else {
        return Vec::new();
    };
    let Some((parent, prefix)) = before.rsplit_once('/') else {
        return Vec::new();
    };
    let Ok(entries) = fs::read_dir(parent) else {
        return Vec::new();
    };
    let matching = entries
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix));
    matching
        .map(|entry| entry.path().join(after.trim_start_matches('/')))
        .filter(|path| path.is_dir())
        .collect()
}

struct Local {
    installation: Installation,
    account: Account,
    /// Holds `data` and `log`.
    folder: PathBuf,
    port: u16,
    kept: bool,
    process: Option<Child>,
    watchdog: Watchdog,
}

/// Starts a server; it may take a while until it answers.
pub(super) fn start(
    installation: &Installation,
    options: &ServerOptions,
    interrupted: Interrupted<'_>,
    progress: &dyn Fn(&str),
) -> Result<(Box<dyn Running>, String), Error> {
    let account = Account::choose()?;
    let name = format!("local-{}", installation.major);
    let folder = account.folder(options.data.as_deref(), &name, progress)?;
    let failed = |cause: String| {
        Error::new(
            Kind::Failed,
            format!("cannot start the PostgreSQL of {}", installation.bin.display()),
            cause,
        )
    };
    let kept = options.data.is_some();
    let watchdog = Watchdog::for_process((!kept).then_some(&*folder)).map_err(|error| failed(error.to_string()))?;
    let mut server = Local {
        installation: installation.clone(),
        account,
        folder,
        port: 0,
        kept,
        process: None,
        watchdog,
    };
    let kept_cluster = options.clusters.as_deref().filter(|_| !kept);
    let kept_cluster = kept_cluster.and_then(|all| Some(Kept::new(all, &installation.identity()?)));
    if let Some(cluster) = &kept_cluster {
        let own = |path: &Path| server.account.own(path);
        if let Some(password) = cluster.copy_to(&server.data(), &own, progress) {
            match server.launch(options, interrupted) {
                Ok(()) => return Ok((Box::new(server), password)),
                Err(cause) => {
                    storage::check(interrupted)?;
                    cluster.discard(&cause, progress);
                }
            }
        }
    }
    let password = storage::password(options.data.as_deref(), &name)?;
    let started = server.make_data(&password, interrupted).and_then(|()| {
        if let Some(cluster) = &kept_cluster {
            cluster.keep(&server.data(), &password, progress);
        }
        server.launch(options, interrupted)
    });
    if let Err(cause) = started {
        // What is reported is why it did not start.
        let _ = server.stop();
        storage::check(interrupted)?;
        return Err(failed(cause));
    }
    Ok((Box::new(server), password))
}

impl Local {
    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    fn command(&self, program: &str) -> Result<Command, String> {
        let program = self.installation.bin.join(program);
        let command = self.account.command(&program, &self.folder);
        command.map_err(|error| error.to_string())
    }

    /// Runs initdb, unless that has been done.
    fn make_data(&self, password: &str, interrupted: Interrupted<'_>) -> Result<(), String> {
        let finished = self.folder.join("complete");
        if finished.exists() {
            return self.end_orphan(interrupted);
        }
        // An initdb that was killed leaves a part of the data, which it would refuse to complete.
        match fs::remove_dir_all(self.data()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.to_string()),
            _ => {}
        }
        let password_file = self.folder.join("password");
        storage::write_private(&password_file, password)
            .and_then(|()| self.account.own(&password_file))
            .map_err(|error| format!("{}: {error}", password_file.display()))?;
        let mut command = self.command("initdb")?;
        command.arg("-D").arg(self.data()).arg("--pwfile").arg(&password_file);
        command.args(initdb_arguments());
        if !self.kept {
            command.arg("--no-sync");
        }
        let made = answer(&mut command, INITDB_LIMIT, interrupted);
        fs::remove_file(&password_file).map_err(|error| format!("{}: {error}", password_file.display()))?;
        made?;
        File::create(finished).map(drop).map_err(|error| error.to_string())
    }

    /// Stops a server that still runs on our data, of a process that was killed together with its
    /// watchdog: our caller has the lock of the data, so nobody uses it.
    fn end_orphan(&self, interrupted: Interrupted<'_>) -> Result<(), String> {
        let mut status = self.command("pg_ctl")?;
        if answer(status.arg("status").arg("-D").arg(self.data()), STOP_LIMIT, interrupted).is_err() {
            return Ok(());
        }
        self.ask_to_stop("fast")
    }

    fn ask_to_stop(&self, mode: &str) -> Result<(), String> {
        let seconds = STOP_LIMIT.as_secs().to_string();
        let mut command = self.command("pg_ctl")?;
        command
            .arg("stop")
            .arg("-D")
            .arg(self.data())
            // It looks ten times a second only; our caller looks itself at a server that is not to end in order.
            .args([
                "-m",
                mode,
                if mode == "immediate" { "-W" } else { "-w" },
                "-t",
                &seconds,
            ]);
        answer(&mut command, STOP_LIMIT * 2, &|| None).map(drop)
    }

    fn launch(&mut self, options: &ServerOptions, interrupted: Interrupted<'_>) -> Result<(), String> {
        for attempt in 1..=PORT_ATTEMPTS {
            self.port = match options.port {
                Some(port) => port,
                None => free_port().map_err(|error| format!("no free port: {error}"))?,
            };
            let process = self.spawn(options).map_err(|error| error.to_string())?;
            let process = self.process.insert(process);
            self.watchdog.process(process.id()).map_err(|error| error.to_string())?;
            let pid = process.id();
            let deadline = Instant::now() + BIND_LIMIT;
            while !ended_within(process, POLL) {
                if listens(&self.folder.join("data/postmaster.pid"), pid) || Instant::now() >= deadline {
                    return Ok(());
                }
            }
            self.process = None;
            let log = self.log();
            let taken = log.contains("Address already in use");
            if taken && options.port.is_some() {
                return Err(format!("port {} is taken by another program", self.port));
            }
            if !taken || attempt == PORT_ATTEMPTS || interrupted().is_some() {
                return Err(log);
            }
        }
        Ok(())
    }

    fn spawn(&self, options: &ServerOptions) -> io::Result<Child> {
        let log = File::create(self.folder.join("log"))?;
        let mut command = self.command("postgres").map_err(io::Error::other)?;
        command.arg("-D").arg(self.data());
        command.args(["-c", "listen_addresses=127.0.0.1", "-c", &format!("port={}", self.port)]);
        // Everybody comes over TCP; a socket's path may be too long, and its folder be somebody else's.
        command.args([
            "-c",
            "unix_socket_directories=",
            "-c",
            "logging_collector=off",
            "-c",
            "log_destination=stderr",
        ]);
        command.args(options.all_settings());
        // Ctrl-C in the terminal is for us; we stop the server in our own time.
        command
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
    }
}

impl Running for Local {
    fn port(&self) -> u16 {
        self.port
    }

    fn origin(&self) -> String {
        let by = match &self.account {
            Account::Own => String::new(),
            Account::Other { name, .. } => format!(", run by the user {name}"),
        };
        format!("from {}{by}", self.installation.bin.display())
    }

    fn ended(&mut self) -> Option<String> {
        let state = match &mut self.process {
            Some(process) => match process.try_wait() {
                Ok(None) => return None,
                Ok(Some(status)) => status.to_string(),
                Err(error) => error.to_string(),
            },
            None => "it was stopped".to_owned(),
        };
        Some(format!("the server has ended ({state})\n{}", self.log()))
    }

    fn log(&self) -> String {
        let text = fs::read(self.folder.join("log")).unwrap_or_default();
        last_lines(&String::from_utf8_lossy(&text), 15)
    }

    fn psql(&self) -> String {
        self.installation.bin.join("psql").display().to_string()
    }

    fn stop(&mut self) -> Result<(), String> {
        let mut result = Ok(());
        if let Some(mut process) = self.process.take()
            && matches!(process.try_wait(), Ok(None))
        {
            result = self.ask_to_stop(if self.kept { "fast" } else { "immediate" });
            let limit = if result.is_ok() {
                STOP_LIMIT
            } else {
                Duration::from_secs(5)
            };
            if !ended_within(&mut process, limit) {
                end(&mut process);
            }
        }
        if !self.kept
            && let Err(error) = fs::remove_dir_all(&self.folder)
            && error.kind() != io::ErrorKind::NotFound
        {
            result = result.and(Err(format!("{}: {error}", self.folder.display())));
        }
        result
    }
}

/// Whether a server has written down that it has its port: the sixth line is the address that it
/// listens on.
fn listens(postmaster_pid: &Path, pid: u32) -> bool {
    let text = fs::read_to_string(postmaster_pid).unwrap_or_default();
    let ours = text.lines().next().is_some_and(|line| line.trim() == pid.to_string());
    ours && text.lines().nth(5).is_some_and(|line| !line.trim().is_empty())
}

/// A port of 127.0.0.1 that nobody uses at this moment.
fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}
