//! Rows for the unit tests of kinds, by the names of their fields.

use super::cells::{Cells, Oid};
use super::define::Objects;
use super::sources::Rows;

/// The schema `public`.
pub const PUBLIC: Oid = 2200;

/// Rows of system catalogs.
#[derive(Default)]
pub struct Given(Rows);

impl Given {
    /// A database with the schema `public`.
    pub fn database() -> Self {
        Self::default().row("schemas", PUBLIC, &[("name", "public")])
    }

    /// Adds a row of a source that belongs to `key`; fields that are not named are NULL. Panics if there are no such
    /// source and fields.
    pub fn row(mut self, source: &str, key: Oid, values: &[(&str, &str)]) -> Self {
        let fields = Rows::fields(source);
        let mut texts: Vec<Option<String>> = vec![None; fields.len() + 1];
        texts[0] = Some(key.to_string());
        for (field, value) in values {
            let at = fields.iter().position(|name| name == field);
            let at = at.unwrap_or_else(|| panic!("{source} has no {field}, but {fields:?}"));
            texts[at + 1] = Some((*value).to_owned());
        }
        self.0.add(source, &mut Cells::of_texts(&texts));
        self
    }

    /// Adds a relation of `public`.
    pub fn relation(self, oid: Oid, kind: &str, name: &str) -> Self {
        let oid_text = oid.to_string();
        let values = [
            ("oid", &*oid_text),
            ("namespace", "2200"),
            ("kind", kind),
            ("name", name),
        ];
        self.row("relations", oid, &values)
    }

    /// The objects of a kind that these rows define: `identity: definition`, a line each.
    pub fn define(&self, kind: &str) -> String {
        let found = Objects::of_all(&self.0).found;
        let of_kind = found.iter().filter(|(id, _)| id.kind == kind);
        let lines: Vec<_> = of_kind
            .map(|(id, definition)| format!("{}: {definition}", id.identity))
            .collect();
        lines.join("\n")
    }
}
