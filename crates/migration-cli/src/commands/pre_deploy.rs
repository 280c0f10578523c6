//! `pre-deploy`: what a build machine does before the new backend may be launched.

use std::time::Instant;

use serde::Serialize;

use super::migrate::{self, Migrated};
use crate::backend;
use crate::backend::build::{Profile, build};
use crate::report::Report;

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

/// The migration, and what was built after it.
#[derive(Serialize)]
pub struct Built {
    #[serde(flatten)]
    migrated: Migrated,
    program: String,
    build_milliseconds: f64,
}

// The migration is spoken about before the build begins.
impl Report for Built {}

/// Runs the command.
pub fn run(args: &Args) -> anyhow::Result<Built> {
    backend::package()?;
    let migrated = migrate::migrate(&args.migration)?;
    migrated.remark();
    let started = Instant::now();
    let program = build(Profile::Release)?;
    Ok(Built {
        migrated,
        program: program.to_string_lossy().into_owned(),
        build_milliseconds: started.elapsed().as_secs_f64() * 1000.0,
    })
}
