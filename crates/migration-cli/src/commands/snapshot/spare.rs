//! Scratch servers for somebody who observes phases again and again.

use std::thread::{self, JoinHandle};

use connection::Error;
use scratch::{Server, ServerOptions, Source};

use super::observe::{Ready, kept};
use crate::signals;

/// Where scratch servers come from, and one that was started before it is needed, if somebody [prepares](Self::prepare) it.
/// One that is not needed any more is stopped at the end.
pub struct Spare {
    options: ServerOptions,
    /// It starts, or runs.
    starting: Option<JoinHandle<Option<Started>>>,
    /// Those that were used, and stop.
    stopping: Vec<JoinHandle<()>>,
    is_prepared: bool,
}

/// A server, and the [identity](Source::identity) of what it was started from.
struct Started {
    identity: Option<String>,
    ready: Ready,
}

impl Spare {
    /// Starts none.
    pub fn new(options: ServerOptions) -> Self {
        Self {
            options,
            starting: None,
            stopping: Vec::new(),
            is_prepared: false,
        }
    }

    /// How servers are started.
    pub fn options(&self) -> &ServerOptions {
        &self.options
    }

    /// Starts one, unless there is one, and does not wait for it. If that fails, whoever needs it is told by an attempt of
    /// his own.
    pub fn prepare(&mut self) {
        self.is_prepared = true;
        let options = ServerOptions {
            clusters: kept(),
            ..self.options.clone()
        };
        self.starting.get_or_insert_with(|| {
            thread::spawn(move || {
                let quiet = |_: &str| {};
                let source = Source::find(&options, &signals::received, &quiet).ok()?;
                let server = source.start(&options, &signals::received, &quiet).ok()?;
                Some(Started {
                    identity: source.identity(),
                    ready: Ready::on(server).ok()?,
                })
            })
        });
    }

    /// The one that was prepared, if it runs and is what this source would start.
    pub fn take(&mut self, source: &Source) -> Option<Ready> {
        let mut started = self.starting.take()?.join().ok()??;
        let is_as_wanted = started.identity.is_some() && started.identity == source.identity();
        (is_as_wanted && started.ready.server.ended().is_none()).then_some(started.ready)
    }

    /// Stops one that was used; where they are prepared, without waiting for it.
    ///
    /// # Errors
    /// It cannot be stopped.
    pub fn stop(&mut self, server: Server) -> Result<(), Error> {
        if !self.is_prepared {
            return server.stop();
        }
        self.stopping.retain(|stopping| !stopping.is_finished());
        // What cannot be stopped is ended with this process.
        self.stopping.push(thread::spawn(move || drop(server)));
        Ok(())
    }
}

impl Drop for Spare {
    fn drop(&mut self) {
        let servers = self
            .starting
            .take()
            .into_iter()
            .filter_map(|starting| starting.join().ok());
        drop(servers.collect::<Vec<_>>());
        for stopping in self.stopping.drain(..) {
            let _ = stopping.join();
        }
    }
}
