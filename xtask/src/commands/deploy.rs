//! `deploy`: from whatever the database is to a backend that serves it.

use super::migrate;
use crate::backend::build::{Profile, build};
use crate::backend::{self, launch::Backend, port};
use crate::report::Report;

/// Migrate, build the backend, launch it and stay in front of it
///
/// A step that fails stops what follows; a port that is taken stops all of it. Done when /health/ready of the process
/// just launched answers 200. From then on its logs appear here, signals are passed on to it (a second one kills it),
/// and its exit status becomes this one's. Its settings are these, and the variables that `backend --help` names.
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(flatten)]
    pub migration: migrate::Migration,
    #[command(flatten)]
    pub backend: backend::Launching,
}

/// Runs the command; gives the backend's exit status.
pub fn run(args: &Args) -> anyhow::Result<u8> {
    let settings = args.migration.common.connection.settings()?;
    let address = port::free(&args.backend.bind)?;
    migrate::migrate(&args.migration)?.remark();
    let program = build(Profile::Release)?;
    Backend::launch(&program, &settings, address, args.backend.ready_timeout)?.stay()
}
