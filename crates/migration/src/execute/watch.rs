//! A second pair of eyes: while the session is busy with a statement, looks whether the process was told to end, who is
//! in the way, and how far the server has come.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use connection::describe;
use postgres::types::Type;
use postgres::{CancelToken, Client};

use crate::context::{Context, Event};
use crate::locks::blockers::{self, Blocker};
use crate::session::connect::Session;
use crate::source::statement::Statement;

/// How often the session is looked at while a statement runs.
pub const LOOK: Duration = Duration::from_secs(1);
/// How often the process looks whether it was told to end.
pub const TICK: Duration = Duration::from_millis(20);

/// Watches over one session; [`run`](Self::run) is for a thread of its own.
pub struct Watch<'a> {
    context: &'a Context<'a>,
    /// The session's process on the server.
    pid: i32,
    cancel: CancelToken,
    state: Mutex<State>,
    ended: Condvar,
}

#[derive(Default)]
struct State {
    ended: bool,
    busy: Option<Busy>,
    /// A second session that sees what the first one waits for; made when first needed.
    monitor: Option<Client>,
    /// Who was ended for being in the way, and is in no record yet.
    terminated: Vec<String>,
}

struct Busy {
    /// Where the statement stands.
    place: String,
    /// When the first attempt to run it began.
    start: Instant,
    sent: Instant,
    /// How long after `sent` to look next.
    look: Duration,
    cancelled: bool,
    blockers: Vec<Blocker>,
}

impl<'a> Watch<'a> {
    /// Over the session whose process on the server is `pid`.
    pub fn new(context: &'a Context<'a>, pid: i32, cancel: CancelToken) -> Self {
        Self {
            context,
            pid,
            cancel,
            state: Mutex::default(),
            ended: Condvar::new(),
        }
    }

    /// Watches until [`end`](Self::end) is called.
    pub fn run(&self) {
        let mut state = self.lock();
        while !state.ended {
            state = self
                .ended
                .wait_timeout(state, TICK)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
            let State {
                busy,
                monitor,
                terminated,
                ..
            } = &mut *state;
            if let Some(busy) = busy {
                self.look(busy, monitor, terminated);
            }
        }
    }

    /// Lets [`run`](Self::run) return.
    pub fn end(&self) {
        self.lock().ended = true;
        self.ended.notify_all();
    }

    /// Does the work, which keeps the session busy with the statement, under watch. Returns its result, and who was
    /// last seen in the way.
    pub fn over<T>(
        &self,
        statement: &Statement,
        start: Instant,
        lock_timeout: Duration,
        work: impl FnOnce() -> T,
    ) -> (T, Vec<Blocker>) {
        self.lock().busy = Some(Busy {
            place: statement.place(),
            start,
            sent: Instant::now(),
            look: (lock_timeout / 2).min(LOOK),
            cancelled: false,
            blockers: Vec::new(),
        });
        let result = work();
        let busy = self.lock().busy.take();
        (result, busy.map(|busy| busy.blockers).unwrap_or_default())
    }

    /// Asks the second session; none where there can be none.
    pub fn ask<T>(&self, question: impl FnOnce(&mut Client) -> T) -> Option<T> {
        open(&mut self.lock().monitor, self.context).map(question)
    }

    /// Ends those who have been idle in a transaction for too long, where that is allowed.
    pub fn terminate(&self, blockers: &[Blocker]) {
        let Some(age) = self.context.terminate_blockers else {
            return;
        };
        let State {
            monitor, terminated, ..
        } = &mut *self.lock();
        if let Some(monitor) = open(monitor, self.context) {
            self.end_idle(monitor, blockers, age, terminated);
        }
    }

    /// Who was ended since this was asked last.
    pub fn terminated(&self) -> Vec<String> {
        std::mem::take(&mut self.lock().terminated)
    }

    fn end_idle(&self, monitor: &mut Client, blockers: &[Blocker], age: Duration, terminated: &mut Vec<String>) {
        match blockers::end_idle(monitor, blockers, age) {
            Ok(ended) => {
                for who in ended {
                    self.context.tell(Event::Terminated { who: &who });
                    terminated.push(who);
                }
            }
            Err(error) => self.context.tell(Event::NotTerminated {
                reason: &describe(&error),
            }),
        }
    }

    fn look(&self, busy: &mut Busy, monitor: &mut Option<Client>, terminated: &mut Vec<String>) {
        if !busy.cancelled && (self.context.interrupted)().is_some() {
            // If it cannot be reached, its answer or the loss of the connection ends the wait.
            busy.cancelled = self.context.connector.cancel(&self.cancel).is_ok();
        }
        if busy.sent.elapsed() < busy.look {
            return;
        }
        busy.look = busy.sent.elapsed() + LOOK;
        let Some(monitor) = open(monitor, self.context) else {
            return;
        };
        let seen = blockers::find(monitor, self.pid).unwrap_or_default();
        if seen.is_empty() {
            if let Ok(Some(text)) = progress(monitor, self.pid) {
                self.context.tell(Event::Progress { text: &text });
            }
        } else {
            self.context.tell(Event::Blocked {
                place: &busy.place,
                blockers: &seen,
                since: busy.start.elapsed(),
            });
            if let Some(age) = self.context.terminate_blockers {
                self.end_idle(monitor, &seen, age, terminated);
            }
            busy.blockers = seen;
        }
    }

    /// A panic of the observer is no reason to stop watching.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The second session; none where no further connection can be had.
fn open<'m>(monitor: &'m mut Option<Client>, context: &Context<'_>) -> Option<&'m mut Client> {
    if monitor.as_ref().is_none_or(Client::is_closed) {
        let mut client = context
            .connector
            .connect(&Session::named("xtask migrate (monitor)"))
            .ok()?;
        client
            .batch_execute("SET lock_timeout = '1s'; SET statement_timeout = '5s'")
            .ok()?;
        *monitor = Some(client);
    }
    monitor.as_mut()
}

/// How far the session `pid` has come with building an index; none where it builds none.
fn progress(monitor: &mut Client, pid: i32) -> Result<Option<String>, postgres::Error> {
    let rows = monitor.query_typed(include_str!("progress.sql"), &[(&pid, Type::INT4)])?;
    rows.first().map_or(Ok(None), |row| row.try_get(0))
}
