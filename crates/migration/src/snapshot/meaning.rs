//! From what two runs of the phases showed to what each statement means.

use std::collections::{BTreeMap, BTreeSet};

use super::scratch::{Seen, Table};
use crate::catalog::{Catalog, ObjectId, changes};
use crate::expected::{Effect, Expected, Meaning, State};
use crate::locks::{LockMode, TableLock, strength};
use crate::source::statement::{Class, Statement};

/// Two runs in a row, statement by statement.
pub struct Runs<'a> {
    /// The statements.
    pub statements: &'a [&'a Statement],
    /// What each did on an empty database; none: it is optional, and could not be run.
    pub first: &'a [Option<&'a Seen>],
    /// What each did on the result; none: it was not run, or failed.
    pub second: &'a [Option<&'a Seen>],
    /// The catalog before the first run.
    pub fresh: &'a Catalog,
    /// The catalog after the first run.
    pub finished: &'a Catalog,
    /// The catalog after the second run.
    pub again: &'a Catalog,
}

impl Runs<'_> {
    /// The content of `expected.json`, without the hashes of the files.
    pub fn expected(&self) -> Expected {
        let statements: Vec<Effect> = (0..self.statements.len()).map(|n| self.effect(n)).collect();
        let mut objects: BTreeMap<ObjectId, State> = changes(self.fresh, self.finished)
            .into_iter()
            .map(|(id, _, after)| (id, after))
            .collect();
        // What was made and dropped again on the way shall not be left behind on the way either.
        for (id, _) in statements.iter().flat_map(|effect| &effect.objects) {
            objects
                .entry(id.clone())
                .or_insert_with(|| self.finished.get(id).map(ToOwned::to_owned));
        }
        let baseline = self.fresh.iter().map(|(id, _)| id.clone());
        let optional = self.statements.iter().zip(&statements);
        let optional = optional
            .filter(|(statement, _)| statement.directives.optional)
            .flat_map(|(_, effect)| effect.objects.iter().map(|(id, _)| id.clone()));
        Expected {
            baseline: baseline.filter(|id| !objects.contains_key(id)).collect(),
            optional: optional.filter(|id| objects.contains_key(id)).collect(),
            objects,
            statements,
            ..Expected::default()
        }
    }

    /// The objects that differ between the catalogs after the first and the second run, by the place of the statement
    /// that touched them last.
    pub fn unstable(&self) -> BTreeMap<String, Vec<ObjectId>> {
        let mut unstable: BTreeMap<String, Vec<ObjectId>> = BTreeMap::new();
        for (id, ..) in changes(self.finished, self.again) {
            let touched =
                |seen: &Option<&Seen>| seen.iter().any(|seen| seen.changes.iter().any(|change| change.0 == id));
            let last = self.second.iter().rposition(touched);
            let place = last
                .and_then(|n| self.statements.get(n))
                .map(|statement| statement.place());
            unstable.entry(place.unwrap_or_default()).or_default().push(id);
        }
        unstable
    }

    fn effect(&self, n: usize) -> Effect {
        let statement = self.statements[n];
        let (first, second) = (self.first[n], self.second[n]);
        let mut effect = Effect {
            hash: statement.hash(),
            summary: statement.summary(),
            fails_again: first.is_some() && second.is_none(),
            ..Effect::default()
        };
        if let Some(first) = first {
            let left = first.changes.iter();
            effect.objects = left.map(|(id, _, after)| (id.clone(), after.clone())).collect();
            effect.locks = locks(&first.tables);
        }
        let seen = || first.into_iter().chain(second);
        effect.replaces = self.replaces(n, &effect);
        if effect.objects.is_empty() && effect.replaces.is_empty() {
            let tables = || seen().flat_map(|seen| &seen.tables);
            let names = |test: &dyn Fn(&&Table) -> bool| -> BTreeSet<String> {
                let tables = tables().filter(|table| table.existed && test(table));
                tables.map(|table| table.name.clone()).collect()
            };
            let writes = tables().any(|table| !table.temporary && table.is_written());
            let works_on_temporary_tables = tables()
                .any(|table| table.temporary && strength(&table.mode) > Some(LockMode::AccessShare))
                && !tables().any(|table| !table.temporary && strength(&table.mode) > Some(LockMode::AccessShare));
            let of_session =
                statement.class == Class::Session || works_on_temporary_tables || seen().any(|seen| seen.session);
            if of_session && !writes {
                effect.meaning = Meaning::Session;
                effect.fails_again = false;
            } else {
                effect.meaning = Meaning::Once;
                effect.touches = names(&|_| true);
                effect.fills = names(&|table| table.inserted > 0);
                // What it finds on an empty database is nothing that a later statement puts back.
                let emptied = second.into_iter().flat_map(|seen| &seen.tables);
                let emptied = emptied.filter(|table| table.existed && table.deleted > 0);
                effect.empties = emptied.map(|table| table.name.clone()).collect();
                effect.writes = writes || statement.may_change_rows();
            }
        } else if effect.objects.is_empty() {
            effect.meaning = Meaning::Replaces;
            // On an empty database it finds nothing to lock.
            effect.locks = second.map(|second| locks(&second.tables)).unwrap_or_default();
        }
        effect
    }

    /// What the statement drops or changes in the second run, and a later one makes again.
    fn replaces(&self, n: usize, effect: &Effect) -> BTreeSet<ObjectId> {
        let touched = |n: usize| self.second[n].iter().flat_map(|seen| &seen.changes);
        let is_left = |id: &ObjectId| effect.objects.iter().any(|(left, _)| left == id);
        touched(n)
            .filter(|(id, _, after)| after.as_deref() != self.finished.get(id) && !is_left(id))
            .filter(|(id, ..)| (n + 1..self.second.len()).any(|later| touched(later).any(|change| change.0 == *id)))
            .map(|(id, ..)| id.clone())
            .collect()
    }
}

/// The locks on tables that were there before, stronger than an ordinary write takes.
pub(super) fn locks(tables: &[Table]) -> Vec<TableLock> {
    let lock = |table: &Table| {
        let mode = strength(&table.mode).filter(|mode| table.existed && *mode > LockMode::RowExclusive)?;
        Some(TableLock {
            table: table.name.clone(),
            mode,
            scans: table.scans,
            rewrites: table.rewrites,
        })
    };
    let mut locks: Vec<TableLock> = tables.iter().filter_map(lock).collect();
    locks.sort_by(|a, b| a.table.cmp(&b.table));
    locks
}
