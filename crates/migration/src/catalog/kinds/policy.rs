//! Policies of row level security.

use crate::catalog::cells::{Oid, words};
use crate::catalog::define::{Object, Objects};
use crate::catalog::rows::row;
use crate::catalog::sources::Rows;
use crate::catalog::to_sql::{Otherwise, Statements, ToSql, on_table, one, role as named};
use crate::catalog::words::{Clauses, items};
use crate::catalog::ObjectId;

use super::Kind;

pub const KIND: Kind = Kind {
    names: &["policy"],
    root: "relations",
    define,
    to_sql: ToSql {
        make: |_, id, definition| make(id, definition),
        change: |_, id, before, after| change(id, before, after),
        ..ToSql::USUAL
    },
};

row! {
    /// A policy of a table.
    Policy {
        oid: Oid = "oid",
        /// Quoted.
        name: String = "quote_ident(polname)",
        is_permissive: bool = "polpermissive",
        command: char = "polcmd",
        roles: Vec<Oid> = "polroles",
        using: Option<String> = "pg_get_expr(polqual, polrelid)",
        check: Option<String> = "pg_get_expr(polwithcheck, polrelid)",
    }
}

fn define(rows: &Rows, oid: Oid, objects: &mut Objects<'_>) {
    let Some((_, identity)) = rows.relation(oid) else {
        return;
    };
    for policy in rows.policies.of(oid) {
        // In an order that does not depend on the owner's name.
        let shown = |role: &Oid| match *role {
            0 => "public".to_owned(),
            role if rows.is_migrator(role) => "the owner".to_owned(),
            role => rows.role(role),
        };
        let mut roles: Vec<_> = policy.roles.iter().map(shown).collect();
        roles.sort();
        let command = match policy.command {
            'r' => "for select",
            'a' => "for insert",
            'w' => "for update",
            'd' => "for delete",
            _ => "for all",
        };
        objects.add(Object {
            kind: "policy",
            identity: format!("{} on {identity}", policy.name),
            definition: Some(words([
                Some(if policy.is_permissive { "permissive" } else { "restrictive" }.to_owned()),
                Some(command.to_owned()),
                (!roles.is_empty()).then(|| format!("to {}", roles.join(", "))),
                policy.using.as_ref().map(|using| format!("using ({using})")),
                policy.check.as_ref().map(|check| format!("with check ({check})")),
            ])),
            ..Object::of("pg_policy", policy.oid)
        });
    }
}

const CLAUSES: &[&str] = &["permissive", "restrictive", "for", "to", "using", "with check"];

fn make(id: &ObjectId, definition: &str) -> Statements {
    let (name, table) = on_table(id)?;
    let clauses = Clauses::of(definition, CLAUSES);
    let kind = if clauses.has("restrictive") { "RESTRICTIVE" } else { "PERMISSIVE" };
    let command = clauses.get("for").map(|command| format!(" FOR {command}")).unwrap_or_default();
    one(format!("CREATE POLICY {name} ON {table} AS {kind}{command}{}", rest(&clauses)))
}

fn change(id: &ObjectId, before: &str, after: &str) -> Statements {
    let (name, table) = on_table(id)?;
    let (before, after) = (Clauses::of(before, CLAUSES), Clauses::of(after, CLAUSES));
    let is_gone = |clause: &str| before.has(clause) && !after.has(clause);
    if before.get("for") != after.get("for")
        || before.has("restrictive") != after.has("restrictive")
        || ["using", "with check"].into_iter().any(is_gone)
    {
        return Err(Otherwise::Anew);
    }
    one(format!("ALTER POLICY {name} ON {table}{}", rest(&after)))
}

fn rest(clauses: &Clauses<'_>) -> String {
    let roles = clauses.get("to").map(|roles| items(roles).into_iter().map(named).collect::<Vec<_>>().join(", "));
    words([
        roles.map(|roles| format!(" TO {roles}")),
        clauses.get("using").map(|using| format!(" USING {using}")),
        clauses.get("with check").map(|check| format!(" WITH CHECK {check}")),
    ])
}

#[cfg(test)]
mod tests {
    use crate::catalog::testing::Given;

    /// A policy of `public.t`, in a database of `app` with the roles `reader` and `auditor`.
    fn policy(values: &[(&str, &str)]) -> String {
        let usual = [("oid", "2"), ("name", "own")];
        Given::database()
            .role(20000, "app")
            .role(20001, "reader")
            .role(20002, "auditor")
            .migrator(20000)
            .relation(1, "r", "t")
            .row("policies", 1, &[&usual[..], values].concat())
            .define("policy")
    }

    #[test]
    fn definition() {
        let values = [("is_permissive", "t"), ("command", "r"), ("roles", "{20000}"), ("using", "(a = 1)")];
        assert_eq!(policy(&values), "own on public.t: permissive for select to the owner using ((a = 1))");
        let values = [("command", "*"), ("roles", "{20001,20002,0}"), ("check", "(a > 1)")];
        let expected = "restrictive for all to auditor, public, reader with check ((a > 1))";
        assert_eq!(policy(&values), format!("own on public.t: {expected}"));
    }
}
