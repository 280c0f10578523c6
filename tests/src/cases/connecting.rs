//! Settings, waiting for the database, several hosts, poolers.

use std::process::{Command, Stdio};
use std::time::Duration;

use crate::harness::Context;
use crate::harness::catalog::Catalog;
use crate::harness::database::Database;
use crate::harness::proxy::Proxy;
use crate::harness::server::{PASSWORD, SUPERUSER, free_port};
use crate::harness::wait;
use crate::harness::xtask::Xtask;

tests![
    wrong_password,
    unknown_database,
    unknown_role,
    no_server,
    name_does_not_resolve,
    server_that_comes_later,
    server_that_restarts,
    url,
    flags_over_environment_over_dotenv,
    several_hosts,
    standby_alone,
    pooler,
];

/// What cannot change by waiting ends at once, though `--wait` is half a minute.
const AT_ONCE: Duration = Duration::from_secs(5);

fn wrong_password(context: &Context) {
    let database = context.database();
    let output = Xtask::migrate(&database)
        .env("POSTGRES_PASSWORD", "not-the-password-7391")
        .run();
    output
        .ends(3)
        .within(AT_ONCE)
        .says("password")
        .says(&database.owner)
        .hides("not-the-password-7391");
}

fn unknown_database(context: &Context) {
    let database = context.database();
    let output = Xtask::migrate(&database).env("POSTGRES_DB", "no_such_database").run();
    output.ends(3).within(AT_ONCE).says("no_such_database");
}

fn unknown_role(context: &Context) {
    let database = context.database();
    let output = Xtask::migrate(&database).env("POSTGRES_USER", "no_such_role").run();
    output.ends(3).within(AT_ONCE).says("no_such_role");
}

fn no_server(context: &Context) {
    let database = context.database();
    let port = free_port().to_string();
    let output = Xtask::migrate(&database)
        .env("POSTGRES_PORT", &port)
        .args(["--wait", "1s"])
        .run();
    assert!(
        output.duration >= Duration::from_millis(900),
        "it did not wait; {output}"
    );
    output
        .ends(3)
        .within(Duration::from_secs(8))
        .says(&port)
        .says("refused")
        .hides(&database.password);
}

fn name_does_not_resolve(context: &Context) {
    let database = context.database();
    let output = Xtask::migrate(&database)
        .env("POSTGRES_HOST", "no-such-host.invalid")
        .args(["--wait", "1s"])
        .run();
    output
        .ends(3)
        .within(Duration::from_secs(20))
        .says("no-such-host.invalid");
}

fn server_that_comes_later(context: &Context) {
    let database = context.database();
    let port = free_port();
    let running = Xtask::migrate(&database).env("POSTGRES_PORT", port.to_string()).spawn();
    wait::until_true("a line that says what is waited for", Duration::from_secs(15), || {
        running.so_far().contains(&port.to_string())
    });
    let _proxy = Proxy::start_on(port, (database.host.clone(), database.port));
    running.wait().ends(0);
    assert!(Catalog::of(&database).has("relation", "public.events"));
}

/// Refused, then "the database system is starting up", then there.
fn server_that_restarts(context: &Context) {
    let server = context.own_server(&[]);
    let database = Database::create(&server);
    server.crash();
    let running = Xtask::migrate(&database).args(["--wait", "60s"]).spawn();
    server.start();
    running.wait().ends(0);
    server.wait_until_ready();
}

fn url(context: &Context) {
    let database = context.database();
    Xtask::new(["migrate"])
        .env("DATABASE_URL", database.url())
        .run()
        .ends(0);
    assert!(Catalog::of(&database).has("relation", "public.events"));
    Xtask::new(["migrate", "--database-url", &database.url()])
        .run()
        .ends(0)
        .hides(&database.password);
}

fn flags_over_environment_over_dotenv(context: &Context) {
    let database = context.database();
    let Database {
        host,
        port,
        name,
        owner,
        password,
        ..
    } = &database;
    let dotenv = format!(
        "POSTGRES_HOST={host}\nPOSTGRES_PORT=1\nPOSTGRES_DB=from_dotenv\nPOSTGRES_USER={owner}\nPOSTGRES_PASSWORD={password}\n"
    );
    let output = Xtask::new(["migrate", "--dbname", name])
        .file(".env", &dotenv)
        .env("POSTGRES_PORT", port.to_string())
        .env("POSTGRES_DB", "from_environment")
        .run();
    output.ends(0);
    let output = Xtask::new(["migrate"])
        .file(".env", &dotenv)
        .env("POSTGRES_PORT", port.to_string())
        .run();
    output.ends(3).says("from_dotenv").hides(password);
}

/// A primary and a standby that streams from it: the writable one is used, wherever it stands.
fn several_hosts(context: &Context) {
    let server = context.own_server(&[]);
    server.add_standby();
    let hosts = format!("{0},{0}", server.host);
    let ports = [(server.second_port, server.port), (server.port, server.second_port)];
    for (first, second) in ports {
        let output = Xtask::new(["migrate"])
            .env("POSTGRES_HOST", &hosts)
            .env("POSTGRES_PORT", format!("{first},{second}"))
            .env("POSTGRES_DB", "postgres")
            .env("POSTGRES_USER", SUPERUSER)
            .env("POSTGRES_PASSWORD", PASSWORD)
            .run();
        output.ends(0);
    }
    // One that nobody listens on does not hinder the other.
    let output = Xtask::new(["migrate"])
        .env(
            "DATABASE_URL",
            format!(
                "postgresql://{SUPERUSER}:{PASSWORD}@{0}:{1},{0}:{2}/postgres",
                server.host,
                free_port(),
                server.port
            ),
        )
        .run();
    output.ends(0);
}

fn standby_alone(context: &Context) {
    let server = context.own_server(&[]);
    server.add_standby();
    let output = Xtask::new(["migrate", "--wait", "2s"])
        .env("POSTGRES_HOST", &server.host)
        .env("POSTGRES_PORT", server.second_port.to_string())
        .env("POSTGRES_DB", "postgres")
        .env("POSTGRES_USER", SUPERUSER)
        .env("POSTGRES_PASSWORD", PASSWORD)
        .run();
    output
        .ends(3)
        .within(Duration::from_secs(10))
        .says_one_of(&["standby", "read-only", "recovery"]);
}

/// A pooler that swaps connections would take locks and settings away between two statements.
fn pooler(context: &Context) {
    let found = Command::new("pgbouncer")
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    if !found.is_ok_and(|status| status.success()) {
        context.skip("pgbouncer is not installed (scripts/install-test-tools.sh installs it)");
        return;
    }
    let database = context.database();
    for (mode, status) in [("transaction", 3), ("statement", 3), ("session", 0)] {
        let port = free_port();
        let _pooler = Pooler::start(&database, mode, port);
        let output = Xtask::migrate(&database).env("POSTGRES_PORT", port.to_string()).run();
        assert_eq!(output.status, Some(status), "pool_mode = {mode}; {output}");
        if status != 0 {
            output
                .says_one_of(&["pooler", "pgbouncer"])
                .says_one_of(&["directly", "session"]);
        }
        assert_eq!(
            Catalog::of(&database).has("relation", "public.events"),
            status == 0,
            "pool_mode = {mode}"
        );
    }
}

struct Pooler(std::process::Child, #[allow(dead_code)] tempfile::TempDir);

impl Pooler {
    fn start(database: &Database, mode: &str, port: u16) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (
            path,
            Database {
                host,
                port: target,
                name,
                owner,
                password,
                ..
            },
        ) = (directory.path(), database);
        let users = path.join("users");
        std::fs::write(&users, format!("\"{owner}\" \"{password}\"\n")).unwrap();
        let config = path.join("pgbouncer.ini");
        let text = format!(
            "[databases]\n{name} = host={host} port={target}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
             unix_socket_dir =\nauth_type = scram-sha-256\nauth_file = {}\npool_mode = {mode}\n\
             ignore_startup_parameters = extra_float_digits,options\n",
            users.display()
        );
        std::fs::write(&config, text).unwrap();
        let mut command = Command::new("pgbouncer");
        if rustix::process::geteuid().is_root() {
            let status = Command::new("chown")
                .args(["-R", "postgres"])
                .arg(path)
                .status()
                .unwrap();
            assert!(status.success());
            command.args(["-u", "postgres"]);
        }
        let child = command
            .arg(&config)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut config = postgres::Config::new();
        config
            .host("127.0.0.1")
            .port(port)
            .user(owner)
            .password(password)
            .dbname(name)
            .connect_timeout(AT_ONCE);
        wait::until("a pooler that answers", Duration::from_secs(15), || {
            config.connect(postgres::NoTls).ok()
        });
        Pooler(child, directory)
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
