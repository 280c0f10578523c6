//! One query for rows of a system catalog: all of them, or those that a transaction may have written.

use super::cells::Oid;
use super::rows::{Columns, Row};

/// One query: some rows of a system catalog.
#[derive(Clone)]
pub struct Source {
    /// The field of [`Rows`](super::sources::Rows).
    pub name: &'static str,
    /// The system catalog; or the view of it that every role may read.
    pub catalog: &'static str,
    /// The column by which rows belong to something.
    pub key: &'static str,
    /// Which rows.
    pub filter: &'static str,
    /// Which of them, where all are read: what is left out is of no definition.
    needed: &'static str,
    /// Of whom.
    pub of: Of,
    /// The system catalogs that are written when this changes, besides its own.
    pub told_by: &'static [&'static str],
    /// The source whose objects these rows are a part of; none: they are objects themselves.
    pub part_of: Option<&'static str>,
    /// Only GRANT and REVOKE change it, and what does the same.
    pub only_by_grant: bool,
    /// initdb leaves the catalog empty, and so do most databases.
    pub is_rare: bool,
    columns: Option<&'static Columns>,
    select: String,
}

/// What the rows of a source belong to, which says how those that a statement wrote are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Of {
    /// Relations, by these columns: whoever writes such a row holds a lock on the first, or of an index on its table.
    Relations(&'static [&'static str]),
    /// To the object with this key alone.
    Itself,
    /// Several rows to one object.
    Object,
    /// They are few, or no transaction can be told of them: all are read again.
    All,
}

/// Which rows of a source are asked for.
#[derive(Debug, Clone, Copy)]
pub enum Scope<'a> {
    /// All but what belongs to these relations.
    Without(&'a [Oid]),
    /// What belongs to these relations.
    Relations,
    /// What was written by a transaction or one that began later.
    Since,
    /// The keys alone.
    Keys,
}

pub(super) const fn source(catalog: &'static str, key: &'static str, of: Of) -> Source {
    Source {
        name: "",
        catalog,
        key,
        filter: "true",
        needed: "true",
        of,
        told_by: &[],
        part_of: None,
        only_by_grant: false,
        is_rare: false,
        columns: None,
        select: String::new(),
    }
}

impl Source {
    pub(super) const fn only(mut self, filter: &'static str) -> Self {
        self.filter = filter;
        self
    }

    pub(super) const fn needed(mut self, filter: &'static str) -> Self {
        self.needed = filter;
        self
    }

    pub(super) const fn part_of(mut self, source: &'static str) -> Self {
        self.part_of = Some(source);
        self
    }

    pub(super) const fn told_by(mut self, catalogs: &'static [&'static str]) -> Self {
        self.told_by = catalogs;
        self
    }

    pub(super) const fn only_by_grant(mut self) -> Self {
        self.only_by_grant = true;
        self
    }

    pub(super) const fn rare(mut self) -> Self {
        self.is_rare = true;
        self
    }

    pub(super) const fn columns(mut self, columns: &'static Columns) -> Self {
        self.columns = Some(columns);
        self
    }

    pub(super) fn named<R: Row>(mut self, name: &'static str) -> Self {
        self.name = name;
        self.select = self.columns.map_or_else(|| R::COLUMNS.join(", "), Columns::list);
        self
    }

    /// The system catalogs that are written when this changes.
    pub fn catalogs(&self) -> impl Iterator<Item = &'static str> {
        let own = (!self.told_by.contains(&"") && !self.catalog.contains('(')).then_some(self.catalog);
        own.into_iter()
            .chain(self.told_by.iter().copied().filter(|catalog| !catalog.is_empty()))
    }

    /// The query. `$1` stands for relations, or for the transaction.
    pub fn query(&self, scope: Scope<'_>) -> String {
        let Self {
            catalog, key, filter, ..
        } = self;
        let select = match scope {
            Scope::Keys => (*key).to_owned(),
            _ => format!("{key}, {}", self.select),
        };
        let mut and = match (scope, self.of) {
            (Scope::Without(relations), Of::Relations(columns)) if !relations.is_empty() => {
                let relations: Vec<_> = relations.iter().map(ToString::to_string).collect();
                let list = relations.join(", ");
                columns
                    .iter()
                    .map(|column| format!(" AND {column} NOT IN ({list})"))
                    .collect()
            }
            // Not by the other columns: the server would look through all rows.
            (Scope::Relations, Of::Relations(_)) => format!(" AND {key} = ANY ($1)"),
            (Scope::Since, Of::Itself) => " AND age(xmin) <= age($1)".to_owned(),
            (Scope::Since, Of::Object) => {
                format!(" AND {key} IN (SELECT x.{key} FROM pg_catalog.{catalog} x WHERE age(x.xmin) <= age($1))")
            }
            _ => String::new(),
        };
        if matches!(scope, Scope::Without(_)) {
            and += &format!(" AND ({})", self.needed);
        }
        let from = if catalog.contains('(') {
            (*catalog).to_owned()
        } else {
            format!("pg_catalog.{catalog}")
        };
        format!("SELECT {select} FROM {from} WHERE ({filter}){and}")
    }
}
