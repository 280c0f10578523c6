//! Rows for the unit tests of kinds, by the names of their fields.

use super::cells::{Cells, Oid};
use super::define::Objects;
use super::sources::Rows;

/// The schema `pg_catalog`.
pub const PG_CATALOG: Oid = 11;

/// The schema `public`.
pub const PUBLIC: Oid = 2200;

/// Rows of system catalogs.
#[derive(Default)]
pub struct Given(Rows);

impl Given {
    /// A database with the schemas `pg_catalog` and `public`.
    pub fn database() -> Self {
        Self::default()
            .row(
                "schemas",
                PG_CATALOG,
                &[("name", "pg_catalog"), ("definition", "pg_catalog")],
            )
            .row("schemas", PUBLIC, &[("name", "public")])
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

    /// Adds a role that inherits, as most do.
    pub fn role(self, oid: Oid, name: &str) -> Self {
        self.row("roles", oid, &[("name", name), ("raw_name", name), ("inherits", "t")])
    }

    /// Adds that this role owns the database: it may run the migrations.
    pub fn migrator(self, role: Oid) -> Self {
        self.row("databases", 5, &[("name", "app"), ("owner", &role.to_string())])
    }

    /// Adds that CREATE EXTENSION made an object.
    pub fn of_extension(self, class: &str, oid: Oid) -> Self {
        self.row("members", oid, &[("class", class)])
    }

    /// The objects of a kind that these rows define: `identity: definition`, a line each.
    pub fn define(&self, kind: &str) -> String {
        let rows = self.settled();
        let found = Objects::of_all(&rows).found;
        let of_kind = found.iter().filter(|(id, _)| id.kind == kind);
        let lines: Vec<_> = of_kind
            .map(|(id, definition)| format!("{}: {definition}", id.identity))
            .collect();
        lines.join("\n")
    }

    /// What no definition describes: `catalog identity: reason`, a line each.
    pub fn unmodelled(&self) -> String {
        let rows = self.settled();
        let unmodelled = Objects::of_all(&rows).unmodelled;
        let lines: Vec<_> = unmodelled
            .iter()
            .map(|of| format!("{} {}: {}", of.catalog, of.identity, of.reason))
            .collect();
        lines.join("\n")
    }

    fn settled(&self) -> Rows {
        let mut rows = self.0.clone();
        rows.settle();
        rows
    }
}
