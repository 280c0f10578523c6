//! Which statements must run: set algebra on catalogs.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;

use super::catalog::{Catalog, ObjectId};
use super::expected::{Expected, State};
use super::phases::Phases;
use super::statement::{Class, Statement};

/// What is known of the database.
#[derive(Clone, Copy)]
pub enum Actual<'a> {
    /// It has not changed since a run found that it has converged.
    Converged,
    /// Its catalog.
    Catalog(&'a Catalog),
}

/// What is known before deciding.
#[derive(Clone, Copy)]
pub struct Known<'a> {
    /// The database.
    pub actual: Actual<'a>,
    /// A run with the same expected catalog has succeeded: rows that are put in once were put in.
    pub seeded: bool,
    /// Run all.
    pub force: bool,
}

/// Whether a statement runs, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Decision {
    /// Whether it runs.
    pub run: bool,
    /// Why.
    pub reason: Reason,
}

/// Why a statement runs, or does not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "reason")]
pub enum Reason {
    /// What it leaves is missing, or otherwise.
    Unsatisfied {
        /// Which objects.
        objects: Vec<ObjectId>,
    },
    /// All that it leaves is there.
    Satisfied,
    /// Nothing that is expected is there: everything runs.
    Untouched,
    /// An object that it prepares is not as expected yet.
    Prepares {
        /// Which.
        objects: Vec<ObjectId>,
    },
    /// What it prepares is as expected.
    Prepared,
    /// A directive says so.
    Always,
    /// It changes rows, and finds out by itself whether there is something to do.
    ChangesRows,
    /// It puts rows in once; those that are there already stay.
    PutsRowsInOnce,
    /// It leaves nothing, and the database has not converged.
    NotConverged,
    /// It leaves nothing, and the database has converged.
    NothingToLeave,
    /// It sets up the session for a statement that runs.
    Session,
    /// No statement runs that it would set up the session for.
    SessionIdle,
    /// Asked for.
    Forced,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |objects: &[ObjectId]| match objects {
            [one] => one.to_string(),
            [first, rest @ ..] => format!("{first} and {} more", rest.len()),
            [] => String::new(),
        };
        match self {
            Self::Unsatisfied { objects } => write!(f, "missing or different: {}", list(objects)),
            Self::Satisfied => f.write_str("all it leaves is there"),
            Self::Untouched => f.write_str("nothing expected is there yet"),
            Self::Prepares { objects } => write!(f, "prepares {}", list(objects)),
            Self::Prepared => f.write_str("what it prepares is there"),
            Self::Always => f.write_str("directive: always"),
            Self::ChangesRows => f.write_str("changes rows, runs each time"),
            Self::PutsRowsInOnce => f.write_str("puts rows in, unless they are there"),
            Self::NotConverged => f.write_str("the database has not converged"),
            Self::NothingToLeave => f.write_str("leaves nothing, the database has converged"),
            Self::Session => f.write_str("sets up the session"),
            Self::SessionIdle => f.write_str("sets up the session for nothing"),
            Self::Forced => f.write_str("--force"),
        }
    }
}

/// Decides for every statement, in order.
pub fn decide(phases: &Phases, expected: &Expected, known: Known<'_>) -> Vec<Decision> {
    let Known { actual, seeded, force } = known;
    let statements: Vec<&Statement> = phases.statements().collect();
    let untouched = matches!(actual, Actual::Catalog(catalog) if expected.is_untouched(catalog));
    let converged = match actual {
        Actual::Converged => true,
        Actual::Catalog(catalog) => expected
            .differences(catalog)
            .iter()
            .all(super::catalog::Difference::is_extra),
    };
    // From the last statement to the first: the states that a statement at or after the current one leaves. That an
    // object is absent counts only where the statement that removes it has nothing to do: until then it may be absent
    // because it was never made, and what it is to be turned into (by a rename, say) is missing.
    let mut later: BTreeMap<&ObjectId, BTreeSet<&State>> = BTreeMap::new();
    let mut decisions: Vec<Decision> = Vec::with_capacity(statements.len());
    let mut something_runs = false;
    for (statement, leaves) in statements.iter().zip(&expected.statements).rev() {
        let unsatisfied = || -> Vec<ObjectId> {
            let Actual::Catalog(catalog) = actual else {
                return Vec::new();
            };
            let wrong = |(id, own): &&(ObjectId, State)| {
                let is = catalog.get(id);
                let states = later.get(id).into_iter().flatten().copied();
                !states.chain([own]).any(|state| state.as_deref() == is)
            };
            leaves.objects.iter().filter(wrong).map(|(id, _)| id.clone()).collect()
        };
        let unprepared = || -> Vec<ObjectId> {
            let Actual::Catalog(catalog) = actual else {
                return Vec::new();
            };
            let wrong = |id: &&ObjectId| !expected.is_as_expected(id, catalog);
            statement.directives.prepares.iter().filter(wrong).cloned().collect()
        };
        let (run, reason) = if statement.class == Class::Session {
            (
                something_runs,
                if something_runs {
                    Reason::Session
                } else {
                    Reason::SessionIdle
                },
            )
        } else if force {
            (true, Reason::Forced)
        } else if untouched {
            (true, Reason::Untouched)
        } else if statement.directives.always {
            (true, Reason::Always)
        } else if !statement.directives.prepares.is_empty() {
            match unprepared() {
                objects if objects.is_empty() => (false, Reason::Prepared),
                objects => (true, Reason::Prepares { objects }),
            }
        } else if !leaves.objects.is_empty() {
            match unsatisfied() {
                objects if objects.is_empty() => (false, Reason::Satisfied),
                // Tried while there is something else to do; not having them is no reason to begin.
                objects if objects.iter().all(|id| expected.optional.contains(id)) && converged => {
                    (false, Reason::Satisfied)
                }
                objects => (true, Reason::Unsatisfied { objects }),
            }
        } else if leaves.once {
            (!seeded, Reason::PutsRowsInOnce)
        } else if statement.class == Class::Dml {
            (true, Reason::ChangesRows)
        } else if converged {
            (false, Reason::NothingToLeave)
        } else {
            (true, Reason::NotConverged)
        };
        for (id, state) in leaves.objects.iter().filter(|(_, state)| state.is_some() || !run) {
            later.entry(id).or_default().insert(state);
        }
        something_runs |= run;
        decisions.push(Decision { run, reason });
    }
    decisions.reverse();
    decisions
}
