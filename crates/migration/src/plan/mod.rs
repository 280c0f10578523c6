//! What runs, in order, why, and in which form: set algebra on catalogs.

mod document;
mod online;
mod partitions;
mod reason;
mod repair;
mod script;
mod units;

use std::collections::{BTreeMap, BTreeSet};

use super::catalog::{Catalog, ObjectId};
use super::expected::{Effect, Expected, Meaning, OnceKey, State};
use super::locks::TableLock;
use super::source::phases::{Phase, Phases};
use super::source::statement::{Class, Statement};

pub use document::{COUNTED, DropDocument, Form, LockDocument, RefusedDocument, SetAsideDocument, Size, StepDocument};
pub use online::{SMALL, large_of, large_tables};
pub use reason::Reason;
pub use repair::{Repair, prune};
pub use script::phases_of;

/// What is known of the database.
#[derive(Clone, Copy)]
pub enum Actual<'a> {
    /// It has not changed since a run found that it has converged.
    Converged,
    /// Its catalog.
    Catalog(&'a Catalog),
}

impl<'a> Actual<'a> {
    fn get(self, id: &ObjectId) -> Option<&'a str> {
        match self {
            Self::Converged => None,
            Self::Catalog(catalog) => catalog.get(id),
        }
    }
}

/// What is known before planning.
#[derive(Clone, Copy)]
pub struct Input<'a> {
    /// The database.
    pub actual: Actual<'a>,
    /// What has run once here; none: that cannot be read, and all is taken for done.
    pub done: Option<&'a BTreeSet<OnceKey>>,
    /// The journal knows the database since it was empty: what is not in `done` has not run.
    pub since_empty: bool,
    /// The tables that are large, of those for which that counts; see [`large_tables`]. None: nobody has looked.
    pub large: Option<&'a BTreeSet<String>>,
    /// Run what is satisfied as well; not what runs once and has run.
    pub force: bool,
    /// What is not there was taken back, and its rows are kept: what has run once does not run again even where nothing is
    /// there.
    pub took_back: bool,
}

/// One statement and what becomes of it.
#[derive(Debug, Clone)]
pub struct Planned<'a> {
    /// Its phase.
    pub phase: &'a Phase,
    /// The statement.
    pub statement: &'a Statement,
    /// What it does; none without `expected.json`.
    pub effect: Option<&'a Effect>,
    /// Whether it runs.
    pub runs: bool,
    /// Why.
    pub reason: Reason,
    /// Those that run and have the same number here are one transaction.
    pub unit: Option<usize>,
    /// What it is recorded by if it runs once.
    pub once: Option<OnceKey>,
    /// What is sent in its place, one by one: it cannot run again and these make what is missing, or they are its online
    /// form.
    pub instead: Vec<Sent>,
    /// It takes its online form.
    pub online: bool,
}

/// A statement that is sent in the place of another one.
#[derive(Debug, Clone)]
pub struct Sent {
    /// The statement.
    pub statement: Statement,
    /// The locks that it takes.
    pub locks: Vec<TableLock>,
}

/// A statement to run.
#[derive(Clone, Copy)]
pub struct Item<'w> {
    /// Its phase.
    pub phase: &'w Phase,
    /// The statement.
    pub statement: &'w Statement,
    /// What it is recorded by, if it runs once.
    pub once: Option<&'w OnceKey>,
}

/// All statements in order.
#[derive(Debug, Clone)]
pub struct Plan<'a> {
    /// One for each statement of the phases.
    pub steps: Vec<Planned<'a>>,
    /// Nothing that is expected is there.
    pub untouched: bool,
    /// Statements that run once and may change rows, and of which nobody knows whether they have run here: indexes.
    pub unknown: Vec<usize>,
}

impl<'a> Plan<'a> {
    /// All statements as they stand: without `expected.json` nothing is known of them.
    pub fn of_all(phases: &'a Phases) -> Self {
        let steps = statements(phases).map(|(phase, statement)| Planned {
            runs: true,
            reason: Reason::Forced,
            unit: statement.transaction.map(|number| number as usize),
            ..Planned::new(phase, statement)
        });
        Self {
            steps: steps.collect(),
            untouched: false,
            unknown: Vec::new(),
        }
    }

    /// Plans what brings a database to what is expected.
    pub fn new(phases: &'a Phases, expected: &'a Expected, input: Input<'_>) -> Self {
        let untouched = matches!(input.actual, Actual::Catalog(catalog) if expected.is_untouched(catalog));
        let mut occurrences: BTreeMap<&str, i32> = BTreeMap::new();
        let mut steps: Vec<Planned<'a>> = Vec::new();
        for ((phase, statement), effect) in statements(phases).zip(&expected.statements) {
            let directives = &statement.directives;
            let by_directive = directives.always || !directives.prepares.is_empty();
            let once = (effect.meaning == Meaning::Once && !by_directive).then(|| {
                let occurrence = occurrences.entry(&effect.hash).or_default();
                *occurrence += 1;
                OnceKey {
                    hash: effect.hash.clone(),
                    occurrence: *occurrence,
                }
            });
            steps.push(Planned {
                effect: Some(effect),
                once,
                ..Planned::new(phase, statement)
            });
        }
        Backwards::new(expected, input, untouched).decide(&mut steps);
        let unknown = if input.since_empty || untouched {
            Vec::new()
        } else {
            // What works on tables that are not there has not run.
            let is_there = |table: &String| input.actual.get(&ObjectId::new("table", table)).is_some();
            let may_have_run =
                |effect: &Effect| effect.writes && (effect.touches.is_empty() || effect.touches.iter().any(is_there));
            let guess = |step: &Planned<'_>| step.runs && step.once.is_some() && step.effect.is_some_and(may_have_run);
            (0..steps.len()).filter(|n| guess(&steps[*n])).collect()
        };
        units::bind(&mut steps, expected, input.actual, untouched);
        Self {
            steps,
            untouched,
            unknown,
        }
    }

    /// Whether a statement that runs brings an object to where it shall be, in a database with this catalog.
    pub fn leaves(&self, id: &ObjectId, actual: &Catalog) -> bool {
        let is_there = |id: &ObjectId| actual.get(id).is_some();
        let table_is_there = |step: &Planned<'_>| {
            let mut left = step.effect.iter().flat_map(|effect| &effect.objects);
            left.any(|(id, state)| id.kind == "table" && state.is_some() && is_there(id))
        };
        let makes = |step: &Planned<'_>| {
            let text = &step.statement.text;
            match step.instead.as_slice() {
                [] if text.begins_with(&["create"]) => match is_there(id) {
                    true => step
                        .statement
                        .first_words(3)
                        .windows(2)
                        .any(|two| two == ["or", "replace"]),
                    // CREATE TABLE adds nothing to a table that is there.
                    false => !table_is_there(step),
                },
                [] => true,
                _ if step.online => true,
                sent => {
                    let name = id.identity.rsplit('.').next().unwrap_or_default();
                    let name = name.split(" on ").next().unwrap_or_default();
                    sent.iter().any(|sent| sent.statement.text.contains(name))
                }
            }
        };
        let of = |effect: &Effect| {
            effect
                .objects
                .iter()
                .any(|(other, state)| other == id && state.is_some())
        };
        self.steps
            .iter()
            .any(|step| step.runs && step.effect.is_some_and(of) && makes(step))
    }

    /// How many statements run.
    pub fn count(&self) -> usize {
        self.steps.iter().filter(|step| step.runs).count()
    }

    /// Whether it sends the same as another one.
    pub fn is_same_as(&self, other: &Self) -> bool {
        let what = |plan: &Self| -> Vec<(bool, Reason)> {
            plan.steps.iter().map(|step| (step.runs, step.reason.clone())).collect()
        };
        what(self) == what(other)
    }
}

impl<'a> Planned<'a> {
    fn new(phase: &'a Phase, statement: &'a Statement) -> Self {
        Self {
            phase,
            statement,
            effect: None,
            runs: false,
            reason: Reason::Satisfied,
            unit: None,
            once: None,
            instead: Vec::new(),
            online: false,
        }
    }

    /// What is to be sent and recorded.
    pub fn item(&self) -> Item<'_> {
        Item {
            phase: self.phase,
            statement: self.statement,
            once: self.once.as_ref(),
        }
    }

    /// What it means; without `expected.json` every statement is taken for one that leaves objects.
    pub fn meaning(&self) -> Meaning {
        self.effect.map(|effect| effect.meaning).unwrap_or_default()
    }

    /// Whether it runs only to look for rows to change: where it finds none it counts as satisfied.
    pub fn looks_for_rows(&self) -> bool {
        self.runs && self.reason == Reason::Always && self.statement.class == Class::Dml
    }

    /// Whether it counts as satisfied, by itself, where it finds no rows to change.
    pub fn looks(&self) -> bool {
        matches!(self.reason, Reason::Always | Reason::Prepares { .. })
    }

    fn start(&mut self, reason: Reason) {
        if !self.runs {
            self.runs = true;
            self.reason = reason;
        }
    }
}

fn statements(phases: &Phases) -> impl Iterator<Item = (&Phase, &Statement)> {
    phases
        .phases
        .iter()
        .flat_map(|phase| phase.statements.iter().map(move |statement| (phase, statement)))
}

/// Decides from the last statement to the first: what an earlier one leaves counts for nothing where a later one leaves
/// the same object otherwise.
struct Backwards<'a, 'k> {
    expected: &'a Expected,
    input: Input<'k>,
    untouched: bool,
    converged: bool,
    /// The states that a statement at or after the current one leaves. That an object is absent counts only where the
    /// statement that removes it has nothing to do: until then it may be absent because it was never made, and what it
    /// is to be turned into (by a rename, say) is missing.
    later: BTreeMap<&'a ObjectId, BTreeSet<Option<&'a str>>>,
}

impl<'a, 'k> Backwards<'a, 'k> {
    fn new(expected: &'a Expected, input: Input<'k>, untouched: bool) -> Self {
        let converged = match input.actual {
            Actual::Converged => true,
            Actual::Catalog(catalog) => expected
                .differences(catalog)
                .iter()
                .all(super::catalog::Difference::is_extra),
        };
        Self {
            expected,
            input,
            untouched,
            converged,
            later: BTreeMap::new(),
        }
    }

    fn decide(mut self, steps: &mut [Planned<'a>]) {
        for step in steps.iter_mut().rev() {
            let Some(effect) = step.effect else { continue };
            (step.runs, step.reason) = self.decision(step, effect);
            let mut leaves_absent = !step.runs;
            if let Reason::Unsatisfied { objects } = &step.reason {
                step.instead = repair::instead(step, effect, objects, self.input.actual);
                // A form that a run has begun with goes on.
                if step.instead.is_empty() && !online::is_begun(effect, self.input.actual) {
                    step.instead = repair::missing(step, effect, objects, self.expected, self.input.actual);
                }
                let renamed = repair::by_name(step, objects, self.expected, self.input.actual);
                if !renamed.is_empty() {
                    step.instead = renamed;
                    step.reason = Reason::Renamed {
                        objects: objects.clone(),
                    };
                } else if !step.instead.is_empty() {
                    leaves_absent = true;
                    // No earlier statement is to make what is made here.
                    for (id, _) in effect.objects.iter().filter(|(id, _)| objects.contains(id)) {
                        self.later.entry(id).or_default().insert(None);
                    }
                    step.reason = Reason::Repaired {
                        objects: objects.clone(),
                    };
                } else if self.changes_nothing(step, effect, objects) {
                    step.runs = false;
                    leaves_absent = true;
                    step.reason = Reason::Different {
                        objects: objects.clone(),
                    };
                }
            }
            if step.runs && step.instead.is_empty() && !self.untouched {
                step.instead = online::rest(step.statement, effect, &self.input);
                step.online = !step.instead.is_empty();
            }
            for (id, state) in &effect.objects {
                if state.is_some() || leaves_absent {
                    self.later.entry(id).or_default().insert(state.as_deref());
                }
            }
        }
    }

    fn decision(&self, step: &Planned<'_>, effect: &'a Effect) -> (bool, Reason) {
        let directives = &step.statement.directives;
        match effect.meaning {
            // Whether they run is known when it is known what else does.
            Meaning::Session => return (false, Reason::SessionIdle),
            Meaning::Replaces if !(self.untouched || directives.always || !directives.prepares.is_empty()) => {
                return (false, Reason::NothingToReplace);
            }
            _ => {}
        }
        let is_kept = |once: &OnceKey| self.input.took_back && self.input.done.is_some_and(|done| done.contains(once));
        if self.untouched && !step.once.as_ref().is_some_and(is_kept) {
            return (true, Reason::Untouched);
        }
        if let Some(once) = &step.once {
            let is_new = |done: &BTreeSet<OnceKey>| !done.contains(once);
            let outstanding = matches!(self.input.actual, Actual::Catalog(_)) && self.input.done.is_some_and(is_new);
            // What the server may refuse is no reason to begin.
            return match outstanding {
                true if directives.optional && self.converged => (false, Reason::Satisfied),
                true => (true, Reason::Once),
                false => (false, Reason::OnceDone),
            };
        }
        if self.input.force {
            return (true, Reason::Forced);
        }
        if directives.always {
            return (true, Reason::Always);
        }
        if !directives.prepares.is_empty() {
            return match self.unprepared(step) {
                objects if objects.is_empty() => (false, Reason::Prepared),
                objects => (true, Reason::Prepares { objects }),
            };
        }
        match self.unsatisfied(effect) {
            objects if objects.is_empty() => (false, Reason::Satisfied),
            // Tried while there is something else to do; not having them is no reason to begin.
            objects if objects.iter().all(|id| self.expected.optional.contains(id)) && self.converged => {
                (false, Reason::Satisfied)
            }
            objects => (true, Reason::Unsatisfied { objects }),
        }
    }

    /// Whether it is CREATE TABLE where the table is there and lacks nothing that could be added, or a rename that is done.
    fn changes_nothing(&self, step: &Planned<'_>, effect: &Effect, wrong: &[ObjectId]) -> bool {
        let is_there = |id: &ObjectId| self.input.actual.get(id).is_some();
        let mut tables = effect.objects.iter().filter(|(id, _)| id.kind == "table");
        let mut gone = effect.objects.iter().filter(|(_, state)| state.is_none()).peekable();
        // A rename whose work is done: what it moved is under its new name.
        let is_moved = effect.fails_again && gone.peek().is_some() && gone.all(|(id, _)| !is_there(id));
        (step.statement.text.begins_with(&["create"]) && tables.any(|(id, _)| is_there(id)) || is_moved)
            && wrong.iter().all(is_there)
            && !wrong.iter().any(|id| self.expected.is_replaced(id))
    }

    /// What the statement leaves that is neither as it leaves it nor as a later one does.
    fn unsatisfied(&self, effect: &'a Effect) -> Vec<ObjectId> {
        let Actual::Catalog(catalog) = self.input.actual else {
            return Vec::new();
        };
        let wrong = |(id, own): &&(ObjectId, State)| {
            let is = catalog.get(id);
            own.as_deref() != is && !self.later.get(id).is_some_and(|states| states.contains(&is))
        };
        let wrong = effect.objects.iter().filter(wrong).map(|(id, _)| id);
        let left_over = online::interim(effect).filter(|id| catalog.get(id).is_some());
        wrong.chain(left_over).cloned().collect()
    }

    fn unprepared(&self, step: &Planned<'_>) -> Vec<ObjectId> {
        let Actual::Catalog(catalog) = self.input.actual else {
            return Vec::new();
        };
        let wrong = |id: &&ObjectId| !self.expected.is_as_expected(id, catalog);
        step.statement
            .directives
            .prepares
            .iter()
            .filter(wrong)
            .cloned()
            .collect()
    }
}
