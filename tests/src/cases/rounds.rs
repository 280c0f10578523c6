//! Each fault at many moments: the next run converges, and each row is where it was, or in the quarantine.
//!
//! With `cargo xtask test-migrations --soak` at each message and at 200 moments, else at a few.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::harness::catalog::Catalog;
use crate::harness::database::Database;
use crate::harness::phases::Phases;
use crate::harness::proxy::{Gate, Proxy};
use crate::harness::rows::Rows;
use crate::harness::xtask::{Output, Running, Xtask};
use crate::harness::{Context, is_soak};

tests![
    killed_before_messages,
    killed_after_messages,
    cut_before_messages,
    cut_after_messages,
    killed_between_online_steps,
    cut_between_online_steps,
    killed_at_moments,
    server_crashes_at_moments,
];

/// The same moments in each call.
const SEED: u64 = 0x5eed;

/// What is migrated in each round, and how it looks when that is done.
struct Scenario {
    template: Database,
    phases: Option<Phases>,
    finished: Catalog,
    accounted: Box<dyn Fn(&Database)>,
}

impl Scenario {
    /// A legacy state with rows that constraints refuse.
    fn neglected(context: &Context) -> Self {
        let fresh = context.database();
        Xtask::migrate(&fresh).run().ends(0);
        let template = context.legacy("neglected");
        let rows = Rows::of(&template);
        Self {
            template,
            phases: None,
            finished: Catalog::of(&fresh),
            accounted: Box::new(move |database| {
                rows.are_accounted_for(database);
            }),
        }
    }

    /// Large tables, whose statements take their online forms.
    fn online(context: &Context) -> Self {
        const ROWS: &str = "SELECT md5(string_agg(concat_ws('|', id, n, m, \"O\"), ',' ORDER BY n)) FROM t
            UNION ALL SELECT md5(string_agg(concat_ws('|', id, t_id), ',' ORDER BY id)) FROM other";
        let rows = |database: &Database| -> Vec<String> {
            let rows = database.admin().query(ROWS, &[]).expect(ROWS);
            let mut sums: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
            sums.sort();
            sums
        };
        let (template, phases) = super::online::in_use(context);
        let finished = template.copy();
        Xtask::migrate(&finished).phases(phases.path()).run().ends(0);
        let before = rows(&template);
        Self {
            finished: Catalog::of(&finished),
            template,
            phases: Some(phases),
            accounted: Box::new(move |database| assert_eq!(rows(database), before, "rows")),
        }
    }

    fn migrate(&self, database: &Database) -> Xtask {
        let xtask = Xtask::migrate(database);
        match &self.phases {
            Some(phases) => xtask.phases(phases.path()),
            None => xtask,
        }
    }

    /// The run after a fault.
    fn converges(&self, database: &Database, round: &str, faulty: &Output) {
        let next = self.migrate(database).run();
        assert_eq!(next.status, Some(0), "{round}: {faulty}\n{next}");
        Catalog::of(database).covers(&self.finished);
        (self.accounted)(database);
    }
}

/// The numbers of the rounds: all, or a few that are spread evenly.
fn rounds(all: usize) -> Vec<usize> {
    const FEW: usize = 6;
    match is_soak() || all <= FEW {
        true => (1..=all).collect(),
        false => (0..FEW).map(|n| 1 + n * all / FEW).collect(),
    }
}

/// A line of the table in README.
fn tell(context: &Context, fault: &str, rounds: usize) {
    if is_soak() {
        let major = context.server().major;
        eprintln!("| {fault} | PostgreSQL {major} | {rounds} | {rounds} | 0 |");
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Fault {
    /// SIGKILL to the migrator.
    Kill,
    /// The connections are cut; new ones are let through.
    Cut,
}

fn at_messages(context: &Context, scenario: &Scenario, fault: Fault, arrives: bool, name: &str) {
    let through = |database: &Database, at: usize, act: Box<dyn Fn() + Send + Sync>| {
        let gate = Gate { at, arrives, act };
        Proxy::with_gate((database.host.clone(), database.port), gate)
    };
    let start = |database: &Database, proxy: &Proxy| -> Running {
        let migrate = scenario.migrate(database);
        migrate.env("POSTGRES_PORT", proxy.port.to_string()).spawn()
    };
    let database = scenario.template.copy();
    let proxy = through(&database, usize::MAX, Box::new(|| {}));
    start(&database, &proxy).wait().ends(0);
    let rounds = rounds(proxy.messages());
    for at in &rounds {
        let database = scenario.template.copy();
        let pid: Arc<OnceLock<u32>> = Arc::default();
        let victim = Arc::clone(&pid);
        let kill = move || {
            let pid = i32::try_from(*victim.wait()).ok().and_then(Pid::from_raw);
            // It may have ended just now.
            let _ = kill_process(pid.expect("a process id"), Signal::KILL);
        };
        let proxy = match fault {
            Fault::Kill => through(&database, *at, Box::new(kill)),
            Fault::Cut => through(&database, *at, Box::new(|| {})),
        };
        let running = start(&database, &proxy);
        let _ = pid.set(running.pid());
        let output = running.wait();
        if fault == Fault::Cut {
            // Where it had a session, it makes another one.
            assert!([Some(0), Some(3)].contains(&output.status), "message {at}: {output}");
        }
        scenario.converges(&database, &format!("message {at}"), &output);
    }
    tell(context, name, rounds.len());
}

fn killed_before_messages(context: &Context) {
    let name = "SIGKILL before a message";
    at_messages(context, &Scenario::neglected(context), Fault::Kill, false, name);
}

fn killed_after_messages(context: &Context) {
    let name = "SIGKILL after a message, before its answer";
    at_messages(context, &Scenario::neglected(context), Fault::Kill, true, name);
}

fn cut_before_messages(context: &Context) {
    let name = "connections cut before a message";
    at_messages(context, &Scenario::neglected(context), Fault::Cut, false, name);
}

fn cut_after_messages(context: &Context) {
    let name = "connections cut after a message, before its answer";
    at_messages(context, &Scenario::neglected(context), Fault::Cut, true, name);
}

fn killed_between_online_steps(context: &Context) {
    let name = "SIGKILL before a message, online forms of large tables";
    at_messages(context, &Scenario::online(context), Fault::Kill, false, name);
}

fn cut_between_online_steps(context: &Context) {
    let name = "connections cut after a message, online forms of large tables";
    at_messages(context, &Scenario::online(context), Fault::Cut, true, name);
}

/// Moments of a run that takes so long, always the same ones.
fn moments(count: usize, longest: Duration) -> Vec<Duration> {
    let mut random = fastrand::Rng::with_seed(SEED);
    (0..count).map(|_| longest.mul_f64(random.f64())).collect()
}

fn killed_at_moments(context: &Context) {
    let scenario = Scenario::neglected(context);
    let start = Instant::now();
    scenario.migrate(&scenario.template.copy()).run().ends(0);
    let moments = moments(if is_soak() { 200 } else { 6 }, start.elapsed());
    for moment in &moments {
        let database = scenario.template.copy();
        let running = scenario.migrate(&database).spawn();
        // Not for luck: the moment is what is tried.
        std::thread::sleep(*moment);
        let output = running.kill();
        scenario.converges(&database, &format!("after {moment:?}, seed {SEED:#x}"), &output);
    }
    tell(
        context,
        &format!("SIGKILL at random moments (seed {SEED:#x})"),
        moments.len(),
    );
}

fn server_crashes_at_moments(context: &Context) {
    let fresh = context.database();
    Xtask::migrate(&fresh).run().ends(0);
    let server = context.own_server(&[]);
    server.admin().batch_execute("CREATE ROLE readonly_user LOGIN").unwrap();
    let template = Database::legacy(&server, "neglected");
    let rows = Rows::of(&template);
    let start = Instant::now();
    Xtask::migrate(&template.copy()).run().ends(0);
    let moments = moments(if is_soak() { 20 } else { 2 }, start.elapsed());
    for moment in &moments {
        let database = template.copy();
        let running = Xtask::migrate(&database).spawn();
        std::thread::sleep(*moment);
        server.crash();
        server.start();
        server.wait_until_ready();
        let output = running.wait();
        let next = Xtask::migrate(&database).run();
        assert_eq!(
            next.status,
            Some(0),
            "after {moment:?}, seed {SEED:#x}: {output}\n{next}"
        );
        Catalog::of(&database).covers(&Catalog::of(&fresh));
        rows.are_accounted_for(&database);
    }
    tell(
        context,
        &format!("server crash at random moments (seed {SEED:#x})"),
        moments.len(),
    );
}
