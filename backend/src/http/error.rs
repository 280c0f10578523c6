//! The one shape of an error: `{ "error": { "code", "message" } }`.

use std::borrow::Cow;

use axum::Json;
use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::database::{Failure, FailureKind};

/// An answer that is an error.
#[derive(Debug)]
pub struct ApiError {
    status: StatusCode,
    code: &'static str,
    message: Cow<'static, str>,
    detail: Option<Detail>,
}

/// What the log of the request tells and the client does not get; travels with the answer.
#[derive(Clone, Debug)]
pub(super) struct Detail(pub String);

impl ApiError {
    pub(super) fn new(status: StatusCode, code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            detail: None,
        }
    }

    pub(super) fn not_found(message: &'static str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", message)
    }

    pub(super) fn bad_request(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_request", message)
    }

    /// A fault of this program: the log gets `detail`.
    pub(super) fn fault(detail: String) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "the request failed").with_detail(detail)
    }

    fn with_detail(mut self, detail: String) -> Self {
        self.detail = Some(Detail(detail));
        self
    }
}

impl From<Failure> for ApiError {
    fn from(failure: Failure) -> Self {
        let code = match failure.kind {
            FailureKind::Busy => "database_busy",
            FailureKind::Unreachable => "database_unreachable",
            FailureKind::Timeout => "database_timeout",
            FailureKind::Schema => "database_not_migrated",
            FailureKind::Fault => return Self::fault(failure.detail),
        };
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code, failure.reason).with_detail(failure.detail)
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let body = json!({ "error": { "code": self.code, "message": self.message } });
        let mut response = (self.status, Json(body)).into_response();
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            response
                .headers_mut()
                .insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        if let Some(detail) = self.detail {
            response.extensions_mut().insert(detail);
        }
        response
    }
}
