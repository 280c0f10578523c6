//! One connection of a client, with its time limits.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::http::HeaderValue;
use axum::http::header::CONNECTION;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::sleep;
use tokio_io_timeout::TimeoutStream;
use tokio_util::sync::CancellationToken;

/// Longest head of a request, in bytes.
const LONGEST_HEAD: usize = 16 * 1024;
/// Most headers of a request.
const MOST_HEADERS: usize = 64;

/// What a client is told that shall not use its connection again.
const CLOSE: HeaderValue = HeaderValue::from_static("close");

/// Time that a client has for its request although the service ends: one that has just connected, and one whose
/// connection is kept and which cannot know yet. Closed at once, the connection would be lost with the request that is
/// on its way.
const LAST_CALL: Duration = Duration::from_secs(1);

/// An accepted connection.
pub(super) struct Connection {
    pub stream: TcpStream,
    pub header_timeout: Duration,
    pub write_timeout: Duration,
    pub idle: Arc<Idle>,
    pub end: CancellationToken,
}

impl Connection {
    /// Serves requests until the client or a time limit ends it, or the service ends.
    pub async fn serve(self, router: Router) {
        if self.wait_for_first_byte().await {
            // In a box of its own: a connection that only waits needs no room for all of this.
            Box::pin(self.serve_requests(router)).await;
        }
    }

    async fn serve_requests(self, router: Router) {
        // An answer is sent as soon as it is there.
        if let Err(error) = self.stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY cannot be set");
        }
        let mut stream = TimeoutStream::new(self.stream);
        stream.set_write_timeout(Some(self.write_timeout));
        let begun = AtomicBool::new(false);
        let router = TowerToHyperService::new(router);
        let service = service_fn(|request: Request<Incoming>| {
            begun.store(true, Ordering::Relaxed);
            let answer = router.call(request);
            async {
                let mut answer = answer.await?;
                // The client's next request goes to whoever comes after this process.
                if self.end.is_cancelled() {
                    answer.headers_mut().insert(CONNECTION, CLOSE);
                }
                Ok::<_, Infallible>(answer)
            }
        });
        let serving = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.header_timeout)
            .max_buf_size(LONGEST_HEAD)
            .max_headers(MOST_HEADERS)
            .serve_connection(TokioIo::new(Box::pin(stream)), service);
        let mut serving = pin!(serving);
        let mut evictable = true;
        let result = loop {
            tokio::select! {
                // First, so that a request that is there is read before the service ends.
                biased;
                result = serving.as_mut() => break result,
                () = ended_a_while_ago(&self.end) => {
                    serving.as_mut().graceful_shutdown();
                    break serving.await;
                }
                () = self.idle.evicted(), if evictable => {
                    if !begun.load(Ordering::Relaxed) {
                        return;
                    }
                    // This one is in use: another has to go instead.
                    evictable = false;
                    self.idle.evict_oldest();
                }
            }
        };
        if let Err(error) = result {
            tracing::debug!(%error, "a client's connection ended");
        }
    }

    /// Waits until the client sends something. Until then a connection costs no buffers, and may
    /// have to make room for another.
    async fn wait_for_first_byte(&self) -> bool {
        let mut byte = [0];
        tokio::select! {
            // First, so that a request that is there already is answered although the service ends.
            biased;
            // Not readable(), which may be wrong and let silent connections through.
            peeked = self.stream.peek(&mut byte) => matches!(peeked, Ok(1..)),
            () = ended_a_while_ago(&self.end) => false,
            () = self.idle.evicted() => false,
            () = sleep(self.header_timeout) => false,
        }
    }
}

async fn ended_a_while_ago(end: &CancellationToken) {
    end.cancelled().await;
    sleep(LAST_CALL).await;
}

/// The connections that have not sent a whole request yet, the oldest first. Any of them may have
/// to go when there are too many.
#[derive(Debug, Default)]
pub(super) struct Idle {
    count: AtomicUsize,
    evict: Notify,
}

impl Idle {
    /// Ends the wait of the connection that has waited longest. Whether there was one.
    pub fn evict_oldest(&self) -> bool {
        let any = self.count.load(Ordering::Relaxed) > 0;
        if any {
            self.evict.notify_one();
        }
        any
    }

    async fn evicted(&self) {
        let _counted = Counted::new(&self.count);
        self.evict.notified().await;
    }
}

struct Counted<'a>(&'a AtomicUsize);

impl<'a> Counted<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_oldest_is_evicted_and_nobody_later() {
        let idle = Arc::new(Idle::default());
        assert!(!idle.evict_oldest());
        let mut first = Box::pin(idle.evicted());
        let mut second = Box::pin(idle.evicted());
        for wait in [&mut first, &mut second] {
            tokio::time::timeout(Duration::ZERO, wait).await.unwrap_err();
        }
        assert!(idle.evict_oldest());
        first.await;
        tokio::time::timeout(Duration::ZERO, second).await.unwrap_err();
        assert!(!idle.evict_oldest());
    }
}
