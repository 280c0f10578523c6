//! The later deploy: asks the one that runs to launch what was built.

use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use connection::{Error, Kind};

use super::message::{Answer, PROTOCOL, Request};
use crate::backend::launch::Launch;
use crate::{signals, ui};

/// How often is looked whether we are told to end.
const LOOK: Duration = Duration::from_millis(100);

/// Asks the deploy at the other end to launch this, and waits until it serves. Gives the backend's number. If we are told
/// to end meanwhile, the new backend is ended, too.
///
/// # Errors
/// The new backend has failed, with its last lines, and the one before it goes on serving; that deploy has ended; or we
/// were told to end.
pub fn ask(running: UnixStream, launch: Launch) -> anyhow::Result<u32> {
    signals::watch()?;
    let progress = ui::Progress::new(false);
    let result = converse(running, launch, &progress);
    progress.clear();
    let lost = |error: io::Error| {
        Error::new(
            Kind::Failed,
            "no answer from the deploy that is in front of the backend",
            error.to_string(),
        )
        .next("if it has ended, run this again")
    };
    match result.map_err(lost)? {
        Said::Answer(Answer::Done { process }) => Ok(process),
        Said::Answer(Answer::Failed { what, cause, next }) => {
            let next = format!("the backend before it goes on serving\n{next}");
            Err(Error::new(Kind::Failed, what, cause).next(next.trim_end()).into())
        }
        Said::Answer(Answer::Waiting { .. }) => Err(lost(io::ErrorKind::InvalidData.into()).into()),
        Said::Signal(signal) => Err(Error::new(
            Kind::Interrupted(signal),
            "told to end before the new backend had taken over",
            "the backend before it goes on serving",
        )
        .into()),
    }
}

/// What ends the conversation.
enum Said {
    Answer(Answer),
    Signal(i32),
}

fn converse(mut running: UnixStream, launch: Launch, progress: &ui::Progress) -> io::Result<Said> {
    let request = Request {
        protocol: PROTOCOL,
        launch,
    };
    let request = serde_json::to_string(&request)?;
    running.write_all(request.as_bytes())?;
    running.write_all(b"\n")?;
    running.set_read_timeout(Some(LOOK))?;
    let mut answers = BufReader::new(running);
    // A line may come in parts.
    let mut line = Vec::new();
    loop {
        if let Some(signal) = signals::received() {
            return Ok(Said::Signal(signal));
        }
        match answers.read_until(b'\n', &mut line) {
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => continue,
            Err(error) => return Err(error),
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(_) => {}
        }
        match serde_json::from_slice(&line)? {
            Answer::Waiting { reason, since } => progress.wait("the backend", &reason, since),
            last => return Ok(Said::Answer(last)),
        }
        line.clear();
    }
}
