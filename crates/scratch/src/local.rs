//! A server from the PostgreSQL binaries of this machine.

use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use connection::{Error, Kind};
use xshell::cmd;

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
        major,
    })
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

/// Whether this process is root's.
pub(super) fn is_root() -> bool {
    id("-u", None) == Some(0)
}

fn id(option: &str, user: Option<&str>) -> Option<u32> {
    let said = program::read("id", |sh, id| cmd!(sh, "{id} {option}").args(user))?;
    said.trim().parse().ok()
}

/// Which user a server runs as: PostgreSQL refuses root.
#[derive(Debug, Clone)]
enum Account {
    /// Whoever runs this process.
    Own,
    /// Another one, because this process is root's.
    Other { name: &'static str, uid: u32, gid: u32 },
}

impl Account {
    fn choose() -> Result<Self, Error> {
        if !is_root() {
            return Ok(Self::Own);
        }
        let found = ["postgres", "nobody"].into_iter().find_map(|name| {
            Some(Self::Other {
                name,
                uid: id("-u", Some(name))?,
                gid: id("-g", Some(name))?,
            })
        });
        found.ok_or_else(|| {
            Error::new(
                Kind::Failed,
                "cannot start a PostgreSQL server as root",
                "there is no user postgres to run it as",
            )
            .next("run this as another user than root, or: useradd --system postgres")
        })
    }

    fn command(&self, program: &Path, folder: &Path) -> Result<Command, Error> {
        let mut command = program::command(program, |sh, program| cmd!(sh, "{program}"))?;
        if let Self::Other { uid, gid, .. } = self {
            command.uid(*uid).gid(*gid);
        }
        // Settings of the person's own clients are none of this server's.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("PG") {
                command.env_remove(name);
            }
        }
        command.env("LC_ALL", "C").current_dir(folder);
        Ok(command)
    }

    fn own(&self, path: &Path) -> io::Result<()> {
        match self {
            Self::Own => Ok(()),
            Self::Other { uid, gid, .. } => chown(path, Some(*uid), Some(*gid)),
        }
    }

    /// Whether it can get into a folder, through all that are above it.
    fn reaches(&self, folder: &Path) -> bool {
        match self {
            Self::Own => true,
            Self::Other { .. } => {
                let Ok(mut command) = self.command(Path::new("sh"), Path::new("/")) else {
                    return false;
                };
                command
                    .args(["-c", "cd -- \"$1\" 2>/dev/null", "sh"])
                    .arg(folder)
                    .status()
                    .is_ok_and(|status| status.success())
            }
        }
    }

    /// The folder of a server, made if it is not there: `name` in the kept data, or one of a
    /// scratch server.
    fn folder(&self, data: Option<&Path>, name: &str, progress: &dyn Fn(&str)) -> Result<PathBuf, Error> {
        let failed = |path: &Path, error: io::Error| {
            Error::new(
                Kind::Failed,
                format!("cannot use the data folder {}", path.display()),
                error.to_string(),
            )
        };
        let Some(data) = data else {
            let path = std::env::temp_dir().join(storage::unique_name());
            storage::private_folder(&path)
                .and_then(|()| self.own(&path))
                .map_err(|error| failed(&path, error))?;
            return Ok(path);
        };
        let data = fs::canonicalize(data).map_err(|error| failed(data, error))?;
        let path = if self.reaches(&data) {
            data.join(name)
        } else {
            // The workspace of root, for instance, where nobody else may look.
            let base = Some(PathBuf::from("/var/tmp"))
                .filter(|path| path.is_dir())
                .unwrap_or_else(std::env::temp_dir);
            let path = base.join(format!("xtask-dev-{}-{name}", storage::hash(&data)));
            progress(&format!(
                "PostgreSQL refuses to run as root, and other users cannot get into {}:",
                data.display()
            ));
            progress(&format!("the data is in {}", path.display()));
            path
        };
        match storage::private_folder(&path) {
            Ok(()) => self.own(&path).map_err(|error| failed(&path, error))?,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                self.check_owner(&path).map_err(|error| failed(&path, error))?
            }
            Err(error) => return Err(failed(&path, error)),
        }
        Ok(path)
    }

    /// In a folder where everybody may write, somebody else could have been there first.
    fn check_owner(&self, path: &Path) -> io::Result<()> {
        let metadata = fs::symlink_metadata(path)?;
        match self {
            Self::Other { uid, name, .. } if !metadata.is_dir() || metadata.uid() != *uid => Err(io::Error::other(
                format!("it is there and does not belong to the user {name}"),
            )),
            _ => Ok(()),
        }
    }
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
    let password = storage::password(options.data.as_deref(), &name)?;
    let started = server
        .make_data(&password, interrupted)
        .and_then(|()| server.launch(options, interrupted));
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
        // Not every system has C.UTF-8; Linux has.
        let locale = if cfg!(target_os = "linux") { "C.UTF-8" } else { "C" };
        let mut command = self.command("initdb")?;
        command.arg("-D").arg(self.data()).arg("--pwfile").arg(&password_file);
        command.args(["--username", SUPERUSER, "--encoding", "UTF8", "--locale", locale]);
        command.args(["--auth-local", "scram-sha-256", "--auth-host", "scram-sha-256"]);
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
            .args(["-m", mode, "-w", "-t", &seconds]);
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
            if !ended_within(&mut process, Duration::from_secs(5)) {
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
