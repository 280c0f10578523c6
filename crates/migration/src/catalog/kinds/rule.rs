//! Rewrite rules; that of a view is its definition.

use crate::catalog::cells::{Oid, words};
use crate::catalog::define::{Object, Objects};
use crate::catalog::rows::row;
use crate::catalog::sources::Rows;
use crate::catalog::to_sql::{Statements, ToSql, firing as fires, on_table};
use crate::catalog::ObjectId;

use super::Kind;
use super::trigger::firing;

pub const KIND: Kind = Kind {
    names: &["rule"],
    root: "relations",
    define,
    to_sql: ToSql {
        make: |_, id, definition| make(id, definition, "ENABLE"),
        change: |_, id, before, after| make(id, after, fires(before).1),
        ..ToSql::USUAL
    },
};

row! {
    /// A rule of a table or view.
    Rule {
        oid: Oid = "oid",
        /// Quoted.
        name: String = "quote_ident(rulename)",
        definition: String = "pg_get_ruledef(oid)",
        enabled: char = "ev_enabled",
    }
}

fn define(rows: &Rows, oid: Oid, objects: &mut Objects<'_>) {
    let Some((_, identity)) = rows.relation(oid) else {
        return;
    };
    for rule in rows.rules.of(oid) {
        objects.add(Object {
            kind: "rule",
            identity: format!("{} on {identity}", rule.name),
            definition: Some(words([Some(rule.definition.clone()), firing(rule.enabled)])),
            ..Object::of("pg_rewrite", rule.oid)
        });
    }
}

fn make(id: &ObjectId, definition: &str, was: &str) -> Statements {
    let (create, action) = fires(definition);
    let (name, table) = on_table(id)?;
    let mut statements = vec![create.trim_end_matches(';').replacen("CREATE RULE ", "CREATE OR REPLACE RULE ", 1)];
    if action != was {
        statements.push(format!("ALTER TABLE {table} {action} RULE {name}"));
    }
    Ok(statements)
}

#[cfg(test)]
mod tests {
    use crate::catalog::testing::Given;

    #[test]
    fn when_it_fires() {
        let rule = |enabled| {
            let definition = "CREATE RULE keep AS ON DELETE TO public.v DO INSTEAD NOTHING;";
            let values = [("oid", "3"), ("name", "keep"), ("definition", definition), ("enabled", enabled)];
            Given::database().relation(1, "v", "v").row("rules", 1, &values).define("rule")
        };
        assert_eq!(rule("O"), "keep on public.v: CREATE RULE keep AS ON DELETE TO public.v DO INSTEAD NOTHING;");
        assert_eq!(rule("D"), format!("{} DISABLED", rule("O")));
    }
}
