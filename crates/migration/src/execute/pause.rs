//! After how long something is tried again.

use std::time::{Duration, Instant};

use super::watch::TICK;

/// Pauses that double from 50 ms to 5 s, each shortened by chance so that two do not keep step.
pub struct Pause(Duration);

impl Default for Pause {
    fn default() -> Self {
        Self(Duration::from_millis(50))
    }
}

impl Pause {
    /// The next one.
    pub(super) fn next(&mut self) -> Duration {
        let pause = self.0.mul_f64(0.5 + fastrand::f64() / 2.0);
        self.0 = (self.0 * 2).min(Duration::from_secs(5));
        pause
    }

    /// Waits for the next one; no longer than until `goes_on` says no.
    pub fn wait(&mut self, goes_on: &dyn Fn() -> bool) {
        let end = Instant::now() + self.next();
        while goes_on()
            && let Some(left) = end.checked_duration_since(Instant::now())
        {
            std::thread::sleep(left.min(TICK));
        }
    }
}
