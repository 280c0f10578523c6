//! Renames: in two catalogs one looks like a drop and a new object, and would lose what it holds. The journal knows the
//! statements.

use std::iter::Peekable;

use crate::catalog::{Definitions, ObjectId, outside_quotes, split_at_last_dot, words};
use crate::change::Step;
use crate::locks::TableLock;
use crate::source::statement::Statement;

/// That a statement renamed a table, or a column of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rename {
    /// The qualified table, as it was called before.
    table: String,
    /// The column; none: the table itself.
    column: Option<String>,
    /// The name that it got.
    to: String,
}

impl Rename {
    /// From the first words of a statement.
    pub fn parse(summary: &str) -> Option<Self> {
        let mut words = words(summary.trim_end_matches(';'))
            .into_iter()
            .map(|(_, word)| word)
            .peekable();
        if !(passes(&mut words, "alter") && passes(&mut words, "table")) {
            return None;
        }
        if passes(&mut words, "if") {
            passes(&mut words, "exists");
        }
        passes(&mut words, "only");
        let name = words.next()?;
        let table = if outside_quotes(name).any(|(_, c)| c == '.') {
            name.to_owned()
        } else {
            format!("public.{name}")
        };
        if !passes(&mut words, "rename") {
            return None;
        }
        let column = if passes(&mut words, "to") {
            None
        } else {
            passes(&mut words, "column");
            let column = words.next()?;
            passes(&mut words, "to").then_some(())?;
            Some(column.to_owned())
        };
        let to = words.next()?.to_owned();
        words.next().is_none().then_some(Self { table, column, to })
    }

    /// Takes it back, where that is what leads from one catalog to the other: the statement. `current` is as it is after
    /// that.
    pub fn take_back(&self, current: &mut Definitions, target: &Definitions) -> Option<Step> {
        let (schema, table) = split_at_last_dot(&self.table)?;
        let is_there = |end: &Definitions, id: &ObjectId| end.contains_key(id);
        let (now, then, sql) = match &self.column {
            None => {
                let now = ObjectId::new("table", format!("{schema}.{}", self.to));
                let sql = format!("ALTER TABLE {} RENAME TO {table}", now.identity);
                (now, ObjectId::new("table", &self.table), sql)
            }
            Some(column) => {
                let id = |name: &str| ObjectId::new("column", format!("{}.{name}", self.table));
                let sql = format!("ALTER TABLE {} RENAME COLUMN {} TO {column}", self.table, self.to);
                (id(&self.to), id(column), sql)
            }
        };
        let is_it =
            is_there(current, &now) && !is_there(current, &then) && is_there(target, &then) && !is_there(target, &now);
        if !is_it {
            return None;
        }
        let lock = self
            .column
            .as_ref()
            .map_or(now.identity.clone(), |_| self.table.clone());
        let renamed = |text: &str| match &self.column {
            None => replace_name(text, &now.identity, &then.identity),
            Some(column) => replace_name(text, &self.to, column),
        };
        let concerns = |id: &ObjectId, definition: &str| {
            let names = crate::change::mentions(&format!("{} {definition}", id.identity));
            let whole = if self.column.is_some() {
                &self.table
            } else {
                &now.identity
            };
            names.contains(whole) || id.table() == Some(whole)
        };
        let mut after = Definitions::new();
        for (id, definition) in std::mem::take(current) {
            if !concerns(&id, &definition) {
                after.insert(id, definition);
                continue;
            }
            // Of a column the name may be a word of something else: what the target says decides.
            let identity = match (&self.column, id == now) {
                (_, true) => then.identity.clone(),
                (None, _) => renamed(&id.identity),
                (Some(_), false) => replace_name(&id.identity, &now.identity, &then.identity),
            };
            let id = ObjectId::new(id.kind, identity);
            let text = renamed(&definition);
            let definition = match target.get(&id) {
                Some(wanted) if self.column.is_some() && *wanted != text => definition,
                _ => text,
            };
            after.insert(id, definition);
        }
        *current = after;
        Some(Step {
            id: then,
            loses: false,
            rewrites: false,
            adds: false,
            locks: vec![TableLock::taken_by(&Statement::plain("", 0, &sql), lock)],
            sql,
        })
    }
}

/// Passes a word if it is next.
fn passes<'a>(words: &mut Peekable<impl Iterator<Item = &'a str>>, expected: &str) -> bool {
    words.next_if(|word| word.eq_ignore_ascii_case(expected)).is_some()
}

/// Replaces a name where it stands as a whole.
fn replace_name(text: &str, from: &str, to: &str) -> String {
    let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == '$' || c == '"';
    let mut replaced = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(from) {
        let (before, after) = (&rest[..at], &rest[at + from.len()..]);
        replaced.push_str(before);
        let is_whole = !before.ends_with(is_part) && !after.starts_with(is_part);
        replaced.push_str(if is_whole { to } else { from });
        rest = after;
    }
    replaced + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Option<(String, Option<String>, String)> {
        Rename::parse(text).map(|rename| (rename.table, rename.column, rename.to))
    }

    #[test]
    fn statements_that_rename() {
        let of = |table: &str, column: Option<&str>, to: &str| {
            Some((table.to_owned(), column.map(ToOwned::to_owned), to.to_owned()))
        };
        assert_eq!(
            parsed("ALTER TABLE t RENAME COLUMN a TO b"),
            of("public.t", Some("a"), "b")
        );
        assert_eq!(
            parsed("alter table if exists only s.t rename a to \"B c\";"),
            of("s.t", Some("a"), "\"B c\"")
        );
        assert_eq!(parsed("ALTER TABLE s.\"T 1\" RENAME TO u"), of("s.\"T 1\"", None, "u"));
        assert_eq!(parsed("ALTER TABLE t RENAME CONSTRAINT a TO b"), None);
        assert_eq!(parsed("ALTER TABLE t ADD COLUMN a int"), None);
        assert_eq!(parsed("ALTER TABLE t RENAME CONSTRAINT"), None);
    }

    fn catalog(objects: &[(&str, &str)]) -> Definitions {
        let objects = objects
            .iter()
            .map(|(id, definition)| (id.parse().unwrap(), (*definition).to_owned()));
        objects.collect()
    }

    #[test]
    fn what_names_it_is_as_it_was() {
        let before = catalog(&[
            ("column public.t.a", "text not null"),
            ("index public.t_a", "CREATE INDEX t_a ON public.t USING btree (a)"),
            ("table public.t", ""),
        ]);
        let mut now = catalog(&[
            ("column public.t.b", "text not null"),
            ("index public.t_a", "CREATE INDEX t_a ON public.t USING btree (b)"),
            ("table public.t", ""),
        ]);
        let rename = Rename::parse("ALTER TABLE t RENAME COLUMN a TO b").unwrap();
        let step = rename.take_back(&mut now, &before).unwrap();
        assert_eq!(step.sql, "ALTER TABLE public.t RENAME COLUMN b TO a");
        assert_eq!(now, before);
        assert_eq!(rename.take_back(&mut now, &before), None);

        let mut now = catalog(&[
            ("column public.u.a", "text not null"),
            ("index public.t_a", "CREATE INDEX t_a ON public.u USING btree (a)"),
            ("table public.u", ""),
        ]);
        let rename = Rename::parse("ALTER TABLE t RENAME TO u").unwrap();
        let step = rename.take_back(&mut now, &before).unwrap();
        assert_eq!(step.sql, "ALTER TABLE public.u RENAME TO t");
        assert_eq!(now, before);
    }
}
