//! Observing the phases on a scratch server, as far as that was not done before.

use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use connection::{Config, Error, Kind, Settings, SslMode};
use migration::Phases;
use migration::session::connect::Session;
use migration::session::{Connector, Target};
use migration::snapshot::cache::Cache;
use migration::snapshot::{Completed, Record};
use postgres::Client;
use scratch::{Server, ServerOptions, Source};

use super::Spare;
use crate::commands::options::find_workspace;
use crate::{signals, ui};

/// Who runs the phases on the scratch server.
const OWNER: &str = "xtask_snapshot_owner";
/// Where what was observed is kept, in the workspace.
const FOLDER: &str = "target/snapshot";

/// What is known of the phases, and from where.
pub struct Observed {
    pub record: Record,
    /// The server, for people.
    pub server: String,
    /// How many statements were not observed again, not in the first run at least.
    pub known: usize,
}

/// The folder in which it is kept, where there is a workspace.
pub fn kept() -> Option<PathBuf> {
    find_workspace().map(|workspace| workspace.join(FOLDER))
}

/// Observes the phases; of those that begin as they did before, only what is new. With `cold` nothing of before counts,
/// and nothing is kept. The servers are those that `spare` has, or as it would have them.
pub fn observe(phases: &Phases, cold: bool, spare: &mut Spare) -> anyhow::Result<Observed> {
    let folder = if cold { None } else { kept() };
    let options = ServerOptions {
        clusters: folder.clone(),
        ..spare.options().clone()
    };
    let spinner = ui::Spinner::new();
    let say = |text: &str| spinner.say(text);
    let source = Source::find(&options, &signals::received, &say).map_err(Error::from)?;
    let cache = folder.and_then(|folder| cache(folder, &source));
    let mut record = Record::default();
    if let Some(cache) = &cache {
        let found = cache.find(phases);
        for damaged in &found.damaged {
            ui::warn(&format!("{damaged}: thrown away, it is observed again"));
        }
        record = found.record;
    }
    if record.is_complete() {
        let (server, known) = (source.to_string(), record.len());
        return Ok(Observed { record, server, known });
    }
    loop {
        let known = record.len();
        let Ready {
            server,
            sessions: [mut client, observer],
        } = match spare.take(&source) {
            Some(ready) => ready,
            None => Ready::on(source.start(&options, &signals::received, &say)?)?,
        };
        let another = || sessions(&server, "online");
        let completed = record.complete(&mut client, observer, &another, phases, &|n, total, statement| {
            say(&format!("{n}/{total}  {}  {}", statement.place(), statement.summary()));
        });
        drop(client);
        if let Some(signal) = signals::received() {
            return Err(Error::new(
                Kind::Interrupted(signal),
                "interrupted while observing, nothing was written",
                "",
            )
            .into());
        }
        if let Some(cache) = &cache
            && matches!(completed, Ok(Completed::Done) | Err(_))
            && let Err(error) = cache.keep(&record)
        {
            ui::warn(&format!(
                "cannot keep in {FOLDER} what was observed, the next snapshot begins anew: {error}"
            ));
        }
        let completed = completed?;
        let description = server.description();
        spare.stop(server)?;
        match completed {
            Completed::Done => {
                spinner.clear();
                return Ok(Observed {
                    record,
                    server: description,
                    known,
                });
            }
            Completed::Outdated => {
                ui::warn("the phases that were observed before leave something else now; all are observed again");
            }
            Completed::Unproven(id) => ui::warn(&format!(
                "{id} changed without a statement that shows it; all is read after each statement now, which takes longer"
            )),
        }
        if let Some(cache) = &cache {
            cache.forget();
        }
    }
}

/// What was observed by this very program, on such a server, and on this day (UTC): phases may write the date into what
/// they make.
fn cache(folder: PathBuf, source: &Source) -> Option<Cache> {
    let program = std::env::current_exe().ok()?;
    let metadata = program.metadata().ok()?;
    let build = format!("{} {:?}", metadata.len(), metadata.modified().ok()?);
    let day = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs() / Duration::from_hours(24).as_secs();
    Some(Cache::new(
        &folder,
        &[
            &source.identity()?,
            &program.to_string_lossy(),
            &build,
            &day.to_string(),
        ],
    ))
}

/// A server, and two sessions on an empty database there.
pub struct Ready {
    pub server: Server,
    pub sessions: [Client; 2],
}

impl Ready {
    /// On a server on which nothing was done.
    pub fn on(server: Server) -> anyhow::Result<Self> {
        Ok(Self {
            sessions: sessions(&server, "snapshot")?,
            server,
        })
    }
}

/// Two sessions on a new database of this name.
fn sessions(server: &Server, database: &str) -> Result<[Client; 2], Error> {
    let mut config = Config::new();
    config
        .host(server.host())
        .port(server.port())
        .user(server.user())
        .password(server.password())
        .dbname("postgres");
    let connect = |config: &Config| {
        let settings = Settings {
            config: config.clone(),
            ssl: SslMode::Disable,
            ssl_ca: None,
        };
        Connector::new(settings, None)?.wait(
            Target::Writable,
            &Session::default(),
            Duration::from_secs(30),
            &signals::received,
            &|_| {},
        )
    };
    // The owner's name is told from all others in a catalog. The server's own superuser is one that phases may name.
    let password = postgres_protocol::escape::escape_literal(server.password());
    let mut admin = connect(&config)?;
    let failed = |error: postgres::Error| {
        let what = "cannot make a database on the scratch server";
        Error::new(Kind::Failed, what, connection::describe(&error))
    };
    let made = admin.batch_execute(&format!("CREATE ROLE {OWNER} SUPERUSER LOGIN PASSWORD {password}"));
    if let Err(error) = made
        && !migration::sqlstate::is_already_there(&error)
    {
        return Err(failed(error));
    }
    admin
        .batch_execute(&format!("CREATE DATABASE {database} OWNER {OWNER}"))
        .map_err(failed)?;
    drop(admin);
    config.user(OWNER).dbname(database);
    Ok([connect(&config)?, connect(&config)?])
}
