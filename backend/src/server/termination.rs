//! What ends the service.

use std::future::pending;
use std::io;

use anyhow::Context as _;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

/// The signals that end the service, and the end of standard input if that was asked for.
#[derive(Debug)]
pub struct Termination {
    terminate: Signal,
    interrupt: Signal,
    input: Option<oneshot::Receiver<()>>,
}

/// Listens for SIGTERM and SIGINT from here on, and with `by_stdin` for the end of standard input: whoever launched
/// the service holds the other end, and the kernel closes it even when that process is killed.
///
/// # Errors
/// When the system refuses.
pub fn termination(by_stdin: bool) -> anyhow::Result<Termination> {
    let listen = |kind| signal(kind).context("cannot listen for signals");
    Ok(Termination {
        terminate: listen(SignalKind::terminate())?,
        interrupt: listen(SignalKind::interrupt())?,
        input: by_stdin.then(|| end_of(io::stdin())),
    })
}

impl Termination {
    /// Waits for the next reason to end and gives its name. The end of standard input is one only once.
    pub(super) async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
            () = ended(&mut self.input) => "end of standard input",
        }
    }
}

/// Reads to the end in a thread of its own: a read of a pipe cannot be given up, and must not keep the runtime's
/// threads.
fn end_of(mut input: impl io::Read + Send + 'static) -> oneshot::Receiver<()> {
    let (sender, end) = oneshot::channel();
    std::thread::spawn(move || {
        let result = io::copy(&mut input, &mut io::sink());
        tracing::debug!(?result, "standard input has ended");
        // If nobody waits the service has ended already.
        let _ = sender.send(());
    });
    end
}

async fn ended(input: &mut Option<oneshot::Receiver<()>>) {
    match input {
        Some(end) => {
            // A failed read is an end, too.
            let _ = end.await;
            *input = None;
        }
        None => pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;
    use std::time::Duration;
    use tokio::time::timeout;

    #[tokio::test]
    async fn standard_input_ends_once_and_not_before_its_end() {
        let (reader, mut writer) = io::pipe().unwrap();
        let mut input = Some(end_of(reader));
        writer.write_all(b"ignored").unwrap();
        let short = Duration::from_millis(20);
        assert!(timeout(short, ended(&mut input)).await.is_err());
        drop(writer);
        assert!(timeout(Duration::from_secs(5), ended(&mut input)).await.is_ok());
        assert!(timeout(short, ended(&mut input)).await.is_err());
    }
}
