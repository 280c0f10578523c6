//! Launches the backend, waits until it is ready, stays in front of it.

use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, PipeReader, Read};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;
use connection::{Error, Kind, Settings};
use scratch::program;
use xshell::cmd;

use super::{port, probe, without_cargo_variables};
use crate::child::{self, Child, Event};
use crate::ui;

/// How often readiness is asked for, and the child looked at, while it starts.
const PAUSE: Duration = Duration::from_millis(50);
/// A backend that is ready sooner than this is not spoken about before.
const QUIET: Duration = Duration::from_secs(1);
/// How long a backend that did not get ready may take to end. It has no requests to finish.
const END_PATIENCE: Duration = Duration::from_secs(5);
/// How many of its last lines are shown when it fails.
const LAST_LINES: usize = 20;
/// A longer line is cut into several.
const LONGEST_LINE: u64 = 64 * 1024;

/// A backend that is ready. Dropped, it is killed.
pub struct Backend {
    child: Child,
    address: SocketAddr,
    log: Log,
}

impl Backend {
    /// Launches the program on a database and an address, and waits until it is ready, with its output shown.
    ///
    /// # Errors
    /// It ended, was not ready in time, or we were told to end; it is gone then. Its last lines are in the error.
    pub fn launch(
        backend: &Path,
        settings: &Settings,
        address: SocketAddr,
        ready_timeout: Duration,
    ) -> anyhow::Result<Self> {
        let started = Instant::now();
        let deploy_id = format!("{:032x}", fastrand::u128(..));
        let (reader, writer) = io::pipe().context("cannot make a pipe")?;
        let mut command = program::command(backend, |sh, backend| cmd!(sh, "{backend}"))?;
        command
            // Its other end is held by us alone: if we are killed, the backend sees the end of it, and ends.
            .stdin(Stdio::piped())
            .stdout(writer.try_clone().context("cannot make a pipe")?)
            .stderr(writer)
            .env_remove("POSTGRES_READONLY_PASSWORD");
        without_cargo_variables(&mut command);
        // The URL stands above what the backend may find in a file .env; the others keep the same from being read
        // in another way.
        command
            .env("DATABASE_URL", settings.url())
            .env("POSTGRES_SSL", settings.ssl.name());
        match &settings.ssl_ca {
            Some(path) => command.env("POSTGRES_SSL_CA", path),
            None => command.env_remove("POSTGRES_SSL_CA"),
        };
        command
            .env("BIND_ADDRESS", address.to_string())
            .env("DEPLOY_ID", &deploy_id)
            .env("EXIT_ON_STDIN_EOF", "true");
        let child = Child::start(&mut command)?;
        // It holds the pipe's other end, which would never be closed.
        drop(command);
        let progress = Arc::new(ui::Progress::new(false));
        let asked = port::reachable(address);
        let mut backend = Self {
            child,
            address: asked,
            log: Log::follow(reader, progress.clone()),
        };
        let result = backend.wait_until_ready(asked, &deploy_id, started, ready_timeout, &progress);
        progress.clear();
        result?;
        ui::say(&format!(
            "the backend is ready on http://{asked}, after {}",
            ui::time(started.elapsed())
        ));
        Ok(backend)
    }

    /// Where it can be reached.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    fn wait_until_ready(
        &mut self,
        address: SocketAddr,
        deploy_id: &str,
        started: Instant,
        ready_timeout: Duration,
        progress: &ui::Progress,
    ) -> anyhow::Result<()> {
        let answers = ask(address, deploy_id.to_owned());
        let mut reason = "it has not answered yet".to_owned();
        loop {
            match self.child.event_within(PAUSE) {
                Some(Event::Ended) => {
                    let status = self.child.reap()?;
                    let what = format!("the backend ended before it was ready ({})", child::describe(status));
                    return Err(self.failed(what, "").into());
                }
                Some(Event::Signal(signal)) => {
                    self.child.end_by(signal)?;
                    self.log.finish();
                    let what = "told to end before the backend was ready; it has ended";
                    return Err(Error::new(Kind::Interrupted(signal), what, reason).into());
                }
                None => {}
            }
            match answers.try_recv() {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(why)) => reason = why,
                Err(_) => {}
            }
            let since = started.elapsed();
            if since >= ready_timeout {
                self.child.end(END_PATIENCE);
                let what = format!(
                    "the backend was not ready within {}, and was ended",
                    ui::time(ready_timeout)
                );
                return Err(self
                    .failed(what, &reason)
                    .next("--ready-timeout gives it more time")
                    .into());
            }
            if since > QUIET {
                progress.wait("the backend", &reason, since);
            }
        }
    }

    fn failed(&self, what: String, reason: &str) -> Error {
        self.log.finish();
        let last = self.log.last();
        let title = if last.is_empty() {
            "it wrote nothing"
        } else {
            "its last lines:"
        };
        Error::new(Kind::Failed, what, format!("{reason}\n{title}\n{last}").trim_start())
    }

    /// Stays in front until it ends, and passes signals on: the first lets it finish its open requests, a second
    /// kills it. Gives its exit status, 128 + n when a signal ended it.
    ///
    /// # Errors
    /// The system cannot tell how it ended.
    pub fn stay(mut self) -> anyhow::Result<u8> {
        let status = self.end_of_it()?;
        self.log.finish();
        if status.success() {
            ui::say("the backend has ended");
        } else {
            ui::say(&format!("the backend has ended with {}", child::describe(status)));
        }
        Ok(child::exit_status(status))
    }

    fn end_of_it(&mut self) -> io::Result<ExitStatus> {
        match self.child.event() {
            Event::Ended => self.child.reap(),
            Event::Signal(signal) => {
                ui::say("ending the backend; a second signal kills it");
                self.child.end_by(signal)
            }
        }
    }
}

/// Asks for readiness until it is there; in a thread, so that an answer that takes time does not hold up signals.
/// Ends when nobody listens any more.
fn ask(address: SocketAddr, deploy_id: String) -> Receiver<Result<(), String>> {
    let (sender, answers) = mpsc::channel();
    thread::spawn(move || {
        loop {
            let answer = probe::ready(address, &deploy_id);
            let ready = answer.is_ok();
            if sender.send(answer).is_err() || ready {
                break;
            }
            thread::sleep(PAUSE);
        }
    });
    answers
}

/// The child's output: shown line by line, the last lines kept.
struct Log {
    last: Arc<Mutex<VecDeque<String>>>,
    end: Receiver<()>,
}

impl Log {
    fn follow(reader: PipeReader, progress: Arc<ui::Progress>) -> Self {
        let last = Arc::new(Mutex::new(VecDeque::new()));
        // Nothing is sent: it is closed when the thread ends.
        let (sender, end) = mpsc::channel();
        let kept = last.clone();
        thread::spawn(move || {
            let _sender = sender;
            let mut reader = BufReader::new(reader);
            let mut line = Vec::new();
            while let Ok(1..) = reader.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line) {
                let text = String::from_utf8_lossy(&line).trim_end().to_owned();
                progress.line(&text);
                let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                kept.push_back(text);
                if kept.len() > LAST_LINES {
                    kept.pop_front();
                }
                line.clear();
            }
        });
        Self { last, end }
    }

    /// Waits until everything that an ended child wrote is shown.
    fn finish(&self) {
        // If a child of the child still holds the pipe, it is not waited for.
        let _ = self.end.recv_timeout(Duration::from_secs(1));
    }

    fn last(&self) -> String {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.iter().map(String::as_str).collect::<Vec<_>>().join("\n")
    }
}
