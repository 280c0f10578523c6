//! Trying again, until it is done, or cannot be done, or the deadline has passed.

use std::time::{Duration, Instant};

use connection::describe;
use postgres::types::Type;

use super::guard::{self, Allowed};
use super::message::{is_recorded_with, rows, with_record};
use super::pause::Pause;
use super::{Attempt, Executor, Failure, Knowledge, Trouble};
use crate::context::Event;
use crate::journal::{Recorded, Run, Step};
use crate::locks::blockers::{self, Blocker};
use crate::locks::{LockMode, TableLock};
use crate::plan::Item;
use crate::source::statement::{Class, Statement};
use crate::sqlstate::{self, Retry};

impl Executor<'_> {
    /// Tries until it is done, or cannot be done, or the deadline has passed. Of `seeds`, that of a
    /// statement is sent in its place.
    pub(super) fn attempts(
        &mut self,
        items: &[Item<'_>],
        known: Knowledge<'_>,
        run: &mut Run,
        start: Instant,
        seeds: &[Option<(String, u64)>],
        steps: &mut [Step],
    ) -> Result<(), (usize, Failure)> {
        let [first, rest @ ..] = items else { return Ok(()) };
        let statement = first.statement;
        let deadline = start + self.context.lock_deadline;
        // A concurrent build, or a lock that no reader or writer waits behind, may stand in the queue. So it gets its
        // turn past autovacuum as well, which gives way only to who waits for a second. Giving up would leave an
        // INVALID index. What this run has made nobody vacuums yet, mostly.
        let harmless = |lock: &TableLock| lock.mode <= LockMode::ShareUpdateExclusive;
        let may_queue = rest.is_empty()
            && (statement.is_concurrent()
                || statement.class == Class::Ddl && !known.locks.is_empty() && known.locks.iter().all(harmless));
        // One transaction for the statement and its record.
        let mut together = is_recorded_with(statement, first.once.is_some(), known.new);
        let mut allowed = Allowed::default();
        let mut pause = Pause::default();
        let at_first = |failure| (0, failure);
        let at_first_trouble = |trouble| (0, trouble);
        loop {
            let patient = may_queue && !(known.new && steps[0].attempts == 0);
            if !patient {
                let look = blockers::holding(&mut self.client, known.locks);
                let holders = look.map_err(|error| at_first(Failure::from_look(error)))?;
                // Short transactions end while we stand in the queue; those that last are waited for outside of it.
                let lasting: Vec<Blocker> = holders
                    .into_iter()
                    .filter(|holder| holder.lasts_longer_than(self.context.lock_timeout))
                    .collect();
                if !lasting.is_empty() {
                    self.tell_blocked(statement, &lasting, start);
                    self.wait_outside(&lasting, statement, start, deadline, &mut pause)
                        .map_err(at_first)?;
                    if Instant::now() >= deadline {
                        let cause = "others hold locks on the tables that it changes".to_owned();
                        return Err(at_first(Failure::Busy {
                            cause,
                            blockers: lasting,
                        }));
                    }
                }
            }
            steps[0].lock_wait = start.elapsed();
            steps.iter_mut().for_each(|step| step.attempts += 1);
            let lock_timeout = if patient {
                // In whole seconds: the same for the next statement, as a rule.
                let left = deadline.saturating_duration_since(Instant::now());
                Duration::from_secs(left.as_secs() + 1).max(self.context.lock_timeout)
            } else {
                self.context.lock_timeout
            };
            let mut blockers = Vec::new();
            let by_itself =
                rest.is_empty() && statement.copy_data.is_none() && !known.replaces && !allowed.is_looked_at();
            let attempt = Attempt {
                items,
                known,
                allowed: &allowed,
                seeds,
                together,
                lock_timeout,
                start,
            };
            let result = if by_itself {
                self.alone(first, &attempt, run, steps, &mut blockers)
                    .map_err(at_first_trouble)
            } else {
                self.transaction(&attempt, run, steps, &mut blockers).map(|()| true)
            };
            let (n, trouble) = match result {
                Ok(true) => return Ok(()),
                Ok(false) if Instant::now() < deadline => {
                    self.wait_outside(&[], statement, start, deadline, &mut pause)
                        .map_err(at_first)?;
                    continue;
                }
                Ok(false) => {
                    let cause = "somebody else is building an index, or cleaning up, on the same table".to_owned();
                    return Err(at_first(Failure::Busy { cause, blockers }));
                }
                Err(trouble) => trouble,
            };
            if let Some(signal) = (self.context.interrupted)() {
                return Err((n, Failure::Interrupted(signal)));
            }
            let error = match trouble {
                Trouble::Failed(failure) => return Err((n, failure)),
                Trouble::Dropped(names) => {
                    let look = allowed.look(&mut self.client, items, known.expected, names);
                    look.map_err(|failure| (n, failure))?;
                    continue;
                }
                Trouble::Error(error) => error,
            };
            if self.client.is_closed() || sqlstate::is_connection_lost(&error) {
                return Err((n, Failure::ConnectionLost(error)));
            }
            if together && rest.is_empty() && sqlstate::is_unfit_for_a_transaction(&error) {
                together = false;
                steps[0].attempts -= 1;
                continue;
            }
            let late = Instant::now() >= deadline;
            match sqlstate::retry(&error, steps[0].attempts) {
                Retry::Never => return Err((n, Failure::Refused(error))),
                Retry::Lock | Retry::Race if late => {
                    let cause = describe(&error);
                    return Err((n, Failure::Busy { cause, blockers }));
                }
                Retry::Lock => {
                    if blockers.is_empty() {
                        self.tell_blocked(statement, &[], start);
                    }
                    self.wait_outside(&blockers, statement, start, deadline, &mut pause)
                        .map_err(at_first)?;
                }
                Retry::Race => self
                    .wait_outside(&[], statement, start, deadline, &mut pause)
                    .map_err(at_first)?,
            }
        }
    }

    /// Sends one statement, and with it what records it. Tells whether it could be sent: an index that somebody else is
    /// building cannot.
    fn alone(
        &mut self,
        item: &Item<'_>,
        attempt: &Attempt<'_>,
        run: &Run,
        steps: &mut [Step],
        blockers: &mut Vec<Blocker>,
    ) -> Result<bool, Trouble> {
        let Attempt {
            lock_timeout,
            start,
            together,
            known,
            ..
        } = *attempt;
        let statement = item.statement;
        let text = attempt.text(0);
        // A build that failed may have left an INVALID index, an earlier attempt of ours too.
        let may_be_invalid = !known.new || steps[0].attempts > 1;
        if may_be_invalid && !self.drop_invalid_index(statement, lock_timeout, start, blockers)? {
            return Ok(false);
        }
        let mut sql = text.to_owned();
        let is_guarded = together && !known.new && guard::may_drop_by_surprise(statement);
        if together {
            // Several statements in one simple query are one transaction.
            let record = run.next_step(0, item, &steps[0], None);
            sql = with_record(statement, text, &record, lock_timeout);
            if is_guarded {
                sql = format!("{};\n{sql}{}", guard::remembering_sql(), guard::failing_sql());
            }
        }
        let sent = self.send(statement, &sql, lock_timeout, start, blockers);
        // What it may have changed is set again before the next statement.
        if matches!(statement.class, Class::Session | Class::Do) && !together {
            self.lock_timeout = None;
        }
        let messages = sent.map_err(|error| match guard::dropped_by(&error) {
            Some(names) => Trouble::Dropped(names),
            None => Trouble::Error(error),
        })?;
        // That of what the guard remembers comes first.
        let of_statement = rows(&messages).get(usize::from(is_guarded)).copied();
        steps[0].rows = of_statement.unwrap_or_default();
        steps[0].recorded = if together { Recorded::WithoutRows } else { Recorded::Not };
        steps[0].note = guard::note(statement);
        Ok(true)
    }

    /// Drops what a failed build has left of the index that the statement is to build. Tells whether it may be built
    /// now: somebody else may still be at it.
    fn drop_invalid_index(
        &mut self,
        statement: &Statement,
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
}
