//! A PostgreSQL server of our own: for `dev`, for `snapshot`, for tests.
//!
//! It runs in a Docker container, or from the machine's own PostgreSQL binaries. A scratch server is
//! thrown away with its data; a kept one leaves its data in a folder for the next time. Neither
//! outlives its owner, not even one that SIGKILL ended.

mod account;
mod cluster;
mod docker;
pub mod install;
mod local;
mod process;
pub mod program;
mod source;
mod storage;
mod watchdog;

use std::path::PathBuf;
use std::str::FromStr;
use std::time::{Duration, Instant};

use connection::{Error, Interrupted, Kind, describe};
pub use install::{InstallCommand, install_command};
pub use source::Source;
use storage::Lock;

/// How long a server may take until it answers. The first start makes the data, and the machine may
/// be busy.
const START_LIMIT: Duration = Duration::from_secs(120);

/// The superuser of each server of ours.
const SUPERUSER: &str = "postgres";

/// Why a kind of server was not looked for.
const NOT_ASKED_FOR: &str = "not asked for";

/// Where a server may come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ServerKind {
    /// A container where Docker has or gets the image, else local binaries.
    #[default]
    Auto,
    /// A container.
    Docker,
    /// PostgreSQL binaries of this machine.
    Local,
}

impl FromStr for ServerKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "" | "auto" => Ok(Self::Auto),
            "docker" => Ok(Self::Docker),
            "local" => Ok(Self::Local),
            _ => Err(format!("“{text}” is none of auto, docker, local")),
        }
    }
}

/// What kind of server is wanted. The default is a scratch server from wherever there is one.
#[derive(Debug, Clone, Default)]
pub struct ServerOptions {
    /// The folder under which the data is kept; without one it is thrown away at the end, and the
    /// server does not wait for the disk.
    pub data: Option<PathBuf>,
    /// The port on 127.0.0.1; without one, a free one.
    pub port: Option<u16>,
    /// The Docker image; without one, the first that is there.
    pub image: Option<String>,
    /// Where the server comes from.
    pub kind: ServerKind,
    /// Server settings, as `postgres -c name=value` takes them.
    pub settings: Vec<(String, String)>,
    /// The folder in which an empty cluster is kept for the next scratch server, so that initdb need not run for it; of
    /// this machine's binaries only, a container runs its image's initdb each time. Nothing there is ever needed.
    pub clusters: Option<PathBuf>,
}

impl ServerOptions {
    /// A scratch server as `XTASK_POSTGRES` (auto, docker, local) and `XTASK_POSTGRES_IMAGE` say.
    ///
    /// # Errors
    /// Of kind [`Kind::Usage`]: a value that makes no sense.
    pub fn from_environment() -> Result<Self, Error> {
        let kind = std::env::var("XTASK_POSTGRES")
            .unwrap_or_default()
            .parse()
            .map_err(|cause: String| Error::new(Kind::Usage, "the setting XTASK_POSTGRES makes no sense", cause))?;
        let image = std::env::var("XTASK_POSTGRES_IMAGE")
            .ok()
            .filter(|image| !image.is_empty());
        Ok(Self {
            kind,
            image,
            ..Self::default()
        })
    }

    /// The settings that the server is started with: ours, then those that were asked for.
    fn all_settings(&self) -> Vec<String> {
        let scratch = ["fsync=off", "full_page_writes=off", "synchronous_commit=off"];
        let ours = scratch
            .iter()
            .filter(|_| self.data.is_none())
            .map(|setting| (*setting).to_owned());
        let asked = self.settings.iter().map(|(name, value)| format!("{name}={value}"));
        ours.chain(asked)
            .flat_map(|setting| ["-c".to_owned(), setting])
            .collect()
    }
}

/// Why there is no server, where no kind of server could be found at all (and not: one was found and
/// failed). Its caller may offer [`install_command`].
#[derive(Debug)]
pub struct NotFound {
    /// Why not in a container.
    pub docker: String,
    /// Why not from local binaries.
    pub local: String,
}

impl From<NotFound> for Error {
    fn from(why: NotFound) -> Self {
        let cause = format!("Docker: {}\nlocal: {}", why.docker.replace('\n', "; "), why.local);
        let error = Self::new(Kind::Failed, "there is no PostgreSQL that could be started", cause);
        if why.local == NOT_ASKED_FOR {
            return error.next(
                "take another image (XTASK_POSTGRES_IMAGE), make one from Debian packages \
                 (scripts/make-postgres-image.sh 18),\nor let it be the PostgreSQL of this machine (XTASK_POSTGRES=local)",
            );
        }
        match install_command() {
            Some(command) => error.next(format!("install PostgreSQL: {command}")),
            None => error.next("install PostgreSQL or Docker with the package manager of this system"),
        }
    }
}

/// Why [`Server::start`] did not start one.
#[derive(Debug)]
pub enum StartError {
    /// Nothing to start a server from.
    NotFound(NotFound),
    /// A server was found and did not start, or somebody else has the data.
    Failed(Error),
}

impl From<Error> for StartError {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl From<StartError> for Error {
    fn from(error: StartError) -> Self {
        match error {
            StartError::NotFound(why) => why.into(),
            StartError::Failed(error) => error,
        }
    }
}

/// What runs the server, and how it is ended.
trait Running: Send {
    /// The port on 127.0.0.1.
    fn port(&self) -> u16;
    /// Where it comes from: "in container …", "from /usr/lib/…".
    fn origin(&self) -> String;
    /// Why it is no longer running, with the last lines of its log; `None` while it runs.
    fn ended(&mut self) -> Option<String>;
    /// The last lines of its log.
    fn log(&self) -> String;
    /// How to call the psql that came with the server.
    fn psql(&self) -> String;
    /// Stops it and removes what is not kept.
    fn stop(&mut self) -> Result<(), String>;
}

/// A running PostgreSQL server of our own, reachable on 127.0.0.1. Dropped, it is stopped, and
/// removed with its data unless they are kept.
pub struct Server {
    running: Box<dyn Running>,
    password: String,
    version: String,
    stopped: bool,
    /// Held as long as the server runs, so that nobody else starts one on the same data.
    _lock: Option<Lock>,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server")
            .field("description", &self.description())
            .field("port", &self.port())
            .finish_non_exhaustive()
    }
}

impl Server {
    /// Starts a server and waits until it answers. `progress` hears, line by line, what takes time
    /// and what is done in another way than usual.
    ///
    /// # Errors
    /// [`StartError::NotFound`] where there is neither Docker with an image nor a PostgreSQL;
    /// an error of kind [`Kind::Busy`] where another process runs a server on the same data.
    pub fn start(
        options: &ServerOptions,
        interrupted: Interrupted<'_>,
        progress: &dyn Fn(&str),
    ) -> Result<Self, StartError> {
        let lock = options.data.as_deref().map(Lock::take).transpose()?;
        let source = Source::find(options, interrupted, progress)?;
        Ok(source.start_with(lock, options, interrupted, progress)?)
    }

    fn of((running, password): (Box<dyn Running>, String), lock: Option<Lock>) -> Self {
        Self {
            running,
            password,
            version: String::new(),
            stopped: false,
            _lock: lock,
        }
    }

    fn wait(&mut self, options: &ServerOptions, interrupted: Interrupted<'_>) -> Result<(), Error> {
        let deadline = Instant::now() + START_LIMIT;
        let what = format!("PostgreSQL {} did not start", self.running.origin());
        let mut look_again = Instant::now();
        loop {
            let refusal = match self.connect() {
                Ok(mut client) => {
                    let row = client.query_one("SHOW server_version", &[]);
                    let version: String = row
                        .and_then(|row| row.try_get(0))
                        .map_err(|error| Error::new(Kind::Failed, what, describe(&error)))?;
                    self.version = version.split(' ').next().unwrap_or_default().to_owned();
                    return Ok(());
                }
                Err(error) => error,
            };
            if refusal.code() == Some(&postgres::error::SqlState::INVALID_PASSWORD) {
                let folder = options.data.as_deref().unwrap_or_else(|| "".as_ref()).display();
                return Err(Error::new(Kind::Failed, what, describe(&refusal)).next(format!(
                    "its password file does not belong to its data; to begin with empty data: rm -r {folder}"
                )));
            }
            storage::check(interrupted)?;
            // Asking Docker takes longer than asking PostgreSQL.
            if Instant::now() >= look_again {
                look_again = Instant::now() + Duration::from_millis(500);
                if let Some(why) = self.running.ended() {
                    return Err(Error::new(Kind::Failed, what, why));
                }
            }
            if Instant::now() >= deadline {
                let cause = format!(
                    "{} s without an answer: {}\n{}",
                    START_LIMIT.as_secs(),
                    describe(&refusal),
                    self.running.log()
                );
                return Err(Error::new(Kind::Failed, what, cause));
            }
            std::thread::sleep(process::POLL);
        }
    }

    fn connect(&self) -> Result<postgres::Client, postgres::Error> {
        postgres::Config::new()
            .host(self.host())
            .port(self.port())
            .user(self.user())
            .password(self.password())
            .dbname("postgres")
            .connect_timeout(Duration::from_secs(5))
            .connect(postgres::NoTls)
    }

    /// The host it listens on: 127.0.0.1.
    pub fn host(&self) -> &'static str {
        "127.0.0.1"
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.running.port()
    }

    /// Its superuser.
    pub fn user(&self) -> &'static str {
        SUPERUSER
    }

    /// The superuser's password, a random one of letters and digits.
    pub fn password(&self) -> &str {
        &self.password
    }

    /// The server's version, for instance "18.1".
    pub fn version(&self) -> &str {
        &self.version
    }

    /// What it is, for people: "PostgreSQL 18.1 in container local/postgres:18".
    pub fn description(&self) -> String {
        format!("PostgreSQL {} {}", self.version, self.running.origin())
    }

    /// How to call the psql that came with it, on a machine that has none on PATH. One that begins with "docker" runs
    /// beside the server and finds it by itself; another has to be told host and port.
    pub fn psql(&self) -> String {
        self.running.psql()
    }

    /// Why it is no longer running; `None` while it runs.
    pub fn ended(&mut self) -> Option<String> {
        self.running.ended()
    }

    /// Stops it, and removes it with its data unless they are kept.
    ///
    /// # Errors
    /// It could not be stopped; what was tried is in the text.
    pub fn stop(mut self) -> Result<(), Error> {
        self.stop_once()
    }

    fn stop_once(&mut self) -> Result<(), Error> {
        if std::mem::replace(&mut self.stopped, true) {
            return Ok(());
        }
        let what = format!("cannot stop PostgreSQL {}", self.running.origin());
        self.running
            .stop()
            .map_err(|cause| Error::new(Kind::Failed, what, cause))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Nobody is left to tell; `stop` is there for those who want to know.
        let _ = self.stop_once();
    }
}

#[cfg(test)]
mod tests;
