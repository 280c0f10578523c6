//! Runs the real `xtask` binary, in a clean environment and a folder of its own.

use std::ffi::OsStr;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::database::Database;
use super::wait;

/// Longer than any run of the tests takes; a run that hangs is killed and fails its test.
const PATIENCE: Duration = Duration::from_secs(120);

/// The root of the workspace.
pub fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("tests/ is in the workspace")
}

/// A file or folder of `tests/fixtures`.
pub fn fixture(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(path)
}

/// The binary: `XTASK_BIN`, or built once, into the folder that `cargo xtask` uses as well.
pub fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        if let Some(given) = std::env::var_os("XTASK_BIN") {
            return given.into();
        }
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let status = Command::new(cargo)
            .args(["build", "--quiet", "--package", "xtask", "--target-dir", "target/xtask"])
            .current_dir(workspace())
            .status()
            .expect("cargo starts");
        assert!(status.success(), "cargo build --package xtask failed");
        workspace().join("target/xtask/debug/xtask")
    })
}

/// One call of `xtask` that is being prepared.
pub struct Xtask {
    command: Command,
    directory: TempDir,
}

impl Xtask {
    /// `xtask ARGS…` in an empty folder, with no settings but the phases of this workspace.
    pub fn new<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Self {
        Self::of(binary(), arguments)
    }

    /// The same of another program than the one under test.
    pub fn of<S: AsRef<OsStr>>(program: &Path, arguments: impl IntoIterator<Item = S>) -> Self {
        let directory = tempfile::tempdir().expect("a temporary folder");
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", directory.path())
            .env("USER", "tester")
            .env("XTASK_SQL", workspace().join("sql"))
            .current_dir(directory.path())
            .stdin(Stdio::null());
        Xtask { command, directory }
    }

    /// `xtask migrate ARGS…` on a database, by its owner.
    pub fn migrate(database: &Database) -> Self {
        Self::new(["migrate"]).on(database)
    }

    /// The settings of a database, by its owner.
    pub fn on(self, database: &Database) -> Self {
        self.env("POSTGRES_HOST", &database.host)
            .env("POSTGRES_PORT", database.port.to_string())
            .env("POSTGRES_DB", &database.name)
            .env("POSTGRES_USER", &database.owner)
            .env("POSTGRES_PASSWORD", &database.password)
    }

    /// One more argument.
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.command.arg(argument);
        self
    }

    /// More arguments.
    pub fn args<S: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = S>) -> Self {
        self.command.args(arguments);
        self
    }

    /// One more variable.
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Started by `systemd-socket-activate`, which listens on this address and passes the socket on to it when the first
    /// client comes.
    pub fn activated_on(mut self, address: SocketAddr) -> Self {
        let mut command = Command::new("systemd-socket-activate");
        command.arg("--listen").arg(address.to_string()).env_clear();
        for (name, value) in self.command.get_envs() {
            command.envs(value.map(|value| (name, value)));
            // It passes on only those that it is told to.
            command.arg("--setenv").arg(name);
        }
        command
            .arg(self.command.get_program())
            .args(self.command.get_args())
            .current_dir(self.directory.path())
            .stdin(Stdio::null());
        self.command = command;
        self
    }

    /// One variable less.
    pub fn unset(mut self, name: &str) -> Self {
        self.command.env_remove(name);
        self
    }

    /// Phases other than the workspace's.
    pub fn sql(self, directory: &Path) -> Self {
        self.env("XTASK_SQL", directory).no_snapshot()
    }

    /// What phases need that come without an expected catalog. The one place that knows it.
    pub fn no_snapshot(self) -> Self {
        self.arg("--no-snapshot")
    }

    /// A file in the folder that the call runs in.
    pub fn file(self, name: &str, content: &str) -> Self {
        fs::write(self.directory.path().join(name), content).expect("the folder is writable");
        self
    }

    /// Runs it to its end.
    pub fn run(self) -> Output {
        self.spawn().wait()
    }

    /// Starts it.
    pub fn spawn(mut self) -> Running {
        // Files, not pipes: nobody has to read them for the run to go on.
        let open = |name: &str| {
            File::options()
                .read(true)
                // Reading here moves an offset that the child shares; appending does not mind.
                .append(true)
                .create_new(true)
                .open(self.directory.path().join(name))
                .expect("the folder is writable")
        };
        let (stdout, stderr) = (open(".stdout"), open(".stderr"));
        self.command.stdout(stdout.try_clone().expect("a descriptor"));
        self.command.stderr(stderr.try_clone().expect("a descriptor"));
        let started = Instant::now();
        let child = self.command.spawn().expect("xtask starts");
        Running {
            child,
            stdout,
            stderr,
            started,
            directory: self.directory,
        }
    }
}

/// A call that runs; killed when dropped.
#[must_use]
pub struct Running {
    child: Child,
    stdout: File,
    stderr: File,
    started: Instant,
    /// Kept until the process is gone: it is its working folder.
    #[allow(dead_code)]
    directory: TempDir,
}

impl Running {
    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id() as i32).expect("a process id");
        kill_process(pid, signal).expect("the process is ours");
    }

    /// Whether it is still there.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("our child").is_none()
    }

    /// What it has written so far to both streams.
    pub fn so_far(&self) -> String {
        let (mut out, mut err) = (&self.stdout, &self.stderr);
        format!("{}{}", read(&mut out), read(&mut err))
    }

    /// Waits for its end.
    pub fn wait(mut self) -> Output {
        while self.is_running() {
            if self.started.elapsed() > PATIENCE {
                let _ = self.child.kill();
                let _ = self.child.wait();
                panic!("xtask ran for more than {PATIENCE:?}; it wrote:\n{}", self.so_far());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        self.output()
    }

    /// Kills it as the kernel does when memory runs out, and waits until it is gone.
    pub fn kill(mut self) -> Output {
        let _ = self.child.kill();
        wait::until_true("the end of a killed process", PATIENCE, || !self.is_running());
        self.output()
    }

    fn output(&mut self) -> Output {
        let status = self.child.wait().expect("our child");
        let (mut out, mut err) = (&self.stdout, &self.stderr);
        Output {
            stdout: read(&mut out),
            stderr: read(&mut err),
            status: status.code(),
            duration: self.started.elapsed(),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read(file: &mut (impl Read + Seek)) -> String {
    let mut bytes = Vec::new();
    let read: io::Result<_> = file.seek(SeekFrom::Start(0)).and_then(|_| file.read_to_end(&mut bytes));
    read.expect("our own file");
    String::from_utf8_lossy(&bytes).into_owned()
}

/// What a call left behind.
#[must_use]
pub struct Output {
    /// Everything on stdout.
    pub stdout: String,
    /// Everything on stderr.
    pub stderr: String,
    /// The exit status, none when a signal ended it.
    pub status: Option<i32>,
    /// From start to end.
    pub duration: Duration,
}

impl Output {
    /// The run has ended with this status; shows everything otherwise.
    #[track_caller]
    pub fn ends(&self, status: i32) -> &Self {
        assert_eq!(self.status, Some(status), "exit status; {self}");
        self
    }

    /// One of the streams has this text, in any case of letters.
    #[track_caller]
    pub fn says(&self, text: &str) -> &Self {
        assert!(self.has(text), "nothing says {text:?}; {self}");
        self
    }

    /// One of the streams has at least one of these texts.
    #[track_caller]
    pub fn says_one_of(&self, texts: &[&str]) -> &Self {
        assert!(
            texts.iter().any(|text| self.has(text)),
            "nothing says one of {texts:?}; {self}"
        );
        self
    }

    /// Neither stream has this text.
    #[track_caller]
    pub fn hides(&self, text: &str) -> &Self {
        assert!(!self.has(text), "something says {text:?}; {self}");
        self
    }

    /// It took at most this long.
    #[track_caller]
    pub fn within(&self, limit: Duration) -> &Self {
        assert!(
            self.duration <= limit,
            "took {:?}, more than {limit:?}; {self}",
            self.duration
        );
        self
    }

    /// stdout as one JSON document.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("stdout is no JSON document: {error}; {self}"))
    }

    fn has(&self, text: &str) -> bool {
        let text = text.to_lowercase();
        self.stdout.to_lowercase().contains(&text) || self.stderr.to_lowercase().contains(&text)
    }
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "status {:?} after {:?}\n--- stdout\n{}\n--- stderr\n{}\n---",
            self.status, self.duration, self.stdout, self.stderr
        )
    }
}
