//! What a backend writes.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, PipeReader, Read};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use crate::ui;

/// How many of its last lines are shown when it fails.
const LAST_LINES: usize = 20;
/// A longer line is cut into several.
const LONGEST_LINE: u64 = 64 * 1024;

/// The child's output: shown line by line, the last lines kept.
pub struct Log {
    last: Arc<Mutex<VecDeque<String>>>,
    end: Receiver<()>,
}

impl Log {
    /// Shows what comes, as one of the lines of `progress`, in a thread of its own.
    pub fn follow(reader: PipeReader, progress: Arc<ui::Progress>) -> Self {
        let last = Arc::new(Mutex::new(VecDeque::new()));
        // Nothing is sent: it is closed when the thread ends.
        let (sender, end) = mpsc::channel();
        let kept = last.clone();
        thread::spawn(move || {
            let _sender = sender;
            let mut reader = BufReader::new(reader);
            let mut line = Vec::new();
            while let Ok(1..) = reader.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line) {
                let text = String::from_utf8_lossy(&line).trim_end().to_owned();
                progress.line(&text);
                let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                kept.push_back(text);
                if kept.len() > LAST_LINES {
                    kept.pop_front();
                }
                line.clear();
            }
        });
        Self { last, end }
    }

    /// Waits until everything that an ended child wrote is shown.
    pub fn finish(&self) {
        // If a child of the child still holds the pipe, it is not waited for.
        let _ = self.end.recv_timeout(Duration::from_secs(1));
    }

    /// The last lines; empty if it wrote nothing.
    pub fn last(&self) -> String {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.iter().map(String::as_str).collect::<Vec<_>>().join("\n")
    }
}
