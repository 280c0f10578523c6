//! What a database holds, by a query of the tests' own, and how two databases differ.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::database::Database;

/// Every object of a database: (kind, identity) → definition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Catalog(BTreeMap<(String, String), String>);

impl Catalog {
    /// Reads it, by a superuser.
    pub fn of(database: &Database) -> Self {
        let rows = database
            .admin()
            .query(include_str!("catalog.sql"), &[])
            .expect("the catalog can be read");
        Catalog(rows.iter().map(|row| ((row.get(0), row.get(1)), row.get(2))).collect())
    }

    /// Whether there is an object.
    pub fn has(&self, kind: &str, identity: &str) -> bool {
        self.get(kind, identity).is_some()
    }

    /// The definition of an object.
    pub fn get(&self, kind: &str, identity: &str) -> Option<&str> {
        self.0.get(&(kind.to_owned(), identity.to_owned())).map(String::as_str)
    }

    /// (kind, identity) of every object.
    pub fn identities(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.keys().map(|(kind, identity)| (kind.as_str(), identity.as_str()))
    }

    /// Every object of `expected` is here in the same form; more is allowed.
    #[track_caller]
    pub fn covers(&self, expected: &Catalog) {
        let mut wrong = String::new();
        for ((kind, identity), definition) in &expected.0 {
            match self.get(kind, identity) {
                Some(found) if found == definition => {}
                Some(found) => {
                    let _ = writeln!(wrong, "{kind} {identity}\n  not {definition}\n  but {found}");
                }
                None => {
                    let _ = writeln!(wrong, "{kind} {identity} is missing");
                }
            }
        }
        assert!(wrong.is_empty(), "the catalog is not as expected:\n{wrong}");
    }

    /// Both hold the same.
    #[track_caller]
    pub fn equals(&self, expected: &Catalog) {
        self.covers(expected);
        let extra: Vec<_> = self.0.keys().filter(|key| !expected.0.contains_key(*key)).collect();
        assert!(extra.is_empty(), "further objects: {extra:#?}");
    }
}
