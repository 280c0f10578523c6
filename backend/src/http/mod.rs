//! The routes.

mod error;
mod events;
mod health;
mod observe;
mod parameters;
mod sync;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::handler::Handler;
use axum::http::header::{ALLOW, CONTENT_TYPE};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get};

pub use error::ApiError;
pub(crate) use sync::read as sync_state;

use crate::database::{Database, Failure};
use crate::metrics::Metrics;
use crate::readiness::Readiness;

/// Every route only reads.
const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, OPTIONS");

/// What the routes share.
#[derive(Clone, Debug)]
pub struct App {
    /// The database.
    pub database: Database,
    /// The readiness check.
    pub readiness: Arc<Readiness>,
    /// The metrics.
    pub metrics: Arc<Metrics>,
}

impl App {
    /// All routes; a request that is not answered within `request_timeout` gets 503.
    pub fn router(self, request_timeout: Duration) -> Router {
        let observe = observe::Observe {
            metrics: Arc::clone(&self.metrics),
            request_timeout,
        };
        Router::new()
            .route("/health/live", reading(health::live))
            .route("/health/ready", reading(health::ready))
            .route("/api/health", reading(health::ready))
            .route("/api/events", reading(events::list))
            .route("/api/events/{airtable_id}", reading(events::one))
            .route("/api/sync", reading(sync::list))
            .route("/metrics", reading(metrics))
            .fallback(|| async { ApiError::not_found("there is no such route") })
            .method_not_allowed_fallback(|| async {
                (
                    [(ALLOW, METHODS)],
                    ApiError::new(
                        StatusCode::METHOD_NOT_ALLOWED,
                        "method_not_allowed",
                        "this route takes GET, HEAD and OPTIONS",
                    ),
                )
            })
            .with_state(self)
            .layer(middleware::from_fn_with_state(observe, observe::observe))
    }
}

/// A route that takes GET, HEAD and OPTIONS.
fn reading<H, T>(handler: H) -> MethodRouter<App>
where
    H: Handler<T, App>,
    T: 'static,
{
    get(handler).options(|| async { (StatusCode::NO_CONTENT, [(ALLOW, METHODS)]) })
}

/// Runs the routes' queries for one row each, to see whether the tables are as they need them.
///
/// # Errors
/// What a request would have met.
pub(crate) async fn check_queries(database: &Database) -> Result<(), Failure> {
    events::read(database, "", 1).await?;
    sync::read(database, 1).await?;
    Ok(())
}

async fn metrics(State(app): State<App>) -> Result<Response, ApiError> {
    let text = app
        .metrics
        .text(
            app.database.status(),
            app.readiness.was_ready(),
            app.readiness.migrations(),
        )
        .map_err(|error| ApiError::fault(error.to_string()))?;
    let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Ok(([(CONTENT_TYPE, content_type)], text).into_response())
}
