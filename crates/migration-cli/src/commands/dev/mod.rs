//! `dev`: a database that needs no settings, and the backend on it; both follow what is saved.

mod backend;
mod database;
mod schema;
mod watch;

use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use connection::{Error, Kind};
use scratch::ServerKind;
use serde::Serialize;

use self::backend::Backend;
use self::database::Database;
use self::schema::Schema;
use super::options::{Locks, Sql, workspace};
use crate::backend::Launching;
use crate::report::{self, Report};
use crate::{application, signals, ui};

/// Run the application on a database of its own, until Ctrl-C
///
/// Starts a PostgreSQL server in a container or from the binaries of this machine, keeps its data under target/dev,
/// migrates it, shows how to connect to it, then builds the backend and launches it. It needs no settings, and listens
/// on this machine only.
///
/// Then it follows: a phase file that is saved is observed (see snapshot) and the database brought to what it says, with
/// all that migrate does with --repair, --prune and --allow-data-loss; what rows lose goes to the quarantine. A backend
/// whose sources are saved is built again and takes over without a gap. A mistake is shown, and all goes on as it was.
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
    backend: Launching,
    #[command(flatten)]
    locks: Locks,
}

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
        ui::say("running until Ctrl-C, and following what is saved");
    }
}

/// Runs the command.
pub fn run(args: &Args) -> anyhow::Result<u8> {
    signals::watch()?;
    let mut database = Database::start(args)?;
    let mut schema = Schema::new(args, database.settings());
    schema.begin()?;
    database.remember()?;
    database.show();
    let backend = if args.no_backend || application::get().backend.is_none() {
        None
    } else {
        Some(Backend::start(&args.backend, database.settings(), args.sql.dir())?)
    };
    let ready = Ready {
        outcome: "ready",
        database_url: database.url(),
        server: database.description(),
        server_version: database.version().to_owned(),
        backend: backend.as_ref().map(|backend| format!("http://{}", backend.address())),
    };
    report::show(&ready, args.json)?;
    let backend = backend.map(Backend::follow);
    let ended = follow(&mut schema, &mut database);
    if let Some(backend) = backend {
        // It ends when we are told to; nobody has told us that the database is gone.
        if ended.is_err() {
            signals::tell_ourselves();
        }
        let _ = backend.join();
    }
    ui::say(&format!("stopping {} …", database.description()));
    drop(schema);
    let stopped = database.stop();
    ended.and(stopped).map(|()| 0)
}

/// Follows the phase files, until somebody ends this process, which is how it is meant to end, or the server is gone.
fn follow(schema: &mut Schema<'_>, database: &mut Database) -> anyhow::Result<()> {
    let mut looked = Instant::now();
    while signals::received().is_none() {
        let pause = schema.follow();
        thread::sleep(pause);
        if looked.elapsed() < LOOK {
            continue;
        }
        looked = Instant::now();
        if let Some(why) = database.ended()
            && signals::received().is_none()
        {
            return Err(Error::new(Kind::Failed, "the database is gone", why).into());
        }
    }
    Ok(())
}

/// Files for people, from the workspace on; of many the first ones.
fn shown(files: &[PathBuf]) -> String {
    const SHOWN: usize = 3;
    let root = workspace();
    let name = |file: &PathBuf| file.strip_prefix(&root).unwrap_or(file).display().to_string();
    let mut names: Vec<String> = files.iter().take(SHOWN).map(name).collect();
    if files.len() > SHOWN {
        names.push(format!("{} more", files.len() - SHOWN));
    }
    names.join(", ")
}
