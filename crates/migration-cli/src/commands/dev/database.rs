//! A server of our own, with the data of the time before, and the role and the database in it.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};

use anstream::eprintln;
use connection::{Config, Error, Kind, Settings, SslMode, describe};
use migration::session::{Connector, password};
use postgres_protocol::escape::escape_identifier;
use scratch::{NotFound, Server, ServerOptions, StartError, install_command, program};

use super::Args;
use crate::application::{self, Application};
use crate::commands::options::workspace;
use crate::signals;

/// Statistics of queries; a server without that library does not start when it is told to load it.
const PRELOAD: (&str, &str) = ("shared_preload_libraries", "pg_stat_statements");
/// The running database.
pub struct Database {
    server: Server,
    data: PathBuf,
}

impl Database {
    /// Starts the server, and makes what is missing in it.
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
    pub fn show(&self) {
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

    /// The server, for people.
    pub fn description(&self) -> String {
        self.server.description()
    }

    /// The server's version.
    pub fn version(&self) -> &str {
        self.server.version()
    }

    /// Why the server is gone, with the last lines of its log; none while it runs.
    pub fn ended(&mut self) -> Option<String> {
        self.server.ended()
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
    pub fn remember(&self) -> anyhow::Result<()> {
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
