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

/// Declares the modules and lists their tests.
macro_rules! modules {
    ($($module:ident),* $(,)?) => {
        $(mod $module;)*

        /// Every test: module, name, function.
        pub fn all() -> Vec<(&'static str, &'static str, Test)> {
            let modules = [$((stringify!($module), $module::TESTS)),*];
            modules.iter().flat_map(|(module, tests)| tests.iter().map(|(name, test)| (*module, *name, *test))).collect()
        }
    };
}

modules![
    catalog,
    states,
    phases,
    connecting,
    tls,
    faults,
    locks,
    roles,
    history,
    schemas,
    random,
    no_op,
    verify,
    plan,
    snapshot,
    not_converged,
    fingerprint,
    deploy,
];

mod containers;
mod dev;
mod hostile;
mod personal;

/// The tests that run once rather than on each version of PostgreSQL.
pub fn once() -> Vec<(&'static str, &'static str, Test)> {
    let modules = [
        ("dev", dev::TESTS),
        ("containers", containers::TESTS),
        ("hostile", hostile::TESTS),
        ("personal", personal::TESTS),
    ];
    modules
        .iter()
        .flat_map(|(module, tests)| tests.iter().map(|(name, test)| (*module, *name, *test)))
        .collect()
}
