//! The HTTP service of the Daydream Portal: read-only answers from its PostgreSQL database.
//!
//! A library, so that the examples (load, pool) can use its parts; `main.rs` is the program.

pub mod arguments;
pub mod console;
pub mod database;
pub mod health_check;
pub mod http;
pub mod logging;
pub mod metrics;
pub mod migration;
pub mod readiness;
pub mod server;
pub mod settings;

/// The version of this program, as in its `Cargo.toml`.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The commit this program was built from, when the build was told (`GIT_COMMIT`).
pub const GIT_COMMIT: Option<&str> = option_env!("GIT_COMMIT");

/// Milliseconds, to the microsecond, as logs and reports tell them.
pub(crate) fn milliseconds(duration: std::time::Duration) -> f64 {
    f64::from(u32::try_from(duration.as_micros()).unwrap_or(u32::MAX)) / 1e3
}
