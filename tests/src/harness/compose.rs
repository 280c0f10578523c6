//! The project's image and its compose file, under names of their own.

use std::net::SocketAddr;
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use super::image::{is_present, pull};
use super::server::free_port;
use super::watchdog::Watchdog;
use super::xtask::workspace;

/// The image under test, tagged with the number of this process; it goes with the tests.
const IMAGE: &str = "local/xtask-tests-backend";
/// The stage that compiles. It stays: the next build takes from it what has not changed.
const BUILD_STAGE: &str = "local/xtask-tests-build";
/// An image that is there already, to test instead of building one.
const GIVEN: &str = "XTASK_TEST_BACKEND_IMAGE";
/// What the image is told about where it comes from; the same each time, for the sake of Docker's cache.
const COMMIT: &str = "c0ffee";
/// The superuser's and owner's password in the project.
pub const PASSWORD: &str = "compose-secret-70217";

/// The program that reads compose files: Docker's plugin, else the older program.
pub fn program() -> Option<&'static [&'static str]> {
    static PROGRAM: OnceLock<Option<&'static [&'static str]>> = OnceLock::new();
    const PROGRAMS: [&[&str]; 2] = [&["docker", "compose"], &["docker-compose"]];
    *PROGRAM.get_or_init(|| {
        PROGRAMS.into_iter().find(|words| {
            let mut command = command(words);
            command.arg("version");
            command.output().is_ok_and(|output| output.status.success())
        })
    })
}

fn command(words: &[&str]) -> Command {
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).stdin(Stdio::null());
    command
}

/// The arguments of the Dockerfile: the official images, or ones made here where they are out of reach.
fn base_images() -> &'static [(&'static str, &'static str)] {
    const OFFICIAL: [(&str, &str); 2] = [
        ("BUILD_IMAGE", "rust:1.95-bookworm"),
        ("RUNTIME_IMAGE", "debian:bookworm-slim"),
    ];
    const MADE_HERE: [(&str, &str); 2] = [
        ("BUILD_IMAGE", "local/rust:bookworm"),
        ("RUNTIME_IMAGE", "local/debian:bookworm-slim"),
    ];
    static BASES: OnceLock<&[(&str, &str)]> = OnceLock::new();
    BASES.get_or_init(|| {
        if OFFICIAL.iter().all(|(_, image)| is_present(image) || pull(image)) {
            return &OFFICIAL;
        }
        let mut script = Command::new(workspace().join("scripts/make-base-images.sh"));
        let status = script.stdin(Stdio::null()).stdout(Stdio::null()).status();
        assert!(
            status.as_ref().is_ok_and(|status| status.success()),
            "{OFFICIAL:?} cannot be pulled, and scripts/make-base-images.sh could not make others ({status:?})"
        );
        &MADE_HERE
    })
}

/// Builds the image, once for all tests, and removes it at the end; or takes the one that is given.
fn image(watchdog: &Watchdog) -> String {
    static BUILT: OnceLock<()> = OnceLock::new();
    if let Ok(given) = std::env::var(GIVEN) {
        return given;
    }
    let image = format!("{IMAGE}:{}", std::process::id());
    BUILT.get_or_init(|| {
        let bases = base_images();
        eprintln!("containers: building the image on {bases:?}; the first time it takes minutes …");
        // Its parents stay, as the cache that they are.
        watchdog.at_end(&format!("docker rmi --force --no-prune {image}"));
        let started = Instant::now();
        let before = image_id(BUILD_STAGE);
        build(bases, &["--target", "build", "--tag", BUILD_STAGE]);
        build(bases, &["--tag", &image]);
        // A build stage is a gigabyte, and nobody needs that of yesterday's sources.
        if let Some(before) = before.filter(|before| image_id(BUILD_STAGE).as_ref() != Some(before)) {
            let _ = docker(&["rmi", &before]);
        }
        eprintln!("containers: built in {:.0} s", started.elapsed().as_secs_f64());
    });
    image
}

fn build(bases: &[(&str, &str)], arguments: &[&str]) {
    let mut build = command(&["docker", "build"]);
    build.args(arguments).current_dir(workspace());
    for (name, value) in bases.iter().chain(&[("GIT_COMMIT", COMMIT)]) {
        build.args(["--build-arg", &format!("{name}={value}")]);
    }
    let output = build.arg(".").output().expect("docker starts");
    assert!(output.status.success(), "docker build: {}", text(&output));
}

fn image_id(image: &str) -> Option<String> {
    let output = docker(&["image", "inspect", "--format", "{{.Id}}", image]);
    let id = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    (output.status.success() && !id.is_empty()).then_some(id)
}

/// Runs `docker ARGUMENTS…`.
pub fn docker(arguments: &[&str]) -> Output {
    command(&["docker"]).args(arguments).output().expect("docker starts")
}

/// Runs `docker ARGUMENTS…`, which has to succeed, and gives its stdout.
#[track_caller]
pub fn ask(arguments: &[&str]) -> String {
    let output = docker(arguments);
    assert!(output.status.success(), "docker {arguments:?}: {}", text(&output));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Both streams.
pub fn text(output: &Output) -> String {
    let streams = [&output.stdout, &output.stderr].map(|stream| String::from_utf8_lossy(stream).into_owned());
    streams.concat()
}

/// `compose.yaml` with names and a port of the test's own; all of it goes when this is dropped.
pub struct Project {
    name: String,
    /// The image under test.
    pub image: String,
    postgres: String,
    port: u16,
}

impl Project {
    /// Nothing is started yet.
    pub fn new(test: &str, postgres: &str, watchdog: &Watchdog) -> Self {
        let project = Project {
            name: format!("xtask-tests-{}-{test}", std::process::id()),
            image: image(watchdog),
            postgres: postgres.to_owned(),
            port: free_port(),
        };
        // By label, which works whatever compose was doing when this process ended.
        let label = format!("label=com.docker.compose.project={}", project.name);
        watchdog.at_end(&format!(
            "for again in 1 2; do docker ps -aq --filter {label} | xargs -r docker rm -f -v; sleep 1; done; \
             docker network ls -q --filter {label} | xargs -r docker network rm; \
             docker volume ls -q --filter {label} | xargs -r docker volume rm"
        ));
        project
    }

    /// Runs `docker compose ARGUMENTS…`.
    pub fn compose(&self, arguments: &[&str]) -> Output {
        let words = program().expect("its tests are left out where there is none");
        let mut command = command(words);
        command
            .args(["--file", "compose.yaml", "--project-name", &self.name])
            .args(arguments)
            .current_dir(workspace())
            // All that the file asks for: what a developer has in .env must not count.
            .env("CONTAINER_PREFIX", format!("{}-", self.name))
            .env("POSTGRES_IMAGE", &self.postgres)
            .env("BACKEND_IMAGE", &self.image)
            .env("BACKEND_PORT", self.port.to_string())
            .env("POSTGRES_DB", "daydream_portal")
            .env("POSTGRES_USER", "daydream_user")
            .env("POSTGRES_PASSWORD", PASSWORD)
            .env("POSTGRES_READONLY_PASSWORD", "")
            // The image is there: nothing is built here.
            .env("GIT_COMMIT", "");
        command.output().expect("compose starts")
    }

    /// The same, and it has to succeed.
    #[track_caller]
    pub fn run(&self, arguments: &[&str]) -> String {
        let output = self.compose(arguments);
        assert!(output.status.success(), "compose {arguments:?}: {}", text(&output));
        text(&output)
    }

    /// Where the backend listens on this machine.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// The name of the container of a service.
    pub fn container(&self, service: &str) -> String {
        format!("{}-{service}", self.name)
    }

    /// Everything that Docker has of it: containers, networks, volumes.
    pub fn rest(&self) -> String {
        let label = format!("label=com.docker.compose.project={}", self.name);
        [&["ps", "--all"][..], &["network", "ls"], &["volume", "ls"]]
            .map(|list| ask(&[list, &["--quiet", "--filter", &label]].concat()))
            .concat()
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", text(&self.compose(&["logs", "--no-color", "--tail", "30"])));
        }
        let started = Instant::now();
        let down = self.compose(&["down", "--volumes", "--timeout", "1"]);
        if started.elapsed() > Duration::from_secs(30) || !down.status.success() {
            eprintln!("compose down: {}", text(&down));
        }
    }
}
