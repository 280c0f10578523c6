//! A server from PostgreSQL's binaries on this machine, where no Docker answers.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::server::{PASSWORD, SUPERUSER};
use super::watchdog::Watchdog;

/// A cluster in a temporary folder and the process that serves it.
pub struct Local {
    binaries: PathBuf,
    directory: TempDir,
    port: u16,
    arguments: Vec<String>,
}

impl Local {
    /// Makes the cluster and starts the server.
    pub fn start(port: u16, arguments: Vec<String>, watchdog: &Watchdog) -> Self {
        let directory = tempfile::Builder::new()
            .prefix("xtask-tests-")
            .permissions(fs::Permissions::from_mode(0o755))
            .tempdir()
            .expect("a temporary folder");
        let local = Local {
            binaries: binaries(),
            directory,
            port,
            arguments,
        };
        let path = local.directory.path().display().to_string();
        watchdog.at_end(&format!(
            "for file in {path}/*/postmaster.pid; do kill -QUIT $(head -n 1 $file); done; rm -rf {path}"
        ));
        fs::write(local.directory.path().join("password"), PASSWORD).expect("writable");
        if is_root() {
            // PostgreSQL refuses to run as root.
            let status = Command::new("chown").args(["-R", "postgres", &path]).status();
            assert!(status.is_ok_and(|status| status.success()), "chown postgres {path}");
        }
        local.program_run(
            "initdb",
            &[
                "--no-sync",
                "--auth-local=trust",
                "--auth-host=scram-sha-256",
                "--encoding=UTF8",
                "--locale=C.UTF-8",
                "-U",
                SUPERUSER,
                "--pwfile",
                &format!("{path}/password"),
                "-D",
                &format!("{path}/data"),
            ],
        );
        let rules = local.directory.path().join("data/pg_hba.conf");
        let all = fs::read_to_string(&rules).expect("initdb wrote it")
            + "\nhost all all all scram-sha-256\nhost replication all all scram-sha-256\n";
        fs::write(rules, all).expect("writable");
        local.run();
        local
    }

    /// Starts the server, without waiting for an answer.
    pub fn run(&self) {
        let directory = self.directory.path();
        let log = fs::File::options()
            .append(true)
            .create(true)
            .open(directory.join("log"))
            .expect("writable");
        let mut command = self.as_owner("postgres");
        command
            .args(["-D", &directory.join("data").display().to_string()])
            .args(["-k", &self.socket_directory(), "-p", &self.port.to_string()])
            .args(["-c", "listen_addresses=127.0.0.1"])
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a descriptor"))
            .stderr(log);
        // Ended by `stop` through its pid file, as the watchdog does.
        let mut child = command.spawn().expect("postgres starts");
        std::thread::spawn(move || child.wait());
    }

    /// Stops the server in one of the modes of `pg_ctl`.
    pub fn stop(&self, mode: &str) {
        let data = self.directory.path().join("data").display().to_string();
        self.program_run("pg_ctl", &["stop", "-w", "-m", mode, "-D", &data]);
    }

    /// Everything it has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }

    /// Where its Unix socket is.
    pub fn socket_directory(&self) -> String {
        self.directory.path().display().to_string()
    }

    /// The path of one of PostgreSQL's programs.
    pub fn program(&self, name: &str) -> PathBuf {
        self.binaries.join(name)
    }

    fn as_owner(&self, program: &str) -> Command {
        let path = self.program(program);
        if !is_root() {
            return Command::new(path);
        }
        let mut command = Command::new("setpriv");
        command
            .args(["--reuid=postgres", "--regid=postgres", "--init-groups"])
            .arg(path);
        command
    }

    fn program_run(&self, program: &str, arguments: &[&str]) {
        let output = self
            .as_owner(program)
            .args(arguments)
            .current_dir("/")
            .stdin(Stdio::null())
            .output()
            .unwrap_or_else(|error| panic!("{program}: {error}"));
        assert!(
            output.status.success(),
            "{program} {arguments:?}:\n{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        for data in ["standby", "data"] {
            let data = self.directory.path().join(data);
            if data.join("postmaster.pid").exists() {
                self.program_run(
                    "pg_ctl",
                    &["stop", "-w", "-m", "immediate", "-D", &data.display().to_string()],
                );
            }
        }
    }
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// The folder of the newest PostgreSQL on this machine.
fn binaries() -> PathBuf {
    find_binaries().expect(
        "neither Docker nor PostgreSQL's binaries are here; \
         `cargo xtask test-migrations --install` installs what the tests need",
    )
}

/// The folder of the newest PostgreSQL of this machine.
pub fn find_binaries() -> Option<PathBuf> {
    let mut found: Vec<(u32, PathBuf)> = ["/usr/lib/postgresql", "/opt/homebrew/opt", "/usr/local/opt"]
        .iter()
        .filter_map(|parent| fs::read_dir(parent).ok())
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name().to_string_lossy().replace("postgresql@", "");
            Some((name.parse().ok()?, entry.path().join("bin")))
        })
        .filter(|(_, path)| path.join("initdb").exists())
        .collect();
    found.sort();
    if let Some((_, path)) = found.pop() {
        return Some(path);
    }
    let search = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&search).find(|path| path.join("initdb").exists())
}
