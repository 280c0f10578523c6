//! Structured logs on stderr.

use std::io::IsTerminal as _;

use anyhow::Context as _;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer as _, fmt, registry};

/// How to log.
#[derive(Debug, Clone)]
pub struct LogSettings {
    /// One JSON document a line, or text.
    pub format: LogFormat,
    /// Which records are wanted: `info`, or `info,backend::http=debug`.
    pub filter: Targets,
}

/// The form of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON document a line.
    Json,
    /// Text for people.
    Text,
}

/// Sends all records to stderr from here on, panics too.
///
/// # Errors
/// When the process logs already.
pub fn start(settings: &LogSettings) -> anyhow::Result<()> {
    // By default a failed write to stderr is reported with eprintln!, which panics then.
    let layer = fmt::layer().with_writer(std::io::stderr).log_internal_errors(false);
    let layer = match settings.format {
        LogFormat::Json => layer.json().flatten_event(true).boxed(),
        LogFormat::Text => layer.with_ansi(colour()).boxed(),
    };
    registry()
        .with(layer.with_filter(settings.filter.clone()))
        .try_init()
        .context("cannot start logging")?;
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        tracing::error!(place, message = panic.payload_as_str(), "panic");
    }));
    Ok(())
}

fn colour() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}
