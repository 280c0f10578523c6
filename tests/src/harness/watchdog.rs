//! Ends what the tests started, however the test process ends.
//!
//! A small shell reads commands from a pipe and runs them when the pipe closes. The kernel closes
//! it at SIGKILL as well, so nothing depends on destructors or signal handlers of ours.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

const SCRIPT: &str = r#"
trap '' INT TERM HUP
todo=
while IFS= read -r line; do todo="$todo
$line"; done
eval "$todo" >/dev/null 2>&1
"#;

/// The shell that waits for the end of this process.
pub struct Watchdog {
    inner: Mutex<Option<(Child, ChildStdin)>>,
}

impl Watchdog {
    /// Starts the shell, in a process group of its own: Ctrl-C in the terminal does not reach it.
    pub fn start() -> Self {
        let mut child = Command::new("sh")
            .args(["-c", SCRIPT])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .expect("`sh` starts");
        let pipe = child.stdin.take().expect("stdin is piped");
        Watchdog {
            inner: Mutex::new(Some((child, pipe))),
        }
    }

    /// Adds one shell command to those that run at the end. It must do no harm when what it ends
    /// is gone already.
    pub fn at_end(&self, command: &str) {
        assert!(!command.contains('\n'), "one line a command: {command}");
        if let Some((_, pipe)) = self.lock().as_mut() {
            writeln!(pipe, "{command}").expect("the watchdog reads");
        }
    }

    /// Runs the commands now and waits until they are done.
    pub fn finish(&self) {
        if let Some((mut child, pipe)) = self.lock().take() {
            drop(pipe);
            let _ = child.wait();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<(Child, ChildStdin)>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
