//! A server in a Docker container.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use connection::{Error, Kind};
use xshell::cmd;

use crate::process::{answer, end, last_lines};
use crate::watchdog::Watchdog;
use crate::{Interrupted, Running, SUPERUSER, ServerOptions, program, storage};

/// What people get who have the image already, or can pull it.
const OFFICIAL: &str = "postgres:18.1";
/// What scripts/make-postgres-image.sh makes, the newest first.
const MADE_HERE: [&str; 3] = ["local/postgres:18", "local/postgres:17", "local/postgres:15"];
/// How long a question to Docker may take.
const LIMIT: Duration = Duration::from_secs(30);
/// How long a server with data worth keeping may take to stop.
const STOP_SECONDS: u32 = 30;
/// Whose a container is: process and machine, so that what a killed process left behind can be told
/// from what somebody uses.
const OWNER_LABEL: &str = "xtask.owner_pid";
const HOST_LABEL: &str = "xtask.owner_host";
/// Where kept data is in the container. Not in a folder that images declare a volume, which would be
/// made for nothing.
const MOUNT: &str = "/xtask";

/// An image that Docker has.
pub(super) struct Image {
    name: String,
    /// The hash that Docker calls it by, empty if it does not tell.
    id: String,
    /// Major version of the PostgreSQL in it, as the image says; "unknown" where it does not.
    major: String,
}

/// Finds an image to start a server from, or pulls it.
///
/// # Errors
/// Why there is none, as text.
pub(super) fn find(
    asked: Option<&str>,
    interrupted: Interrupted<'_>,
    progress: &dyn Fn(&str),
) -> Result<Image, String> {
    program::find("docker").map_err(|_| "it is not installed".to_owned())?;
    if let Ok(host) = std::env::var("DOCKER_HOST")
        && !host.is_empty()
        && !host.starts_with("unix:")
    {
        return Err(format!(
            "it runs on another machine ({host}), whose 127.0.0.1 is not ours"
        ));
    }
    ask(&["version", "--format", "{{.Server.Version}}"], LIMIT, interrupted)
        .map_err(|reason| format!("it does not answer: {}", last_lines(&reason, 1)))?;
    let candidates = match asked {
        Some(image) => vec![image],
        None => [OFFICIAL].into_iter().chain(MADE_HERE).collect(),
    };
    for name in candidates {
        if let Some(image) = inspect(name, interrupted) {
            return Ok(image);
        }
    }
    let name = asked.unwrap_or(OFFICIAL);
    pull(name, interrupted, progress)?;
    inspect(name, interrupted).ok_or_else(|| format!("{name} was pulled and is not there"))
}

fn docker(arguments: &[&str]) -> Result<Command, String> {
    program::command("docker", |sh, docker| cmd!(sh, "{docker} {arguments...}")).map_err(|error| error.to_string())
}

/// What Docker answers; otherwise why it does not.
fn ask(arguments: &[&str], limit: Duration, interrupted: Interrupted<'_>) -> Result<String, String> {
    answer(&mut docker(arguments)?, limit, interrupted)
}

fn inspect(name: &str, interrupted: Interrupted<'_>) -> Option<Image> {
    let format = "ID={{.Id}}\n{{range .Config.Env}}{{println .}}{{end}}";
    let described = ask(&["image", "inspect", "--format", format, name], LIMIT, interrupted).ok()?;
    let value = |name: &str| described.lines().find_map(|line| line.strip_prefix(name));
    Some(Image {
        name: name.to_owned(),
        id: value("ID=").unwrap_or_default().to_owned(),
        major: value("PG_MAJOR=").unwrap_or("unknown").to_owned(),
    })
}

impl std::fmt::Display for Image {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PostgreSQL {} in a container of {}", self.major, self.name)
    }
}

impl Image {
    /// A text that is another one for another image. `None`: that cannot be told.
    pub(super) fn identity(&self) -> Option<String> {
        (!self.id.is_empty()).then(|| format!("image {} {}", self.name, self.id))
    }
}

/// Pulls an image. It may take minutes, and ends with this process or its interruption.
fn pull(name: &str, interrupted: Interrupted<'_>, progress: &dyn Fn(&str)) -> Result<(), String> {
    progress(&format!("pulling {name} …"));
    let failed = |reason: String| format!("{name} is not there and cannot be pulled: {reason}");
    let mut child = docker(&["pull", name])
        .map_err(failed)?
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| failed(error.to_string()))?;
    let errors = child.stderr.take().map(|stderr| {
        std::thread::spawn(move || {
            BufReader::new(stderr)
                .lines()
                .map_while(Result::ok)
                .collect::<Vec<_>>()
                .join("\n")
        })
    });
    if let Some(stdout) = child.stdout.take() {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            progress(&format!("  {line}"));
            if interrupted().is_some() {
                end(&mut child);
            }
        }
    }
    let status = child.wait().map_err(|error| failed(error.to_string()))?;
    let errors = errors.and_then(|thread| thread.join().ok()).unwrap_or_default();
    if status.success() {
        Ok(())
    } else {
        Err(failed(last_lines(&errors, 1)))
    }
}

/// Where a container has its data.
enum Data {
    /// In the container, gone with it.
    Scratch,
    /// In a folder of ours, by this user, who can then remove it without Docker.
    Folder { source: String, user: Option<String> },
    /// In a volume of Docker: a rootless Docker would give the files to a user number that the person
    /// who calls us cannot remove.
    Volume(String),
}

impl Data {
    fn of(
        options: &ServerOptions,
        folder: &str,
        interrupted: Interrupted<'_>,
        progress: &dyn Fn(&str),
    ) -> Result<Self, Error> {
        let Some(data) = &options.data else {
            return Ok(Self::Scratch);
        };
        let security = ask(&["info", "--format", "{{.SecurityOptions}}"], LIMIT, interrupted);
        if security.is_ok_and(|text| text.contains("name=rootless")) {
            let volume = format!("xtask-dev-{}-{folder}", storage::hash(data));
            progress(&format!(
                "the data is in a volume of Docker; to throw it away: docker volume rm {volume}"
            ));
            return Ok(Self::Volume(volume));
        }
        let path = data.join(folder);
        let made = fs::create_dir_all(&path)
            .and_then(|()| fs::canonicalize(&path))
            .and_then(|path| Ok((fs::metadata(&path)?, path)));
        let (metadata, path) = made.map_err(|error| {
            Error::new(
                Kind::Failed,
                format!("cannot use the data folder {}", path.display()),
                error.to_string(),
            )
        })?;
        // As root the image's entrypoint gives the folder to its own user; PostgreSQL refuses root.
        let user = (metadata.uid() != 0).then(|| format!("{}:{}", metadata.uid(), metadata.gid()));
        Ok(Self::Folder {
            source: path.display().to_string(),
            user,
        })
    }

    fn arguments(&self) -> Vec<String> {
        let mount = |source: &str, option: &str| {
            vec![
                "-v".to_owned(),
                format!("{source}:{MOUNT}{option}"),
                "-e".to_owned(),
                format!("PGDATA={MOUNT}/data"),
            ]
        };
        match self {
            // In memory: a storage driver made of layers is slow with a database's many small files.
            Self::Scratch => vec![
                "--tmpfs".to_owned(),
                MOUNT.to_owned(),
                "-e".to_owned(),
                format!("PGDATA={MOUNT}/data"),
                "-e".to_owned(),
                "POSTGRES_INITDB_ARGS=--no-sync".to_owned(),
            ],
            // Z: for SELinux the folder belongs to this container alone.
            Self::Folder { source, user } => {
                let mut arguments = mount(source, ":Z");
                arguments.extend(user.iter().flat_map(|user| ["--user".to_owned(), user.clone()]));
                arguments
            }
            Self::Volume(name) => mount(name, ""),
        }
    }
}

struct Container {
    name: String,
    image: String,
    port: u16,
    kept: bool,
    /// Dropped after the container is gone.
    _watchdog: Watchdog,
}

/// Starts a container; it may take a while until the server in it answers.
pub(super) fn start(
    image: &Image,
    options: &ServerOptions,
    interrupted: Interrupted<'_>,
    progress: &dyn Fn(&str),
) -> Result<(Box<dyn Running>, String), Error> {
    remove_orphans(interrupted);
    let folder = format!("docker-{}", image.major);
    let data = Data::of(options, &folder, interrupted, progress)?;
    let password = storage::password(options.data.as_deref(), &folder)?;
    let name = match &options.data {
        // The caller has the lock of this data: under that name there can only be an orphan, and two
        // containers must never run on the same data, where they do not see each other's processes.
        Some(data) => {
            let name = format!("xtask-postgres-{}", storage::hash(data));
            remove(&name, STOP_SECONDS);
            name
        }
        None => storage::unique_name(),
    };
    let failed = |cause: String| {
        Error::new(
            Kind::Failed,
            format!("cannot start a container of {}", image.name),
            cause,
        )
    };
    let stop_seconds = if options.data.is_some() { STOP_SECONDS } else { 0 };
    let owner = format!("{OWNER_LABEL}={}", std::process::id());
    let watchdog = Watchdog::for_container(&name, &owner, stop_seconds).map_err(|error| failed(error.to_string()))?;

    let port = options.port.map(|port| port.to_string()).unwrap_or_default();
    let mut command = docker(&[
        "run",
        "--detach",
        "--name",
        &name,
        "--publish",
        &format!("127.0.0.1:{port}:5432"),
    ])
    .map_err(failed)?;
    command
        .args(["--label", &owner])
        .args(["--label", &format!("{HOST_LABEL}={}", host_name())])
        // Parallel queries need more than Docker's 64 MB.
        .args([
            "--shm-size",
            "256m",
            "--env",
            "POSTGRES_PASSWORD",
            "--env",
            &format!("POSTGRES_USER={SUPERUSER}"),
        ])
        // Arguments are seen by everybody on the machine: the password goes through the environment.
        .env("POSTGRES_PASSWORD", &password)
        .args(data.arguments())
        .args([&image.name, "postgres"])
        .args(options.all_settings());
    let mut container = Container {
        name,
        image: image.name.clone(),
        port: 0,
        kept: options.data.is_some(),
        _watchdog: watchdog,
    };
    let started = answer(&mut command, LIMIT * 4, interrupted).and_then(|_| container.published_port(interrupted));
    match started {
        Ok(port) => {
            container.port = port;
            Ok((Box::new(container), password))
        }
        Err(cause) => {
            let log = if container.ended().is_some() {
                container.log()
            } else {
                String::new()
            };
            remove(&container.name, 0);
            storage::check(interrupted)?;
            Err(failed(format!("{cause}\n{log}")))
        }
    }
}

impl Container {
    fn published_port(&self, interrupted: Interrupted<'_>) -> Result<u16, String> {
        let published = ask(&["port", &self.name, "5432/tcp"], LIMIT, interrupted)?;
        let port = published.lines().find_map(|line| line.rsplit_once(':')?.1.parse().ok());
        port.ok_or_else(|| format!("its port is not published: {published}"))
    }
}

impl Running for Container {
    fn port(&self) -> u16 {
        self.port
    }

    fn origin(&self) -> String {
        format!("in container {}", self.image)
    }

    fn ended(&mut self) -> Option<String> {
        let state = ask(
            &["inspect", "--format", "{{.State.Running}}", &self.name],
            LIMIT,
            &|| None,
        );
        match state.as_deref() {
            Ok("true") => None,
            Ok(_) => Some(format!("its container has ended\n{}", self.log())),
            Err(reason) => Some(reason.clone()),
        }
    }

    fn log(&self) -> String {
        // `docker logs` gives the two streams of the container as it got them; servers log to stderr.
        let log = docker(&["logs", "--tail", "15", &self.name]).ok();
        let log = log.and_then(|mut command| command.output().ok());
        log.map(|log| {
            last_lines(
                &format!(
                    "{}{}",
                    String::from_utf8_lossy(&log.stdout),
                    String::from_utf8_lossy(&log.stderr)
                ),
                15,
            )
        })
        .unwrap_or_default()
    }

    fn psql(&self) -> String {
        format!("docker exec -it {} psql", self.name)
    }

    fn stop(&mut self) -> Result<(), String> {
        if self.kept {
            let seconds = STOP_SECONDS.to_string();
            // What matters is whether it can be removed, which is reported.
            let _ = ask(&["stop", "-t", &seconds, &self.name], LIMIT * 2, &|| None);
        }
        ask(&["rm", "--force", "--volumes", &self.name], LIMIT, &|| None).map(drop)
    }
}

/// Stops and removes a container, if there is one of this name.
fn remove(name: &str, stop_seconds: u32) {
    if stop_seconds > 0 {
        let _ = ask(&["stop", "-t", &stop_seconds.to_string(), name], LIMIT * 2, &|| None);
    }
    // Fails where there is none, which is the usual case; whatever else it may be shows at the start.
    let _ = ask(&["rm", "--force", "--volumes", name], LIMIT, &|| None);
}

/// Removes the scratch containers of processes of this machine that are no more: where somebody
/// killed the watchdog together with its owner.
fn remove_orphans(interrupted: Interrupted<'_>) {
    let format = format!("{{{{.Names}}}} {{{{.Label \"{OWNER_LABEL}\"}}}}");
    let label = format!("label={HOST_LABEL}={}", host_name());
    let listed = ask(
        &["ps", "--all", "--filter", &label, "--format", &format],
        LIMIT,
        interrupted,
    );
    for line in listed.unwrap_or_default().lines() {
        if let Some((name, owner)) = line.split_once(' ')
            && owner.parse::<u32>().is_ok_and(|owner| !process_exists(owner))
        {
            remove(name, STOP_SECONDS);
        }
    }
}

fn process_exists(pid: u32) -> bool {
    if Path::new("/proc/self").exists() {
        return Path::new("/proc").join(pid.to_string()).exists();
    }
    // Where there is no /proc, better keep a container too long than remove one in use.
    let pid = pid.to_string();
    let ps = program::command("ps", |sh, ps| cmd!(sh, "{ps} -p {pid}")).ok();
    ps.and_then(|mut ps| ps.output().ok())
        .is_none_or(|output| output.status.success())
}

/// The machine's name: numbers of processes mean nothing beyond it. In a container it is another
/// one than outside, and so are the numbers.
fn host_name() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let name = name.or_else(|| program::read("hostname", |sh, hostname| cmd!(sh, "{hostname}")));
    name.unwrap_or_default().trim().to_owned()
}
