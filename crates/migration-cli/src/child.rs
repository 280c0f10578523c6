//! A child process in front of which we stay: signals to us reach it, and it does not outlive us.

use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child as Process, Command, ExitStatus};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use connection::{Error, Kind};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, setpriority_process, waitid};
use signal_hook::consts::SIGINT;

use crate::signals;

/// Of 19 at most; one that is 10 nicer gets a tenth of what others get that want a processor at the same time.
const NICE: i32 = 10;

/// What happens while a child runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// It has ended; [`Child::reap`] tells how.
    Ended,
    /// We were told to end, by this signal.
    Signal(i32),
}

/// A child in a process group of its own: Ctrl-C in a terminal goes to the whole group in front, and would reach it a
/// second time. Dropped, it and its own children are killed.
pub struct Child {
    process: Process,
    group: Pid,
    events: Receiver<Event>,
    reaped: bool,
}

impl Child {
    /// Starts it. Signals to us become [events](Event) from now on.
    ///
    /// # Errors
    /// The program cannot be started, or we were told to end before it was.
    pub fn start(command: &mut Command) -> anyhow::Result<Self> {
        signals::watch()?;
        let (sender, events) = mpsc::channel();
        signals::send_to(sender.clone(), Event::Signal);
        let program = command.get_program().to_string_lossy().into_owned();
        if let Some(signal) = signals::received() {
            let what = format!("told to end, {program} was not started");
            return Err(Error::new(Kind::Interrupted(signal), what, "").into());
        }
        let process = command
            .process_group(0)
            .spawn()
            .map_err(|error| Error::new(Kind::Failed, format!("cannot start {program}"), error.to_string()))?;
        let group = Pid::from_child(&process);
        thread::spawn(move || {
            // Waits and does not reap: until `reap` the number is the child's and nobody else's.
            while let Err(rustix::io::Errno::INTR) =
                waitid(WaitId::Pid(group), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT)
            {}
            // Nobody listens any more if it was killed.
            let _ = sender.send(Event::Ended);
        });
        Ok(Self {
            process,
            group,
            events,
            reaped: false,
        })
    }

    /// The process, for its pipes.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Its number.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Lets others go before it and the children that it starts from now on. Where that cannot be, it is as it was.
    pub fn lower_priority(&self) {
        let _ = setpriority_process(Some(self.group), NICE);
    }

    /// Asks it to end, and does not wait.
    pub fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// The next event, or none within this time.
    pub fn event_within(&self, time: Duration) -> Option<Event> {
        match self.events.recv_timeout(time) {
            Ok(event) => Some(event),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => Some(Event::Ended),
        }
    }

    /// The next event, whenever it comes.
    pub fn event(&self) -> Event {
        self.events.recv().unwrap_or(Event::Ended)
    }

    /// Passes on a signal that we got, and waits for the child's end; a further one kills it.
    ///
    /// # Errors
    /// The system cannot tell how it ended.
    pub fn end_by(&mut self, signal: i32) -> io::Result<ExitStatus> {
        // A terminal that went away is no reason to drop open requests, and that is what SIGHUP does by default.
        let signal = if signal == SIGINT { Signal::INT } else { Signal::TERM };
        self.signal(signal);
        while let Event::Signal(_) = self.event() {
            self.signal(Signal::KILL);
        }
        self.reap()
    }

    /// A child that has ended is not minded.
    fn signal(&self, signal: Signal) {
        if !self.reaped {
            let _ = kill_process_group(self.group, signal);
        }
    }

    /// Waits for its end and tells how it ended.
    ///
    /// # Errors
    /// The system cannot tell.
    pub fn reap(&mut self) -> io::Result<ExitStatus> {
        let status = self.process.wait();
        self.reaped = true;
        status
    }

    /// Ends it: asks with SIGTERM, and kills it when it is still there after this time.
    pub fn end(&mut self, patience: Duration) {
        self.signal(Signal::TERM);
        // A further signal to us: somebody is in a hurry.
        if self.event_within(patience) != Some(Event::Ended) {
            self.signal(Signal::KILL);
        }
        let _ = self.reap();
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if !self.reaped {
            self.signal(Signal::KILL);
            let _ = self.reap();
        }
    }
}

/// The exit status that a shell would give: 128 + n when a signal ended it.
pub fn exit_status(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}

/// `exit status 1`, `signal 9`: how it ended, for people.
pub fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit status {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => status.to_string(),
    }
}
