//! Arguments that several commands share.

use std::path::PathBuf;
use std::time::Duration;

use clap::ArgMatches;
use clap::parser::ValueSource;
use connection::settings::{Defaults, HOST, PORT, Parameter, Parameters};
use connection::{Error, Kind, Settings};
use migration::session::Connector;
use migration::{Context, Event, Phases};

use crate::{application, hints, signals, ui};

/// Where the database is. A flag beats a part of DATABASE_URL, which beats the other variables. It holds passwords: its
/// `Debug` shows none of it.
pub struct Connection {
    parameters: Parameters,
    /// How long to wait for the server.
    pub wait: Duration,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Connection")
    }
}

#[derive(clap::Args, Debug)]
#[command(next_help_heading = "Database")]
struct ConnectionFlags {
    /// All in one: postgres://user:password@host:5432/database. As a variable only, if it holds a password:
    /// arguments are seen by every user of a machine.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true, value_name = "URL")]
    database_url: Option<String>,
    /// The server; several, separated by commas: the one that accepts writes is used. A folder: its Unix socket.
    #[arg(long, env = "POSTGRES_HOST", default_value = HOST, hide_env_values = true)]
    host: String,
    /// Its port; several, separated by commas, for several hosts.
    #[arg(long, env = "POSTGRES_PORT", default_value = PORT, hide_env_values = true)]
    port: String,
    /// The database.
    #[arg(
        long,
        env = "POSTGRES_DB",
        default_value = application::get().database,
        hide_env_values = true,
        value_name = "NAME"
    )]
    dbname: String,
    /// The role that owns it. Its password: the variable POSTGRES_PASSWORD.
    #[arg(long, env = "POSTGRES_USER", default_value = application::get().user, hide_env_values = true)]
    user: String,
    /// true verifies the server's certificate and its name, false is without TLS; weaker, as in libpq:
    /// disable, allow, prefer, require, verify-ca, verify-full.
    #[arg(
        long,
        env = "POSTGRES_SSL",
        default_value = "false",
        hide_env_values = true,
        value_name = "MODE"
    )]
    ssl: String,
    /// A file with the root certificates that count (PEM), instead of the system's.
    #[arg(
        long,
        env = "POSTGRES_SSL_CA",
        default_value = "",
        hide_default_value = true,
        hide_env_values = true,
        value_name = "FILE"
    )]
    ssl_ca: String,
    /// How long to wait for a server that refuses connections, starts up, or whose name does not resolve yet.
    #[arg(long, env = "XTASK_WAIT", default_value = "30s", value_parser = duration, hide_env_values = true, value_name = "TIME")]
    wait: Duration,
}

/// Where the phase files are.
#[derive(clap::Args, Debug)]
pub struct Sql {
    /// The folder with the phase files; by default sql/ of the workspace.
    #[arg(long = "sql", env = "XTASK_SQL", hide_env_values = true, value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// How locks are waited for.
#[derive(clap::Args, Debug)]
#[command(next_help_heading = "Locks")]
pub struct Locks {
    /// How long one attempt may stand in the queue for a lock: the application waits behind it.
    #[arg(long, env = "XTASK_LOCK_TIMEOUT", default_value = "50ms", value_parser = duration, hide_env_values = true, value_name = "TIME")]
    pub lock_timeout: Duration,
    /// How long a statement is tried again for, and another migration waited for.
    #[arg(long, env = "XTASK_LOCK_DEADLINE", default_value = "5min", value_parser = duration, hide_env_values = true, value_name = "TIME")]
    pub lock_deadline: Duration,
    /// How long the application may be kept waiting in all, by waits for locks and by locks that are held: then the run
    /// ends with status 5, and the next one goes on. Waits of less than 10 ms do not count.
    #[arg(long, env = "XTASK_STALL_BUDGET", default_value = "1s", value_parser = duration, hide_env_values = true, value_name = "TIME")]
    pub stall_budget: Duration,
    /// End sessions that are in the way and have been idle in a transaction for longer than this.
    #[arg(long, env = "XTASK_TERMINATE_BLOCKERS", value_parser = duration, hide_env_values = true, value_name = "AGE")]
    pub terminate_blockers: Option<Duration>,
    /// How often a connection that is lost in the middle of a run, to a failover for instance, is made again.
    #[arg(
        long,
        env = "XTASK_RECONNECTS",
        default_value_t = 3,
        hide_env_values = true,
        value_name = "NUMBER"
    )]
    pub reconnects: usize,
}

/// Which files, which database, and how locks in it are waited for. Last of a command's arguments: a heading stands
/// over all that follows it.
#[derive(clap::Args, Debug)]
pub struct Common {
    #[command(flatten)]
    pub sql: Sql,
    #[command(flatten)]
    pub connection: Connection,
    #[command(flatten)]
    pub locks: Locks,
}

/// What a command tells the engine of how to wait, and who is told of what happens.
pub fn context<'a>(
    connector: &'a Connector,
    wait: Duration,
    locks: &Locks,
    observer: &'a (dyn Fn(Event<'_>) + Sync),
) -> Context<'a> {
    Context {
        connector,
        wait,
        lock_timeout: locks.lock_timeout,
        lock_deadline: locks.lock_deadline,
        stall_budget: locks.stall_budget,
        terminate_blockers: locks.terminate_blockers,
        reconnects: locks.reconnects,
        interrupted: &signals::received,
        words: hints::words,
        observer,
    }
}

impl Connection {
    /// Puts the settings together.
    pub fn settings(&self) -> Result<Settings, Error> {
        self.resolve(self.parameters.url.clone())
    }

    /// The same with this URL.
    pub fn settings_of(&self, url: &str) -> Result<Settings, Error> {
        self.resolve(Some(url.to_owned()))
    }

    fn resolve(&self, url: Option<String>) -> Result<Settings, Error> {
        Settings::resolve(&Parameters {
            password: variable("POSTGRES_PASSWORD")?,
            url,
            ..self.parameters.clone()
        })
    }
}

impl clap::Args for Connection {
    fn augment_args(command: clap::Command) -> clap::Command {
        ConnectionFlags::augment_args(command)
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        ConnectionFlags::augment_args_for_update(command)
    }
}

/// By hand, because only the matches know which values were flags and which were variables.
impl clap::FromArgMatches for Connection {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let flags = ConnectionFlags::from_arg_matches(matches)?;
        let part = |id: &str, value: String| Parameter {
            value,
            from_flag: matches.value_source(id) == Some(ValueSource::CommandLine),
        };
        Ok(Self {
            parameters: Parameters {
                defaults: Defaults {
                    database: application::get().database,
                    user: application::get().user,
                },
                url: flags.database_url,
                host: part("host", flags.host),
                port: part("port", flags.port),
                database: part("dbname", flags.dbname),
                user: part("user", flags.user),
                password: None,
                ssl: part("ssl", flags.ssl),
                ssl_ca: part("ssl_ca", flags.ssl_ca),
            },
            wait: flags.wait,
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Sql {
    /// The folder that was named, or `sql/` of the workspace.
    pub fn dir(&self) -> PathBuf {
        self.dir
            .clone()
            .filter(|dir| !dir.as_os_str().is_empty())
            .unwrap_or_else(|| workspace().join("sql"))
    }

    /// Reads the phases in it, and warns of what is left out there.
    ///
    /// # Errors
    /// See [`Phases::read`].
    pub fn phases(&self) -> Result<Phases, Error> {
        let phases = Phases::read(&self.dir())?;
        if !phases.left_out.is_empty() {
            ui::warn(&format!(
                "left out: {} (phases are called NN_name.sql)",
                phases.left_out.join(", ")
            ));
        }
        Ok(phases)
    }
}

/// The workspace's folder: where cargo runs us from, or the one above the current folder that looks like it.
pub fn workspace() -> PathBuf {
    find_workspace().unwrap_or_else(current_folder)
}

/// The same, where there is one.
pub fn find_workspace() -> Option<PathBuf> {
    if let Some(dir) = std::env::var_os("CARGO_MANIFEST_DIR")
        && let Some(parent) = PathBuf::from(dir).parent()
    {
        return Some(parent.to_owned());
    }
    let current = current_folder();
    let mut folders = current.ancestors();
    folders
        .find(|dir| dir.join("Cargo.lock").is_file())
        .map(ToOwned::to_owned)
}

fn current_folder() -> PathBuf {
    std::env::current_dir().unwrap_or_else(|_| PathBuf::from("."))
}

/// An environment variable; empty counts as not set.
///
/// # Errors
/// It is not UTF-8.
pub fn variable(name: &str) -> Result<Option<String>, Error> {
    match std::env::var(name) {
        Ok(value) if value.is_empty() => Ok(None),
        Ok(value) => Ok(Some(value)),
        Err(std::env::VarError::NotPresent) => Ok(None),
        Err(std::env::VarError::NotUnicode(_)) => Err(Error::new(
            Kind::Usage,
            format!("the setting {name} makes no sense"),
            "it is not UTF-8",
        )),
    }
}

/// Reads a duration with its unit; a bare 0 will do.
pub fn duration(text: &str) -> Result<Duration, String> {
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    humantime::parse_duration(text).map_err(|error| format!("{error}; for instance 500ms, 30s, 5min"))
}
