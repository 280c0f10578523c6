//! One session of a migration.
//!
//! [`connect`] waits for the server and finds the host, [`pooler`] opens a session there and finds out whether it is one,
//! [`settings`] are what it is told, [`mutex`] asks whether nobody else is at work, and hands it out. [`read_only`] and
//! [`search_path`] say why a session that was opened will not do.

pub mod connect;
pub mod mutex;
pub mod password;
pub mod pooler;
pub mod read_only;
pub mod search_path;
pub mod settings;
pub mod strangers;

use std::time::Duration;

use connection::Interrupted;

pub use connect::{Connector, Target};

/// On what terms sessions are opened.
pub struct Terms<'a> {
    /// The way to the database.
    pub connector: &'a Connector,
    /// How long to wait for the database.
    pub wait: Duration,
    /// The session's `lock_timeout`.
    pub lock_timeout: Duration,
    /// How long to wait for the mutex.
    pub lock_deadline: Duration,
    /// Asks whether the process was told to end.
    pub interrupted: Interrupted<'a>,
    /// Is told what is waited for.
    pub tell: Box<dyn Fn(Waiting<'_>) + 'a>,
}

/// What the opening of a session waits for.
#[derive(Debug)]
pub enum Waiting<'a> {
    /// The database cannot be reached yet.
    ForDatabase {
        /// What the last attempt ended with.
        reason: &'a str,
        /// Time spent so far.
        since: Duration,
    },
    /// Another migration is under way.
    ForMutex {
        /// What is being waited for.
        what: &'a str,
        /// Who holds it.
        holder: &'a str,
        /// Time spent so far.
        since: Duration,
    },
}
