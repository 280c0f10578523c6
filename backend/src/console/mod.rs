//! The console: what a person who runs the service looks at. It has a listener of its own, lets nobody in without the
//! password, and reads as a role that may read no rows that were set aside.

mod chart;
mod journal;
mod live;
mod login;
mod page;
mod pages;
mod standing;

use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::extract::{Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Router, serve};
use tokio::net::TcpListener;
use tokio::time::sleep;

use crate::database::Database;
use crate::readiness::Readiness;
use crate::settings::ConsoleSettings;
use login::Doorkeeper;
use standing::Standing;

/// Nothing is loaded from elsewhere, and nothing runs that is not a file of ours.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; form-action 'self'; \
                      base-uri 'none'; frame-ancestors 'none'";
/// A browser that may tell nobody where a form came from tells us nothing, either.
const REFERRER: &str = "same-origin";
/// How often a port that is taken is tried again: the service that hands over to this one has it until it ends.
const PORT_PAUSE: Duration = Duration::from_millis(500);

/// What the pages share.
#[derive(Clone)]
pub struct Console {
    settings: Arc<ConsoleSettings>,
    database: Database,
    readiness: Arc<Readiness>,
    doorkeeper: Arc<Doorkeeper>,
    standing: Arc<Standing>,
}

/// The hash of the password that `input` holds, for `CONSOLE_PASSWORD_HASH`.
///
/// # Errors
/// It cannot be read, or is shorter than 12 characters.
pub fn hash_password(mut input: impl Read) -> anyhow::Result<String> {
    let mut password = String::new();
    input
        .read_to_string(&mut password)
        .context("cannot read a password from standard input")?;
    Ok(format!(
        "{}\n",
        login::hash_password_of(password.trim_end_matches(['\r', '\n']))?
    ))
}

impl Console {
    /// Prepares it; the port is taken by [`serve`](Self::serve).
    ///
    /// # Errors
    /// The pool of connections cannot be made.
    pub fn new(settings: ConsoleSettings, readiness: Arc<Readiness>) -> anyhow::Result<Self> {
        Ok(Self {
            database: Database::new(&settings.database)?,
            doorkeeper: Arc::new(Doorkeeper::new(&settings.password_hash)),
            standing: Arc::new(Standing::new(&settings)),
            settings: Arc::new(settings),
            readiness,
        })
    }

    /// Serves until the process ends. A port that is taken is waited for: the service does without its console until then.
    pub async fn serve(self) {
        let address = self.settings.address;
        let mut told = false;
        let listener = loop {
            match TcpListener::bind(address).await {
                Ok(listener) => break listener,
                Err(error) => {
                    if !std::mem::replace(&mut told, true) {
                        tracing::warn!(%error, "the console cannot listen on {address} yet");
                    }
                    sleep(PORT_PAUSE).await;
                }
            }
        };
        tracing::info!("the console is on http://{address}/console");
        if let Err(error) = serve(listener, self.router()).await {
            tracing::error!(%error, "the console has ended");
        }
    }

    fn router(self) -> Router {
        let inside = Router::new()
            .route("/console", get(pages::overview))
            .route("/console/runs", get(pages::runs))
            .route("/console/runs/{id}", get(pages::run))
            .route("/console/quarantine", get(pages::quarantine))
            .route("/console/sync", get(pages::sync))
            .route("/console/live", get(live::events))
            .route("/console/logout", post(login::logout))
            .layer(middleware::from_fn_with_state(self.clone(), only_those_who_are_in));
        Router::new()
            .route("/", get(|| async { Redirect::to("/console") }))
            .route("/console/login", get(login::form).post(login::login))
            .route(
                "/console/console.css",
                get(|| asset("text/css", include_str!("assets/console.css"))),
            )
            .route(
                "/console/live.js",
                get(|| asset("text/javascript", include_str!("assets/live.js"))),
            )
            .merge(inside)
            .fallback(|| async { page::error(StatusCode::NOT_FOUND, "There is no such page.") })
            .layer(middleware::map_response(harden))
            .with_state(self)
    }
}

async fn asset(kind: &'static str, text: &'static str) -> Response {
    ([(CONTENT_TYPE, kind)], text).into_response()
}

async fn only_those_who_are_in(State(console): State<Console>, request: Request, next: Next) -> Response {
    match console.doorkeeper.knows(request.headers()) {
        true => next.run(request).await,
        false => Redirect::to("/console/login").into_response(),
    }
}

async fn harden(mut response: Response) -> Response {
    for (name, value) in [
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (REFERRER_POLICY, REFERRER),
        (CACHE_CONTROL, "no-store"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}
