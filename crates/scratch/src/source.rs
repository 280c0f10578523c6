//! What a server can be started from: found first, so that what is known of it can be looked up without starting it.

use connection::{Error, Interrupted};

use crate::storage::Lock;
use crate::{NOT_ASKED_FOR, NotFound, Server, ServerKind, ServerOptions, StartError, cluster, docker, local, storage};

/// An image that Docker has, or the PostgreSQL of this machine.
pub struct Source(Found);

enum Found {
    Image(docker::Image),
    Installed(local::Installation),
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Source").field(&self.identity()).finish()
    }
}

/// For people: "PostgreSQL 15.18 from /usr/lib/postgresql/15/bin".
impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.0 {
            Found::Image(image) => image.fmt(f),
            Found::Installed(installation) => installation.fmt(f),
        }
    }
}

impl Source {
    /// Finds one, or pulls an image. `progress` hears, line by line, what takes time and what is done in another way
    /// than usual.
    ///
    /// # Errors
    /// [`StartError::NotFound`] where there is neither Docker with an image nor a PostgreSQL.
    pub fn find(
        options: &ServerOptions,
        interrupted: Interrupted<'_>,
        progress: &dyn Fn(&str),
    ) -> Result<Self, StartError> {
        let (mut docker, mut local) = (NOT_ASKED_FOR.to_owned(), NOT_ASKED_FOR.to_owned());
        // Who names an image wants it, and not whatever else there may be.
        let kinds: &[ServerKind] = match options.kind {
            ServerKind::Auto if options.image.is_some() => &[ServerKind::Docker],
            // Rather the data of before than another way to get at none.
            ServerKind::Auto if storage::only_local(options.data.as_deref()) => {
                &[ServerKind::Local, ServerKind::Docker]
            }
            ServerKind::Auto => &[ServerKind::Docker, ServerKind::Local],
            ServerKind::Docker => &[ServerKind::Docker],
            ServerKind::Local => &[ServerKind::Local],
        };
        for kind in kinds {
            if *kind == ServerKind::Local {
                match local::find() {
                    Ok(installation) => {
                        if docker != NOT_ASKED_FOR {
                            progress(&format!("Docker: {docker}; using the PostgreSQL of this machine"));
                        }
                        return Ok(Self(Found::Installed(installation)));
                    }
                    Err(reason) => local = reason,
                }
            } else {
                match docker::find(options.image.as_deref(), interrupted, progress) {
                    Ok(image) => return Ok(Self(Found::Image(image))),
                    Err(reason) => docker = reason,
                }
            }
            storage::check(interrupted)?;
        }
        Err(StartError::NotFound(NotFound { docker, local }))
    }

    /// Sixteen hexadecimal digits that are others as soon as a server from here might do anything otherwise: another
    /// image; another binary, version, time zone, or extension of this machine. `None`: that cannot be told.
    pub fn identity(&self) -> Option<String> {
        let text = match &self.0 {
            Found::Image(image) => image.identity(),
            Found::Installed(installation) => installation.identity_with_extensions(),
        };
        text.map(|text| storage::hash_of(text.as_bytes()))
    }

    /// Starts a server and waits until it answers.
    ///
    /// # Errors
    /// It does not start; of kind [`Kind::Busy`](connection::Kind::Busy) where another process runs a server on the same
    /// data.
    pub fn start(
        &self,
        options: &ServerOptions,
        interrupted: Interrupted<'_>,
        progress: &dyn Fn(&str),
    ) -> Result<Server, Error> {
        let lock = options.data.as_deref().map(Lock::take).transpose()?;
        self.start_with(lock, options, interrupted, progress)
    }

    pub(super) fn start_with(
        &self,
        lock: Option<Lock>,
        options: &ServerOptions,
        interrupted: Interrupted<'_>,
        progress: &dyn Fn(&str),
    ) -> Result<Server, Error> {
        let launched = match &self.0 {
            Found::Image(image) => docker::start(image, options, interrupted, progress)?,
            Found::Installed(installation) => local::start(installation, options, interrupted, progress)?,
        };
        let mut server = Server::of(launched, lock);
        let Err(error) = server.wait(options, interrupted) else {
            return Ok(server);
        };
        let kept = options.clusters.as_deref().filter(|_| options.data.is_none());
        let (Found::Installed(_), Some(kept), None) = (&self.0, kept, interrupted()) else {
            return Err(error);
        };
        // It ran on a copy that may be damaged where nobody has looked: what initdb makes now is not.
        drop(server);
        cluster::discard_all(kept, &error.cause, progress);
        let options = ServerOptions {
            clusters: None,
            ..options.clone()
        };
        self.start_with(None, &options, interrupted, progress)
    }
}
