//! From a change of the catalog back to SQL: statements that bring it about, and keep nobody who uses a table waiting.
//!
//! They are made from definitions, not from the text of a statement. `snapshot` proves on the scratch server that they
//! leave what the statement leaves; what is lost is made again by them.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use crate::advice::column::statements_to_add;
use crate::catalog::{Change, ObjectId, split_at_last_dot, split_on};
use crate::text::hex;

/// The statements of the form, in order; none where these changes have none.
pub fn form(changes: &[Change]) -> Option<Vec<String>> {
    let mut form = Form {
        rest: changes
            .iter()
            .map(|(id, before, after)| (id, (before.as_deref(), after.as_deref())))
            .collect(),
        steps: Vec::new(),
    };
    // In the order in which they build on each other.
    form.columns()?;
    form.not_null()?;
    form.constraints()?;
    form.indexes()?;
    form.triggers()?;
    (form.rest.is_empty() && !form.steps.is_empty()).then_some(form.steps)
}

/// A form as it is made.
struct Form<'a> {
    /// Changes that no step makes yet: the definitions before and after.
    rest: BTreeMap<&'a ObjectId, (Option<&'a str>, Option<&'a str>)>,
    steps: Vec<String>,
}

impl<'a> Form<'a> {
    /// The objects of a kind that are new, with their definitions.
    fn made(&self, kind: &str) -> Vec<(&'a ObjectId, &'a str)> {
        let of_kind = self.rest.iter().filter(|(id, _)| id.kind == kind);
        of_kind
            .filter_map(|(id, (before, after))| Some((*id, (*after).filter(|_| before.is_none())?)))
            .collect()
    }

    /// New columns; that one is not written into all rows is proved afterwards.
    fn columns(&mut self) -> Option<()> {
        for (id, definition) in self.made("column") {
            let (table, column) = split_at_last_dot(&id.identity)?;
            self.steps.extend(statements_to_add(table, column, definition)?);
            self.rest.remove(id);
        }
        Some(())
    }

    /// Columns that are NOT NULL from now on: with a validated check PostgreSQL need not read the table for it.
    fn not_null(&mut self) -> Option<()> {
        let columns: Vec<&ObjectId> = self
            .rest
            .iter()
            .filter(|(id, (before, after))| {
                let without = after.map(|after| after.replacen(" not null", "", 1));
                id.kind == "column" && before.is_some() && *before == without.as_deref()
            })
            .map(|(id, _)| *id)
            .collect();
        for id in columns {
            let (table, column) = split_at_last_dot(&id.identity)?;
            let check = check_name(id);
            self.steps.extend([
                format!("ALTER TABLE {table} ADD CONSTRAINT {check} CHECK ({column} IS NOT NULL) NOT VALID"),
                format!("ALTER TABLE {table} VALIDATE CONSTRAINT {check}"),
                format!("ALTER TABLE {table} ALTER COLUMN {column} SET NOT NULL"),
                format!("ALTER TABLE {table} DROP CONSTRAINT {check}"),
            ]);
            self.rest.remove(id);
        }
        Some(())
    }

    fn constraints(&mut self) -> Option<()> {
        for (id, definition) in self.made("constraint") {
            let (name, table) = split_on(&id.identity)?;
            let add = format!("ALTER TABLE {table} ADD CONSTRAINT {name}");
            let kind = ["PRIMARY KEY", "UNIQUE", "CHECK", "FOREIGN KEY"]
                .into_iter()
                .find(|kind| definition.starts_with(kind))?;
            if ["PRIMARY KEY", "UNIQUE"].contains(&kind) {
                let (schema, _) = split_at_last_dot(table)?;
                let index = ObjectId::new("index", format!("{schema}.{name}"));
                // One that is there already is that of a run which died.
                if let Some((_, built)) = self.rest.remove(&index) {
                    self.steps.push(concurrently(built?)?);
                }
                let when = definition.find(" DEFERRABLE").map_or("", |at| &definition[at..]);
                self.steps.push(format!("{add} {kind} USING INDEX {name}{when}"));
            } else {
                self.steps.push(format!("{add} {definition} NOT VALID"));
                self.steps
                    .push(format!("ALTER TABLE {table} VALIDATE CONSTRAINT {name}"));
            }
            self.rest.remove(id);
        }
        Some(())
    }

    fn indexes(&mut self) -> Option<()> {
        for (id, definition) in self.made("index") {
            self.steps.push(concurrently(definition)?);
            self.rest.remove(id);
        }
        Some(())
    }

    fn triggers(&mut self) -> Option<()> {
        for (id, definition) in self.made("trigger") {
            if ["DISABLED", "ENABLED REPLICA", "ENABLED ALWAYS"]
                .iter()
                .any(|how| definition.ends_with(how))
            {
                return None;
            }
            self.steps.push(definition.to_owned());
            self.rest.remove(id);
        }
        Some(())
    }
}

/// `CREATE INDEX CONCURRENTLY`; not of partitioned tables, which have none.
fn concurrently(definition: &str) -> Option<String> {
    if definition.contains(" ON ONLY ") {
        return None;
    }
    let (create, rest) = definition.split_once("INDEX ")?;
    Some(format!("{create}INDEX CONCURRENTLY {rest}"))
}

/// The name of the check that a column is on its way to NOT NULL with: it needs no quotes and is not cut.
fn check_name(column: &ObjectId) -> String {
    let hash = hex(&Sha256::digest(&column.identity));
    format!("xtask_not_null_{}", &hash[..16])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(changes: &[(&str, Option<&str>, Option<&str>)]) -> Option<String> {
        let text = |text: &Option<&str>| text.map(ToOwned::to_owned);
        let changes: Vec<Change> = changes
            .iter()
            .map(|(id, before, after)| (id.parse().unwrap(), text(before), text(after)))
            .collect();
        form(&changes).map(|steps| steps.join(";\n"))
    }

    #[test]
    fn keys_are_built_as_indexes_first() {
        let index = Some("CREATE UNIQUE INDEX t_a_key ON public.t USING btree (a)");
        assert_eq!(
            of(&[
                ("constraint t_a_key on public.t", None, Some("UNIQUE (a) DEFERRABLE")),
                ("index public.t_a_key", None, index),
            ])
            .as_deref(),
            Some(
                "CREATE UNIQUE INDEX CONCURRENTLY t_a_key ON public.t USING btree (a);\n\
                 ALTER TABLE public.t ADD CONSTRAINT t_a_key UNIQUE USING INDEX t_a_key DEFERRABLE"
            )
        );
    }

    #[test]
    fn what_reads_the_table_comes_later() {
        assert_eq!(
            of(&[("constraint c on public.t", None, Some("CHECK ((a > 0))"))]).as_deref(),
            Some(
                "ALTER TABLE public.t ADD CONSTRAINT c CHECK ((a > 0)) NOT VALID;\n\
                 ALTER TABLE public.t VALIDATE CONSTRAINT c"
            )
        );
        let steps = of(&[("column public.t.a", Some("integer"), Some("integer not null"))]).unwrap();
        assert!(
            steps.contains("CHECK (a IS NOT NULL) NOT VALID") && steps.contains("DROP CONSTRAINT"),
            "{steps}"
        );
    }

    #[test]
    fn what_has_no_online_form() {
        assert_eq!(of(&[("column public.t.a", Some("integer"), Some("bigint"))]), None);
        assert_eq!(
            of(&[("constraint c on public.t", None, Some("EXCLUDE USING gist (a WITH &&)"))]),
            None
        );
        let partitioned = Some("CREATE INDEX i ON ONLY public.t USING btree (a)");
        assert_eq!(of(&[("index public.i", None, partitioned)]), None);
        let other = ("column public.t.a", Some("integer"), Some("integer default 1"));
        let check = ("constraint c on public.t", None, Some("CHECK ((a > 0))"));
        assert_eq!(of(&[other, check]), None);
    }
}
