//! What happens while somebody looks: an event whenever the newest run, or how far it is, has changed.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::{Console, journal};

/// How often the journal is asked.
const PAUSE: Duration = Duration::from_secs(1);

/// `GET /console/live`
pub(super) async fn events(
    State(console): State<Console>,
) -> Sse<impl futures_core::Stream<Item = Result<Event, Infallible>>> {
    let (sender, receiver) = tokio::sync::mpsc::channel(1);
    let gone = CancellationToken::new();
    let guard = gone.clone().drop_guard();
    tokio::spawn(async move {
        let mut last = None;
        while !gone.is_cancelled() {
            // What cannot be asked now may be the next time.
            let newest = journal::newest(&console.database).await.ok();
            if newest.is_some() && newest != last {
                let text = newest.clone().unwrap_or_default();
                // Nobody listens any more.
                if sender.send(Ok(Event::default().event("run").data(text))).await.is_err() {
                    return;
                }
                last = newest;
            }
            sleep(PAUSE).await;
        }
    });
    Sse::new(Listening {
        receiver,
        _guard: guard,
    })
    .keep_alive(KeepAlive::default())
}

/// The events of one who listens; dropped when that one goes.
struct Listening {
    receiver: tokio::sync::mpsc::Receiver<Result<Event, Infallible>>,
    _guard: tokio_util::sync::DropGuard,
}

impl futures_core::Stream for Listening {
    type Item = Result<Event, Infallible>;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        self.receiver.poll_recv(context)
    }
}
