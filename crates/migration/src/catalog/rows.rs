//! Rows of system catalogs, by what they belong to.

use std::collections::{BTreeMap, BTreeSet};

use super::cells::{Cell, Cells, Oid};

/// A row of a system catalog, as far as definitions need it.
pub trait Row: PartialEq {
    /// What is selected, in the order of the fields.
    const COLUMNS: &'static [&'static str] = &[];

    /// The fields, in the same order.
    #[cfg(test)]
    const FIELDS: &'static [&'static str] = &[];

    /// From the values of these columns.
    fn parse(cells: &mut Cells<'_>) -> Self;

    /// What definitions of other objects print of it: if it changes, they do, though nobody wrote their rows.
    fn name(&self) -> Option<(Oid, i32, &str)> {
        None
    }
}

/// Makes a struct a [`Row`]: each field with what is selected for it.
macro_rules! row {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty = $sql:expr),* $(,)? }
     $(name($($part:tt)*))?) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq)]
        pub struct $name { $($(#[$field_doc])* pub $field: $type),* }

        impl $crate::catalog::rows::Row for $name {
            const COLUMNS: &'static [&'static str] = &[$($sql),*];
            #[cfg(test)]
            const FIELDS: &'static [&'static str] = &[$(stringify!($field)),*];

            fn parse(cells: &mut $crate::catalog::cells::Cells<'_>) -> Self {
                Self { $($field: cells.next()),* }
            }

            $(fn name(&self) -> Option<($crate::catalog::cells::Oid, i32, &str)> {
                row!(@name self $($part)*)
            })?
        }
    };
    (@name $self:ident $namespace:ident, $name:ident) => { Some(($self.$namespace, 0, &$self.$name)) };
    (@name $self:ident $name:ident) => { Some((0, 0, &$self.$name)) };
    (@name $self:ident number $number:ident, $name:ident) => { Some((0, $self.$number, &$self.$name)) };
}
pub(super) use row;

/// The rows of one catalog.
#[derive(Debug, Clone, PartialEq)]
pub struct Table<R>(BTreeMap<Oid, Vec<R>>);

impl<R> Default for Table<R> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<R: Row> Table<R> {
    /// The rows that belong to an object.
    pub fn of(&self, key: Oid) -> &[R] {
        self.0.get(&key).map_or(&[], Vec::as_slice)
    }

    /// The row of an object.
    pub fn get(&self, key: Oid) -> Option<&R> {
        self.0.get(&key)?.first()
    }

    /// To what rows belong.
    pub fn keys(&self) -> impl Iterator<Item = Oid> {
        self.0.keys().copied()
    }

    /// All rows.
    pub fn all(&self) -> impl Iterator<Item = &R> {
        self.0.values().flatten()
    }

    /// How many objects have rows.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Adds a row of the server's answer, whose first value is what it belongs to.
    pub fn add(&mut self, cells: &mut Cells<'_>) {
        let key: Oid = cells.next();
        self.0.entry(key).or_default().push(R::parse(cells));
    }

    /// Puts rows in the place of those that were there for the same objects; and those of `gone` go.
    pub fn replace(&mut self, gone: impl Iterator<Item = Oid>, rows: Self) -> Replaced {
        let mut replaced = Replaced::default();
        for key in gone {
            if !rows.0.contains_key(&key) && self.0.remove(&key).is_some() {
                replaced.keys.insert(key);
            }
        }
        for (key, rows) in rows.0 {
            let before = self.0.get(&key);
            if before == Some(&rows) {
                continue;
            }
            replaced.renamed |= before.is_some_and(|before| is_renamed(before, &rows));
            if before.is_some_and(|before| before.len() != rows.len()) {
                replaced.reshaped.insert(key);
            }
            replaced.keys.insert(key);
            self.0.insert(key, rows);
        }
        replaced
    }
}

/// What became of the rows of a catalog.
#[derive(Debug, Default)]
pub struct Replaced {
    /// The objects whose rows are others now.
    pub keys: BTreeSet<Oid>,
    /// Those of them that were there before, and have more rows now, or fewer.
    pub reshaped: BTreeSet<Oid>,
    /// An object that was there before has another name.
    pub renamed: bool,
}

/// Whether a row has another name than before. Rows of which some came or went are told apart by their numbers.
fn is_renamed<R: Row>(before: &[R], after: &[R]) -> bool {
    let number = |row: &R| row.name().map(|(.., number, _)| number);
    let name = |row: &R| row.name().map(|(namespace, _, name)| (namespace, name.to_owned()));
    after.iter().any(|row| {
        before
            .iter()
            .any(|old| number(old) == number(row) && name(old) != name(row))
    })
}

/// Selects the options of a foreign object as they are written.
macro_rules! options {
    ($column:literal) => {
        concat!(
            "(SELECT string_agg(quote_ident(option_name) || ' ' || quote_literal(option_value), ', ' \
             ORDER BY option_name) FROM pg_options_to_table(",
            $column,
            "))"
        )
    };
}
pub(super) use options;

/// What most objects consist of: the server prints their definition from one row.
#[derive(Debug, Clone, PartialEq)]
pub struct Named {
    /// The schema; 0 if it has none.
    pub namespace: Oid,
    /// Quoted, without the schema.
    pub name: String,
    /// 0 if it has none.
    pub owner: Oid,
    /// `None`: what its kind is given by itself.
    pub acl: Option<Acl>,
    /// What tells it from others of its kind.
    pub definition: String,
    /// What it belongs to or is made of, if names must be looked up for it.
    pub of: Oid,
}

/// How [`Named`] is selected.
pub struct Columns {
    /// Of the schema; empty if it has none.
    pub namespace: &'static str,
    /// Quoted.
    pub name: &'static str,
    /// Empty if it has none.
    pub owner: &'static str,
    /// The column, and the letter of its kind for `acldefault`.
    pub acl: Option<(&'static str, char)>,
    /// The definition.
    pub definition: &'static str,
    /// Empty if there is nothing.
    pub of: &'static str,
}

/// Nothing but a name.
pub const PLAIN: Columns = Columns {
    namespace: "",
    name: "",
    owner: "",
    acl: None,
    definition: "NULL",
    of: "",
};

impl Columns {
    /// The list for SELECT.
    pub fn list(&self) -> String {
        let or_zero = |column: &'static str| if column.is_empty() { "0" } else { column };
        let acl = match self.acl {
            Some((column, letter)) => acl(column, letter, self.owner),
            None => "NULL".to_owned(),
        };
        let (namespace, owner, of) = (or_zero(self.namespace), or_zero(self.owner), or_zero(self.of));
        format!("{namespace}, {}, {owner}, {acl}, {}, {of}", self.name, self.definition)
    }
}

/// Selects an access list and what `acldefault` gives in its place.
pub fn acl(column: &str, letter: char, owner: &str) -> String {
    format!(
        "CASE WHEN {column} IS NOT NULL THEN \
         ARRAY[{column}::text, acldefault('{letter}', {owner})::text] END"
    )
}

impl Row for Named {
    #[cfg(test)]
    const FIELDS: &'static [&'static str] = &["namespace", "name", "owner", "acl", "definition", "of"];

    fn parse(cells: &mut Cells<'_>) -> Self {
        Self {
            namespace: cells.next(),
            name: cells.next(),
            owner: cells.next(),
            acl: cells.next(),
            definition: cells.next(),
            of: cells.next(),
        }
    }

    fn name(&self) -> Option<(Oid, i32, &str)> {
        Some((self.namespace, 0, &self.name))
    }
}

/// An access list, and the one that the object was given by itself.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Acl {
    /// Texts of `aclitem`.
    pub now: Vec<String>,
    /// Texts of `aclitem`.
    pub initial: Vec<String>,
}

impl Cell for Acl {
    fn parse(text: Option<&str>) -> Self {
        let mut lists = <Vec<Option<String>>>::parse(text).into_iter();
        let mut list = || <Vec<String>>::parse(lists.next().flatten().as_deref());
        Self {
            now: list(),
            initial: list(),
        }
    }
}
