//! `dev`: a database that needs no settings, alone and with the backend; nothing of it stays but its data. Once in a
//! container and once from the binaries of this machine, as far as it has them.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use postgres::{Client, NoTls};
use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::harness::deploy::{cargo_homes, free_address};
use crate::harness::http::get;
use crate::harness::xtask::{Running, Xtask, binary, workspace};
use crate::harness::{Context, compose, local, wait};

tests![
    ready_alone_and_kept_in_a_container,
    ready_alone_and_kept_from_local_binaries,
    killed_in_a_container,
    killed_from_local_binaries,
    with_the_backend,
    the_image_does_not_exist,
    neither_docker_nor_postgres,
];

/// initdb, the migration, and what a busy machine adds.
pub(super) const PATIENCE: Duration = Duration::from_secs(100);
/// What a watchdog may take: a server in a container gets half a minute to stop.
const GONE: Duration = Duration::from_secs(60);

/// What the backend is told that it is built from.
const COMMIT: &str = "c0ffee";

#[derive(Clone, Debug)]
pub(super) enum Kind {
    Docker(String),
    Local,
}

fn in_a_container(context: &Context) -> Option<Kind> {
    let image = context.image();
    if image.is_none() {
        context.leave_out("no Docker answers");
    }
    image.map(Kind::Docker)
}

fn from_local_binaries(context: &Context) -> Option<Kind> {
    if local::find_binaries().is_some() {
        return Some(Kind::Local);
    }
    context.leave_out("PostgreSQL is not installed on this machine");
    None
}

/// In a container, where there are any.
pub(super) fn any_kind(context: &Context) -> Option<Kind> {
    match context.image() {
        Some(image) => Some(Kind::Docker(image)),
        None => from_local_binaries(context),
    }
}

/// A folder for data.
pub(super) struct Data(pub(super) TempDir);

impl Data {
    pub(super) fn new(context: &Context) -> Self {
        let data = tempfile::Builder::new()
            .prefix("xtask-tests-dev-")
            // Where root runs the tests, the server is another user's.
            .permissions(fs::Permissions::from_mode(0o755))
            .tempdir()
            .expect("a temporary folder");
        let path = data.path().display();
        // The lock names the process that uses the data; its own watchdog ends the server.
        context.watchdog().at_end(&format!(
            "pid=$(cat {path}/lock) && ps -o args= -p $pid | grep -qF {path} && kill -KILL $pid && sleep 5; rm -rf {path}"
        ));
        Data(data)
    }

    pub(super) fn dev(&self, kind: &Kind) -> Xtask {
        let (name, image) = match kind {
            Kind::Docker(image) => ("docker", image.as_str()),
            Kind::Local => ("local", ""),
        };
        // Where Docker is, if it isn't where one expects it.
        let mut dev = Xtask::new(["dev", "--json", "--data"]).arg(self.0.path());
        for name in ["DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG"] {
            if let Some(value) = std::env::var_os(name) {
                dev = dev.env(name, value);
            }
        }
        dev.env("XTASK_POSTGRES", name).env("XTASK_POSTGRES_IMAGE", image)
    }

    pub(super) fn database(&self, kind: &Kind) -> Dev {
        Dev::start(self.dev(kind).arg("--no-backend"))
    }

    /// Waits until no server runs on the data: no container, no process, nobody on the port.
    pub(super) fn wait_until_unused(&self, owner: u32, address: SocketAddr) {
        wait::until_true("the end of the server", GONE, || TcpStream::connect(address).is_err());
        let label = format!("label=xtask.owner_pid={owner}");
        wait::until_true("the end of the container", GONE, || {
            local_only() || compose::ask(&["ps", "--all", "--quiet", "--filter", &label]).is_empty()
        });
        let left = || {
            let servers = fs::read_dir(self.0.path()).expect("ours").flatten();
            servers
                .map(|server| server.path().join("data/postmaster.pid"))
                .find(|file| file.exists())
        };
        wait::until_true("the end of PostgreSQL's processes", GONE, || left().is_none());
    }
}

fn local_only() -> bool {
    !Command::new("docker")
        .arg("version")
        .output()
        .is_ok_and(|output| output.status.success())
}

/// A `dev` that is ready.
pub(super) struct Dev {
    pub(super) running: Running,
    report: Value,
}

impl Dev {
    pub(super) fn start(dev: Xtask) -> Self {
        let mut running = dev.spawn();
        wait::until_true("dev is ready", PATIENCE, || {
            let said = running.so_far();
            assert!(running.is_running(), "dev has ended: {said}");
            said.contains("running until Ctrl-C")
        });
        let said = running.so_far();
        let document = said
            .lines()
            .find(|line| line.starts_with('{'))
            .expect("a JSON document");
        let report = serde_json::from_str(document).expect("a JSON document");
        Dev { running, report }
    }

    fn text(&self, name: &str) -> &str {
        self.report[name]
            .as_str()
            .unwrap_or_else(|| panic!("no {name}: {}", self.report))
    }

    fn url(&self) -> &str {
        self.text("database_url")
    }

    pub(super) fn client(&self) -> Client {
        Client::connect(self.url(), NoTls).expect("the address that dev shows")
    }

    pub(super) fn address(&self) -> SocketAddr {
        let config: postgres::Config = self.url().parse().expect("an address");
        SocketAddr::from(([127, 0, 0, 1], config.get_ports()[0]))
    }
}

fn ready_alone_and_kept_in_a_container(context: &Context) {
    if let Some(kind) = in_a_container(context) {
        ready_alone_and_kept(context, &kind);
    }
}

fn ready_alone_and_kept_from_local_binaries(context: &Context) {
    if let Some(kind) = from_local_binaries(context) {
        ready_alone_and_kept(context, &kind);
    }
}

fn ready_alone_and_kept(context: &Context, kind: &Kind) {
    let data = Data::new(context);
    let first = data.database(kind);
    assert_eq!(first.text("outcome"), "ready");
    let (pid, address, url) = (first.running.pid(), first.address(), first.url().to_owned());
    let mut client = first.client();
    client
        .batch_execute("SELECT FROM events; CREATE TABLE kept (note text); INSERT INTO kept VALUES ('mine')")
        .unwrap();
    drop(client);

    // Beside it: it is named, and stays as it is.
    let second = data.dev(kind).arg("--no-backend").run();
    second
        .ends(5)
        .says("another `cargo xtask dev` is running")
        .says(&pid.to_string())
        .says(&url);
    first.client().batch_execute("SELECT FROM kept").unwrap();

    first.running.signal(Signal::INT);
    first.running.wait().ends(0).says("stopping");
    data.wait_until_unused(pid, address);

    let again = data.database(kind);
    assert_eq!(again.address(), address, "the port is another one");
    let note: String = again.client().query_one("SELECT note FROM kept", &[]).unwrap().get(0);
    assert_eq!(note, "mine");
    let runs: i64 = again
        .client()
        .query_one("SELECT count(*) FROM migration.runs", &[])
        .unwrap()
        .get(0);
    assert_eq!(runs, 2);
    let pid = again.running.pid();
    again.running.signal(Signal::TERM);
    again.running.wait().ends(0);
    data.wait_until_unused(pid, address);
}

fn killed_in_a_container(context: &Context) {
    if let Some(kind) = in_a_container(context) {
        killed(context, &kind);
    }
}

fn killed_from_local_binaries(context: &Context) {
    if let Some(kind) = from_local_binaries(context) {
        killed(context, &kind);
    }
}

fn killed(context: &Context, kind: &Kind) {
    let data = Data::new(context);
    let dev = data.database(kind);
    let (pid, address) = (dev.running.pid(), dev.address());
    dev.client().batch_execute("CREATE TABLE kept ()").unwrap();
    let _ = dev.running.kill();
    data.wait_until_unused(pid, address);
    let again = data.database(kind);
    again.client().batch_execute("SELECT FROM kept").unwrap();
    let pid = again.running.pid();
    again.running.signal(Signal::INT);
    again.running.wait().ends(0);
    data.wait_until_unused(pid, address);
}

fn with_the_backend(context: &Context) {
    let Some(kind) = any_kind(context) else {
        return;
    };
    // Beforehand, so that what is waited for below is `dev` and not the compiler.
    let mut cargo = Command::new("cargo");
    cargo
        .args(["build", "--quiet", "--package", "backend"])
        .current_dir(workspace());
    cargo
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("GIT_COMMIT", COMMIT)
        .envs(cargo_homes());
    assert!(
        cargo.status().expect("cargo starts").success(),
        "the backend does not compile"
    );

    let data = Data::new(context);
    for signal in [Signal::INT, Signal::KILL] {
        let bind = free_address();
        let mut dev = data.dev(&kind).arg("--bind").arg(bind.to_string());
        for (name, path) in cargo_homes() {
            dev = dev.env(name, path);
        }
        let dev = dev.env("GIT_COMMIT", COMMIT);
        let dev = Dev::start(dev.env("CARGO_MANIFEST_DIR", workspace().join("xtask")));
        assert_eq!(dev.text("backend"), format!("http://{bind}"));
        let (status, body) = get(bind, "/health/ready").expect("it answers");
        assert_eq!(status, 200, "{body}");
        let body: Value = serde_json::from_str(&body).expect("a document");
        assert_eq!(body["git_commit"], COMMIT);
        let (pid, address) = (dev.running.pid(), dev.address());
        dev.running.signal(signal);
        let output = dev.running.wait();
        assert_eq!(output.status, (signal == Signal::INT).then_some(0), "{output}");
        wait::until_true("the end of the backend", GONE, || TcpStream::connect(bind).is_err());
        data.wait_until_unused(pid, address);
    }
}

fn the_image_does_not_exist(context: &Context) {
    if in_a_container(context).is_none() {
        return;
    }
    let data = Data::new(context);
    let nowhere = Kind::Docker("registry.invalid/no-such-image:1".to_owned());
    let output = data.dev(&nowhere).arg("--no-backend").run();
    output
        .ends(1)
        .says("registry.invalid/no-such-image:1")
        .says("scripts/make-postgres-image.sh");
}

fn neither_docker_nor_postgres(context: &Context) {
    // Nothing on PATH but a package manager that does nothing, and no PostgreSQL where systems put it.
    let programs = tempfile::tempdir().expect("a temporary folder");
    for program in ["sh", "id"] {
        let found = ["/usr/bin", "/bin"].map(|folder| PathBuf::from(folder).join(program));
        let found = found.iter().find(|path| path.exists()).expect("every system has it");
        symlink(found, programs.path().join(program)).expect("writable");
    }
    symlink("/bin/false", programs.path().join("apt-get")).expect("writable");
    let hide = "for folder in /usr/lib/postgresql /usr/libexec/postgresql /usr/pgsql; do \
                if [ -d $folder ]; then mount -t tmpfs none $folder || exit 99; fi; done";
    let run = format!(
        "{hide}; exec env -i PATH={} HOME=/nonexistent XTASK_SQL={} {} dev --no-backend --data {}/data",
        programs.path().display(),
        workspace().join("sql").display(),
        binary().display(),
        programs.path().display(),
    );
    let mut command = Command::new("unshare");
    let output = command.args(["--map-root-user", "--mount", "sh", "-c", &run]).output();
    let Some(output) = output.ok().filter(|output| output.status.code() != Some(99)) else {
        context.leave_out("this machine lets nobody hide its PostgreSQL");
        return;
    };
    let said = compose::text(&output);
    if said.contains("unshare failed") {
        context.leave_out("this machine lets nobody hide its PostgreSQL");
        return;
    }
    assert_eq!(output.status.code(), Some(1), "{said}");
    for text in [
        "Docker: it is not installed",
        "apt-get update && apt-get install -y postgresql",
        "cargo xtask dev --install",
    ] {
        assert!(said.contains(text), "nothing says {text:?}: {said}");
    }
}
