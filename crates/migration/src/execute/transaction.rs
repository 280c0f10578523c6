//! Several statements as one transaction, each sent by itself; and a statement whose rows, or what it drops, have to be
//! looked at before the end.

use std::collections::BTreeSet;
use std::time::Instant;

use super::message::send_text;
use super::{Attempts, Failure, guard};
use crate::catalog::{Catalog, ObjectId};
use crate::journal::Recorded;

/// Why an attempt ended.
#[derive(Debug)]
pub enum Trouble {
    /// PostgreSQL's answer: whether it is tried again is decided by it.
    Error(postgres::Error),
    /// It would drop what was not looked at yet, named as `dropped.sql` does.
    Dropped(BTreeSet<String>),
    /// Somebody else may be building the same index.
    BeingBuilt,
    /// There is nothing to try again.
    Failed(Failure),
}

impl From<postgres::Error> for Trouble {
    fn from(error: postgres::Error) -> Self {
        Self::Error(error)
    }
}

impl Attempts<'_, '_, '_> {
    /// Runs statements, their records, and a look at what they did, as one transaction. With an error comes which
    /// statement met it.
    pub(super) fn transaction(&mut self) -> Result<(), (usize, Trouble)> {
        let mut now = 0;
        let Err(trouble) = self.inside(&mut now) else {
            self.steps.iter_mut().for_each(|step| step.recorded = Recorded::Whole);
            return Ok(());
        };
        // If the connection is gone, so is the transaction.
        let _ = self.executor.client.batch_execute("ROLLBACK");
        self.executor.lock_timeout = None;
        Err((now, trouble))
    }

    fn inside(&mut self, now: &mut usize) -> Result<(), Trouble> {
        let (items, known, lock_timeout) = (self.items, self.known, self.lock_timeout);
        let before = match known.expected {
            Some(expected) if known.replaces => {
                Some((Catalog::read(&mut self.executor.client, lock_timeout)?, expected))
            }
            _ => None,
        };
        self.executor.set_lock_timeout(lock_timeout)?;
        self.executor.client.batch_execute("BEGIN")?;
        for holder in &self.allowed.empty {
            let lock = format!("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE", holder.table);
            self.executor.client.batch_execute(&lock)?;
        }
        let held = guard::counts(&mut self.executor.client, &self.allowed.empty)?;
        if !held.is_empty() {
            return Err(Trouble::Failed(Failure::DropsRows(held)));
        }
        // What the transaction makes itself it may drop as well.
        let is_guarded = !known.new && items.iter().any(|item| guard::may_drop_by_surprise(item.statement));
        if is_guarded {
            self.executor.client.batch_execute(&guard::remembering_sql())?;
        }
        let mut tolerated = BTreeSet::new();
        for (n, item) in items.iter().enumerate() {
            *now = n;
            let statement = item.statement;
            // What a statement drops with a reason is its own business, what it finds dropped is not.
            let excused = is_guarded && statement.directives.drops_rows.is_some();
            let before = if excused {
                guard::dropped(&mut self.executor.client)?
            } else {
                BTreeSet::new()
            };
            let sent = Instant::now();
            let text = self.text(n);
            let client = &mut self.executor.client;
            let send = || send_text(client, statement, text);
            let (result, seen) = self.executor.watch.over(statement, self.start, lock_timeout, send);
            self.blockers = seen;
            let note = self.note(statement);
            let step = &mut self.steps[n];
            step.rows = result?;
            step.duration = sent.elapsed();
            step.note = note;
            if excused {
                tolerated.extend(guard::dropped(&mut self.executor.client)?.difference(&before).cloned());
            }
        }
        // What is wrong from here on is not the last one's fault.
        *now = items
            .iter()
            .position(|item| guard::may_drop_by_surprise(item.statement))
            .unwrap_or_default();
        if is_guarded {
            let mut dropped = guard::dropped(&mut self.executor.client)?;
            dropped.retain(|name| !tolerated.contains(name));
            let surprises = self.allowed.surprises(dropped);
            if !surprises.is_empty() {
                return Err(Trouble::Dropped(surprises));
            }
        }
        if let Some((before, expected)) = before {
            self.executor.client.batch_execute("SAVEPOINT xtask_look")?;
            let after = Catalog::read_inside(&mut self.executor.client, lock_timeout)?;
            self.executor.client.batch_execute("ROLLBACK TO SAVEPOINT xtask_look")?;
            let lost: Vec<ObjectId> = before
                .iter()
                .map(|(id, _)| id)
                // Other databases' migrations drop roles meanwhile.
                .filter(|id| after.get(id).is_none() && !id.is_shared() && !expected.is_dispensable(id))
                .cloned()
                .collect();
            if !lost.is_empty() {
                return Err(Trouble::Failed(Failure::TakesAway(lost)));
            }
        }
        // Not before: a record is written as the migrating role, which the statements may have left.
        for (n, (item, step)) in items.iter().zip(self.steps.iter()).enumerate() {
            let record = self.recorder.next_step(n, item, step, Some(step.duration));
            self.executor.client.batch_execute(&record)?;
        }
        self.executor.client.batch_execute("COMMIT")?;
        Ok(())
    }
}
