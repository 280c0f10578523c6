//! `deploy`: from whatever the database is to a backend that serves it.

use std::path::PathBuf;

use connection::Kind;

use super::migrate;
use crate::backend::build::{Profile, build};
use crate::backend::front::Front;
use crate::backend::launch::Launch;
use crate::backend::{self, port};
use crate::handover::{self, Meeting, Orders, Place};
use crate::report::Report;
use crate::ui;

/// Migrate, build the backend, launch it and stay in front of it
///
/// A step that fails stops what follows; a port that is taken stops all of it. Done when /health/ready of the process
/// just launched answers 200. From then on its logs appear here, signals are passed on to it (a second one kills it),
/// and its exit status becomes this one's. Its settings are these, and the variables that `backend --help` names.
///
/// If a deploy runs for that address already, this one hands over: when migrated and built, that one launches the new
/// backend on the same socket, with the settings of this one, and then lets the old backend finish its requests and end;
/// this one ends. No request is lost. If anything fails, the old backend goes on serving. Of two at once, one waits.
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(flatten)]
    pub migration: migrate::Migration,
    #[command(flatten)]
    pub backend: backend::Launching,
    #[command(flatten)]
    pub meeting: Meeting,
}

/// Runs the command; gives the backend's exit status, 0 if it has handed over.
pub fn run(args: &Args) -> anyhow::Result<u8> {
    backend::package()?;
    let passed = port::passed()?;
    let settings = args.migration.common.connection.settings()?;
    let address = port::address(&args.backend.bind)?;
    if let Some(socket) = &passed {
        port::same(socket, address)?;
    }
    let place = Place::new(&args.meeting, address)?;
    let turn = place.take_turn()?;
    let is_running = place.running().is_some();
    if !is_running && passed.is_none() {
        port::free(address).map_err(|mut error| {
            if error.kind == Kind::Failed {
                let hint =
                    "\nif it is a deploy from another workspace, --meeting or XTASK_MEETING names its target/deploy";
                error.next = error.next.then(hint);
            }
            error
        })?;
    }
    let program = migrate_and_build(args, is_running).inspect_err(|_| {
        if is_running {
            ui::say(&format!("the backend on {address} goes on serving as it was"));
        }
    })?;
    let launch = Launch::new(&program, &settings, &args.backend)?;
    if let Some(running) = place.running() {
        let process = handover::ask(running, launch)?;
        ui::say(&format!(
            "process {process} has taken over on {address}; the backend before it finishes its requests and ends"
        ));
        return Ok(0);
    }
    let socket = match passed {
        Some(socket) => socket,
        None => port::listen(address)?,
    };
    let front = Front::start(&launch, socket)?;
    let orders = Orders::at(&place);
    drop(turn);
    // A unit of Type=notify has started now. Elsewhere nobody listens.
    if let Err(error) = sd_notify::notify(&[sd_notify::NotifyState::Ready]) {
        ui::warn(&format!("systemd cannot be told that the backend is ready: {error}"));
    }
    handover::stay(front, orders)
}

fn migrate_and_build(args: &Args, is_running: bool) -> anyhow::Result<PathBuf> {
    migrate::migrate(&args.migration)?.remark();
    build(if is_running {
        Profile::ReleaseBeside
    } else {
        Profile::Release
    })
}
