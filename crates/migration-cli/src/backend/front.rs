//! In front of the backend: the socket that clients come to is ours, and one backend after the other takes them from it.

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use anyhow::Context;

use super::launch::Launch;
use super::port;
use super::process::{Backend, Follower};
use crate::child::Event;
use crate::ui;

/// Nobody, for launches that nobody else has asked for.
pub struct Alone;

impl Follower for Alone {
    fn waits(&mut self, _reason: &str, _since: Duration) {}

    fn is_there(&mut self) -> bool {
        true
    }
}

/// A socket, and the backends that take clients from it. Dropped, they are killed.
pub struct Front {
    clients: TcpListener,
    address: SocketAddr,
    /// The one that serves.
    current: Backend,
    /// Those before it, which finish their requests.
    retired: Vec<Backend>,
}

impl Front {
    /// Launches the first backend on this socket, and waits until it is ready.
    ///
    /// # Errors
    /// See [`Backend::launch`].
    pub fn start(launch: &Launch, clients: TcpListener) -> anyhow::Result<Self> {
        let address = clients.local_addr().context("cannot tell the address")?;
        Ok(Self {
            current: Backend::launch(launch, &clients, &mut Alone)?,
            clients,
            address: port::reachable(address),
            retired: Vec::new(),
        })
    }

    /// Where clients come.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Launches another one beside the one that serves. Once it is ready, both take clients; when it has lived for the
    /// settle time, the one before it finishes its requests and ends, for which is not waited. Gives the new one's number.
    ///
    /// # Errors
    /// See [`Backend::launch`], [`Backend::settle`]: the new one is gone, the one before it goes on serving.
    pub fn hand_over(&mut self, launch: &Launch, follower: &mut dyn Follower) -> anyhow::Result<u32> {
        let mut next = Backend::launch(launch, &self.clients, follower)?;
        next.settle(launch.settle_time, follower)?;
        let before = std::mem::replace(&mut self.current, next);
        before.retire();
        self.retired.push(before);
        Ok(self.current.id())
    }

    /// The next event of the backend that serves, or none within this time.
    pub fn event_within(&mut self, time: Duration) -> Option<Event> {
        for mut backend in std::mem::take(&mut self.retired) {
            if backend.has_ended() {
                bury(backend);
            } else {
                self.retired.push(backend);
            }
        }
        self.current.event_within(time)
    }

    /// Ends after an event: passes a signal on, so that open requests are finished, and a second one kills. Gives the
    /// exit status of the backend that served, 128 + n when a signal ended it.
    ///
    /// # Errors
    /// The system cannot tell how it ended.
    pub fn end(self, event: Event) -> anyhow::Result<u8> {
        let Self {
            clients,
            mut current,
            retired,
            ..
        } = self;
        // Whoever comes now is refused as soon as the backend has closed its own.
        drop(clients);
        if let Event::Signal(signal) = event {
            ui::say("ending the backend; a second signal kills it");
            current.end_by(signal)?;
        }
        let status = current.bury("the backend")?;
        for mut backend in retired {
            backend.wait_out();
            bury(backend);
        }
        Ok(status)
    }
}

/// Says that one of those before has ended. How it ended changes nothing.
fn bury(backend: Backend) {
    let name = format!("the backend before it (process {})", backend.id());
    let _ = backend.bury(&name);
}
