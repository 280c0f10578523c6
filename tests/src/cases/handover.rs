//! `deploy` over a running one: clients notice nothing, and whatever fails leaves the old backend where it is.

use std::net::SocketAddr;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::harness::Context;
use crate::harness::deploy::{Deployed, Fake, assert_gone, named_pid, real, taken_over, wait_for, wait_until_gone};
use crate::harness::http::{Kept, get};
use crate::harness::phases::Phases;

tests![
    under_load_no_request_fails,
    what_fails_before_leaves_the_old_one,
    what_fails_after_leaves_the_old_one,
    settings_are_those_of_the_later_deploy,
    interrupted_while_it_waits,
    the_first_one_ends_meanwhile,
    of_two_at_once_one_waits,
    on_a_socket_of_systemd,
];

/// A backend that says it is ready, and ends a moment later.
const READY_AND_DEAD: &str = r#"
use std::io::{Read, Write};
use std::os::fd::FromRawFd;
fn main() {
    println!("pid {}", std::process::id());
    let id = std::env::var("DEPLOY_ID").unwrap();
    let listener = unsafe { std::net::TcpListener::from_raw_fd(4) };
    let (mut client, _) = listener.accept().unwrap();
    let _ = client.read(&mut [0; 1024]).unwrap();
    let answer = format!("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{{\"deploy_id\":\"{id}\"}}");
    client.write_all(answer.as_bytes()).unwrap();
    drop(client);
    std::thread::sleep(std::time::Duration::from_millis(300));
    println!("last words");
    std::process::exit(7);
}
"#;

fn is_served(deployed: &Deployed) {
    let (status, body) = get(deployed.address, "/api/events").expect("an answer");
    assert_eq!(status, 200, "{body}");
}

/// Requests at fixed times, whether or not those before were answered in time; each that fails is told.
struct Load {
    end: Arc<AtomicBool>,
    failed: Arc<Mutex<Vec<String>>>,
    clients: Vec<JoinHandle<u32>>,
}

impl Load {
    const CLIENTS: u32 = 6;
    const EVERY: Duration = Duration::from_millis(40);

    /// Half of the clients keep their connection, the others make one for each request.
    fn on(address: SocketAddr) -> Self {
        let (end, failed) = (Arc::new(AtomicBool::new(false)), Arc::default());
        let client = |n: u32| {
            let (end, failed) = (Arc::clone(&end), Arc::clone(&failed));
            thread::spawn(move || Self::client(n, address, &end, &failed))
        };
        let clients = (0..Self::CLIENTS).map(client).collect();
        Load { end, failed, clients }
    }

    fn client(n: u32, address: SocketAddr, end: &AtomicBool, failed: &Mutex<Vec<String>>) -> u32 {
        let path = ["/api/events", "/api/sync", "/health/ready"][n as usize / 2];
        let begun = Instant::now() + Self::EVERY * n / Self::CLIENTS;
        let mut kept = Kept::to(address);
        let mut sent = 0;
        while !end.load(Ordering::Relaxed) {
            thread::sleep((begun + Self::EVERY * sent).saturating_duration_since(Instant::now()));
            let answer = match n % 2 {
                0 => kept.get(path),
                _ => Kept::to(address).get(path),
            };
            if !matches!(answer, Ok(200)) {
                failed.lock().unwrap().push(format!("{path}, client {n}: {answer:?}"));
            }
            sent += 1;
        }
        sent
    }

    /// How many requests there were, and which of them failed.
    fn end(self) -> (u32, Vec<String>) {
        self.end.store(true, Ordering::Relaxed);
        let sent = self.clients.into_iter().map(|client| client.join().unwrap()).sum();
        (sent, std::mem::take(&mut self.failed.lock().unwrap()))
    }
}

fn under_load_no_request_fails(context: &Context) {
    let database = context.database();
    let deployed = Deployed::start(real("deploy").on(&database).args(["--settle-time", "300ms"]));
    let load = Load::on(deployed.address);
    let mut backend = deployed.backend;
    for round in 0..3 {
        if round == 1 {
            // The next one has something to migrate.
            database.psql(
                "DO $$ DECLARE name text; BEGIN
                     FOR name IN SELECT indexrelid::regclass FROM pg_index JOIN pg_class c ON c.oid = indrelid
                         WHERE c.relnamespace = 'public'::regnamespace AND NOT indisunique
                     LOOP EXECUTE 'DROP INDEX ' || name; END LOOP;
                 END $$; DROP VIEW IF EXISTS public.event_statistics;",
            );
        }
        let output = deployed
            .met_by(real("deploy").on(&database))
            .args(["--settle-time", "300ms"])
            .run();
        output.ends(0);
        if round == 1 {
            output.says("05_indexes");
        }
        let next = taken_over(&output);
        assert_ne!(next, backend);
        // It has no request that takes long.
        wait_until_gone(backend);
        backend = next;
    }
    let (sent, failed) = load.end();
    assert!(failed.is_empty(), "{} of {sent} failed: {failed:#?}", failed.len());
    assert!(sent > 100, "only {sent} requests");
    let output = deployed.end(Signal::TERM);
    output.ends(0).says("the backend before it (process").hides("panic");
    assert_gone(backend);
}

fn what_fails_before_leaves_the_old_one(context: &Context) {
    let database = context.database();
    let deployed = Deployed::new(&database);
    let wrong = Phases::new(&[("01_wrong.sql", "SELECT 1/0;\n")]);
    let output = deployed.met_by(real("deploy").on(&database)).sql(wrong.path()).run();
    output
        .ends(1)
        .says("division by zero")
        .says("goes on serving as it was")
        .hides("building");
    let fake = Fake::source("fn main() { compile_error!(\"broken on purpose\") }");
    let output = deployed.met_by(fake.xtask("deploy", &database)).run();
    output
        .ends(1)
        .says("broken on purpose")
        .says("goes on serving as it was");
    is_served(&deployed);
    deployed.end(Signal::TERM).ends(0);
}

fn what_fails_after_leaves_the_old_one(context: &Context) {
    let database = context.database();
    let deployed = Deployed::new(&database);
    let load = Load::on(deployed.address);
    for (fake, says) in [
        (
            Fake::script("echo pid $$; echo last words; exit 3"),
            "the backend ended before it was ready (exit status 3)",
        ),
        (
            Fake::script("echo pid $$; echo last words; exec sleep 600"),
            "--ready-timeout gives it more time",
        ),
        (Fake::source(READY_AND_DEAD), "the backend was ready, and ended"),
    ] {
        let deploy = deployed.met_by(fake.xtask("deploy", &database));
        let output = deploy.args(["--ready-timeout", "2s"]).run();
        output
            .ends(1)
            .says(says)
            .says("last words")
            .says("the backend before it goes on serving");
        let (_, last) = output.stderr.split_once("its last lines:").expect("it shows them");
        let pid = last.lines().find_map(|line| line.trim().strip_prefix("pid "));
        assert_gone(named_pid(&format!("pid {}", pid.expect("it wrote its number"))));
    }
    let (sent, failed) = load.end();
    assert!(failed.is_empty(), "{} of {sent} failed: {failed:#?}", failed.len());
    deployed.end(Signal::TERM).ends(0);
}

/// A bad one is met by the new backend, not by that of before; and a password is seen by nobody.
fn settings_are_those_of_the_later_deploy(context: &Context) {
    let database = context.database();
    let deployed = Deployed::start(real("deploy").on(&database).env("DRAIN_TIME", "7s"));
    let later = || {
        deployed
            .met_by(real("deploy").on(&database))
            .args(["--settle-time", "0"])
    };
    later()
        .env("LOG_FORMAT", "sculpture")
        .run()
        .ends(1)
        .says("its last lines")
        .says("LOG_FORMAT")
        .hides(&database.password);
    let output = later().env("DRAIN_TIME", "8s").run();
    output.ends(0).hides(&database.password);
    let backend = taken_over(&output);
    wait_until_gone(deployed.backend);
    is_served(&deployed);
    let output = deployed.end(Signal::INT);
    output
        .ends(0)
        .says("drain_time=7s")
        .says("drain_time=8s")
        .hides(&database.password);
    assert_gone(backend);
}

fn interrupted_while_it_waits(context: &Context) {
    let database = context.database();
    let deployed = Deployed::new(&database);
    let fake = Fake::script("echo deaf; trap '' TERM; while :; do sleep 1; done");
    for signal in [Signal::TERM, Signal::KILL] {
        let mut later = deployed.met_by(fake.xtask("deploy", &database)).spawn();
        wait_for(&mut later, "waiting for the backend");
        later.signal(signal);
        let output = later.wait();
        assert_eq!(output.status, (signal == Signal::TERM).then_some(143), "{output}");
    }
    is_served(&deployed);
    let output = deployed.end(Signal::TERM);
    output.ends(0).says("who asked for it has gone");
}

fn the_first_one_ends_meanwhile(context: &Context) {
    let database = context.database();
    let deployed = Deployed::new(&database);
    let fake = Fake::script("exec sleep 600");
    let mut later = deployed.met_by(fake.xtask("deploy", &database)).spawn();
    wait_for(&mut later, "waiting for the backend");
    deployed.end(Signal::TERM).ends(0);
    later.wait().ends(1).hides("has taken over");
}

fn of_two_at_once_one_waits(context: &Context) {
    let database = context.database();
    let fake = Fake::script("exec sleep 600");
    let (deploy, address) = fake.deploy(&database);
    let mut first = deploy.spawn();
    wait_for(&mut first, "waiting for the backend");
    let later = fake.xtask("deploy", &database).arg("--bind").arg(address.to_string());
    let mut second = later.args(["--ready-timeout", "300ms"]).spawn();
    let waits = format!(
        "waiting until another deploy for {address} is done (process {})",
        first.pid()
    );
    wait_for(&mut second, &waits);
    first.signal(Signal::TERM);
    first.wait().ends(143);
    // Nobody is in front now: it goes on by itself.
    second.wait().ends(1).says("not ready within 300 ms");
}

/// The socket is systemd's; what is deployed later reaches the same clients.
fn on_a_socket_of_systemd(context: &Context) {
    if Command::new("systemd-socket-activate")
        .arg("--version")
        .output()
        .is_err()
    {
        return context.leave_out("systemd-socket-activate is not installed");
    }
    let database = context.database();
    let deployed = Deployed::activated(real("deploy").on(&database));
    let later = deployed.met_by(real("deploy").on(&database));
    let output = later.args(["--settle-time", "300ms"]).run();
    output.ends(0);
    is_served(&deployed);
    wait_until_gone(deployed.backend);
    deployed.end(Signal::TERM).ends(0);
}
