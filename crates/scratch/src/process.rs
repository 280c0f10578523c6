//! Running other programs with a deadline, out of the reach of the terminal's Ctrl-C.

use std::io::Read;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use connection::Interrupted;

/// How often a wait looks whether it is over.
pub(super) const POLL: Duration = Duration::from_millis(20);

/// What a program said that ended well; otherwise why it did not.
///
/// The program gets a process group of its own: what starts and stops servers must come to its end
/// when a person presses Ctrl-C, or something stays behind.
///
/// # Errors
/// The last lines that it wrote to stderr, or why it did not run, as text.
pub(super) fn answer(command: &mut Command, limit: Duration, interrupted: Interrupted<'_>) -> Result<String, String> {
    let program = std::path::Path::new(command.get_program());
    let name = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut child = command
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("{name}: {error}"))?;
    let stdout = child.stdout.take().map(read_in_background);
    let stderr = child.stderr.take().map(read_in_background);
    let deadline = Instant::now() + limit;
    let status = loop {
        match child.try_wait().map_err(|error| format!("{name}: {error}"))? {
            Some(status) => break status,
            None if interrupted().is_some() => {
                end(&mut child);
                return Err(format!("{name} was interrupted"));
            }
            None if Instant::now() >= deadline => {
                end(&mut child);
                return Err(format!("{name} did not answer within {} s", limit.as_secs()));
            }
            None => std::thread::sleep(POLL),
        }
    };
    let text = |reader: Option<std::thread::JoinHandle<String>>| {
        reader.and_then(|reader| reader.join().ok()).unwrap_or_default()
    };
    let (stdout, stderr) = (text(stdout), text(stderr));
    if status.success() {
        return Ok(stdout.trim().to_owned());
    }
    let said = last_lines(if stderr.trim().is_empty() { &stdout } else { &stderr }, 5);
    Err(if said.is_empty() {
        format!("{name}: {status}")
    } else {
        said
    })
}

/// The last `count` lines of `text` that are not empty.
pub(super) fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text
        .lines()
        .map(str::trim_end)
        .filter(|line| !line.is_empty())
        .collect();
    lines
        .get(lines.len().saturating_sub(count)..)
        .unwrap_or_default()
        .join("\n")
}

/// Kills a program of ours and takes its exit status.
pub(super) fn end(child: &mut Child) {
    // Either fails only where the program has ended, which is what is wanted.
    let _ = child.kill();
    let _ = child.wait();
}

/// Waits for a program of ours to end; whether it did.
pub(super) fn ended_within(child: &mut Child, limit: Duration) -> bool {
    let deadline = Instant::now() + limit;
    while Instant::now() < deadline {
        if !matches!(child.try_wait(), Ok(None)) {
            return true;
        }
        std::thread::sleep(POLL);
    }
    false
}

fn read_in_background(mut from: impl Read + Send + 'static) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        // What could be read before an error is still worth showing.
        let _ = from.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}
