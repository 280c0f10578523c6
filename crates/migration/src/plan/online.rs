//! Which form a statement takes: as it is written, or the online form that leaves the same.

use std::collections::{BTreeMap, BTreeSet};

use connection::{Error, Kind, describe};
use postgres::Client;
use postgres::types::{ToSql, Type};

use super::{Actual, Input, Sent, partitions};
use crate::catalog::{Catalog, ObjectId};
use crate::expected::{Effect, Expected, OnlineStep};
use crate::source::statement::Statement;

/// Tables of up to so many pages are small: PostgreSQL reads them from end to end in a few milliseconds, and so nobody is
/// kept waiting by a statement as it is written.
pub const SMALL: i64 = 256;

/// The tables that are larger than [`SMALL`], of those for which that counts.
///
/// # Errors
/// The connection is gone, mostly.
pub fn large_tables(client: &mut Client, expected: &Expected) -> Result<BTreeSet<String>, Error> {
    let tables: BTreeSet<&str> = expected
        .statements
        .iter()
        .filter(|effect| !effect.online.is_empty())
        .flat_map(|effect| effect.locks.iter().map(|lock| lock.table.as_str()))
        .collect();
    if tables.is_empty() {
        return Ok(BTreeSet::new());
    }
    large_of(client, &tables.into_iter().collect::<Vec<_>>())
        .map_err(|error| Error::new(Kind::Failed, "cannot ask for the sizes of tables", describe(&error)))
}

/// Which of these tables are larger than [`SMALL`].
///
/// # Errors
/// The connection is gone, mostly.
pub fn large_of(client: &mut Client, tables: &[&str]) -> Result<BTreeSet<String>, postgres::Error> {
    let parameters: [(&(dyn ToSql + Sync), Type); 2] = [(&tables, Type::TEXT_ARRAY), (&SMALL, Type::INT8)];
    let rows = client.query_typed(include_str!("large.sql"), &parameters)?;
    rows.iter().map(|row| row.try_get("name")).collect()
}

/// What of the online form is still to be sent, if it is the form to take: because a table that the statement would read
/// from end to end is large, or because a run has begun with the form and died.
pub(super) fn rest(statement: &Statement, effect: &Effect, input: &Input<'_>) -> Vec<Sent> {
    let Actual::Catalog(catalog) = input.actual else {
        return Vec::new();
    };
    let steps = partitions::with_own(&effect.online, catalog);
    let done = done(&steps, catalog);
    let is_large = |table: &String| input.large.is_some_and(|large| large.contains(table));
    let in_use = effect.locks.iter().any(|lock| lock.scans && is_large(&lock.table));
    if statement.directives.as_written || !(done > 0 || in_use) {
        return Vec::new();
    }
    steps[done..]
        .iter()
        .map(|step| Sent {
            statement: Statement::plain(&statement.file, statement.line, &step.text),
            locks: step.locks.clone(),
        })
        .collect()
}

/// Whether a run has begun with the form, and died.
pub(super) fn is_begun(effect: &Effect, actual: Actual<'_>) -> bool {
    matches!(actual, Actual::Catalog(catalog) if done(&partitions::with_own(&effect.online, catalog), catalog) > 0)
}

/// How many of the steps are done: the catalog is as that many leave it.
fn done(steps: &[OnlineStep], catalog: &Catalog) -> usize {
    let is_as_left = |done: &usize| {
        left(&steps[..*done])
            .iter()
            .all(|(id, state)| *state == catalog.get(id))
    };
    (0..=steps.len()).rev().find(is_as_left).unwrap_or_default()
}

/// What a run that died in the middle of an online form may have left: objects that the form makes and drops again.
pub(super) fn interim(effect: &Effect) -> impl Iterator<Item = &ObjectId> {
    left(&effect.online)
        .into_iter()
        .filter_map(|(id, state)| state.is_none().then_some(id))
}

/// What steps leave together: of each object the last state.
fn left(steps: &[OnlineStep]) -> BTreeMap<&ObjectId, Option<&str>> {
    let leaves = steps.iter().flat_map(|step| &step.leaves);
    leaves.map(|(id, state)| (id, state.as_deref())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_goes_on_where_it_stopped() {
        let step = |id: &str, state: Option<&str>| OnlineStep {
            text: String::new(),
            leaves: vec![(id.parse().unwrap(), state.map(ToOwned::to_owned))],
            locks: Vec::new(),
        };
        let steps = [
            step("constraint c on t", Some("CHECK NOT VALID")),
            step("constraint c on t", Some("CHECK")),
            step("column t.a", Some("integer not null")),
            step("constraint c on t", None),
        ];
        let with = |objects: &[(&str, &str)]| {
            let objects = objects
                .iter()
                .map(|(id, definition)| (id.parse::<ObjectId>().unwrap(), (*definition).to_owned()));
            done(&steps, &objects.collect())
        };
        let nullable = ("column t.a", "integer");
        assert_eq!(with(&[nullable]), 0);
        assert_eq!(with(&[nullable, ("constraint c on t", "CHECK NOT VALID")]), 1);
        assert_eq!(with(&[nullable, ("constraint c on t", "CHECK")]), 2);
        assert_eq!(
            with(&[("column t.a", "integer not null"), ("constraint c on t", "CHECK")]),
            3
        );
        assert_eq!(with(&[("column t.a", "integer not null")]), 4);
    }
}
