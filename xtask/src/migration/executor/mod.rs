//! Runs one statement safely: never waits for a lock for longer than the lock timeout, tries again
//! what may pass, names who is in the way, and ends at once when told to.

mod blockers;
mod message;
mod retry;
mod watch;

use std::time::{Duration, Instant};

use postgres::types::Type;
use postgres::{Client, SimpleQueryMessage};

pub use blockers::Blocker;
pub use retry::{is_acceptable_where_optional, is_already_there, is_unfit_for_a_transaction};
pub use watch::Watch;

use crate::database::connect::check;
use crate::error::describe;
use crate::migration::context::{Context, Event};
use crate::migration::expected::TableLock;
use crate::migration::journal::{Outcome, Run, Step};
use crate::migration::phases::Phase;
use crate::migration::snapshot::strength;
use crate::migration::statement::{Class, Statement};
use message::{first_rows, is_recorded_with, recorded, rows, with_record};
use retry::Retry;
use watch::{LOOK, TICK};

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
    context: &'a Context<'a>,
    watch: &'a Watch<'a>,
    /// What `lock_timeout` is set to, as far as known.
    lock_timeout: Option<Duration>,
}

impl<'a> Executor<'a> {
    /// For a session whose lock timeout is that of the context, under this watch.
    pub fn new(client: Client, context: &'a Context<'a>, watch: &'a Watch<'a>) -> Self {
        Self {
            client,
            context,
            watch,
            lock_timeout: Some(context.lock_timeout),
        }
    }

    /// Runs a statement to its end. `locks` are those that it is known to take on tables; none where nothing of what it
    /// touches was there before the run. The step tells how it went, whatever the result; it is recorded already where
    /// one transaction could do both.
    pub fn run(
        &mut self,
        phase: &Phase,
        statement: &'a Statement,
        locks: Option<&[TableLock]>,
        run: &mut Run,
    ) -> (Step, Result<(), Failure>) {
        let start = Instant::now();
        let mut step = Step::default();
        let result = self.attempts(phase, statement, locks, run, start, &mut step);
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

    /// Sends the first statements in one message, each in a transaction of its own with its record: in a database that
    /// nobody uses yet the way to the server and back takes longer than most of them. Returns the steps that are done.
    /// Whatever goes wrong, the statement that it went wrong with has done nothing.
    pub fn run_ahead(&mut self, phase: &Phase, statements: &'a [Statement], run: &mut Run) -> Vec<Step> {
        const AT_MOST: usize = 16;
        let goes = |statement: &&Statement| is_recorded_with(statement, true) && !statement.directives.optional;
        let together: Vec<&'a Statement> = statements.iter().take_while(goes).take(AT_MOST).collect();
        let [first, _, ..] = together.as_slice() else {
            return Vec::new();
        };
        if (self.context.interrupted)().is_some() || run.prepare(&mut self.client).is_err() {
            return Vec::new();
        }
        let lock_timeout = self.context.lock_timeout;
        let step = Step {
            attempts: 1,
            ..Step::default()
        };
        let mut sql = String::new();
        for (n, statement) in together.iter().enumerate() {
            let record = run.next_step(n, phase, statement, &step);
            sql.push_str(&format!(
                "BEGIN;\n{}COMMIT;\n",
                with_record(statement, &record, lock_timeout)
            ));
        }
        // If the connection is lost meanwhile, whatever comes next finds out.
        match self.send(first, &sql, lock_timeout, Instant::now(), &mut Vec::new()) {
            Ok(messages) => {
                let steps = recorded(&messages);
                for step in &steps {
                    let _ = run.recorded(&mut self.client, step);
                }
                steps
            }
            Err(error) => {
                run.forgets(&error);
                self.lock_timeout = None;
                let _ = self.client.batch_execute("ROLLBACK");
                run.steps_since(&mut self.client).unwrap_or_default()
            }
        }
    }

    /// Runs statements that look for rows to change, in one transaction with the SQL that records that there were none,
    /// and returns what that one returns. If they find any, or fail, nothing was done, and the answer is none.
    pub fn find_no_rows(&mut self, record: &str, statements: &[&'a Statement]) -> Option<String> {
        let mut sql = format!("BEGIN;\n{record}\n");
        for statement in statements {
            sql.push_str(";\n");
            sql.push_str(&statement.text);
            sql.push('\n');
        }
        let client = &mut self.client;
        let mut send = || client.simple_query(&sql);
        let result = match statements.first() {
            Some(first) => {
                self.watch
                    .over(first, Instant::now(), self.context.lock_timeout, send)
                    .0
            }
            None => send(),
        };
        // Those of BEGIN and of the record come first.
        let found = result
            .ok()
            .filter(|messages| rows(messages).iter().skip(2).all(|rows| *rows == 0));
        let end = if found.is_some() { "COMMIT" } else { "ROLLBACK" };
        self.client.batch_execute(end).ok()?;
        found?.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.try_get(0).ok().flatten().map(str::to_owned),
            _ => None,
        })
    }

    fn attempts(
        &mut self,
        phase: &Phase,
        statement: &'a Statement,
        locks: Option<&[TableLock]>,
        run: &mut Run,
        start: Instant,
        step: &mut Step,
    ) -> Result<(), Failure> {
        let new = locks.is_none();
        let locks = locks.unwrap_or_default();
        let deadline = start + self.context.lock_deadline;
        // A concurrent build, or a lock that no reader or writer waits behind, may stand in the queue. So it gets its
        // turn past autovacuum as well, which gives way only to who waits for a second. Giving up would leave an
        // INVALID index. What this run has made nobody vacuums yet, mostly.
        let harmless = |lock: &TableLock| strength(&lock.mode) <= strength("ShareUpdateExclusiveLock");
        let may_queue = statement.is_concurrent()
            || (statement.class == Class::Ddl && !locks.is_empty() && locks.iter().all(harmless));
        // One transaction for the statement and its record.
        let mut together = is_recorded_with(statement, new);
        let mut pause = retry::Pause::default();
        loop {
            let patient = may_queue && !(new && step.attempts == 0);
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
                // In whole seconds: the same for the next statement, as a rule.
                let left = deadline.saturating_duration_since(Instant::now());
                Duration::from_secs(left.as_secs() + 1).max(self.context.lock_timeout)
            } else {
                self.context.lock_timeout
            };
            let mut blockers = Vec::new();
            let record = if together {
                run.prepare(&mut self.client).map_err(Failure::from_look)?;
                Some(run.next_step(0, phase, statement, step))
            } else {
                None
            };
            // A build that failed may have left an INVALID index, an earlier attempt of ours too.
            let mended = if new && step.attempts == 1 {
                Ok(true)
            } else {
                self.drop_invalid_index(statement, lock_timeout, start, &mut blockers)
            };
            let result = match mended {
                Ok(true) => self
                    .send_recorded(statement, record.as_deref(), lock_timeout, start, &mut blockers)
                    .map(Some),
                Ok(false) => Ok(None),
                Err(error) => Err(error),
            };
            if let Ok(Some(rows)) = result {
                step.rows = rows;
                step.recorded = together;
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
            if together && (run.forgets(&error) || retry::is_unfit_for_a_transaction(&error)) {
                together = !retry::is_unfit_for_a_transaction(&error);
                step.attempts -= 1;
                continue;
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

    /// Drops what a failed build has left of the index that the statement is to build. Tells whether it may be built
    /// now: somebody else may still be at it.
    fn drop_invalid_index(
        &mut self,
        statement: &'a Statement,
        lock_timeout: Duration,
        start: Instant,
        blockers: &mut Vec<Blocker>,
    ) -> Result<bool, postgres::Error> {
        let Some((index, table)) = statement.built_index() else {
            return Ok(true);
        };
        let sql = include_str!("invalid_index.sql");
        let found = self
            .client
            .query_typed_opt(sql, &[(&index, Type::TEXT), (&table, Type::TEXT)])?;
        let Some(row) = found else { return Ok(true) };
        if row.try_get("busy")? {
            return Ok(false);
        }
        let name: String = row.try_get("index")?;
        self.context.tell(Event::DroppingInvalidIndex { index: &name });
        let sql = format!("DROP INDEX CONCURRENTLY IF EXISTS {name}");
        self.send(statement, &sql, lock_timeout, start, blockers)?;
        Ok(true)
    }

    /// Sends the statement once, and with it what records it.
    fn send_recorded(
        &mut self,
        statement: &'a Statement,
        record: Option<&str>,
        lock_timeout: Duration,
        start: Instant,
        blockers: &mut Vec<Blocker>,
    ) -> Result<u64, postgres::Error> {
        let Some(record) = record else {
            let sent = self
                .send(statement, &statement.text, lock_timeout, start, blockers)
                .map(|messages| first_rows(&messages));
            // What it may have changed is set again before the next statement.
            if matches!(statement.class, Class::Session | Class::Do) {
                self.lock_timeout = None;
            }
            return sent;
        };
        // Several statements in one simple query are one transaction.
        let sql = with_record(statement, record, lock_timeout);
        self.send(statement, &sql, lock_timeout, start, blockers)
            .map(|messages| first_rows(&messages))
    }

    /// Sends SQL text, under watch.
    fn send(
        &mut self,
        statement: &'a Statement,
        sql: &str,
        lock_timeout: Duration,
        start: Instant,
        blockers: &mut Vec<Blocker>,
    ) -> Result<Vec<SimpleQueryMessage>, postgres::Error> {
        if self.lock_timeout != Some(lock_timeout) {
            let milliseconds = milliseconds(lock_timeout);
            self.client.query_typed(
                "SELECT pg_catalog.set_config('lock_timeout', $1, false)",
                &[(&milliseconds, Type::TEXT)],
            )?;
        }
        self.lock_timeout = Some(lock_timeout);
        let client = &mut self.client;
        let (result, seen) = self
            .watch
            .over(statement, start, lock_timeout, || client.simple_query(sql));
        *blockers = seen;
        result
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
                let look = |monitor: &mut Client| blockers::all_gone(monitor, &transactions).unwrap_or(true);
                let gone = self.watch.ask(look).unwrap_or(true);
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

/// A duration as the server's settings take it.
pub fn milliseconds(duration: Duration) -> String {
    // 0 would be: wait for ever.
    duration.as_millis().clamp(1, i32::MAX as u128).to_string()
}
