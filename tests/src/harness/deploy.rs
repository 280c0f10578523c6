//! Deployments: of the real backend, or of one that a test makes up.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use tempfile::TempDir;

use super::database::Database;
use super::http::get;
use super::server::free_port;
use super::wait;
use super::xtask::{Output, Running, Xtask, workspace};

/// What a deployment may take on a machine with busy processors; the backend is built before.
const PATIENCE: Duration = Duration::from_secs(60);

/// A workspace whose backend compiles in a second, for what the real one never does.
pub struct Fake(TempDir);

impl Fake {
    /// Its backend is this shell script. It finds what the real one gets: variables, a pipe as standard input.
    pub fn script(script: &str) -> Self {
        let fake = Self::source(
            "fn main() { panic!(\"{}\", std::os::unix::process::CommandExt::exec(\
             std::process::Command::new(\"sh\").args([\"-c\", include_str!(\"script\")]))); }",
        );
        fake.write("src/script", script);
        fake
    }

    /// Its backend has this `main.rs`.
    pub fn source(source: &str) -> Self {
        let fake = Fake(tempfile::tempdir().expect("a temporary folder"));
        let package = "name = \"backend\"\nversion = \"0.0.0\"\n";
        fake.write(
            "Cargo.toml",
            &format!("[package]\n{package}edition = \"2024\"\n\n[workspace]\n"),
        );
        fake.write("Cargo.lock", &format!("version = 4\n\n[[package]]\n{package}"));
        fake.write("src/main.rs", source);
        fake
    }

    /// The processes of this program that have to do with this workspace, as `ps` has them.
    pub fn processes(&self, program: &str) -> Vec<String> {
        let output = Command::new("ps").args(["-ww", "-eo", "pid,args"]).output();
        let output = output.expect("`ps` starts").stdout;
        let folder = self.0.path().to_string_lossy();
        let is_one = |line: &&str| line.contains(program) && line.contains(folder.as_ref());
        let text = String::from_utf8_lossy(&output);
        text.lines().filter(is_one).map(str::to_owned).collect()
    }

    /// Writes one of its files, or writes it anew.
    pub fn write(&self, name: &str, content: &str) {
        let path = self.0.path().join(name);
        fs::create_dir_all(path.parent().expect("a file has a folder")).expect("writable");
        fs::write(path, content).expect("writable");
    }

    /// Its folder.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// A call in this workspace.
    pub fn with(&self, xtask: Xtask) -> Xtask {
        with_cargo(xtask, self.0.path())
    }

    /// `xtask COMMAND` in this workspace, on a database.
    pub fn xtask(&self, command: &str, database: &Database) -> Xtask {
        self.with(Xtask::new([command]).on(database))
    }

    /// `xtask deploy` of it on a free port, which is given as well.
    pub fn deploy(&self, database: &Database) -> (Xtask, SocketAddr) {
        let address = free_address();
        (
            self.xtask("deploy", database).arg("--bind").arg(address.to_string()),
            address,
        )
    }
}

/// `xtask COMMAND` in the real workspace, with the real backend compiled already.
pub fn real(command: &str) -> Xtask {
    build();
    with_cargo(Xtask::new([command]), workspace())
}

/// The real backend by itself, on this address, with no settings but those that the test adds.
pub fn backend(address: SocketAddr) -> Command {
    build();
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace().join("target"), PathBuf::from);
    let mut command = Command::new(target.join("release/backend"));
    command
        .env_clear()
        .env("BIND_ADDRESS", address.to_string())
        .env("EXIT_ON_STDIN_EOF", "true")
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

fn build() {
    static BUILT: OnceLock<()> = OnceLock::new();
    BUILT.get_or_init(|| {
        let mut cargo = Command::new("cargo");
        cargo
            .args(["build", "--quiet", "--release", "--locked", "--package", "backend"])
            .current_dir(workspace())
            // Without what cargo says to the tests of themselves: build scripts look at it.
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .envs(cargo_homes());
        assert!(
            cargo.status().expect("cargo starts").success(),
            "the backend does not compile"
        );
    });
}

fn with_cargo(mut xtask: Xtask, workspace: &Path) -> Xtask {
    for (name, path) in cargo_homes() {
        xtask = xtask.env(name, path);
    }
    // As `cargo xtask` tells it.
    xtask.env("CARGO_MANIFEST_DIR", workspace.join("xtask"))
}

/// Where cargo and rustup have their things: elsewhere than in the empty home of a test.
pub fn cargo_homes() -> [(&'static str, PathBuf); 2] {
    let home = PathBuf::from(std::env::var_os("HOME").unwrap_or_default());
    [("CARGO_HOME", ".cargo"), ("RUSTUP_HOME", ".rustup")]
        .map(|(name, folder)| (name, std::env::var_os(name).map_or(home.join(folder), Into::into)))
}

/// An address that nobody listens on now.
pub fn free_address() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], free_port()))
}

/// A deployment whose backend is ready.
pub struct Deployed {
    /// The `xtask` in front of it.
    pub running: Running,
    /// Where the backend listens.
    pub address: SocketAddr,
    /// The backend.
    pub backend: Pid,
    /// Where later deploys find this one.
    meeting: TempDir,
}

impl Deployed {
    /// Deploys the real backend on a database and waits until `deploy` says that it is ready.
    pub fn new(database: &Database) -> Self {
        Self::start(real("deploy").on(database))
    }

    /// The same with settings of the test.
    pub fn start(deploy: Xtask) -> Self {
        Self::start_on(deploy, |deploy, _| deploy.spawn())
    }

    /// The same on a socket that `systemd-socket-activate` listens on.
    pub fn activated(deploy: Xtask) -> Self {
        Self::start_on(deploy, |deploy, address| {
            let mut running = deploy.activated_on(address).spawn();
            wait_for(&mut running, "Listening on");
            // It starts with the first client, who has to wait for the backend.
            let client = thread::spawn(move || get(address, "/health/live"));
            wait_for(&mut running, "the backend is ready on");
            let answer = client.join().expect("no panic").expect("an answer");
            assert_eq!(answer.0, 200, "{}", answer.1);
            running
        })
    }

    fn start_on(deploy: Xtask, spawn: impl FnOnce(Xtask, SocketAddr) -> Running) -> Self {
        let address = free_address();
        let meeting = tempfile::tempdir().expect("a temporary folder");
        let deploy = deploy.arg("--bind").arg(address.to_string());
        let mut running = spawn(deploy.arg("--meeting").arg(meeting.path()), address);
        wait_for(&mut running, "the backend is ready on");
        let backend = child_of(running.pid());
        Deployed {
            running,
            address,
            backend,
            meeting,
        }
    }

    /// A deploy that will meet this one.
    pub fn met_by(&self, deploy: Xtask) -> Xtask {
        let deploy = deploy.arg("--bind").arg(self.address.to_string());
        deploy.arg("--meeting").arg(self.meeting.path())
    }

    /// Ends it with a signal, and checks that nothing is left.
    pub fn end(self, signal: Signal) -> Output {
        self.running.signal(signal);
        let output = self.running.wait();
        assert_gone(self.backend);
        output
    }
}

/// Waits until a run has said something.
#[track_caller]
pub fn wait_for(running: &mut Running, text: &str) {
    wait::until_true(text, PATIENCE, || {
        let said = running.so_far().contains(text);
        assert!(
            said || running.is_running(),
            "it ended without {text:?}:\n{}",
            running.so_far()
        );
        said
    });
}

/// The only child of a process.
fn child_of(parent: u32) -> Pid {
    let output = Command::new("ps")
        .args(["-o", "pid=", "--ppid", &parent.to_string()])
        .output()
        .expect("`ps` starts");
    pid(String::from_utf8_lossy(&output.stdout).trim())
}

/// The process that a deploy names as the one that has taken over.
pub fn taken_over(output: &Output) -> Pid {
    let (before, _) = output.stderr.split_once(" has taken over").expect("it says so");
    pid(before.rsplit(' ').next().unwrap_or_default())
}

/// The process that a fake backend names in its first line, `pid NUMBER`.
pub fn named_pid(output: &str) -> Pid {
    let line = output.lines().find_map(|line| line.strip_prefix("pid "));
    pid(line.unwrap_or_else(|| panic!("no line names the backend's pid:\n{output}")))
}

fn pid(text: &str) -> Pid {
    let number = text.parse().ok().and_then(Pid::from_raw);
    number.unwrap_or_else(|| panic!("{text:?} is no process id"))
}

/// Kills a process at once.
pub fn kill(pid: Pid) {
    kill_process(pid, Signal::KILL).expect("the process is ours");
}

/// The process is there no more, not even as a zombie.
#[track_caller]
pub fn assert_gone(pid: Pid) {
    assert!(test_kill_process(pid).is_err(), "process {pid:?} is still there");
}

/// Waits until a process that is nobody's child of ours is gone.
#[track_caller]
pub fn wait_until_gone(pid: Pid) {
    wait::until_true("an end of the backend", PATIENCE, || test_kill_process(pid).is_err());
}
