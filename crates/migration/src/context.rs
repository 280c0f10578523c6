//! What a migration is told from outside, and what it tells.

use std::time::Duration;

use connection::{Hint, Interrupted};

use super::journal::Step;
use super::locks::Blocker;
use super::rollback::Way;
use super::session::{Connector, Terms, Waiting};
use super::source::phases::Phase;
use super::source::statement::Statement;

/// What a migration is told from outside.
pub struct Context<'a> {
    /// The way to the database.
    pub connector: &'a Connector,
    /// How long to wait for the database.
    pub wait: Duration,
    /// How long one attempt may wait in the queue for a lock.
    pub lock_timeout: Duration,
    /// How long a statement may be tried for, and the mutex waited for.
    pub lock_deadline: Duration,
    /// How long the application may be kept waiting in all: by waits in queues for locks, and by locks that are held.
    pub stall_budget: Duration,
    /// Who is idle in a transaction for longer than this, and in the way, is ended; none: nobody is.
    pub terminate_blockers: Option<Duration>,
    /// How often a connection that is lost in the middle of a run is made again.
    pub reconnects: usize,
    /// Asks whether the process was told to end.
    pub interrupted: Interrupted<'a>,
    /// The caller's words for hints, for the errors that are recorded.
    pub words: fn(Hint) -> &'static str,
    /// Is told what happens.
    pub observer: &'a (dyn Fn(Event<'_>) + Sync),
}

/// What happens during a migration, for whoever shows it.
#[derive(Debug)]
pub enum Event<'a> {
    /// There is no session yet.
    Waiting(Waiting<'a>),
    /// The run has begun.
    Started {
        /// Its number in the journal.
        run: i64,
        /// Runs that had died and are now recorded so.
        died: &'a [i64],
        /// For instance `15.18`.
        server_version: &'a str,
    },
    /// What is going to be taken back, and how.
    WayBack(&'a Way),
    /// A phase begins.
    Phase {
        /// Which.
        phase: &'a Phase,
        /// Statements of it that will be sent.
        statements: usize,
    },
    /// A statement is about to be sent.
    Statement {
        /// Which.
        statement: &'a Statement,
    },
    /// The server tells how far it has come with the statement.
    Progress {
        /// For instance `building index 40 %`.
        text: &'a str,
    },
    /// The statement waits for somebody, in the queue or outside of it.
    Blocked {
        /// Where the statement stands.
        place: &'a str,
        /// Who is in the way; empty where it cannot be told.
        blockers: &'a [Blocker],
        /// Time spent on the statement so far.
        since: Duration,
    },
    /// A session that was idle in a transaction, and in the way, was ended.
    Terminated {
        /// Who, in words.
        who: &'a str,
    },
    /// Nobody was ended, although that is allowed.
    NotTerminated {
        /// Why: mostly the role is neither theirs nor in `pg_signal_backend`.
        reason: &'a str,
    },
    /// The connection was lost in the middle of a run: it is made again, and the run goes on.
    Lost {
        /// What was being done, and what the driver or the server said.
        reason: &'a str,
    },
    /// The catalog cannot be read yet: somebody keeps readers out of tables.
    WaitingToRead {
        /// Which, and who, one a line.
        reason: &'a str,
        /// Time spent so far.
        since: Duration,
    },
    /// The catalog was read without a relation that no phase has to do with, and that readers are kept out of.
    NotLookedAt {
        /// For instance `table public.events`.
        relation: &'a str,
        /// By whom, in words.
        holder: &'a str,
    },
    /// An INVALID index is dropped before it is built again.
    DroppingInvalidIndex {
        /// Its qualified name.
        index: &'a str,
    },
    /// The statement has ended.
    Step {
        /// Which.
        statement: &'a Statement,
        /// How.
        step: &'a Step,
    },
    /// A phase has ended.
    PhaseDone {
        /// Which.
        phase: &'a Phase,
        /// Statements that were sent.
        statements_run: usize,
        /// Statements that were satisfied.
        statements_skipped: usize,
        /// Time.
        elapsed: Duration,
    },
}

impl Context<'_> {
    /// Tells the observer.
    pub fn tell(&self, event: Event<'_>) {
        (self.observer)(event);
    }

    /// What of it concerns the opening of sessions.
    pub fn terms(&self) -> Terms<'_> {
        Terms {
            connector: self.connector,
            wait: self.wait,
            lock_timeout: self.lock_timeout,
            lock_deadline: self.lock_deadline,
            interrupted: self.interrupted,
            tell: Box::new(|waiting| self.tell(Event::Waiting(waiting))),
        }
    }
}
