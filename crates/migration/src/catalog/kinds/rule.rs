//! Rewrite rules; that of a view is its definition.

use crate::catalog::cells::{Oid, words};
use crate::catalog::define::{Object, Objects};
use crate::catalog::rows::row;
use crate::catalog::sources::Rows;

use super::Kind;
use super::trigger::firing;

pub const KIND: Kind = Kind {
    names: &["rule"],
    root: "relations",
    define,
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
