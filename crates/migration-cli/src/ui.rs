//! What people see: text, colour and progress on stderr, documents on stdout.

use std::io::Write;
use std::sync::{Mutex, Once};
use std::time::{Duration, Instant};

use anstream::eprintln;
use indicatif::{ProgressBar, ProgressStyle};
use migration::session::Waiting;
use migration::{Blocker, Event};

/// Prints a line on stdout. Whoever reads it may have enough, as `head` does: no reason to fail.
#[macro_export]
macro_rules! out {
    ($($part:tt)*) => {{
        use std::io::Write;
        let _ = writeln!(std::io::stdout(), $($part)*);
    }};
}

/// How often a log is told how far it is with what takes long.
pub const SAY_PROGRESS: Duration = Duration::from_secs(30);

const BOLD: &str = "\x1b[1m";
const DIM: &str = "\x1b[2m";
const RED: &str = "\x1b[31m";
const GREEN: &str = "\x1b[32m";
const YELLOW: &str = "\x1b[33m";
const RESET: &str = "\x1b[0m";

/// An error.
pub fn error(text: &str) {
    eprintln!("{RED}{BOLD}error{RESET}: {text}");
}

/// A warning.
pub fn warn(text: &str) {
    eprintln!("{YELLOW}{BOLD}warning{RESET}: {text}");
}

/// A line for whoever still reads: with a terminal that is gone there is nothing to be done about it.
pub fn say(text: &str) {
    let _ = writeln!(anstream::stderr(), "{text}");
}

/// That a database is left as it is, because a later version of the phases was brought to it.
pub fn say_newer(settings: &connection::Settings, reached: &migration::journal::Reached) {
    say(&format!(
        "{settings} was {reached}: left as it is (--allow-older goes back on purpose)"
    ));
}

/// A duration as people say it: three digits at most.
pub fn time(duration: Duration) -> String {
    let milliseconds = duration.as_secs_f64() * 1000.0;
    match milliseconds {
        ..10.0 => format!("{milliseconds:.1} ms"),
        ..1000.0 => format!("{milliseconds:.0} ms"),
        ..10_000.0 => format!("{:.1} s", milliseconds / 1000.0),
        ..120_000.0 => format!("{:.0} s", milliseconds / 1000.0),
        _ => format!(
            "{:.0} min {:.0} s",
            (milliseconds / 60_000.0).floor(),
            milliseconds / 1000.0 % 60.0
        ),
    }
}

/// `1 statement`, `2 statements`.
pub fn count(n: usize, noun: &str) -> String {
    format!("{n} {noun}{}", if n == 1 { "" } else { "s" })
}

/// One line that tells what is being done; only where stderr is a terminal.
pub struct Spinner {
    bar: ProgressBar,
    ticking: Once,
}

impl Default for Spinner {
    fn default() -> Self {
        Self::new()
    }
}

impl Spinner {
    /// Draws nothing yet.
    pub fn new() -> Self {
        let bar = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_msg}") {
            bar.set_style(style);
        }
        Self {
            bar,
            ticking: Once::new(),
        }
    }

    /// Tells what is being done now.
    pub fn say(&self, text: &str) {
        if !self.bar.is_hidden() {
            // It starts a thread.
            self.ticking
                .call_once(|| self.bar.enable_steady_tick(Duration::from_millis(100)));
            self.bar.set_message(text.to_owned());
        }
    }

    /// Whether anybody sees it.
    pub fn is_drawn(&self) -> bool {
        !self.bar.is_hidden()
    }

    /// Lets something else be written meanwhile.
    pub fn suspend(&self, write: impl FnOnce()) {
        self.bar.suspend(write);
    }

    /// Ends the drawing.
    pub fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

/// Shows a migration while it runs.
pub struct Progress {
    spinner: Spinner,
    verbose: bool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    phase: String,
    statements: usize,
    statement: usize,
    place: String,
    /// What was said last about waiting, and when: the same is not said again and again.
    waiting: Option<(String, Instant)>,
    /// It was said that nobody could be ended.
    not_terminated: bool,
    /// When the statement began, and when it was last said how far it has come.
    began: Option<Instant>,
    progress: Option<Instant>,
    /// Relations that were said to be left out.
    not_looked_at: Vec<String>,
}

impl Progress {
    /// Draws only where stderr is a terminal.
    pub fn new(verbose: bool) -> Self {
        Self {
            spinner: Spinner::new(),
            verbose,
            state: Mutex::default(),
        }
    }

    /// Ends the drawing.
    pub fn clear(&self) {
        self.spinner.clear();
    }

    /// A line that stays.
    pub fn line(&self, text: &str) {
        self.spinner.bar.suspend(|| say(text));
    }

    /// Shows what is waited for, and why that takes time.
    pub fn wait(&self, what: &str, reason: &str, since: Duration) {
        if let Ok(mut state) = self.state.lock() {
            self.waiting(&mut state, what, reason, since);
        }
    }

    /// What the server says besides results.
    pub fn notice(&self, notice: &postgres::error::DbError) {
        let warning = notice.severity() == "WARNING";
        if warning || self.verbose {
            let place = self.state.lock().map(|state| state.place.clone()).unwrap_or_default();
            let (colour, label) = if warning { (YELLOW, "warning") } else { (DIM, "notice") };
            self.line(&format!("{colour}{label}{RESET}: {place}: {}", notice.message()));
        }
    }

    /// Shows what happens.
    pub fn event(&self, event: &Event<'_>) {
        let Ok(mut state) = self.state.lock() else { return };
        match event {
            Event::Waiting(Waiting::ForDatabase { reason, since }) => {
                self.waiting(&mut state, "the database", reason, *since);
            }
            Event::Waiting(Waiting::ForMutex { what, holder, since }) => self.waiting(&mut state, what, holder, *since),
            Event::Started {
                run,
                died,
                server_version,
            } => {
                for died in *died {
                    self.line(&format!(
                        "{DIM}run {died} had died; what it left undone is done now{RESET}"
                    ));
                }
                if self.verbose {
                    self.line(&format!("{DIM}run {run} on PostgreSQL {server_version}{RESET}"));
                }
            }
            Event::WayBack(way) => {
                for line in crate::commands::rollback::lines(way) {
                    self.line(&line);
                }
            }
            Event::Phase { phase, statements } => {
                state.phase.clone_from(&phase.name);
                state.statements = *statements;
                state.statement = 0;
                self.show(&state, "");
            }
            Event::Statement { statement } => {
                state.statement += 1;
                state.place = statement.place();
                state.waiting = None;
                (state.began, state.progress) = (Some(Instant::now()), None);
                self.show(&state, &statement.summary());
            }
            Event::Progress { text } => {
                self.show(&state, text);
                if self.spinner.bar.is_hidden() {
                    let began = *state.began.get_or_insert_with(Instant::now);
                    let told = state.progress.get_or_insert(began);
                    if told.elapsed() >= SAY_PROGRESS {
                        *told = Instant::now();
                        say(&format!("{}: {text} ({} so far)", state.place, time(began.elapsed())));
                    }
                }
            }
            Event::Blocked { place, blockers, since } => {
                let who = if blockers.is_empty() {
                    "somebody who is gone already".to_owned()
                } else {
                    list(blockers)
                };
                self.waiting(&mut state, &format!("a lock for {place}"), &who, *since);
            }
            Event::WaitingToRead { reason, since } => {
                self.waiting(&mut state, "a look at the catalog", &reason.replace('\n', "; "), *since);
            }
            Event::NotLookedAt { relation, holder } => {
                let text = format!("{relation} and what belongs to it were not looked at: {holder}");
                // The catalog is read more than once.
                if !state.not_looked_at.iter().any(|said| said == relation) {
                    state.not_looked_at.push((*relation).to_owned());
                    self.line(&format!("{YELLOW}!{RESET} {text}"));
                }
            }
            Event::Terminated { who } => self.line(&format!("{YELLOW}!{RESET} ended, for being in the way: {who}")),
            Event::NotTerminated { reason } => {
                if !state.not_terminated {
                    state.not_terminated = true;
                    let reason = reason.replace('\n', "; ");
                    self.line(&format!(
                        "{YELLOW}!{RESET} who is in the way could not be ended: {reason}"
                    ));
                }
            }
            Event::Lost { reason } => self.line(&format!("{YELLOW}!{RESET} {reason}; connecting again, and going on")),
            Event::DroppingInvalidIndex { index } => {
                self.line(&format!(
                    "{YELLOW}!{RESET} {index} is INVALID, an earlier build failed: dropping and building it again"
                ));
            }
            Event::Step { statement, step } => {
                if let Some(error) = &step.error {
                    let error = error.lines().next().unwrap_or_default();
                    self.line(&format!(
                        "{YELLOW}{BOLD}warning{RESET}: {}: not done: {error}",
                        statement.place()
                    ));
                } else if self.verbose {
                    self.line(&format!(
                        "{DIM}  {:<28} {:>8}  {}{RESET}",
                        statement.place(),
                        time(step.duration),
                        statement.summary()
                    ));
                }
            }
            // Ten lines that say "nothing" say less than none.
            Event::PhaseDone { statements_run: 0, .. } if !self.verbose => {}
            Event::PhaseDone {
                phase,
                statements_run,
                statements_skipped,
                elapsed,
            } => {
                let what = match (statements_run, statements_skipped) {
                    (0, 0) => "nothing in it".to_owned(),
                    (0, _) => "nothing to do".to_owned(),
                    (run, 0) => format!("{run} run"),
                    (run, skipped) => format!("{run} run, {skipped} satisfied"),
                };
                self.line(&format!(
                    "{GREEN}✓{RESET} {:<20} {what:<24} {:>8}",
                    phase.name,
                    time(*elapsed)
                ));
            }
        }
    }

    fn show(&self, state: &State, text: &str) {
        self.spinner.say(&format!(
            "{:<18} {}/{}  {text}",
            state.phase, state.statement, state.statements
        ));
    }

    /// On a terminal one line that changes; elsewhere a line when the reason changes, and each 10 s.
    fn waiting(&self, state: &mut State, what: &str, reason: &str, since: Duration) {
        let text = format!("waiting for {what}: {reason}");
        if self.spinner.bar.is_hidden() {
            // Ages and the like change each time: the same wait is told by what stands before them.
            let same = state
                .waiting
                .as_ref()
                .is_some_and(|(said, when)| said == what && when.elapsed() < Duration::from_secs(10));
            if !same {
                eprintln!("{text} ({} so far)", time(since));
                state.waiting = Some((what.to_owned(), Instant::now()));
            }
        } else {
            self.spinner.say(&format!("{text} ({:.0} s)", since.as_secs_f64()));
        }
    }
}

fn list(blockers: &[Blocker]) -> String {
    migration::failure::list(blockers)
}
