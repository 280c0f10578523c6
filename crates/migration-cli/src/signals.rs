//! Being told to end: by Ctrl-C, `kill`, or a terminal that goes away.

use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Mutex, PoisonError};

use anyhow::Context;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

static RECEIVED: AtomicI32 = AtomicI32::new(0);
static HURRIED: AtomicBool = AtomicBool::new(false);
static WATCHED: Mutex<bool> = Mutex::new(false);
static LISTENERS: Mutex<Vec<Listener>> = Mutex::new(Vec::new());

/// Takes a signal; false when nobody listens any more.
type Listener = Box<dyn Fn(i32) -> bool + Send>;

/// From now on signals are remembered instead of ending the process; a second one ends it at once, unless somebody
/// [listens](send_to). Only the first call does something.
///
/// # Errors
/// The system refuses to install a handler.
pub fn watch() -> anyhow::Result<()> {
    let mut watched = WATCHED.lock().unwrap_or_else(PoisonError::into_inner);
    if *watched {
        return Ok(());
    }
    let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM]).context("cannot watch for signals")?;
    std::thread::spawn(move || {
        for signal in signals.forever() {
            let before = RECEIVED.swap(signal, Ordering::SeqCst);
            HURRIED.fetch_or(before != 0, Ordering::SeqCst);
            let mut listeners = LISTENERS.lock().unwrap_or_else(PoisonError::into_inner);
            listeners.retain(|listener| listener(signal));
            if listeners.is_empty() && before != 0 {
                std::process::exit(128 + signal);
            }
        }
    });
    *watched = true;
    Ok(())
}

/// The signal that told the process to end, if one did.
pub fn received() -> Option<i32> {
    match RECEIVED.load(Ordering::SeqCst) {
        0 => None,
        signal => Some(signal),
    }
}

/// Ends this process as somebody else would, with all who [listen](send_to).
pub fn tell_ourselves() {
    // Fails for signals that there are not.
    let _ = signal_hook::low_level::raise(SIGTERM);
}

/// Whether the process was told to end more than once.
pub fn hurried() -> bool {
    HURRIED.load(Ordering::SeqCst)
}

/// Sends each further signal to `sender` as well, for as long as its receiver lives; there may be several. Ask [`received`] afterwards: a
/// signal that came before is not sent.
pub fn send_to<T: Send + 'static>(sender: Sender<T>, message: fn(i32) -> T) {
    let mut listeners = LISTENERS.lock().unwrap_or_else(PoisonError::into_inner);
    listeners.push(Box::new(move |signal| sender.send(message(signal)).is_ok()));
}
