//! Runs one statement safely: never waits for a lock for longer than the lock timeout, tries again
//! what may pass, names who is in the way, and ends at once when told to.

mod blockers;
mod retry;

use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use postgres::types::Type;
use postgres::{Client, SimpleQueryMessage};

pub use blockers::Blocker;
pub use retry::{is_acceptable_where_optional, is_already_there, is_unfit_for_a_transaction};

use crate::database::Connector;
use crate::database::connect::{Interrupted, Session, check};
use crate::error::describe;
use crate::migration::expected::TableLock;
use crate::migration::journal::{Outcome, Step};
use crate::migration::phases::Phase;
use crate::migration::snapshot::strength;
use crate::migration::statement::{Class, Statement};
use retry::Retry;

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
    /// Asks whether the process was told to end.
    pub interrupted: Interrupted<'a>,
    /// Is told what happens.
    pub observer: &'a (dyn Fn(Event<'_>) + Sync),
}

/// What happens during a migration, for whoever shows it.
#[derive(Debug)]
pub enum Event<'a> {
    /// The database cannot be reached yet.
    WaitingForDatabase {
        /// What the last attempt ended with.
        reason: &'a str,
        /// Time spent so far.
        since: Duration,
    },
    /// Another migration is under way.
    WaitingForMutex {
        /// What is being waited for.
        what: &'a str,
        /// Who holds it.
        holder: &'a str,
        /// Time spent so far.
        since: Duration,
    },
    /// The run has begun.
    Started {
        /// Its number in the journal.
        run: i64,
        /// Runs that had died and are now recorded so.
        died: &'a [i64],
        /// For instance `15.18`.
        server_version: &'a str,
    },
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
        /// Which statement.
        statement: &'a Statement,
        /// Who is in the way; empty where it cannot be told.
        blockers: &'a [Blocker],
        /// Time spent on the statement so far.
        since: Duration,
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
        run: usize,
        /// Statements that were satisfied.
        skipped: usize,
        /// Time.
        elapsed: Duration,
    },
}

impl Context<'_> {
    /// Tells the observer.
    pub fn tell(&self, event: Event<'_>) {
        (self.observer)(event);
    }
}

/// Why a statement could not be run.
#[derive(Debug)]
pub enum Failure {
    /// PostgreSQL refused it.
    Refused(postgres::Error),
    /// The connection was lost: whether the statement took effect is not known.
    ConnectionLost(postgres::Error),
    /// Locks could not be had within the deadline.
    Busy {
        /// What was answered last.
        cause: String,
        /// Who was in the way; empty where it could not be told.
        blockers: Vec<Blocker>,
    },
    /// Told to end by this signal.
    Interrupted(i32),
}

impl Failure {
    fn from_look(error: postgres::Error) -> Self {
        if retry::is_connection_lost(&error) {
            Self::ConnectionLost(error)
        } else {
            Self::Refused(error)
        }
    }
}

/// The session of a migration, and what is known of it.
pub struct Executor<'a> {
    /// The session.
    pub client: Client,
    pid: i32,
    context: &'a Context<'a>,
    /// A second session that sees what the first one waits for; made when first needed.
    monitor: Option<Client>,
    /// What `lock_timeout` is set to, as far as known.
    lock_timeout: Option<Duration>,
}

/// How often the session is looked at while a statement runs.
const LOOK: Duration = Duration::from_secs(1);
/// How often the process looks whether it was told to end.
const TICK: Duration = Duration::from_millis(20);

impl<'a> Executor<'a> {
    /// For the session whose process on the server is `pid`, and whose lock timeout is that of the context.
    pub fn new(client: Client, pid: i32, context: &'a Context<'a>) -> Self {
        Self {
            client,
            pid,
            context,
            monitor: None,
            lock_timeout: Some(context.lock_timeout),
        }
    }

    /// Runs a statement to its end. `locks` are those that it is known to take on tables. The step tells how it
    /// went, whatever the result.
    pub fn run(&mut self, statement: &Statement, locks: &[TableLock]) -> (Step, Result<(), Failure>) {
        let start = Instant::now();
        let mut step = Step {
            duration: Duration::ZERO,
            lock_wait: Duration::ZERO,
            attempts: 0,
            rows: 0,
            outcome: Outcome::Done,
            error: None,
        };
        let result = self.attempts(statement, locks, start, &mut step);
        step.duration = start.elapsed();
        let result = match result {
            Err(Failure::Refused(error))
                if statement.directives.optional && retry::is_acceptable_where_optional(&error) =>
            {
                step.outcome = Outcome::Warning;
                step.error = Some(describe(&error));
                Ok(())
            }
            other => other,
        };
        match &result {
            Ok(()) => {}
            Err(Failure::Interrupted(_)) => step.outcome = Outcome::Interrupted,
            Err(Failure::Refused(error) | Failure::ConnectionLost(error)) => {
                step.outcome = Outcome::Failed;
                step.error = Some(describe(error));
            }
            Err(Failure::Busy { cause, .. }) => {
                step.outcome = Outcome::Failed;
                step.error = Some(cause.clone());
            }
        }
        (step, result)
    }

    fn attempts(
        &mut self,
        statement: &Statement,
        locks: &[TableLock],
        start: Instant,
        step: &mut Step,
    ) -> Result<(), Failure> {
        let deadline = start + self.context.lock_deadline;
        // A concurrent build, or a lock that no reader or writer waits behind, may stand in the queue. So it gets its
        // turn past autovacuum as well, which gives way only to who waits for a second. Giving up would leave an
        // INVALID index.
        let harmless = |lock: &TableLock| strength(&lock.mode) <= strength("ShareUpdateExclusiveLock");
        let patient = statement.is_concurrent()
            || (statement.class == Class::Ddl && !locks.is_empty() && locks.iter().all(harmless));
        let mut pause = retry::Pause::default();
        loop {
            if !patient {
                let holders = blockers::holding(&mut self.client, locks).map_err(Failure::from_look)?;
                // Short transactions end while we stand in the queue; those that last are waited for outside of it.
                let lasting: Vec<Blocker> = holders
                    .into_iter()
                    .filter(|holder| holder.lasts_longer_than(self.context.lock_timeout))
                    .collect();
                if !lasting.is_empty() {
                    self.tell_blocked(statement, &lasting, start);
                    self.wait_outside(&lasting, statement, start, deadline, &mut pause)?;
                    if Instant::now() >= deadline {
                        let cause = "others hold locks on the tables that it changes".to_owned();
                        return Err(Failure::Busy {
                            cause,
                            blockers: lasting,
                        });
                    }
                }
            }
            step.lock_wait = start.elapsed();
            step.attempts += 1;
            let lock_timeout = if patient {
                deadline
                    .saturating_duration_since(Instant::now())
                    .max(self.context.lock_timeout)
            } else {
                self.context.lock_timeout
            };
            let mut blockers = Vec::new();
            let result = self.attempt(statement, lock_timeout, start, &mut blockers);
            if let Ok(Some(rows)) = result {
                step.rows = rows;
                return Ok(());
            }
            if let Some(signal) = (self.context.interrupted)() {
                return Err(Failure::Interrupted(signal));
            }
            let late = Instant::now() >= deadline;
            let error = match result {
                Err(error) => error,
                Ok(_) if late => {
                    let cause = "somebody else is building an index, or cleaning up, on the same table".to_owned();
                    return Err(Failure::Busy { cause, blockers });
                }
                Ok(_) => {
                    self.wait_outside(&[], statement, start, deadline, &mut pause)?;
                    continue;
                }
            };
            if self.client.is_closed() || retry::is_connection_lost(&error) {
                return Err(Failure::ConnectionLost(error));
            }
            match retry::classify(&error, step.attempts) {
                Retry::Never => return Err(Failure::Refused(error)),
                Retry::Lock | Retry::Race if late => {
                    return Err(Failure::Busy {
                        cause: describe(&error),
                        blockers,
                    });
                }
                Retry::Lock => {
                    if blockers.is_empty() {
                        self.tell_blocked(statement, &[], start);
                    }
                    self.wait_outside(&blockers, statement, start, deadline, &mut pause)?;
                }
                Retry::Race => self.wait_outside(&[], statement, start, deadline, &mut pause)?,
            }
        }
    }

    /// Sends the statement once; none if somebody else may still be building the index that it is to build.
    fn attempt(
        &mut self,
        statement: &Statement,
        lock_timeout: Duration,
        start: Instant,
        blockers: &mut Vec<Blocker>,
    ) -> Result<Option<u64>, postgres::Error> {
        if let Some((index, table)) = statement.built_index() {
            let sql = include_str!("invalid_index.sql");
            let rows = self
                .client
                .query_typed(sql, &[(&index, Type::TEXT), (&table, Type::TEXT)])?;
            if let Some(row) = rows.first() {
                if row.try_get("busy")? {
                    return Ok(None);
                }
                let name: String = row.try_get("index")?;
                self.context.tell(Event::DroppingInvalidIndex { index: &name });
                self.send(
                    statement,
                    &format!("DROP INDEX CONCURRENTLY IF EXISTS {name}"),
                    lock_timeout,
                    start,
                    blockers,
                )?;
            }
        }
        self.send(statement, &statement.text, lock_timeout, start, blockers)
            .map(Some)
    }

    /// Sends SQL text in a thread of its own, and meanwhile looks who is in the way, tells how far it
    /// has come, and cancels it when told to end. Returns the number of rows.
    fn send(
        &mut self,
        statement: &Statement,
        sql: &str,
        lock_timeout: Duration,
        start: Instant,
        blockers: &mut Vec<Blocker>,
    ) -> Result<u64, postgres::Error> {
        if self.lock_timeout != Some(lock_timeout) {
            let milliseconds = milliseconds(lock_timeout);
            self.client.query_typed(
                "SELECT pg_catalog.set_config('lock_timeout', $1, false)",
                &[(&milliseconds, Type::TEXT)],
            )?;
        }
        // What a SET or a DO block may have changed is set again before the next statement.
        self.lock_timeout = (!matches!(statement.class, Class::Session | Class::Do)).then_some(lock_timeout);
        let Self {
            client,
            monitor,
            context,
            pid,
            ..
        } = self;
        let token = client.cancel_token();
        let sent = Instant::now();
        let mut look = (lock_timeout / 2).min(LOOK);
        let mut cancelled = false;
        std::thread::scope(|scope| {
            let (sender, receiver) = mpsc::channel();
            scope.spawn(move || {
                // The receiver lives until this has been received.
                let _ = sender.send(client.simple_query(sql));
            });
            loop {
                match receiver.recv_timeout(TICK) {
                    Ok(result) => return result.map(|messages| rows(&messages)),
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => return Ok(0),
                }
                if !cancelled && (context.interrupted)().is_some() {
                    // If it cannot be reached, its answer or the loss of the connection ends the wait.
                    cancelled = context.connector.cancel(&token).is_ok();
                }
                if sent.elapsed() >= look {
                    look = sent.elapsed() + LOOK;
                    if let Some(monitor) = open(monitor, context) {
                        let seen = blockers::find(monitor, *pid).unwrap_or_default();
                        if seen.is_empty() {
                            if let Ok(Some(text)) = blockers::progress(monitor, *pid) {
                                context.tell(Event::Progress { text: &text });
                            }
                        } else {
                            context.tell(Event::Blocked {
                                statement,
                                blockers: &seen,
                                since: start.elapsed(),
                            });
                            *blockers = seen;
                        }
                    }
                }
            }
        })
    }

    /// Waits without standing in the queue: until those who were in the way have ended their
    /// transactions, or, where it is not known who they are, for a while that grows.
    fn wait_outside(
        &mut self,
        blockers: &[Blocker],
        statement: &Statement,
        start: Instant,
        deadline: Instant,
        pause: &mut retry::Pause,
    ) -> Result<(), Failure> {
        let transactions: Vec<&str> = blockers
            .iter()
            .filter_map(|blocker| blocker.transaction.as_deref())
            .collect();
        let until = if transactions.is_empty() {
            Instant::now() + pause.next()
        } else {
            deadline
        };
        let mut told = Instant::now();
        while Instant::now() < until.min(deadline) {
            if let Err(error) = check(self.context.interrupted, "waiting for a lock")
                && let crate::error::Kind::Interrupted(signal) = error.kind
            {
                return Err(Failure::Interrupted(signal));
            }
            if !transactions.is_empty() {
                let gone = match open(&mut self.monitor, self.context) {
                    Some(monitor) => blockers::all_gone(monitor, &transactions).unwrap_or(true),
                    None => true,
                };
                if gone {
                    break;
                }
                if told.elapsed() > LOOK {
                    told = Instant::now();
                    self.tell_blocked(statement, blockers, start);
                }
            }
            std::thread::sleep(TICK + Duration::from_millis(fastrand::u64(..10)));
        }
        Ok(())
    }

    fn tell_blocked(&self, statement: &Statement, blockers: &[Blocker], start: Instant) {
        self.context.tell(Event::Blocked {
            statement,
            blockers,
            since: start.elapsed(),
        });
    }
}

/// The monitor's session; none where no second connection can be had.
fn open<'m>(monitor: &'m mut Option<Client>, context: &Context<'_>) -> Option<&'m mut Client> {
    if monitor.as_ref().is_none_or(Client::is_closed) {
        let mut client = context.connector.connect(&Session::default()).ok()?;
        client.batch_execute("SET application_name = 'xtask migrate (monitor)'; SET lock_timeout = '1s'; SET statement_timeout = '5s'").ok()?;
        *monitor = Some(client);
    }
    monitor.as_mut()
}

/// A duration as the server's settings take it.
pub fn milliseconds(duration: Duration) -> String {
    // 0 would be: wait for ever.
    duration.as_millis().clamp(1, i32::MAX as u128).to_string()
}

fn rows(messages: &[SimpleQueryMessage]) -> u64 {
    messages
        .iter()
        .map(|message| match message {
            SimpleQueryMessage::CommandComplete(rows) => *rows,
            _ => 0,
        })
        .sum()
}
