//! The tests, by what they are about.

use crate::harness::Context;

/// One test: panics when something is not as it must be.
pub type Test = fn(&Context);

/// Names the tests of a module.
macro_rules! tests {
    ($($name:ident),* $(,)?) => {
        /// The tests of this module by name.
        pub const TESTS: &[(&str, $crate::cases::Test)] = &[$((stringify!($name), $name)),*];
    };
}

mod catalog;
mod change;
mod connecting;
mod console;
mod containers;
mod deploy;
mod dev;
mod dev_follows;
mod faults;
mod fingerprint;
mod fleet;
mod handover;
mod healing;
mod history;
mod hostile;
mod init;
mod intruder;
mod live;
mod live_server;
mod locks;
mod meanings;
mod no_op;
mod not_converged;
mod once;
mod online;
mod personal;
mod phases;
mod plan;
mod quarantine;
mod races;
mod random;
mod roles;
mod rollback;
mod rounds;
mod schemas;
mod snapshot;
mod snapshot_cache;
mod states;
mod takeover;
mod tls;
mod tools;
mod verify;
mod violations;

/// Module, name, function.
type Named = (&'static str, &'static str, Test);

/// Lists the tests of modules.
macro_rules! all_of {
    ($($module:ident),* $(,)?) => {{
        let modules = [$((stringify!($module), $module::TESTS)),*];
        modules
            .iter()
            .flat_map(|(module, tests)| tests.iter().map(|(name, test)| (*module, *name, *test)))
            .collect()
    }};
}

/// The tests that run on each version of PostgreSQL.
pub fn all() -> Vec<Named> {
    all_of![
        catalog,
        change,
        states,
        phases,
        connecting,
        tls,
        faults,
        rounds,
        races,
        fleet,
        locks,
        live,
        live_server,
        meanings,
        once,
        online,
        healing,
        violations,
        quarantine,
        roles,
        intruder,
        rollback,
        history,
        schemas,
        random,
        no_op,
        verify,
        plan,
        snapshot,
        snapshot_cache,
        not_converged,
        fingerprint,
        takeover,
        tools,
    ]
}

/// The tests that run once, on the newest version: they are about other things than it.
pub fn once() -> Vec<Named> {
    all_of![
        console,
        init,
        deploy,
        handover,
        dev,
        dev_follows,
        containers,
        hostile,
        personal
    ]
}
