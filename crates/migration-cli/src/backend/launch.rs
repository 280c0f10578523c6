//! What is launched, as a value: a deploy can ask another process to do it (see `handover`).

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Context;
use command_fds::{CommandFdExt, FdMapping};
use connection::Settings;
use scratch::program;
use serde::{Deserialize, Serialize};
use xshell::cmd;

use super::{Launching, is_cargo_variable};
use crate::application;

/// The first descriptor that is passed on, by systemd's protocol.
const FIRST_PASSED: i32 = 3;
/// What is nobody's but ours: the socket and the notices that systemd may have given us.
const NOT_PASSED: [&str; 4] = ["LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PID", "NOTIFY_SOCKET"];

/// Whether the backend gets a variable: what it needs of ours, and all that is not ours.
fn is_passed(name: &str) -> bool {
    let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    match name {
        "POSTGRES_READONLY_PASSWORD" => {
            let role = application::get().readonly.as_ref();
            role.and_then(|role| role.read_as_if_set).is_some_and(is_set)
        }
        name => !is_cargo_variable(name) && !NOT_PASSED.contains(&name),
    }
}

/// A program with all that it is told. It holds passwords: it has no `Debug`.
#[derive(Clone, Serialize, Deserialize)]
pub struct Launch {
    program: PathBuf,
    directory: PathBuf,
    environment: BTreeMap<String, String>,
    /// How long it may take until it is ready.
    pub ready_timeout: Duration,
    /// How long it must live then, before the one that it replaces is ended.
    pub settle_time: Duration,
}

impl Launch {
    /// This program on this database, with the variables of this process.
    ///
    /// # Errors
    /// The current folder is gone.
    pub fn new(program: &Path, settings: &Settings, launching: &Launching) -> anyhow::Result<Self> {
        // What is not UTF-8 the backend would refuse.
        let own =
            std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        let mut environment: BTreeMap<String, String> = own.filter(|(name, _)| is_passed(name)).collect();
        let mut set = |name: &str, value: String| environment.insert(name.to_owned(), value);
        // The URL stands above what the backend may find in a file .env; the others keep the same from being read
        // in another way.
        set("DATABASE_URL", settings.url());
        set("POSTGRES_SSL", settings.ssl.name().to_owned());
        set("EXIT_ON_STDIN_EOF", "true".to_owned());
        match &settings.ssl_ca {
            Some(path) => set("POSTGRES_SSL_CA", path.to_string_lossy().into_owned()),
            None => environment.remove("POSTGRES_SSL_CA"),
        };
        Ok(Self {
            program: program.to_owned(),
            directory: std::env::current_dir().context("cannot tell the current folder")?,
            environment,
            ready_timeout: launching.ready_timeout,
            settle_time: launching.settle_time,
        })
    }

    /// The call, with two sockets passed on: where clients come, and where it is asked how it is.
    ///
    /// # Errors
    /// A descriptor cannot be had.
    pub(super) fn command(
        &self,
        address: SocketAddr,
        clients: &TcpListener,
        probe: TcpListener,
        deploy_id: &str,
    ) -> anyhow::Result<Command> {
        let program = &self.program;
        let mut command = program::command(program, |sh, program| cmd!(sh, "{program}"))?;
        let clients = clients.try_clone().context("cannot pass the socket on")?;
        let sockets = [clients, probe];
        let count = sockets.len().to_string();
        let mappings = (FIRST_PASSED..).zip(sockets).map(|(child_fd, socket)| FdMapping {
            parent_fd: socket.into(),
            child_fd,
        });
        command
            .current_dir(&self.directory)
            .env_clear()
            .envs(&self.environment)
            .env("BIND_ADDRESS", address.to_string())
            .env("DEPLOY_ID", deploy_id)
            // Its number, LISTEN_PID, is not known before it is there, and the protocol's readers do without.
            .env("LISTEN_FDS", count)
            .fd_mappings(mappings.collect())?;
        Ok(command)
    }

    /// The program's path.
    pub fn program(&self) -> &Path {
        &self.program
    }
}
