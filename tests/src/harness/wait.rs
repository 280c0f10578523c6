//! Waiting for conditions, never for luck.

use std::thread;
use std::time::{Duration, Instant};

/// How often a condition is looked at.
const INTERVAL: Duration = Duration::from_millis(20);

/// Waits until `condition` gives something, and panics with `what` after `deadline`.
#[track_caller]
pub fn until<T>(what: &str, deadline: Duration, mut condition: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = condition() {
            return found;
        }
        assert!(start.elapsed() < deadline, "waited {deadline:?} in vain for: {what}");
        thread::sleep(INTERVAL);
    }
}

/// The same for a condition that is true or not.
#[track_caller]
pub fn until_true(what: &str, deadline: Duration, mut condition: impl FnMut() -> bool) {
    until(what, deadline, || condition().then_some(()));
}
