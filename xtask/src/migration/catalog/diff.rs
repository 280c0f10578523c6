//! What one catalog has and another has not.

use serde::Serialize;

use super::{Catalog, ObjectId};

/// One object in which two catalogs differ.
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

/// Compares two catalogs, in the order of the objects' names.
///
/// What all databases of a cluster share is never extra: another application's roles are none of
/// this database's business.
pub fn diff(expected: &Catalog, actual: &Catalog) -> Vec<Difference> {
    let mut differences: Vec<Difference> = expected
        .iter()
        .filter_map(|(id, expected)| match actual.get(id) {
            None => Some(Difference::Missing {
                id: id.clone(),
                expected: expected.to_owned(),
            }),
            Some(actual) if actual != expected => Some(Difference::Different {
                id: id.clone(),
                expected: expected.to_owned(),
                actual: actual.to_owned(),
            }),
            Some(_) => None,
        })
        .chain(
            actual
                .iter()
                .filter(|(id, _)| expected.get(id).is_none() && !id.is_shared())
                .map(|(id, actual)| Difference::Extra {
                    id: id.clone(),
                    actual: actual.to_owned(),
                }),
        )
        .collect();
    differences.sort_by(|a, b| a.id().cmp(b.id()));
    differences
}

#[cfg(test)]
mod tests {
    use super::*;

    fn catalog(objects: &[(&str, &str, &str)]) -> Catalog {
        objects
            .iter()
            .map(|(kind, identity, definition)| (ObjectId::new(*kind, *identity), (*definition).to_owned()))
            .collect()
    }

    #[test]
    fn tells_missing_different_and_extra_apart() {
        let expected = catalog(&[
            ("column", "public.t.a", "integer"),
            ("column", "public.t.b", "integer"),
            ("table", "public.t", ""),
        ]);
        let actual = catalog(&[
            ("column", "public.t.b", "bigint"),
            ("column", "public.t.c", "text"),
            ("role", "stranger", "login"),
            ("table", "public.t", ""),
        ]);
        let found: Vec<String> = diff(&expected, &actual)
            .iter()
            .map(|difference| match difference {
                Difference::Missing { id, expected } => format!("- {id}: {expected}"),
                Difference::Different { id, expected, actual } => format!("~ {id}: {expected} -> {actual}"),
                Difference::Extra { id, actual } => format!("+ {id}: {actual}"),
            })
            .collect();
        assert_eq!(
            found,
            [
                "- column public.t.a: integer",
                "~ column public.t.b: integer -> bigint",
                "+ column public.t.c: text",
            ]
        );
    }
}
