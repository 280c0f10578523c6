//! One PostgreSQL server: a container, or a process of local binaries.

use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use postgres::{Client, Config, NoTls};
use testcontainers::core::{IntoContainerPort, Mount};
use testcontainers::runners::SyncRunner;
use testcontainers::{Container, GenericImage, ImageExt};

use super::image::Source;
use super::local::Local;
use super::wait;
use super::watchdog::Watchdog;

/// The superuser that image and initdb make.
pub const SUPERUSER: &str = "postgres";
/// Its password.
pub const PASSWORD: &str = "superuser-secret";
/// What a server may take to answer on a machine with two busy cores.
const PATIENCE: Duration = Duration::from_secs(60);
/// The label of our containers; its value is this process.
const LABEL: &str = "xtask-tests";
/// Room for the portal, the WAL of a test, and little else.
const SMALL_DISK: i64 = 64 << 20;
/// Where it is in a container.
const SMALL_FOLDER: &str = "/xtask-small";
/// Where a second server inside a container listens.
const SECOND_PORT: u16 = 5433;

/// A server that ends when it is dropped.
pub struct Server {
    /// Its major version.
    pub major: u32,
    /// The address for clients.
    pub host: String,
    /// The port for clients.
    pub port: u16,
    /// The port of a standby, once there is one.
    pub second_port: u16,
    place: Place,
    pub(super) databases: AtomicU32,
}

enum Place {
    Container(Box<Container<GenericImage>>),
    Local(Local),
}

/// The watchdog command that removes every container of this process.
pub fn removal() -> String {
    let id = std::process::id();
    let once = format!("docker ps -aq --filter label={LABEL}={id} | xargs -r docker rm -f -v");
    // Twice: the daemon may have been making one while this process died.
    format!("if command -v docker; then {once}; sleep 1; {once}; fi")
}

impl Server {
    /// Starts one and waits until it answers. `lasting`: its data survive `stop` and `start`.
    pub fn start_new(source: &Source, settings: &[(&str, &str)], lasting: bool, watchdog: &Watchdog) -> Arc<Self> {
        // Nothing here outlives the test process, so nothing has to reach a disk.
        let mut arguments = vec!["-c".to_owned(), "fsync=off".to_owned()];
        for (name, value) in settings {
            arguments.extend(["-c".to_owned(), format!("{name}={value}")]);
        }
        let (port, second_port) = (free_port(), free_port());
        let place = match source {
            Source::Image(image) => Place::Container(Box::new(container(image, arguments, port, second_port, lasting))),
            Source::Local => Place::Local(Local::start(port, arguments, watchdog)),
        };
        let mut server = Server {
            major: 0,
            host: "127.0.0.1".to_owned(),
            port,
            second_port,
            place,
            databases: AtomicU32::new(0),
        };
        let mut client = server.wait_until_ready();
        let number: String = client.query_one("SHOW server_version_num", &[]).unwrap().get(0);
        server.major = number.parse::<u32>().unwrap() / 10_000;
        Arc::new(server)
    }

    /// The superuser's settings for a database.
    pub fn superuser(&self, database: &str) -> Config {
        self.superuser_at(self.port, database)
    }

    fn superuser_at(&self, port: u16, database: &str) -> Config {
        let mut config = Config::new();
        config
            .host(&self.host)
            .port(port)
            .user(SUPERUSER)
            .password(PASSWORD)
            .dbname(database)
            .application_name("tests")
            .connect_timeout(Duration::from_secs(5));
        config
    }

    /// A superuser's connection to the database `postgres`.
    pub fn admin(&self) -> Client {
        self.superuser("postgres")
            .connect(NoTls)
            .expect("the superuser connects")
    }

    /// Waits until it answers; gives the connection that it answered on.
    pub fn wait_until_ready(&self) -> Client {
        let config = self.superuser("postgres");
        wait::until("a server that answers", PATIENCE, || config.connect(NoTls).ok())
    }

    /// Ends it at once, as a lost machine does.
    pub fn crash(&self) {
        match &self.place {
            Place::Container(container) => docker(&["kill", container.id()]),
            Place::Local(local) => local.stop("immediate"),
        }
    }

    /// Stops it in order; its clients are thrown out.
    pub fn stop(&self) {
        match &self.place {
            Place::Container(container) => docker(&["stop", container.id()]),
            Place::Local(local) => local.stop("fast"),
        }
    }

    /// Starts it again, on the same port and data, without waiting for an answer.
    pub fn start(&self) {
        match &self.place {
            Place::Container(container) => docker(&["start", container.id()]),
            Place::Local(local) => local.run(),
        }
    }

    /// Runs one of PostgreSQL's programs beside the server, as superuser, and gives its stdout.
    /// The host's programs may be too old for the server.
    pub fn tool(&self, program: &str, arguments: &[&str], input: &str) -> String {
        let mut command = match &self.place {
            Place::Container(container) => {
                let major = self.major;
                let path = format!("PATH=$PATH:/usr/lib/postgresql/{major}/bin; exec \"$@\"");
                let mut command = Command::new("docker");
                command.args(["exec", "-i"]);
                for setting in tool_settings(5432) {
                    command.args(["-e", &format!("{}={}", setting.0, setting.1)]);
                }
                command.args([container.id(), "sh", "-c", &path, "sh", program]);
                command
            }
            Place::Local(local) => {
                let mut command = Command::new(local.program(program));
                command.envs(tool_settings(self.port));
                command
            }
        };
        command
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        let mut stdin = child.stdin.take().expect("piped");
        let input = input.to_owned();
        let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
        let output = child.wait_with_output().expect("the program ends");
        let _ = writer.join();
        assert!(
            output.status.success(),
            "{program} {arguments:?} failed:\n{}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Runs a shell line on the server's machine as its operating-system user.
    pub fn shell(&self, line: &str) {
        let quoted = line.replace('\'', "''");
        self.admin()
            .batch_execute(&format!("COPY (SELECT) TO PROGRAM '{quoted}'"))
            .unwrap_or_else(|error| panic!("`{line}` on the server: {error:?}"));
    }

    /// Runs a shell line as root beside a server on this machine; tells whether it could and succeeded.
    pub fn as_root(&self, line: &str) -> bool {
        let may = matches!(self.place, Place::Local(_)) && rustix::process::geteuid().is_root();
        let run = || Command::new("sh").args(["-c", line]).output();
        may && run().is_ok_and(|output| output.status.success())
    }

    /// A file system of [`SMALL_DISK`] bytes on the server's machine; none where it may not be mounted.
    pub fn small_disk(&self) -> Option<String> {
        let folder = match &self.place {
            Place::Container(_) => return Some(SMALL_FOLDER.to_owned()),
            Place::Local(_) => format!("/tmp/xtask-small-{}", self.port),
        };
        let mount = format!("mkdir -p {folder} && mount -t tmpfs -o size={SMALL_DISK},mode=1777 tmpfs {folder}");
        self.as_root(&mount).then_some(folder)
    }

    /// Where its data are on this machine; none in a container.
    pub fn data_directory(&self) -> Option<String> {
        match &self.place {
            Place::Container(_) => None,
            Place::Local(local) => Some(format!("{}/data", local.socket_directory())),
        }
    }

    /// A superuser's connection to the standby.
    pub fn standby(&self) -> Client {
        let config = self.superuser_at(self.second_port, "postgres");
        config.connect(NoTls).expect("the standby answers")
    }

    /// Writes a file on the server's machine, readable by its operating-system user alone.
    pub fn write_file(&self, path: &str, content: &str) {
        let mut client = self.admin();
        client
            .batch_execute(&format!(
                "COPY (SELECT line FROM unnest(string_to_array('{}', E'\\n')) line) TO PROGRAM \
                 'umask 077; cat > {path}'",
                content.replace('\'', "''")
            ))
            .expect("the server writes a file");
    }

    /// Everything it has logged.
    pub fn log(&self) -> String {
        match &self.place {
            Place::Container(container) => {
                let output = Command::new("docker")
                    .args(["logs", container.id()])
                    .output()
                    .expect("docker starts");
                let both = [output.stdout, output.stderr].concat();
                String::from_utf8_lossy(&both).into_owned()
            }
            Place::Local(local) => local.log(),
        }
    }

    /// Makes a standby that streams from this server, on `second_port`; it ends with the server.
    pub fn add_standby(&self) {
        let (socket, port, standby) = match &self.place {
            Place::Container(_) => ("/var/run/postgresql".to_owned(), SECOND_PORT, "/tmp/standby".to_owned()),
            Place::Local(local) => {
                let directory = local.socket_directory();
                let standby = format!("{directory}/standby");
                (directory, self.second_port, standby)
            }
        };
        let own_port: String = self.admin().query_one("SHOW port", &[]).unwrap().get(0);
        // PostgreSQL's programs are not on the PATH of every packaging; the server knows its own.
        let path = "PATH=$(dirname $(readlink -f /proc/$PPID/exe)):$PATH";
        self.shell(&format!(
            "{path}; pg_basebackup -R -X stream -c fast -D {standby} -d \
             \"host={socket} port={own_port} user={SUPERUSER} password={PASSWORD}\" \
             && pg_ctl -D {standby} -l {standby}/log -w start -o \
             \"-p {port} -k {socket} -c listen_addresses=* -c fsync=off\" >/dev/null 2>&1"
        ));
        let config = self.superuser_at(self.second_port, "postgres");
        wait::until("a standby that answers", PATIENCE, || config.connect(NoTls).ok());
    }

    /// The number of the next database.
    pub(super) fn next(&self) -> u32 {
        self.databases.fetch_add(1, Ordering::SeqCst)
    }
}

fn container(
    image: &str,
    arguments: Vec<String>,
    port: u16,
    second_port: u16,
    lasting: bool,
) -> Container<GenericImage> {
    let (name, tag) = image.rsplit_once(':').unwrap_or((image, "latest"));
    let mut request = GenericImage::new(name, tag)
        .with_cmd(arguments)
        .with_env_var("POSTGRES_PASSWORD", PASSWORD)
        .with_label(LABEL, std::process::id().to_string())
        // Fixed ports: a port that Docker chooses changes when the container starts again.
        .with_mapped_port(port, 5432.tcp())
        .with_mapped_port(second_port, SECOND_PORT.tcp())
        .with_startup_timeout(PATIENCE);
    if lasting {
        let small = Mount::tmpfs_mount(SMALL_FOLDER)
            .with_size_bytes(SMALL_DISK)
            .with_mode(0o1777);
        request = request.with_mount(small);
    } else {
        // The image keeps its data below one of these; a driver for layers is slow with databases.
        let data = if tag.starts_with("18") {
            "/var/lib/postgresql"
        } else {
            "/var/lib/postgresql/data"
        };
        request = request.with_mount(Mount::tmpfs_mount(data));
    }
    request.start().expect("the container starts")
}

fn tool_settings(port: u16) -> [(String, String); 4] {
    [
        ("PGHOST", "127.0.0.1"),
        ("PGUSER", SUPERUSER),
        ("PGPASSWORD", PASSWORD),
        ("PGPORT", &port.to_string()),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
}

fn docker(arguments: &[&str]) {
    let output = Command::new("docker").args(arguments).output().expect("docker starts");
    assert!(
        output.status.success(),
        "docker {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// A port that nobody listens on now, and that no other call of this process gets. It lies below those that systems give
/// to outgoing connections (from 32768 on, Linux' `ip_local_port_range`): one of these may be taken in the meantime.
pub fn free_port() -> u16 {
    const PORTS: std::ops::Range<u32> = 15_000..32_000;
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let start = std::process::id().wrapping_mul(61);
    PORTS
        .map(|_| PORTS.start + (start + NEXT.fetch_add(1, Ordering::Relaxed)) % (PORTS.end - PORTS.start))
        .filter_map(|port| u16::try_from(port).ok())
        .find(|port| std::net::TcpListener::bind(("0.0.0.0", *port)).is_ok())
        .expect("a free port")
}
