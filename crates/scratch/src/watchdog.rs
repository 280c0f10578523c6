//! Cleaning up after this process, whatever ends it.
//!
//! `Drop` does not run on SIGKILL. So a small shell waits at the end of a pipe whose other end only
//! this process has: when the pipe closes without a farewell, it stops the server.

use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Stdio};

use xshell::cmd;

use super::program;

/// Common to all: read what the owner says until the pipe closes. `$pid` is then what it last told.
const LISTEN: &str = r#"
trap '' HUP INT TERM
pid=
while read -r word value; do
    case $word in
    pid) pid=$value ;;
    farewell) exit 0 ;;
    esac
done
"#;

/// `$1` container, `$2` seconds it may take to stop (0: kill it), `$3` label of its owner: on kept data the
/// next owner's container has the same name, and may be there by now. `docker run` may still be under
/// way when its caller is killed: look once more after it.
const END_CONTAINER: &str = r#"
for again in 1 2; do
    container=$(docker ps --all --quiet --filter "name=^/$1\$" --filter "label=$3")
    if [ -n "$container" ]; then
        if [ "$2" != 0 ]; then docker stop -t "$2" "$container"; fi
        docker rm -f -v "$container"
    fi
    sleep 2
done
"#;

/// `$1` folder to remove, empty to keep all. The server's processes are not our children: look
/// until they are gone, for at most 30 seconds.
const END_PROCESS: &str = r#"
if [ -n "$pid" ]; then
    if [ -n "$1" ]; then kill -QUIT "$pid"; else kill -INT "$pid"; fi
    n=0
    while kill -0 "$pid" && [ "$n" -lt 300 ]; do
        sleep 0.1
        n=$((n + 1))
    done
    kill -KILL "$pid"
fi
if [ -n "$1" ]; then rm -rf -- "$1"; fi
"#;

/// The watching shell. Dropped, it goes without doing anything: its owner cleans up itself.
pub(super) struct Watchdog {
    child: Child,
    pipe: Option<ChildStdin>,
}

impl Watchdog {
    /// Watches over a container that is about to be started under this name with this label.
    pub(super) fn for_container(name: &str, label: &str, stop_seconds: u32) -> io::Result<Self> {
        let seconds = stop_seconds.to_string();
        Self::start(END_CONTAINER, &[name.as_ref(), seconds.as_ref(), label.as_ref()])
    }

    /// Watches over a server process, told later by [`process`](Self::process), and over the folder
    /// that goes with it.
    pub(super) fn for_process(remove: Option<&Path>) -> io::Result<Self> {
        Self::start(END_PROCESS, &[remove.unwrap_or(Path::new("")).as_os_str()])
    }

    fn start(clean_up: &str, arguments: &[&std::ffi::OsStr]) -> io::Result<Self> {
        let script = format!("{LISTEN}{clean_up}");
        let mut child = program::command("sh", |sh, shell| {
            cmd!(sh, "{shell} -c {script} xtask-watchdog {arguments...}")
        })
        .map_err(io::Error::other)?
        // Not the folder of the caller: it would keep a file system busy.
        .current_dir("/")
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
        let pipe = child.stdin.take();
        Ok(Self { child, pipe })
    }

    /// Tells which process the server is.
    pub(super) fn process(&mut self, pid: u32) -> io::Result<()> {
        match &mut self.pipe {
            Some(pipe) => writeln!(pipe, "pid {pid}"),
            None => Ok(()),
        }
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        if let Some(mut pipe) = self.pipe.take() {
            // Somebody may have killed it; then there is nobody to tell.
            let _ = writeln!(pipe, "farewell");
        }
        let _ = self.child.wait();
    }
}
