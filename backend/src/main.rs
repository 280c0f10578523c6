//! The program: arguments, settings, exit status.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use backend::arguments::{self, Action};
use backend::console::{self, Console};
use backend::database::Database;
use backend::http::App;
use backend::metrics::Metrics;
use backend::readiness::Readiness;
use backend::server::{self, Passed, Server};
use backend::settings::{Settings, Variables};
use backend::{health_check, logging};

const FAILED: u8 = 1;
const WRONG_USAGE: u8 = 2;

fn main() -> ExitCode {
    let action = match arguments::parse(std::env::args_os().skip(1)) {
        Ok(action) => action,
        Err(message) => {
            eprintln!("backend: {message}\nTry 'backend --help'.");
            return ExitCode::from(WRONG_USAGE);
        }
    };
    let result = match action {
        Action::Help => arguments::print(&arguments::help()),
        Action::Version => arguments::print(&arguments::version()),
        Action::HashPassword => console::hash_password(std::io::stdin()).and_then(|hash| arguments::print(&hash)),
        Action::HealthCheck => Variables::load()
            .and_then(|variables| Settings::bind_address(&variables))
            .and_then(health_check::run),
        Action::Serve => Variables::load()
            .and_then(|variables| Settings::from_variables(&variables))
            .and_then(|settings| serve(settings, Passed::take()?)),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("backend: {error:#}");
            ExitCode::from(FAILED)
        }
    }
}

fn serve(settings: Settings, passed: Passed) -> anyhow::Result<()> {
    logging::start(&settings.log)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let result = runtime.block_on(async {
        let database = Database::new(&settings.database)?;
        let readiness = Arc::new(Readiness::new(database.clone(), settings.deploy_id.clone()));
        let metrics = Arc::new(Metrics::new());
        let server = Server::new(&settings.server, passed, Arc::clone(&metrics))?;
        let app = App {
            database,
            readiness: Arc::clone(&readiness),
            metrics,
        };
        if let Some(console) = settings.console {
            tokio::spawn(Console::new(console, Arc::clone(&readiness))?.serve());
        } else {
            tracing::info!("no console: CONSOLE_PASSWORD_HASH is not set");
        }
        let watch = tokio::spawn(Arc::clone(&readiness).watch());
        let served = server
            .run(
                app.router(settings.server.request_timeout),
                readiness.until_ready(),
                server::termination(settings.server.exit_on_stdin_eof)?,
            )
            .await;
        watch.abort();
        served
    });
    // What is still open after the drain time is closed here; nothing is waited for.
    runtime.shutdown_background();
    result
}
