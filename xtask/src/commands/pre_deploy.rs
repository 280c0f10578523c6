//! `pre-deploy`: what a build machine does before the new backend may be launched.

use std::time::Instant;

use super::migrate;
use crate::backend::build::{Profile, build};
use crate::out;

/// Migrate, then build the backend
///
/// Exactly as Cargo.lock says, optimised. A migration that fails leaves nothing built.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Print one JSON document on stdout.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub migration: migrate::Migration,
}

/// Runs the command.
pub fn run(args: &Args) -> anyhow::Result<()> {
    let summary = migrate::migrate(&args.migration)?;
    let started = Instant::now();
    let program = build(Profile::Release)?;
    if args.json {
        let mut document = migrate::document(&summary);
        document["program"] = program.to_string_lossy().into();
        document["build_milliseconds"] = (started.elapsed().as_secs_f64() * 1000.0).into();
        out!("{document}");
    }
    Ok(())
}
