//! The backend as the commands deal with it: build it, launch it, wait until it is ready, stay in front of it.

pub mod build;
pub mod front;
pub mod launch;
mod log;
pub mod port;
mod probe;
pub mod process;

use std::process::Command;
use std::time::Duration;

use connection::{Error, Kind};

use crate::application;
use crate::commands::options;

/// How the backend is launched.
#[derive(clap::Args, Debug, Clone)]
#[command(next_help_heading = "Backend")]
pub struct Launching {
    /// Where the backend listens: an address and a port.
    #[arg(
        long,
        env = "BIND_ADDRESS",
        default_value = "127.0.0.1:3001",
        hide_env_values = true,
        value_name = "ADDRESS"
    )]
    pub bind: String,
    /// How long it may take until it is ready.
    #[arg(long, env = "XTASK_READY_TIMEOUT", default_value = "60s", value_parser = options::duration, hide_env_values = true, value_name = "TIME")]
    pub ready_timeout: Duration,
    /// How long a backend that takes over must live before the one before it is ended.
    #[arg(long, env = "XTASK_SETTLE_TIME", default_value = "5s", value_parser = options::duration, hide_env_values = true, value_name = "TIME")]
    pub settle_time: Duration,
}

/// The package that is the backend, and the name of its program. Whoever needs it asks before anything is done.
///
/// # Errors
/// Of kind [`Kind::Usage`]: the application has none.
pub fn package() -> Result<&'static str, Error> {
    let package = application::get().backend;
    package.ok_or_else(|| {
        Error::new(Kind::Usage, "this application has no backend, nothing was done", "")
            .next("xtask/src/main.rs names its package, if it has one")
    })
}

/// Takes away what cargo sets for the program that it runs, us. Build scripts look at some of it, and would be built
/// again for each of the ways that cargo is called.
pub fn without_cargo_variables(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        if is_cargo_variable(&name.to_string_lossy()) {
            command.env_remove(&name);
        }
    }
}

fn is_cargo_variable(name: &str) -> bool {
    const OF_OURS: [&str; 8] = [
        "CARGO",
        "CARGO_BIN_NAME",
        "CARGO_CRATE_NAME",
        "CARGO_MANIFEST_DIR",
        "CARGO_MANIFEST_LINKS",
        "CARGO_MANIFEST_PATH",
        "CARGO_PRIMARY_PACKAGE",
        "OUT_DIR",
    ];
    OF_OURS.contains(&name) || name.starts_with("CARGO_PKG_")
}
