//! Trying again, until it is done, or cannot be done, or the deadline has passed.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use connection::{Kind, describe};
use postgres::types::Type;
use postgres::{Client, SimpleQueryMessage};

use super::guard::{self, Allowed, Holder};
use super::message::{is_recorded_with, rows, with_record};
use super::pause::Pause;
use super::transaction::Trouble;
use super::watch::{LOOK, TICK};
use super::{Executor, Failure, Knowledge};
use crate::context::Event;
use crate::journal::{Recorded, Recorder, Step};
use crate::locks::blockers::{self, Blocker};
use crate::locks::{LockMode, TableLock};
use crate::plan::Item;
use crate::session::connect::check;
use crate::source::statement::{Class, Statement};
use crate::sqlstate::{self, Retry};

/// A request that waits for no longer is as quick as others.
const UNNOTICED: Duration = Duration::from_millis(10);

/// Where a statement waits for locks that others hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wait {
    /// In the queue for the lock, until the deadline.
    Queue,
    /// Outside of the queue; in it for no longer than the lock timeout.
    Outside,
}

/// The attempts to run statements, several as one transaction.
pub(super) struct Attempts<'e, 'a, 'w> {
    pub executor: &'e mut Executor<'a>,
    pub items: &'w [Item<'w>],
    pub known: Knowledge<'w>,
    pub recorder: &'w Recorder,
    /// What is sent in place of a statement's own text, and the rows that it names.
    pub seeds: &'w [Option<(String, u64)>],
    pub steps: &'w mut [Step],
    /// When the first attempt began.
    pub start: Instant,
    /// What they may drop.
    pub allowed: Allowed,
    /// The `lock_timeout` of the attempt under way.
    pub lock_timeout: Duration,
    /// Who was in the way of the attempt under way.
    pub blockers: Vec<Blocker>,
    deadline: Instant,
    /// The only statement is recorded in its own transaction.
    together: bool,
    /// The processes of autovacuum that were asked to leave a table.
    sent_away: BTreeSet<i32>,
    pause: Pause,
}

impl<'e, 'a, 'w> Attempts<'e, 'a, 'w> {
    pub fn new(
        executor: &'e mut Executor<'a>,
        items: &'w [Item<'w>],
        known: Knowledge<'w>,
        recorder: &'w Recorder,
        seeds: &'w [Option<(String, u64)>],
        steps: &'w mut [Step],
        start: Instant,
    ) -> Self {
        let recorded_with = |item: &Item<'_>| is_recorded_with(item.statement, item.once.is_some(), known.new);
        Self {
            items,
            known,
            recorder,
            seeds,
            steps,
            start,
            allowed: Allowed::default(),
            lock_timeout: executor.context.lock_timeout,
            blockers: Vec::new(),
            deadline: start + executor.context.lock_deadline,
            together: items.first().is_some_and(recorded_with),
            sent_away: BTreeSet::new(),
            pause: Pause::default(),
            executor,
        }
    }

    /// Tries until it is done, or cannot be done, or the deadline has passed. With an error comes which statement met it.
    pub fn try_all(mut self) -> Result<(), (usize, Failure)> {
        if self.items.is_empty() {
            return Ok(());
        }
        loop {
            self.within_budget().map_err(|failure| (0, failure))?;
            let wait = self.wait();
            if wait == Wait::Outside {
                self.let_others_end().map_err(|failure| (0, failure))?;
            }
            let sent = Instant::now();
            let result = self.attempt(wait);
            self.count_stall(sent.elapsed());
            match result {
                Ok(()) => return Ok(()),
                Err((n, trouble)) => self.prepare_again(n, trouble)?,
            }
        }
    }

    /// Readers or writers wait behind one of its locks, as long as it is waited for and held.
    fn keeps_others_waiting(&self) -> bool {
        let Knowledge { locks, new, .. } = self.known;
        let hurts = |lock: &TableLock| lock.mode > LockMode::ShareUpdateExclusive;
        !new && !self.items.iter().any(|item| item.statement.is_concurrent()) && locks.iter().any(hurts)
    }

    fn within_budget(&self) -> Result<(), Failure> {
        let stalled = self.executor.stalled;
        match self.keeps_others_waiting() && stalled >= self.executor.context.stall_budget {
            true => Err(Failure::Stalled(stalled)),
            false => Ok(()),
        }
    }

    /// Nobody notices what is shorter than [`UNNOTICED`], nor is anybody kept waiting in a database that nobody uses.
    fn count_stall(&mut self, time: Duration) {
        if time < UNNOTICED || !self.keeps_others_waiting() {
            return;
        }
        let others = self.executor.client.query_typed(include_str!("others.sql"), &[]);
        let row = others.ok().and_then(|rows| rows.into_iter().next());
        if row.and_then(|row| row.try_get(0).ok()).unwrap_or(true) {
            self.executor.stalled += time;
        }
    }

    /// For the record: why rows could be dropped, and who was ended.
    pub fn note(&self, statement: &Statement) -> Option<String> {
        let ended = self
            .executor
            .watch
            .terminated()
            .into_iter()
            .map(|who| format!("ended {who}"));
        let notes: Vec<String> = guard::note(statement).into_iter().chain(ended).collect();
        (!notes.is_empty()).then(|| notes.join("; "))
    }

    /// What is sent for a statement.
    pub fn text(&self, n: usize) -> &'w str {
        match self.seeds.get(n) {
            Some(Some((text, _))) => text,
            _ => &self.items[n].statement.text,
        }
    }

    /// A concurrent build, or a lock that no reader or writer waits behind, may stand in the queue. So it gets its turn
    /// past autovacuum as well, which gives way only to who waits for a second. Giving up would leave an INVALID index.
    /// What this run has made nobody vacuums yet, mostly.
    fn wait(&self) -> Wait {
        let Knowledge { locks, new, .. } = self.known;
        let harmless = |lock: &TableLock| lock.mode <= LockMode::ShareUpdateExclusive;
        let may_queue = |statement: &Statement| {
            statement.is_concurrent()
                || statement.class == Class::Ddl && !locks.is_empty() && locks.iter().all(harmless)
        };
        match self.items {
            [item] if may_queue(item.statement) && !(new && self.steps[0].attempts == 0) => Wait::Queue,
            _ => Wait::Outside,
        }
    }

    /// Short transactions end while we stand in the queue; those that last are waited for outside of it.
    fn let_others_end(&mut self) -> Result<(), Failure> {
        let holders = blockers::holding(&mut self.executor.client, self.known.locks).map_err(Failure::from_look)?;
        let at_most = self.executor.context.lock_timeout;
        let lasting: Vec<Blocker> = holders
            .into_iter()
            .filter(|holder| holder.lasts_longer_than(at_most))
            .collect();
        if lasting.is_empty() {
            return Ok(());
        }
        self.tell_blocked(&lasting);
        self.wait_outside(&lasting)?;
        if self.is_late() {
            return Err(Failure::Busy {
                cause: "others hold locks on the tables that it changes".to_owned(),
                blockers: lasting,
            });
        }
        Ok(())
    }

    fn attempt(&mut self, wait: Wait) -> Result<(), (usize, Trouble)> {
        self.steps[0].lock_wait = self.start.elapsed();
        self.steps.iter_mut().for_each(|step| step.attempts += 1);
        self.blockers.clear();
        let shortest = self.executor.context.lock_timeout;
        self.lock_timeout = match wait {
            Wait::Outside => shortest,
            Wait::Queue => {
                // In whole seconds: the same for the next statement, as a rule.
                let left = self.deadline.saturating_duration_since(Instant::now());
                Duration::from_secs(left.as_secs() + 1).max(shortest)
            }
        };
        match self.items {
            [item] if item.statement.copy_data.is_none() && !self.known.replaces && !self.allowed.is_looked_at() => {
                self.alone(item).map_err(|trouble| (0, trouble))
            }
            _ => self.transaction(),
        }
    }

    /// Sends one statement, and with it what records it.
    fn alone(&mut self, item: &Item<'_>) -> Result<(), Trouble> {
        let statement = item.statement;
        let (new, together) = (self.known.new, self.together);
        // A build that failed may have left an INVALID index, an earlier attempt of ours too.
        if !new || self.steps[0].attempts > 1 {
            self.drop_invalid_index(statement)?;
        }
        let mut sql = self.text(0).to_owned();
        let is_guarded = together && !new && guard::may_drop_by_surprise(statement);
        if together {
            // Several statements in one simple query are one transaction.
            let record = self.recorder.next_step(0, item, &self.steps[0], None);
            sql = with_record(statement, &sql, &record, self.lock_timeout);
            if is_guarded {
                sql = format!("{};\n{sql}{}", guard::remembering_sql(), guard::failing_sql());
            }
        }
        let sent = self.send(statement, &sql);
        // What it may have changed is set again before the next statement.
        if matches!(statement.class, Class::Session | Class::Do) && !together {
            self.executor.lock_timeout = None;
        }
        let messages = sent.map_err(|error| match guard::dropped_by(&error) {
            Some(names) => Trouble::Dropped(names),
            None => Trouble::Error(error),
        })?;
        // That of what the guard remembers comes first.
        let of_statement = rows(&messages).get(usize::from(is_guarded)).copied();
        let note = self.note(statement);
        let step = &mut self.steps[0];
        step.rows = of_statement.unwrap_or_default();
        step.recorded = if together { Recorded::WithoutRows } else { Recorded::Not };
        step.note = note;
        Ok(())
    }

    /// Drops what a failed build has left of the index that the statement is to build, unless somebody else is still at
    /// it.
    fn drop_invalid_index(&mut self, statement: &Statement) -> Result<(), Trouble> {
        let Some((index, table)) = statement.built_index() else {
            return Ok(());
        };
        let sql = include_str!("invalid_index.sql");
        let client = &mut self.executor.client;
        let Some(row) = client.query_typed_opt(sql, &[(&index, Type::TEXT), (&table, Type::TEXT)])? else {
            return Ok(());
        };
        if row.try_get("busy")? {
            return Err(Trouble::BeingBuilt);
        }
        let name: String = row.try_get("index")?;
        self.executor.context.tell(Event::DroppingInvalidIndex { index: &name });
        self.send(statement, &format!("DROP INDEX CONCURRENTLY IF EXISTS {name}"))?;
        Ok(())
    }

    /// Sends SQL text, under watch.
    fn send(&mut self, statement: &Statement, sql: &str) -> Result<Vec<SimpleQueryMessage>, postgres::Error> {
        let (result, blockers) = self.executor.send(statement, sql, self.lock_timeout, self.start);
        self.blockers = blockers;
        result
    }

    /// Waits for what is to be waited for before the next attempt; an error where there is none.
    fn prepare_again(&mut self, n: usize, trouble: Trouble) -> Result<(), (usize, Failure)> {
        let at = |failure| (n, failure);
        let at_first = |failure| (0, failure);
        let interrupted = (self.executor.context.interrupted)();
        let error = match (trouble, interrupted) {
            (Trouble::BeingBuilt, _) if self.is_late() => {
                return Err(at(Failure::Busy {
                    cause: "somebody else is building an index, or cleaning up, on the same table".to_owned(),
                    blockers: Vec::new(),
                }));
            }
            (Trouble::BeingBuilt, _) => return self.wait_outside(&[]).map_err(at),
            (_, Some(signal)) => return Err(at(Failure::Interrupted(signal))),
            (Trouble::Failed(failure), None) => return Err(at(failure)),
            (Trouble::Dropped(names), None) => {
                let client = &mut self.executor.client;
                let look = self.allowed.look(client, self.items, self.known.expected, names);
                look.map_err(at)?;
                let columns = self.allowed.empty.iter().filter(|holder| holder.column.is_some());
                let columns: Vec<Holder> = columns.cloned().collect();
                if self.known.looks_itself || columns.is_empty() {
                    return Ok(());
                }
                return Err(at(Failure::DropsEmpty(columns)));
            }
            (Trouble::Error(error), None) => error,
        };
        if self.executor.client.is_closed() || sqlstate::is_connection_lost(&error) {
            return Err(at(Failure::ConnectionLost(error)));
        }
        if self.together && self.items.len() == 1 && sqlstate::is_unfit_for_a_transaction(&error) {
            self.together = false;
            self.steps[0].attempts -= 1;
            return Ok(());
        }
        let blockers = std::mem::take(&mut self.blockers);
        let retry = sqlstate::retry(&error, self.steps[0].attempts);
        if retry != Retry::Never {
            self.within_budget().map_err(at)?;
        }
        match retry {
            Retry::Never => Err(at(Failure::Refused(error))),
            Retry::Lock | Retry::Race if self.is_late() => Err(at(Failure::Busy {
                cause: describe(&error),
                blockers,
            })),
            Retry::Lock => {
                if blockers.is_empty() {
                    self.tell_blocked(&[]);
                }
                self.wait_outside(&blockers).map_err(at_first)
            }
            Retry::Race => self.wait_outside(&[]).map_err(at_first),
        }
    }

    /// Waits without standing in the queue: until those who were in the way have ended their transactions, or, where it is
    /// not known who they are, for a while that grows.
    fn wait_outside(&mut self, blockers: &[Blocker]) -> Result<(), Failure> {
        self.send_autovacuum_away(blockers);
        let transactions: Vec<&str> = blockers
            .iter()
            .filter_map(|blocker| blocker.transaction.as_deref())
            .collect();
        let until = if transactions.is_empty() {
            Instant::now() + self.pause.next()
        } else {
            self.deadline
        };
        let mut told = Instant::now();
        while Instant::now() < until.min(self.deadline) {
            if let Err(error) = check(self.executor.context.interrupted, "waiting for a lock")
                && let Kind::Interrupted(signal) = error.kind
            {
                return Err(Failure::Interrupted(signal));
            }
            self.executor.watch.terminate(blockers);
            if !transactions.is_empty() {
                let look = |monitor: &mut Client| blockers::all_gone(monitor, &transactions).unwrap_or(true);
                if self.executor.watch.ask(look).unwrap_or(true) {
                    break;
                }
                if told.elapsed() > LOOK {
                    told = Instant::now();
                    self.tell_blocked(blockers);
                }
            }
            std::thread::sleep(TICK + Duration::from_millis(fastrand::u64(..10)));
        }
        Ok(())
    }

    /// Autovacuum leaves a table to those who have waited in the queue for longer than `deadlock_timeout`, and to nobody who
    /// asks again and again. So this waits there, in a mode that keeps neither readers nor writers waiting behind it. One
    /// that prevents wraparound stays.
    fn send_autovacuum_away(&mut self, blockers: &[Blocker]) {
        let client = &mut self.executor.client;
        // What cannot be asked or done here shows in the next attempt.
        for (pid, table) in blockers::vacuumed(client, blockers).unwrap_or_default() {
            if !self.sent_away.insert(pid) {
                continue;
            }
            let lock = format!(
                "BEGIN; SELECT pg_catalog.set_config('lock_timeout', (2 * s.setting::int + 1000)::text, true)
                 FROM pg_catalog.pg_settings AS s WHERE s.name = 'deadlock_timeout';
                 LOCK TABLE {table} IN SHARE UPDATE EXCLUSIVE MODE; COMMIT"
            );
            if client.batch_execute(&lock).is_err() {
                let _ = client.batch_execute("ROLLBACK");
            }
        }
    }

    fn is_late(&self) -> bool {
        Instant::now() >= self.deadline
    }

    fn tell_blocked(&self, blockers: &[Blocker]) {
        self.executor.context.tell(Event::Blocked {
            place: &self.items[0].statement.place(),
            blockers,
            since: self.start.elapsed(),
        });
    }
}
