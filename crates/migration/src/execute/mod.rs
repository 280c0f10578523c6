//! Runs statements safely: never waits for a lock for longer than the lock timeout, tries again what may pass, names who
//! is in the way, drops no rows by surprise, and ends at once when told to.

mod attempts;
mod guard;
mod message;
mod pause;
mod seed;
mod transaction;
mod watch;

use std::time::{Duration, Instant};

use postgres::types::Type;
use postgres::{Client, SimpleQueryMessage};

use connection::describe;
pub use guard::{Holder, count_text, empty_check, is_empty_check};
pub use message::send_text;
pub use pause::Pause;
pub use watch::Watch;

use crate::catalog::ObjectId;
use crate::context::Context;
use crate::expected::Expected;
use crate::journal::{Outcome, Recorder, Step};
use crate::locks::{Blocker, TableLock};
use crate::plan::Item;
use crate::session::settings::END_OF_FILE;
use crate::source::statement::Statement;
use crate::sqlstate;
use crate::text::milliseconds;
use attempts::Attempts;
use message::{is_recorded_with, rows, steps_of_batch};

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
    /// The application was kept waiting for as long as it may be; so long.
    Stalled(Duration),
    /// It would drop tables or columns that hold values; with their number.
    DropsRows(Vec<(Holder, u64)>),
    /// It drops these columns, which were empty just now: to be proved before it is sent again.
    DropsEmpty(Vec<Holder>),
    /// It would take away objects that no statement makes again.
    TakesAway(Vec<ObjectId>),
    /// Told to end by this signal.
    Interrupted(i32),
}

impl Failure {
    fn from_look(error: postgres::Error) -> Self {
        if sqlstate::is_connection_lost(&error) {
            Self::ConnectionLost(error)
        } else {
            Self::Refused(error)
        }
    }
}

/// What is known of statements that run together, as one transaction.
#[derive(Clone, Copy)]
pub struct Knowledge<'w> {
    /// The locks that they are known to take on tables.
    pub locks: &'w [TableLock],
    /// Nothing of what they touch was there before the run.
    pub new: bool,
    /// They take objects away, for some of them to make them again: nothing else shall be gone in the end.
    pub replaces: bool,
    /// Whether columns that they drop are empty they find out themselves, under their lock.
    pub looks_itself: bool,
    /// What is expected of the database; none where it is not known.
    pub expected: Option<&'w Expected>,
}

/// The session of a migration, and what is known of it.
pub struct Executor<'a> {
    /// The session.
    pub client: Client,
    context: &'a Context<'a>,
    watch: &'a Watch<'a>,
    /// What `lock_timeout` is set to, as far as known.
    lock_timeout: Option<Duration>,
    /// What the session has to be told again when its settings were reset.
    settings: String,
    /// How long others could have been kept waiting so far: while a lock that readers or writers wait behind was waited
    /// for or held, as far as anybody else uses the database.
    pub stalled: Duration,
}

impl<'a> Executor<'a> {
    /// For a session whose lock timeout is that of the context, under this watch. `settings` is SQL that tells the
    /// session again what RESET ALL takes away.
    pub fn new(client: Client, context: &'a Context<'a>, watch: &'a Watch<'a>, settings: String) -> Self {
        Self {
            client,
            context,
            watch,
            lock_timeout: Some(context.lock_timeout),
            settings,
            stalled: Duration::ZERO,
        }
    }

    /// The session bears the name of a run.
    pub fn is_named_after(&mut self, run: i64) {
        self.settings.push_str(&format!(
            "SELECT pg_catalog.set_config('application_name',
                 pg_catalog.current_setting('application_name') || ' run {run}', false);"
        ));
    }

    /// Ends what the statements of a file have set and made for the session.
    ///
    /// # Errors
    /// The connection is gone, mostly.
    pub fn end_file(&mut self) -> Result<(), postgres::Error> {
        self.client.batch_execute(END_OF_FILE)?;
        self.client.batch_execute(&self.settings)?;
        self.lock_timeout = None;
        Ok(())
    }

    /// Runs statements to their end, several as one transaction. The steps tell how it went, whatever the result, one for
    /// each; they are recorded already where one transaction could do both. With an error comes which statement met it.
    pub fn execute(
        &mut self,
        items: &[Item<'_>],
        known: Knowledge<'_>,
        recorder: &Recorder,
    ) -> (Vec<Step>, Result<(), (usize, Failure)>) {
        let start = Instant::now();
        let mut steps = vec![Step::default(); items.len()];
        let mut seeds: Vec<Option<(String, u64)>> = vec![None; items.len()];
        let mut result = Attempts::new(self, items, known, recorder, &seeds, &mut steps, start).try_all();
        // Rows of a seed that are there stay, the others arrive.
        while let Err((n, Failure::Refused(error))) = &result
            && sqlstate::is_row_already_there(error)
            && items[*n].once.is_some()
            && seeds[*n].is_none()
            && let Some(seed) = seed::leaving_rows_alone(items[*n].statement)
        {
            seeds[*n] = Some(seed);
            result = Attempts::new(self, items, known, recorder, &seeds, &mut steps, start).try_all();
        }
        for (step, (_, named)) in steps
            .iter_mut()
            .zip(&seeds)
            .filter_map(|(step, seed)| Some((step, seed.as_ref()?)))
        {
            let there = named.saturating_sub(step.rows);
            step.note = Some(format!("{there} of {} there already", guard::count_text(*named)));
        }
        if let [step] = steps.as_mut_slice() {
            step.duration = start.elapsed();
        }
        let Err((n, failure)) = &result else {
            return (steps, result);
        };
        let (step, directives) = (&mut steps[*n], &items[*n].statement.directives);
        match failure {
            Failure::Refused(error)
                if items.len() == 1 && directives.optional && sqlstate::is_acceptable_where_optional(error) =>
            {
                step.outcome = Outcome::Warning;
                step.error = Some(describe(error));
                result = Ok(());
            }
            Failure::Interrupted(_) => step.outcome = Outcome::Interrupted,
            Failure::Refused(error) | Failure::ConnectionLost(error) => {
                step.outcome = Outcome::Failed;
                step.error = Some(describe(error));
            }
            Failure::Busy { cause, .. } => {
                step.outcome = Outcome::Failed;
                step.error = Some(cause.clone());
            }
            Failure::Stalled(_) => {
                step.outcome = Outcome::Failed;
                step.error = Some("not begun: the application was kept waiting for long enough".to_owned());
            }
            Failure::DropsEmpty(_) => {}
            Failure::DropsRows(_) | Failure::TakesAway(_) => {
                step.outcome = Outcome::Failed;
                step.error = Some("refused: it would take away what nothing makes again".to_owned());
            }
        }
        (steps, result)
    }

    /// Sends the first statements in one message, which is one transaction with their records: in a database that nobody
    /// uses yet the way to the server and back, and a commit, take longer than most of them. Returns the steps,
    /// which are done; or, if anything went wrong and nothing was done, how many statements it was tried with.
    pub fn run_ahead(&mut self, items: &[Item<'_>], recorder: &mut Recorder) -> Result<Vec<Step>, usize> {
        const AT_MOST: usize = 32;
        let goes = |item: &&Item<'_>| {
            let statement = item.statement;
            let fits =
                statement.without_concurrently().is_some() || is_recorded_with(statement, item.once.is_some(), true);
            fits && !statement.directives.optional
        };
        let together: Vec<_> = items.iter().take_while(goes).take(AT_MOST).collect();
        let [first, _, ..] = together.as_slice() else {
            return Err(together.len());
        };
        if (self.context.interrupted)().is_some() {
            return Err(0);
        }
        let sql = recorder.batch(&together);
        let sent = self.send(first.statement, &sql, self.context.lock_timeout, Instant::now());
        // A block or a function may have set it.
        self.lock_timeout = None;
        // If the connection is lost meanwhile, whatever comes next finds out.
        let (Ok(messages), _) = sent else {
            let _ = self.client.batch_execute("ROLLBACK");
            return Err(together.len());
        };
        let steps = steps_of_batch(&messages);
        for step in &steps {
            let _ = recorder.recorded(&mut self.client, step);
        }
        Ok(steps)
    }

    /// Runs statements that look for rows to change, in one transaction with the SQL that records that there were none,
    /// and returns what that one returns. If they find any, or fail, nothing was done, and the answer is none.
    pub fn find_no_rows(&mut self, record: &str, statements: &[&Statement]) -> Option<String> {
        let mut sql = format!("BEGIN;\n{record}\n");
        for statement in statements {
            sql.push_str(";\n");
            match statement.quarantines() {
                // Changing rows that are not kept, to undo it, would keep others waiting for them.
                Some(change) => sql.push_str(&change.look()),
                None => sql.push_str(&statement.text),
            }
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

    /// Sends SQL text, under watch. Returns what the server answered, and who was last seen in the way.
    fn send(
        &mut self,
        statement: &Statement,
        sql: &str,
        lock_timeout: Duration,
        start: Instant,
    ) -> (Result<Vec<SimpleQueryMessage>, postgres::Error>, Vec<Blocker>) {
        if let Err(error) = self.set_lock_timeout(lock_timeout) {
            return (Err(error), Vec::new());
        }
        let client = &mut self.client;
        self.watch
            .over(statement, start, lock_timeout, || client.simple_query(sql))
    }

    /// Does work that keeps the session busy with the statement for a while, under watch: it is cancelled if the process
    /// is told to end. It waits for no row longer than for other locks: who waits for one keeps others waiting for those
    /// that it has.
    pub(crate) fn watched<T>(
        &mut self,
        statement: &Statement,
        work: impl FnOnce(&mut Client) -> Result<T, postgres::Error>,
    ) -> Result<T, postgres::Error> {
        let lock_timeout = self.context.lock_timeout;
        self.set_lock_timeout(lock_timeout)?;
        let client = &mut self.client;
        self.watch
            .over(statement, Instant::now(), lock_timeout, || work(client))
            .0
    }

    fn set_lock_timeout(&mut self, lock_timeout: Duration) -> Result<(), postgres::Error> {
        if self.lock_timeout != Some(lock_timeout) {
            let milliseconds = milliseconds(lock_timeout);
            self.client.query_typed(
                "SELECT pg_catalog.set_config('lock_timeout', $1, false)",
                &[(&milliseconds, Type::TEXT)],
            )?;
        }
        self.lock_timeout = Some(lock_timeout);
        Ok(())
    }
}
