//! What one catalog has and another has not.

use std::collections::BTreeSet;

use serde::Serialize;

use super::{Catalog, Definitions, ObjectId};

/// One object in which a database differs from what is expected of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "difference")]
pub enum Difference {
    /// Expected, and not there.
    Missing {
        /// The object's name.
        id: ObjectId,
        /// Its definition.
        expected: String,
    },
    /// There, with another definition.
    Different {
        /// The object's name.
        id: ObjectId,
        /// The definition that it should have.
        expected: String,
        /// The definition that it has.
        actual: String,
    },
    /// There, and not expected.
    Extra {
        /// The object's name.
        id: ObjectId,
        /// Its definition.
        actual: String,
    },
}

impl Difference {
    /// The object that differs.
    pub fn id(&self) -> &ObjectId {
        match self {
            Self::Missing { id, .. } | Self::Different { id, .. } | Self::Extra { id, .. } => id,
        }
    }

    /// Whether the object is there and merely not expected.
    pub fn is_extra(&self) -> bool {
        matches!(self, Self::Extra { .. })
    }
}

/// An object, its definition before, and its definition after; none where it is absent.
pub type Change = (ObjectId, Option<String>, Option<String>);

/// The objects in which two catalogs differ, in the order of their names.
pub fn changes(before: &Catalog, after: &Catalog) -> Vec<Change> {
    changes_of(before.definitions(), after.definitions())
}

/// The same of objects with their definitions.
pub fn changes_of(before: &Definitions, after: &Definitions) -> Vec<Change> {
    let ids: BTreeSet<&ObjectId> = before.keys().chain(after.keys()).collect();
    ids.into_iter()
        .filter(|id| before.get(*id) != after.get(*id))
        .map(|id| (id.clone(), before.get(id).cloned(), after.get(id).cloned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn catalog(objects: &[(&str, &str)]) -> Catalog {
        objects
            .iter()
            .map(|(id, definition)| (id.parse().unwrap(), (*definition).to_owned()))
            .collect()
    }

    #[test]
    fn tells_what_came_what_went_and_what_is_otherwise() {
        let before = catalog(&[
            ("column public.t.a", "integer"),
            ("column public.t.b", "integer"),
            ("table public.t", ""),
        ]);
        let after = catalog(&[
            ("column public.t.b", "bigint"),
            ("column public.t.c", "text"),
            ("table public.t", ""),
        ]);
        let found: Vec<String> = changes(&before, &after)
            .iter()
            .map(|(id, before, after)| format!("{id}: {before:?} {after:?}"))
            .collect();
        assert_eq!(
            found,
            [
                "column public.t.a: Some(\"integer\") None",
                "column public.t.b: Some(\"integer\") Some(\"bigint\")",
                "column public.t.c: None Some(\"text\")",
            ]
        );
    }
}
