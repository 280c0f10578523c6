//! Around every request: its time limit, its body's limit, its headers, its log and its metrics.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, REFERRER_POLICY, TRANSFER_ENCODING,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use prometheus_client::metrics::gauge::Gauge;
use tokio::time::timeout;

use super::ApiError;
use super::error::Detail;
use crate::metrics::{Metrics, RequestLabels};
use crate::milliseconds;

/// A request that takes longer is worth a line in the log.
const SLOW: Duration = Duration::from_secs(1);
/// Bytes of a hostile path that go into the log.
const LOGGED_PATH: usize = 200;

/// Methods that some route takes.
const METHODS: [&str; 3] = ["GET", "HEAD", "OPTIONS"];
/// Routes of the readiness check.
const HEALTH: [&str; 2] = ["/health/ready", "/api/health"];

/// What the middleware needs.
#[derive(Clone, Debug)]
pub(super) struct Observe {
    pub metrics: Arc<Metrics>,
    pub request_timeout: Duration,
}

/// The middleware.
pub(super) async fn observe(
    State(observe): State<Observe>,
    matched: Option<MatchedPath>,
    request: Request,
    next: Next,
) -> Response {
    let started = Instant::now();
    let _in_flight = InFlight::new(&observe.metrics.in_flight);
    let method = known(request.method());
    let uri = request.uri().clone();
    let body = has_body(&request);
    let mut response = if body && METHODS.contains(&method) {
        let status = StatusCode::PAYLOAD_TOO_LARGE;
        ApiError::new(status, "body_not_allowed", "no route takes a body").into_response()
    } else {
        match timeout(observe.request_timeout, next.run(request)).await {
            Ok(response) => response,
            Err(_) => {
                let status = StatusCode::SERVICE_UNAVAILABLE;
                ApiError::new(status, "timeout", "the request took too long").into_response()
            }
        }
    };
    if body {
        // What follows on this connection is the body, which nobody reads.
        response
            .headers_mut()
            .insert(CONNECTION, HeaderValue::from_static("close"));
    }
    add_headers(&mut response);
    let (status, duration) = (response.status(), started.elapsed());
    let route = matched.as_ref().map_or("unmatched", MatchedPath::as_str);
    let status_code = status.as_u16();
    let milliseconds = milliseconds(duration);
    let path = || uri.path().get(..LOGGED_PATH).unwrap_or(uri.path());
    // What the readiness check finds is logged when it changes, however often it is asked for.
    if duration >= SLOW || (status.is_server_error() && !HEALTH.contains(&route)) {
        let detail = response.extensions().get::<Detail>().map(|Detail(detail)| detail);
        tracing::warn!(method, route, path = ?path(), status = status_code, milliseconds, detail, "request");
    } else {
        tracing::debug!(method, route, path = ?path(), status = status_code, milliseconds, "request");
    }
    let labels = RequestLabels {
        method,
        route: route.to_owned(),
        status: status_code,
    };
    observe.metrics.answered(labels, duration);
    response
}

/// Whether the client announces a body. No route reads one, so none is waited for.
fn has_body(request: &Request) -> bool {
    let headers = request.headers();
    headers.contains_key(TRANSFER_ENCODING)
        || headers
            .get(CONTENT_LENGTH)
            .is_some_and(|length| length.as_bytes() != b"0")
}

/// One of few names, whatever method a client makes up.
fn known(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        _ => "other",
    }
}

fn add_headers(response: &mut Response) {
    let headers = response.headers_mut();
    // An event may be withdrawn at any time: ask again each time.
    headers
        .entry(CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(
        CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"),
    );
}

/// Counts a request while it lives, also when it is dropped half-way.
struct InFlight(Gauge);

impl InFlight {
    fn new(gauge: &Gauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.dec();
    }
}
