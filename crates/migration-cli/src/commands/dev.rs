//! `dev`: a database that needs no settings.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anstream::eprintln;
use connection::{Config, Error, Kind, Settings, SslMode, describe};
use migration::journal::Keep;
use migration::session::{Connector, password};
use migration::{Expected, Goal, Phases};
use postgres_protocol::escape::escape_identifier;
use scratch::{NotFound, Server, ServerKind, ServerOptions, StartError, install_command, program};
use serde::Serialize;

use super::migrate::Job;
use super::options::{Locks, Sql, workspace};
use crate::application::{self, Application};
use crate::author::author;
use crate::backend::build::{Profile, build};
use crate::backend::front::Front;
use crate::backend::launch::Launch;
use crate::backend::{self, port};
use crate::report::{self, Report};
use crate::{signals, ui};

/// Run the application on a database of its own, until Ctrl-C
///
/// Starts a PostgreSQL server in a container or from the binaries of this machine, keeps its data under target/dev,
/// migrates it, shows how to connect to it, then builds the backend and launches it. It needs no settings, and listens
/// on this machine only.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Install PostgreSQL with the package manager of this system if there is neither that nor Docker.
    #[arg(long)]
    install: bool,
    /// The database's port on 127.0.0.1; by default a free one, from then on the same.
    #[arg(long, env = "XTASK_DEV_PORT", hide_env_values = true)]
    port: Option<u16>,
    /// Where the data is kept; by default target/dev of the workspace. Removed, the next dev begins anew.
    #[arg(long, env = "XTASK_DEV_DATA", hide_env_values = true, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Where the server comes from: auto, docker (a container) or local (PostgreSQL of this machine).
    #[arg(
        long,
        env = "XTASK_POSTGRES",
        default_value = "auto",
        hide_env_values = true,
        value_name = "KIND"
    )]
    postgres: ServerKind,
    /// The Docker image; by default postgres:18.1, or one that scripts/make-postgres-image.sh has made.
    #[arg(long, env = "XTASK_POSTGRES_IMAGE", hide_env_values = true)]
    image: Option<String>,
    /// The database alone.
    #[arg(long)]
    no_backend: bool,
    /// Print one JSON document on stdout when the database is ready.
    #[arg(long)]
    pub json: bool,
    /// Show each statement, and what the server notices.
    #[arg(long, short)]
    verbose: bool,
    #[command(flatten)]
    sql: Sql,
    #[command(flatten)]
    backend: backend::Launching,
    #[command(flatten)]
    locks: Locks,
}

/// Statistics of queries; a server without that library does not start when it is told to load it.
const PRELOAD: (&str, &str) = ("shared_preload_libraries", "pg_stat_statements");
/// How often is looked whether the server still runs. Asking Docker takes 30 ms of processor time.
const LOOK: Duration = Duration::from_secs(3);

/// What runs.
#[derive(Serialize)]
struct Ready {
    outcome: &'static str,
    database_url: String,
    server: String,
    server_version: String,
    backend: Option<String>,
}

impl Report for Ready {
    fn remark(&self) {
        eprintln!("running until Ctrl-C");
    }
}

/// Runs the command.
pub fn run(args: &Args) -> anyhow::Result<u8> {
    signals::watch()?;
    let mut database = Database::start(args)?;
    database.show();
    let backend = if args.no_backend || application::get().backend.is_none() {
        None
    } else {
        let address = port::address(&args.backend.bind)?;
        port::free(address)?;
        let program = build(Profile::Development)?;
        let launch = Launch::new(&program, &database.settings(), &args.backend)?;
        Some(Front::start(&launch, port::listen(address)?)?)
    };
    let ready = Ready {
        outcome: "ready",
        database_url: database.url(),
        server: database.server.description(),
        server_version: database.server.version().to_owned(),
        backend: backend.as_ref().map(|backend| format!("http://{}", backend.address())),
    };
    report::show(&ready, args.json)?;
    let ended = match backend {
        None => database.wait(),
        Some(backend) => stay(backend).and_then(|status| match status {
            0 => Ok(()),
            _ => Err(Error::new(Kind::Failed, "the backend has failed, see above", "").into()),
        }),
    };
    eprintln!("stopping {} …", database.server.description());
    database.stop()?;
    ended.map(|()| 0)
}

fn stay(mut backend: Front) -> anyhow::Result<u8> {
    loop {
        if let Some(event) = backend.event_within(LOOK) {
            return backend.end(event);
        }
    }
}

/// The running database, migrated.
pub struct Database {
    server: Server,
    data: PathBuf,
}

impl Database {
    /// Starts the server and migrates the database in it.
    pub fn start(args: &Args) -> anyhow::Result<Self> {
        let data = args.data.clone().unwrap_or_else(|| workspace().join("target/dev"));
        let server = match start_server(args, &data) {
            Err(StartError::NotFound(why)) if args.install => {
                install(why)?;
                start_server(args, &data)
            }
            other => other,
        };
        let server = server.map_err(|error| explain(error, &data))?;
        eprintln!("started {}", server.description());
        let database = Self { server, data };
        database.prepare()?;
        let phases = Phases::read(&args.sql.dir()).map_err(Error::from)?;
        // Whoever works on the phase files starts it before they are finished.
        let expected = Expected::read(&phases).inspect_err(|error| {
            ui::warn(&format!(
                "sql/expected.json is left aside: {}\n  every statement runs as it stands; later: cargo xtask snapshot",
                error.cause
            ));
        });
        let job = Job {
            locks: &args.locks,
            wait: Duration::from_secs(30),
            verbose: args.verbose,
        };
        let goal = Goal {
            phases,
            expected: expected.ok(),
            force: false,
            run_once: false,
            allow_older: false,
            again: true,
            repair: false,
            prune: false,
            allow_data_loss: false,
            allow_rewrite: false,
            author: author(),
            keep: Keep::default(),
        };
        job.run(database.settings(), || Ok(goal.clone()))?.remark();
        database.remember()?;
        Ok(database)
    }

    /// How the application connects to it.
    pub fn settings(&self) -> Settings {
        self.settings_of(application::get().user, application::get().database)
    }

    /// The same in one string, with the password.
    pub fn url(&self) -> String {
        self.settings().url()
    }

    /// Shows how to connect.
    fn show(&self) {
        let (host, port) = (self.server.host(), self.server.port());
        let Application { database, user, .. } = application::get();
        let psql = if program::find("psql").is_ok() {
            "psql".to_owned()
        } else {
            self.server.psql()
        };
        eprintln!("\n  \x1b[1mDATABASE_URL={}\x1b[0m", self.url());
        if psql.starts_with("docker ") {
            eprintln!("  {psql} -U {user} {database}");
        } else {
            let password = self.server.password();
            eprintln!("  PGPASSWORD={password} {psql} -h {host} -p {port} -U {user} {database}");
        }
        eprintln!("  data: {} (remove it to begin anew)\n", self.data.display());
    }

    /// Waits until somebody ends this process, which is how it is meant to end, or the server is gone.
    pub fn wait(&mut self) -> anyhow::Result<()> {
        let mut looked = Instant::now();
        while signals::received().is_none() {
            std::thread::sleep(Duration::from_millis(50));
            if looked.elapsed() < LOOK {
                continue;
            }
            looked = Instant::now();
            if let Some(why) = self.server.ended()
                && signals::received().is_none()
            {
                return Err(Error::new(Kind::Failed, "the database is gone", why).into());
            }
        }
        Ok(())
    }

    /// Ends the server; its data stays.
    pub fn stop(self) -> anyhow::Result<()> {
        // It tells a second `dev` where this one runs; if it stays, the lock still says that nobody does.
        let _ = fs::remove_file(running_file(&self.data));
        Ok(self.server.stop()?)
    }

    fn settings_of(&self, user: &str, database: &str) -> Settings {
        let mut config = Config::new();
        config.host(self.server.host()).port(self.server.port());
        config.user(user).password(self.server.password()).dbname(database);
        Settings {
            config,
            ssl: SslMode::Disable,
            ssl_ca: None,
        }
    }

    /// Makes the role and its database, as an administrator would: what `migrate` needs and no more, so that what
    /// works here works on a server where it is nobody special.
    fn prepare(&self) -> anyhow::Result<()> {
        let Application { database, user, .. } = *application::get();
        let (quoted_database, quoted_user) = (escape_identifier(database), escape_identifier(user));
        let failed =
            |error: postgres::Error| Error::new(Kind::Failed, format!("cannot prepare {database}"), describe(&error));
        let connect = |database| Connector::new(self.settings_of(self.server.user(), database), None);
        let connector = connect("postgres")?;
        let mut client = connector.connect(&Default::default())?;
        let exists = |client: &mut postgres::Client, query: &str, name: &str| {
            client
                .query_opt(query, &[&name])
                .map(|row| row.is_some())
                .map_err(failed)
        };
        if !exists(&mut client, "SELECT FROM pg_catalog.pg_roles WHERE rolname = $1", user)? {
            client
                .batch_execute(&format!("CREATE ROLE {quoted_user} LOGIN CREATEROLE"))
                .map_err(failed)?;
        }
        password::ensure(&mut client, &connector, user, self.server.password())?;
        if !exists(
            &mut client,
            "SELECT FROM pg_catalog.pg_database WHERE datname = $1",
            database,
        )? {
            client
                .batch_execute(&format!("CREATE DATABASE {quoted_database} OWNER {quoted_user}"))
                .map_err(failed)?;
        }
        // It takes a superuser, and is optional: where it cannot be had, migrate says so.
        let mut client = connect(database)?.connect(&Default::default())?;
        let _ = client.batch_execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements");
        Ok(())
    }

    /// Writes down what the next `dev` needs: the port, and for one beside this the way here.
    fn remember(&self) -> anyhow::Result<()> {
        let failed = |error: std::io::Error| {
            Error::new(
                Kind::Failed,
                format!("cannot write to {}", self.data.display()),
                error.to_string(),
            )
        };
        fs::write(port_file(&self.data), self.server.port().to_string()).map_err(failed)?;
        private_file(&running_file(&self.data), &self.url()).map_err(failed)?;
        Ok(())
    }
}

fn port_file(data: &Path) -> PathBuf {
    data.join("port")
}

fn running_file(data: &Path) -> PathBuf {
    data.join("running")
}

fn private_file(path: &Path, text: &str) -> std::io::Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(text.as_bytes())
}

fn start_server(args: &Args, data: &Path) -> Result<Server, StartError> {
    let mut options = ServerOptions {
        data: Some(data.to_owned()),
        port: args.port.or_else(|| port_of_before(data)),
        image: args.image.clone().filter(|image| !image.is_empty()),
        kind: args.postgres,
        settings: vec![(PRELOAD.0.to_owned(), PRELOAD.1.to_owned())],
        clusters: None,
    };
    let start = |options: &ServerOptions| Server::start(options, &signals::received, &|line| eprintln!("{line}"));
    match start(&options) {
        Err(StartError::Failed(error)) if error.cause.contains("could not access file \"pg_stat_statements\"") => {
            options.settings.clear();
            start(&options)
        }
        other => other,
    }
}

/// The port of the last time, if nobody else has taken it.
fn port_of_before(data: &Path) -> Option<u16> {
    let port = fs::read_to_string(port_file(data)).ok()?.trim().parse().ok()?;
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok().map(|_| port)
}

fn install(why: NotFound) -> anyhow::Result<()> {
    let Some(command) = install_command() else {
        return Err(Error::from(why).into());
    };
    eprintln!("there is neither Docker nor PostgreSQL; installing it: {command}");
    Ok(command.run()?)
}

fn explain(error: StartError, data: &Path) -> Error {
    let offer = matches!(error, StartError::NotFound(_)) && install_command().is_some();
    let mut error = Error::from(error);
    if offer {
        error.next = error.next.then("\nor let this do it: cargo xtask dev --install");
    } else if error.kind == Kind::Busy {
        error.what = "another `cargo xtask dev` is running".to_owned();
        error.next = match fs::read_to_string(running_file(data)) {
            Ok(url) => {
                format!("connect to its database: {url}\nor end it first, or have another one: --data DIR").into()
            }
            Err(_) => "it is just starting, or ending: try again in a moment".into(),
        };
    }
    error
}
