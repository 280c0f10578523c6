//! Whether the process lives, and whether it can serve.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::App;
use crate::{GIT_COMMIT, VERSION};

/// `GET /health/live`: the process answers. The database plays no part: a restart of this process
/// would not bring it back.
pub(super) async fn live() -> Response {
    Json(json!({ "status": "live", "version": VERSION, "git_commit": GIT_COMMIT })).into_response()
}

/// `GET /health/ready` and `GET /api/health`: 200 if requests can be answered, 503 with the reason
/// otherwise.
pub(super) async fn ready(State(app): State<App>) -> Response {
    let report = app.readiness.check().await;
    let status = if report.is_ready() {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let mut response = (status, Json(&*report)).into_response();
    if !report.is_ready() {
        response.headers_mut().insert(RETRY_AFTER, 1.into());
    }
    response
}
