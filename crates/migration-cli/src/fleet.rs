//! The same command on many databases: each in a process of its own, so many at a time, the first ones before the rest.

use std::collections::{BTreeMap, VecDeque};
use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use connection::{Error, Kind, describe};
use migration::session::connect::Session;
use migration::session::{Connector, Target};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::commands::options::Connection;
use crate::{out, report, signals, ui};

// A command, on one database or on many. Not as documentation: it would stand in the help instead of the command's own.
#[derive(clap::Args, Debug)]
pub struct Many<A: clap::Args> {
    #[command(flatten)]
    pub args: A,
    #[command(flatten)]
    databases: Databases,
}

#[derive(clap::Args, Debug)]
#[command(next_help_heading = "Many databases")]
struct Databases {
    /// Do it for many databases: those that a file names, a line each (a name or a URL), or those of the server whose
    /// names match a pattern such as 'tenant_*'. The exit status is the highest; --json prints a line each.
    #[arg(long, value_name = "FILE|PATTERN")]
    databases: Option<String>,
    /// How many at a time.
    #[arg(long, default_value_t = 4, value_name = "NUMBER", requires = "databases", value_parser = clap::value_parser!(u16).range(1..))]
    jobs: u16,
    /// How many go first, one after the other: only if all of them do well come the rest.
    #[arg(long, default_value_t = 1, value_name = "NUMBER", requires = "databases")]
    canary: u16,
    /// Go on with the others when one fails.
    #[arg(long, requires = "databases")]
    keep_going: bool,
}

/// One of the databases.
#[derive(Clone)]
struct Member {
    /// For people: without a password, and without what a terminal would obey.
    label: String,
    /// What tells the process of it.
    place: Place,
}

#[derive(Clone)]
enum Place {
    Name(String),
    Url(String),
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Member>,
    /// The processes under way.
    running: BTreeMap<u32, String>,
    /// The exit statuses of those that have ended.
    done: Vec<u8>,
}

impl State {
    fn failed(&self) -> usize {
        self.done.iter().filter(|status| **status != 0).count()
    }
}

/// `, 2 failed`; nothing of none.
fn if_any(count: usize, what: &str) -> String {
    match count {
        0 => String::new(),
        count => format!(", {count} {what}"),
    }
}

/// What ends a wait for processes.
const TICK: Duration = Duration::from_millis(50);

impl<A: clap::Args> Many<A> {
    /// Does it here for one database, and in processes of their own for many, unless `refused`.
    pub fn run(
        &self,
        json: bool,
        connection: &Connection,
        refused: impl FnOnce(&A) -> Result<(), Error>,
        one: impl FnOnce(&A) -> ExitCode,
    ) -> ExitCode {
        let Some(which) = &self.databases.databases else {
            return one(&self.args);
        };
        let run = || {
            refused(&self.args)?;
            self.databases.run(which, connection, json)
        };
        report::end(run(), json)
    }
}

impl Databases {
    fn run(&self, which: &str, connection: &Connection, json: bool) -> anyhow::Result<u8> {
        signals::watch()?;
        let start = Instant::now();
        let members = members(which, connection)?;
        let all = members.len();
        let fleet = Fleet {
            json,
            arguments: arguments(std::env::args_os().skip(1)),
            state: Mutex::default(),
            spinner: ui::Spinner::new(),
            all,
        };
        let (canaries, rest) = members.split_at(usize::from(self.canary).min(all));
        fleet.go_through(canaries, 1, self.keep_going);
        if self.keep_going || fleet.state().failed() == 0 {
            fleet.go_through(rest, usize::from(self.jobs), self.keep_going);
        }
        fleet.spinner.clear();
        let state = fleet.state();
        let failed = state.failed();
        ui::say(&format!(
            "{}: {} done{}{} in {}",
            ui::count(all, "database"),
            state.done.len() - failed,
            if_any(failed, "failed"),
            if_any(all - state.done.len(), "not begun"),
            ui::time(start.elapsed())
        ));
        Ok(match signals::received() {
            Some(signal) => Kind::Interrupted(signal).exit_status(),
            None => state.done.iter().copied().max().unwrap_or_default(),
        })
    }
}

struct Fleet {
    json: bool,
    arguments: Vec<OsString>,
    state: Mutex<State>,
    spinner: ui::Spinner,
    all: usize,
}

impl Fleet {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn go_through(&self, members: &[Member], jobs: usize, keep_going: bool) {
        self.state().waiting.extend(members.iter().cloned());
        let mut said = Instant::now();
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..jobs.min(members.len()))
                .map(|_| {
                    scope.spawn(|| {
                        loop {
                            let next = self.state().waiting.pop_front();
                            let Some(member) = next.filter(|_| signals::received().is_none()) else {
                                return;
                            };
                            if self.one(&member) != 0 && !keep_going {
                                self.state().waiting.clear();
                            }
                        }
                    })
                })
                .collect();
            while !workers.iter().all(|worker| worker.is_finished()) {
                std::thread::sleep(TICK);
                self.show(&mut said);
                if signals::received().is_some() {
                    self.interrupt();
                }
            }
        });
    }

    /// They end by themselves, as for Ctrl-C.
    fn interrupt(&self) {
        let pids: Vec<u32> = self.state().running.keys().copied().collect();
        for pid in pids
            .into_iter()
            .filter_map(|pid| Pid::from_raw(i32::try_from(pid).ok()?))
        {
            // It may be gone.
            let _ = kill_process(pid, Signal::INT);
        }
        std::thread::sleep(TICK * 10);
    }

    fn show(&self, said: &mut Instant) {
        let state = self.state();
        let running: Vec<&str> = state.running.values().map(String::as_str).collect();
        let text = format!(
            "{}/{} databases{}; now {}",
            state.done.len(),
            self.all,
            if_any(state.failed(), "failed"),
            running.join(", ")
        );
        self.spinner.say(&text);
        if !self.spinner.is_drawn() && said.elapsed() >= ui::SAY_PROGRESS {
            *said = Instant::now();
            ui::say(&text);
        }
    }

    fn one(&self, member: &Member) -> u8 {
        let (status, last_words) = match self.output(member) {
            Ok(output) => self.tell(member, &output),
            Err(error) => (1, format!("cannot start a process: {error}")),
        };
        if status != 0 {
            let text = format!(
                "{}: exit status {status}\n  {}",
                member.label,
                last_words.replace('\n', "\n  ")
            );
            self.spinner.suspend(|| ui::error(&text));
        }
        self.state().done.push(status);
        status
    }

    fn output(&self, member: &Member) -> std::io::Result<Output> {
        let mut command = Command::new(std::env::current_exe()?);
        command
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        match &member.place {
            Place::Name(name) => command.arg(format!("--dbname={name}")),
            Place::Url(url) => command.env("DATABASE_URL", url),
        };
        let child = command.spawn()?;
        let pid = child.id();
        self.state().running.insert(pid, member.label.clone());
        let output = child.wait_with_output();
        self.state().running.remove(&pid);
        output
    }

    /// Passes on what a process had to say. Returns its exit status, and what it said last.
    fn tell(&self, member: &Member, output: &Output) -> (u8, String) {
        let status = crate::child::exit_status(output.status);
        let stdout = String::from_utf8_lossy(&output.stdout);
        let stderr = String::from_utf8_lossy(&output.stderr);
        if self.json {
            let document = stdout
                .lines()
                .last()
                .and_then(|line| serde_json::from_str::<Value>(line).ok());
            let line = json!({ "database": member.label, "exit_status": status, "document": document });
            self.spinner.suspend(|| out!("{line}"));
        } else if !stdout.trim().is_empty() {
            self.spinner
                .suspend(|| out!("== {}\n{}", member.label, stdout.trim_end()));
        } else if status == 0 {
            // Of a run that did something, all but how far it was.
            let told = stderr.lines().filter(|line| {
                !line.contains(": nothing to do") && !line.starts_with('✓') && !line.starts_with("waiting for")
            });
            told.for_each(|line| self.spinner.suspend(|| ui::say(line)));
        }
        let lines: Vec<&str> = stderr.lines().collect();
        let from = lines
            .iter()
            .rposition(|line| line.starts_with("error"))
            .unwrap_or(lines.len().saturating_sub(4));
        (status, lines.get(from..).unwrap_or_default().join("\n"))
    }
}

/// The arguments of this process without those that are about many databases, or about one.
fn arguments(given: impl Iterator<Item = OsString>) -> Vec<OsString> {
    const WITH_VALUE: [&str; 5] = ["--databases", "--jobs", "--canary", "--dbname", "--database-url"];
    let mut kept = Vec::new();
    let mut skip = false;
    for argument in given {
        let text = argument.to_string_lossy();
        let name = text.split('=').next().unwrap_or_default();
        if std::mem::take(&mut skip) || name == "--keep-going" {
            continue;
        }
        if WITH_VALUE.contains(&name) {
            skip = !text.contains('=');
            continue;
        }
        kept.push(argument);
    }
    kept
}

fn members(which: &str, connection: &Connection) -> Result<Vec<Member>, Error> {
    let members = if which.contains(['*', '?']) {
        matching(which, connection)?
    } else {
        listed(Path::new(which), connection)?
    };
    if members.is_empty() {
        return Err(Error::new(
            Kind::Usage,
            format!("no database: {which}"),
            "nothing was done",
        ));
    }
    Ok(members)
}

/// Those whose names match the pattern.
fn matching(pattern: &str, connection: &Connection) -> Result<Vec<Member>, Error> {
    let connector = Connector::new(connection.settings()?, None)?;
    let session = Session {
        database: Some("postgres"),
        ..Session::named("xtask (databases)")
    };
    let tell = |_: migration::session::Waiting<'_>| {};
    let mut client = connector.wait(Target::Any, &session, connection.wait, &signals::received, &tell)?;
    let rows = client
        .query_typed(include_str!("databases.sql"), &[])
        .map_err(|error| Error::new(Kind::Failed, "cannot list the databases", describe(&error)))?;
    let names = rows.iter().filter_map(|row| row.try_get::<_, String>(0).ok());
    let names = names.filter(|name| matches(pattern.as_bytes(), name.as_bytes()));
    Ok(names
        .map(|name| Member {
            label: printable(&name),
            place: Place::Name(name),
        })
        .collect())
}

/// `*` stands for any characters, `?` for one.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    match (pattern.split_first(), name.split_first()) {
        (None, None) => true,
        (Some((b'*', rest)), _) => {
            matches(rest, name) || name.split_first().is_some_and(|(_, name)| matches(pattern, name))
        }
        (Some((b'?', rest)), Some((_, name))) => matches(rest, name),
        (Some((one, rest)), Some((other, name))) => one == other && matches(rest, name),
        _ => false,
    }
}

/// Those of a file, a line each; lines that begin with `#` are comments.
fn listed(path: &Path, connection: &Connection) -> Result<Vec<Member>, Error> {
    let text = fs::read_to_string(path).map_err(|error| {
        let what = format!("cannot read the list of databases {}", path.display());
        Error::new(Kind::Usage, what, error.to_string()).next("a pattern has a * or a ? in it")
    })?;
    let mut members = Vec::new();
    for (n, line) in text.lines().map(str::trim).enumerate() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let is_url = line.contains("://") || line.contains('=');
        members.push(if is_url {
            let settings = connection.settings_of(line).map_err(|error| Error {
                what: format!("{}:{}: {}", path.display(), n + 1, error.what),
                ..error
            })?;
            Member {
                label: printable(&settings.to_string()),
                place: Place::Url(line.to_owned()),
            }
        } else {
            Member {
                label: printable(line),
                place: Place::Name(line.to_owned()),
            }
        });
    }
    Ok(members)
}

/// Without what a terminal would obey.
fn printable(text: &str) -> String {
    text.chars()
        .map(|one| if one.is_control() { '\u{fffd}' } else { one })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (pattern, name, fits) in [
            ("tenant_*", "tenant_1", true),
            ("tenant_*", "tenant_", true),
            ("tenant_*", "other", false),
            ("*a?c*", "xxabcxx", true),
            ("a?", "a", false),
            ("*", "%\"'", true),
        ] {
            assert_eq!(matches(pattern.as_bytes(), name.as_bytes()), fits, "{pattern} {name}");
        }
    }

    #[test]
    fn a_process_for_one_gets_the_other_arguments() {
        let given = "migrate --databases f --jobs=3 -v --canary 2 --keep-going --dbname x --lock-timeout 1s";
        let kept = arguments(given.split(' ').map(OsString::from));
        assert_eq!(kept, ["migrate", "-v", "--lock-timeout", "1s"]);
    }
}
