//! One process of the backend: launched, ready, ended.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;
use connection::{Error, Kind};

use super::launch::Launch;
use super::log::Log;
use super::{port, probe};
use crate::child::{self, Child, Event};
use crate::{signals, ui};

/// How often readiness is asked for, and the child looked at, while it starts.
const PAUSE: Duration = Duration::from_millis(50);
/// A backend that is ready sooner than this is not spoken about before.
const QUIET: Duration = Duration::from_secs(1);
/// How long a backend that is not wanted may take to end. It has no requests to finish, or few.
const END_PATIENCE: Duration = Duration::from_secs(5);

/// Somebody who follows a launch.
pub trait Follower {
    /// Why it is not ready yet, after this time. Is told again and again.
    fn waits(&mut self, reason: &str, since: Duration);
    /// Whether the launch is still wanted.
    fn is_there(&mut self) -> bool;
}

/// A backend that has been launched. Dropped, it is killed.
pub struct Backend {
    child: Child,
    log: Log,
}

impl Backend {
    /// Launches one that takes clients from this socket, and waits until it is ready, with its output shown.
    ///
    /// Whether it is ready it is asked on a socket of its own: clients are let in by it only then, and others may have
    /// the same socket.
    ///
    /// # Errors
    /// It ended, was not ready in time, is not wanted any more, or we were told to end; it is gone then. Its last lines
    /// are in the error.
    pub fn launch(launch: &Launch, clients: &TcpListener, follower: &mut dyn Follower) -> anyhow::Result<Self> {
        let started = Instant::now();
        let deploy_id = format!("{:032x}", fastrand::u128(..));
        let address = clients.local_addr().context("cannot tell the address")?;
        let probe = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("cannot listen on 127.0.0.1")?;
        let asked = probe.local_addr().context("cannot tell the address")?;
        let (reader, writer) = io::pipe().context("cannot make a pipe")?;
        let mut command = launch.command(address, clients, probe, &deploy_id)?;
        command
            // Its other end is held by us alone: if we are killed, the backend sees the end of it, and ends.
            .stdin(Stdio::piped())
            .stdout(writer.try_clone().context("cannot make a pipe")?)
            .stderr(writer);
        let child = Child::start(&mut command)?;
        // It holds the other end of the pipe, which would never be closed, and the sockets.
        drop(command);
        let progress = Arc::new(ui::Progress::new(false));
        let mut backend = Self {
            child,
            log: Log::follow(reader, progress.clone()),
        };
        let mut wait = |reason: &str, since| {
            if since > QUIET {
                progress.wait("the backend", reason, since);
            }
            follower.waits(reason, since);
            follower.is_there()
        };
        let result = backend.wait_until_ready(asked, &deploy_id, started, launch.ready_timeout, &mut wait);
        progress.clear();
        result?;
        ui::say(&format!(
            "the backend is ready on http://{}, after {}",
            port::reachable(address),
            ui::time(started.elapsed())
        ));
        Ok(backend)
    }

    fn wait_until_ready(
        &mut self,
        address: SocketAddr,
        deploy_id: &str,
        started: Instant,
        ready_timeout: Duration,
        wait: &mut dyn FnMut(&str, Duration) -> bool,
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
                    self.child.end(END_PATIENCE);
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
            if !wait(&reason, since) {
                self.child.end(END_PATIENCE);
                return Err(unwanted("the backend was not ready"));
            }
        }
    }

    /// Waits for this time, in which it must not end.
    ///
    /// # Errors
    /// It ended; or it is gone, as it is not wanted any more, or we were told to end.
    pub fn settle(&mut self, time: Duration, follower: &mut dyn Follower) -> anyhow::Result<()> {
        let started = Instant::now();
        let reason = format!(
            "it is ready, and takes over alone when it has lived for {}",
            ui::time(time)
        );
        while started.elapsed() < time {
            follower.waits(&reason, started.elapsed());
            match self.child.event_within(PAUSE.min(time)) {
                Some(Event::Ended) => {
                    let status = self.child.reap()?;
                    let what = format!(
                        "the backend was ready, and ended {} later ({})",
                        ui::time(started.elapsed()),
                        child::describe(status)
                    );
                    return Err(self.failed(what, "").into());
                }
                Some(Event::Signal(signal)) => {
                    self.child.end(END_PATIENCE);
                    let what = "told to end before the new backend had taken over; it has ended";
                    return Err(Error::new(Kind::Interrupted(signal), what, "").into());
                }
                None => {}
            }
            if !follower.is_there() {
                self.child.end(END_PATIENCE);
                return Err(unwanted("the backend was ready, but had not taken over yet"));
            }
        }
        Ok(())
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

    /// Its number.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Its next event, or none within this time.
    pub fn event_within(&self, time: Duration) -> Option<Event> {
        self.child.event_within(time)
    }

    /// Tells it to finish its open requests and end; does not wait.
    pub fn retire(&self) {
        self.child.terminate();
    }

    /// Whether one that was told to end has done so.
    pub fn has_ended(&mut self) -> bool {
        while let Some(event) = self.child.event_within(Duration::ZERO) {
            if event == Event::Ended {
                return true;
            }
        }
        false
    }

    /// Waits for the end of one that was told to end; it is killed when we are told to end twice.
    pub fn wait_out(&mut self) {
        while !self.has_ended() {
            if signals::hurried() {
                self.child.end(Duration::ZERO);
                break;
            }
            thread::sleep(PAUSE);
        }
    }

    /// What is to be done when it has ended: shows the rest of what it wrote, says so, and gives its exit status, 128 + n
    /// when a signal ended it.
    ///
    /// # Errors
    /// The system cannot tell how it ended.
    pub fn bury(mut self, name: &str) -> anyhow::Result<u8> {
        let status = self.child.reap()?;
        self.log.finish();
        if status.success() {
            ui::say(&format!("{name} has ended"));
        } else {
            ui::say(&format!("{name} has ended with {}", child::describe(status)));
        }
        Ok(child::exit_status(status))
    }

    /// Passes on a signal that we got and waits for its end: the first lets it finish its open requests, a second kills
    /// it.
    ///
    /// # Errors
    /// The system cannot tell how it ended.
    pub fn end_by(&mut self, signal: i32) -> anyhow::Result<()> {
        self.child.end_by(signal)?;
        Ok(())
    }
}

fn unwanted(what: &str) -> anyhow::Error {
    let what = format!("{what}, and who asked for it has gone; it was ended");
    Error::new(Kind::Failed, what, "").into()
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
