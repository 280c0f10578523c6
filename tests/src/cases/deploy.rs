//! `pre-deploy` and `deploy`: each step stops what follows, and no process is left.

use std::net::TcpListener;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::harness::Context;
use crate::harness::database::Database;
use crate::harness::deploy::{
    Deployed, Fake, assert_gone, free_address, kill, named_pid, real, wait_for, wait_until_gone,
};
use crate::harness::http::get;
use crate::harness::phases::Phases;
use crate::harness::wait;
use crate::harness::xtask::{Xtask, workspace};

tests![
    from_an_empty_database,
    from_legacy_states,
    flags_and_password_reach_the_backend,
    pre_deploy_builds,
    a_migration_that_fails_stops_the_rest,
    a_build_that_fails_stops_the_rest,
    a_port_that_is_taken_stops_everything,
    an_address_that_makes_no_sense,
    a_bad_setting_of_the_backend,
    never_ready,
    never_ready_and_deaf,
    interrupted_before_it_is_ready,
    interrupted_while_it_builds,
    requests_in_flight_are_answered,
    a_second_signal_kills,
    the_backend_ends_with_a_killed_deploy,
    the_status_of_the_backend,
    database_lost_and_back,
    metrics_tell_of_the_last_migration,
    two_hundred_requests_a_second,
];

/// More than the backend needs to end when it has nothing to finish.
const SOON: Duration = Duration::from_secs(5);

fn has_journal(database: &Database) -> bool {
    let query = "SELECT to_regclass('migration.runs') IS NOT NULL";
    database.connect().query_one(query, &[]).unwrap().get(0)
}

fn from_an_empty_database(context: &Context) {
    let database = context.database();
    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        let deployed = Deployed::new(&database);
        let (status, report) = get(deployed.address, "/health/ready").unwrap();
        assert_eq!(status, 200, "{report}");
        assert_eq!(get(deployed.address, "/api/events").unwrap().0, 200);
        let told = Instant::now();
        deployed.end(signal).ends(0).says("the backend has ended");
        assert!(told.elapsed() < SOON, "{signal:?} took {:?}", told.elapsed());
    }
}

fn from_legacy_states(context: &Context) {
    for state in ["node-script", "quick-setup", "neglected"] {
        let database = context.legacy(state);
        let deployed = Deployed::new(&database);
        assert_eq!(get(deployed.address, "/api/events").unwrap().0, 200, "{state}");
        assert_eq!(get(deployed.address, "/api/sync").unwrap().0, 200, "{state}");
        deployed.end(Signal::TERM).ends(0);
    }
}

/// A flag wins over what both programs find in the file .env, and a password is seen by nobody.
fn flags_and_password_reach_the_backend(context: &Context) {
    let database = context.database();
    let deploy = real("deploy")
        .file(
            ".env",
            "DATABASE_URL=postgres://nobody@203.0.113.1:1/nothing?sslmode=disable\nPOSTGRES_DB=nothing\nDRAIN_TIME=7s\n",
        )
        .env("POSTGRES_PASSWORD", &database.password)
        .args(["--host", &database.host, "--port", &database.port.to_string()])
        .args(["--dbname", &database.name, "--user", &database.owner]);
    let deployed = Deployed::start(deploy);
    let arguments = std::fs::read_to_string(format!("/proc/{}/cmdline", deployed.backend.as_raw_nonzero()));
    assert!(!arguments.unwrap_or_default().contains(&database.password));
    deployed
        .end(Signal::TERM)
        .ends(0)
        .says("drain_time=7s")
        .hides(&database.password);
}

fn pre_deploy_builds(context: &Context) {
    let database = context.database();
    let fake = Fake::script("exit 0");
    let output = fake.xtask("pre-deploy", &database).arg("--json").run();
    let document = output.ends(0).says("Compiling backend").json();
    assert_eq!(document["outcome"], "succeeded");
    assert!(has_journal(&database));
    let program = document["program"].as_str().unwrap();
    assert!(std::path::Path::new(program).is_file(), "{program}");
}

fn a_migration_that_fails_stops_the_rest(context: &Context) {
    let database = context.database();
    let phases = Phases::new(&[("01_wrong.sql", "SELECT 1/0;\n")]);
    let fake = Fake::script("exit 0");
    for command in ["pre-deploy", "deploy"] {
        let xtask = fake.xtask(command, &database).sql(phases.path());
        let xtask = xtask.env("BIND_ADDRESS", free_address().to_string());
        xtask
            .run()
            .ends(1)
            .says("division by zero")
            .hides("building")
            .hides("Compiling");
    }
    // No database, either.
    let output = fake
        .xtask("pre-deploy", &database)
        .env("POSTGRES_PORT", "1")
        .args(["--wait", "100ms"])
        .run();
    output.ends(3).hides("building");
}

fn a_build_that_fails_stops_the_rest(context: &Context) {
    let database = context.database();
    let fake = Fake::source("fn main() { compile_error!(\"broken on purpose\") }");
    let (deploy, _) = fake.deploy(&database);
    let output = deploy.run();
    output
        .ends(1)
        .says("broken on purpose")
        .says("cannot build the backend")
        .says("nothing was launched")
        .hides("is ready on");
    fake.xtask("pre-deploy", &database)
        .run()
        .ends(1)
        .says("broken on purpose");
}

fn a_port_that_is_taken_stops_everything(context: &Context) {
    let database = context.database();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let fake = Fake::script("exit 0");
    let output = fake.xtask("deploy", &database).env("BIND_ADDRESS", &address).run();
    output
        .ends(1)
        .says(&address)
        .says("listens there already")
        .says(&format!("process {}", std::process::id()))
        .hides("building");
    assert!(!has_journal(&database), "it has migrated");
}

fn an_address_that_makes_no_sense(context: &Context) {
    let database = context.database();
    let fake = Fake::script("exit 0");
    for address in ["3001", "127.0.0.1:70000", "127.0.0.1:0", "203.0.113.1:3001", "nonsense"] {
        let output = fake.xtask("deploy", &database).args(["--bind", address]).run();
        output.ends(2).says(address).hides("building");
    }
    assert!(!has_journal(&database), "it has migrated");
}

fn a_bad_setting_of_the_backend(context: &Context) {
    let database = context.database();
    let output = real("deploy")
        .on(&database)
        .env("BIND_ADDRESS", free_address().to_string())
        .env("LOG_FORMAT", "sculpture")
        .run();
    output
        .ends(1)
        .says("the backend ended before it was ready (exit status 1)")
        .says("its last lines")
        .says("LOG_FORMAT")
        .hides(&database.password);
}

fn never_ready(context: &Context) {
    let database = context.database();
    let fake = Fake::script("echo pid $$; for n in $(seq 30); do echo line $n. >&2; done; exec sleep 600");
    let (deploy, _) = fake.deploy(&database);
    let output = deploy.args(["--ready-timeout", "1s"]).run();
    output
        .ends(1)
        .says("not ready within 1")
        .says("it has not answered yet")
        .says("its last lines:");
    assert_gone(named_pid(&output.stderr));
    let (_, last) = output.stderr.split_once("its last lines:").unwrap();
    assert!(!last.contains("line 10."), "more than the last 20 lines:\n{last}");
    assert!(
        last.contains("line 11.") && last.contains("line 30."),
        "less than the last 20 lines:\n{last}"
    );
}

fn never_ready_and_deaf(context: &Context) {
    let database = context.database();
    let fake = Fake::script("trap '' TERM INT; echo pid $$; while :; do sleep 1; done");
    let (deploy, _) = fake.deploy(&database);
    let output = deploy.args(["--ready-timeout", "300ms"]).run();
    output.ends(1).says("not ready within 300 ms");
    assert_gone(named_pid(&output.stderr));
}

fn interrupted_before_it_is_ready(context: &Context) {
    let database = context.database();
    let fake = Fake::script("echo pid $$; exec sleep 600");
    let (deploy, _) = fake.deploy(&database);
    let mut running = deploy.spawn();
    wait_for(&mut running, "pid ");
    running.signal(Signal::TERM);
    let output = running.wait();
    output.ends(143);
    assert_gone(named_pid(&output.stderr));
}

fn interrupted_while_it_builds(context: &Context) {
    let database = context.database();
    // The compiler goes on until somebody ends it.
    let fake = Fake::source(
        "const fn endless() -> u64 { let mut n = 0_u64; while n < u64::MAX { n += 1; } n }\n\
         #[allow(long_running_const_eval)]\nconst N: u64 = endless();\nfn main() { println!(\"{N}\"); }",
    );
    for (signal, status) in [(Signal::TERM, 143), (Signal::INT, 130), (Signal::HUP, 129)] {
        let (deploy, _) = fake.deploy(&database);
        let mut running = deploy.spawn();
        let compilers = || fake.processes("rustc");
        let is_compiling = || compilers().iter().any(|line| line.contains("--crate-name backend"));
        wait::until_true("a compiler", Duration::from_secs(60), is_compiling);
        assert!(running.is_running(), "{}", running.so_far());
        running.signal(signal);
        let output = running.wait();
        output.ends(status).says("was interrupted").hides("is ready on");
        // The signal has reached it; what is left is its end.
        wait::until_true("the compiler's end", SOON, || compilers().is_empty());
    }
}

fn requests_in_flight_are_answered(context: &Context) {
    let database = context.database();
    let deployed = Deployed::new(&database);
    let address = deployed.address;
    let mut holder = database.connect();
    let mut lock = holder.transaction().unwrap();
    lock.batch_execute("LOCK TABLE public.events IN ACCESS EXCLUSIVE MODE")
        .unwrap();
    let request = thread::spawn(move || get(address, "/api/events"));
    database.wait_for_session("application_name = 'daydream-backend' AND wait_event_type = 'Lock'");
    let mut running = deployed.running;
    running.signal(Signal::INT);
    wait_for(&mut running, "ending signal");
    lock.commit().unwrap();
    let (status, body) = request.join().unwrap().expect("an answer");
    assert_eq!(status, 200, "{body}");
    running.wait().ends(0);
    assert_gone(deployed.backend);
}

fn a_second_signal_kills(context: &Context) {
    let database = context.database();
    let deployed = Deployed::start(real("deploy").on(&database).env("DRAIN_TIME", "10m"));
    // A request that never ends, and a drain time that would outlast the test.
    let mut client = std::net::TcpStream::connect(deployed.address).unwrap();
    std::io::Write::write_all(&mut client, b"GET /health/live HTTP/1.1\r\n").unwrap();
    let mut running = deployed.running;
    running.signal(Signal::TERM);
    wait_for(&mut running, "ending signal");
    assert!(running.is_running());
    running.signal(Signal::TERM);
    running.wait().ends(137).says("signal 9");
    assert_gone(deployed.backend);
}

fn the_backend_ends_with_a_killed_deploy(context: &Context) {
    let database = context.database();
    let deployed = Deployed::new(&database);
    let _ = deployed.running.kill();
    wait_until_gone(deployed.backend);
}

fn the_status_of_the_backend(context: &Context) {
    let database = context.database();
    let deployed = Deployed::new(&database);
    kill(deployed.backend);
    deployed.running.wait().ends(137).says("signal 9");
}

/// A sample of the backend's metrics; not a number where it tells of nothing.
fn metric(deployed: &Deployed, name: &str) -> f64 {
    let (_, text) = get(deployed.address, "/metrics").expect("an answer");
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("{name} ")));
    line.and_then(|value| value.parse().ok())
        .unwrap_or_else(|| panic!("{name} is not in\n{text}"))
}

fn metrics_tell_of_the_last_migration(context: &Context) {
    let database = context.database();
    let deployed = Deployed::new(&database);
    let of_last_run = |name: &str| metric(&deployed, &format!("backend_migration_last_run_{name}"));
    let is_seen = |what: &str, is_so: &dyn Fn() -> bool| {
        // Asking for readiness looks at the journal.
        wait::until_true(what, Duration::from_secs(60), || {
            get(deployed.address, "/health/ready").is_some() && is_so()
        });
    };
    assert_eq!(of_last_run("succeeded"), 1.0);
    assert_eq!(of_last_run("converged"), 1.0);
    assert!(of_last_run("statements") > 50.0);
    assert!(of_last_run("duration_seconds") > 0.0);
    assert!((0.0..60.0).contains(&of_last_run("age_seconds")));
    assert_eq!(metric(&deployed, "backend_migration_in_progress"), 0.0);
    // What the dashboard and the rules ask for is there.
    let (_, text) = get(deployed.address, "/metrics").unwrap();
    for file in ["grafana-dashboard.json", "prometheus-alerts.yml"] {
        let asked = std::fs::read_to_string(workspace().join("scripts").join(file)).unwrap();
        let words = asked.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
        let names: Vec<_> = words.filter(|word| word.starts_with("backend_")).collect();
        assert!(names.len() > 5, "{file}: {names:?}");
        for name in names {
            let has = |line: &str| line.starts_with(&format!("{name} ")) || line.starts_with(&format!("{name}{{"));
            assert!(text.lines().any(has), "{file}: {name} is not in\n{text}");
        }
    }

    let phases = Phases::new(&[("01_t.sql", "CREATE TABLE t ();\nSELECT 1 / 0;\n")]);
    Xtask::migrate(&database).sql(phases.path()).run().ends(1);
    is_seen("a run that failed", &|| of_last_run("succeeded") == 0.0);
    assert_eq!(of_last_run("converged"), 0.0);
    assert_eq!(of_last_run("statements"), 1.0);
    database.psql("INSERT INTO migration.runs (tool_version) VALUES ('test')");
    is_seen("a run that is under way", &|| {
        metric(&deployed, "backend_migration_in_progress") == 1.0
    });
    assert_eq!(of_last_run("statements"), 1.0);
    database.psql("ALTER SCHEMA migration RENAME TO elsewhere");
    is_seen("that there is no journal", &|| of_last_run("succeeded").is_nan());
    deployed.end(Signal::TERM).ends(0);
}

fn database_lost_and_back(context: &Context) {
    let server = context.own_server(&[]);
    let database = Database::create(&server);
    let deployed = Deployed::new(&database);
    let ready = |status: u16| {
        wait::until_true(&format!("readiness {status}"), Duration::from_secs(60), || {
            get(deployed.address, "/health/ready").is_some_and(|(answer, _)| answer == status)
        });
    };
    server.crash();
    ready(503);
    assert_eq!(get(deployed.address, "/health/live").unwrap().0, 200);
    server.start();
    ready(200);
    assert_eq!(get(deployed.address, "/api/events").unwrap().0, 200);
    deployed.end(Signal::TERM).ends(0);
}

/// For ten seconds, over the read endpoints, each on a connection of its own, without one error.
fn two_hundred_requests_a_second(context: &Context) {
    const SECONDS: u32 = 10;
    const EACH: u32 = 50;
    let database = context.database();
    let deployed = Deployed::new(&database);
    let address = deployed.address;
    let paths = ["/api/events", "/api/sync", "/health/ready", "/api/events/none"];
    let started = Instant::now();
    let clients = paths.map(|path| {
        thread::spawn(move || {
            for n in 0..SECONDS * EACH {
                let due = Duration::from_secs(1) / EACH * n;
                thread::sleep(due.saturating_sub(started.elapsed()));
                let (status, body) = get(address, path).unwrap_or_else(|| panic!("{path}: no answer"));
                let wanted = if path.ends_with("none") { 404 } else { 200 };
                assert_eq!(status, wanted, "{path}: {body}");
            }
        })
    });
    clients.into_iter().for_each(|client| client.join().unwrap());
    let elapsed = started.elapsed();
    assert!(
        elapsed < Duration::from_secs(u64::from(SECONDS) * 2),
        "so many requests took {elapsed:?}"
    );
    deployed.end(Signal::TERM).ends(0).hides("panic");
}
