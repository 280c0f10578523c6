//! What a run changes, for the record: planned when it begins, seen when it ends.

use std::collections::BTreeSet;

use super::Migration;
use super::read::read_once;
use crate::catalog::{Catalog, Change, ObjectId, changes};
use crate::expected::Expected;
use crate::journal;
use crate::plan::Plan;
use crate::sqlstate;

/// The changes that the statements which run bring about, as far as it is known what they leave. Kept for runs that die.
pub fn planned(plan: &Plan<'_>, expected: Option<&Expected>, before: &Catalog) -> Vec<journal::Change> {
    let Some(expected) = expected.filter(|_| !plan.untouched) else {
        return Vec::new();
    };
    let running = plan.steps.iter().filter(|step| step.runs);
    let effects = running.filter_map(|step| step.effect);
    let ids: BTreeSet<&ObjectId> = effects
        .flat_map(|effect| effect.objects.iter().map(|(id, _)| id))
        .collect();
    ids.into_iter()
        .map(|id| {
            let after = expected.objects.get(id).and_then(Option::as_ref);
            (id.clone(), before.get(id).map(str::to_owned), after.cloned())
        })
        .filter(|(_, before, after)| before != after)
        .map(|change| (&change).into())
        .collect()
}

/// The objects in which the two catalogs differ, without what is nobody's doing here.
pub fn changed(before: &Catalog, after: &Catalog, expected: Option<&Expected>) -> Vec<Change> {
    let mut changes = changes(before, after);
    if let Some(expected) = expected {
        // What was not looked at once has not appeared nor gone. Roles that no phase makes are other applications'
        // business: they change them meanwhile.
        let partly = !(before.unread().is_empty() && after.unread().is_empty());
        changes.retain(|(id, ..)| !(partly || id.is_shared()) || expected.objects.contains_key(id));
    }
    changes
}

impl Migration<'_> {
    /// Looks what a run that ended with an error has changed so far; none if that cannot be read now. The error does not
    /// wait for it: nobody is waited for longer than the lock timeout.
    pub(super) fn look(&mut self, before: &Catalog) -> Option<Vec<Change>> {
        let client = &mut self.executor.client;
        if client.is_closed() {
            return None;
        }
        let expected = self.goal.expected.as_ref();
        let after = match read_once(client, self.context, expected, &[]) {
            // The request to cancel a statement may arrive when that has ended already.
            Err(error) if sqlstate::is_cancelled(&error) => read_once(client, self.context, expected, &[]),
            result => result,
        };
        let after = after.ok()?;
        Some(changed(before, &after, expected))
    }
}
