//! Views and materialized views.

use crate::catalog::cells::{Oid, words};
use crate::catalog::define::{Object, Objects};
use crate::catalog::rows::row;
use crate::catalog::sources::Rows;

use super::Kind;
use super::table::{access_method, storage_options, tablespace};

pub const KIND: Kind = Kind {
    names: &["view", "materialized view"],
    root: "relations",
    define,
};

row! {
    /// The query of a view.
    View {
        query: String = QUERY,
    }
}

/// From PostgreSQL 16 on, the columns of a view on one table print without the table's name: take it away before, where
/// the query is plain enough to tell.
const QUERY: &str = r#"(
    SELECT coalesce(regexp_replace(d.text, '(^|[^\w."])' || single.name || '\.(?!\*)', '\1', 'g'), d.text)
    FROM (SELECT btrim(pg_get_viewdef(oid), ' ;') AS text) d
    LEFT JOIN LATERAL (
        SELECT regexp_replace(coalesce(m[2], m[1]), '(\W)', '\\\1', 'g') AS name
        FROM regexp_match(
            d.text, '\n   FROM (?:(?:\w+|"[^"]+")\.)?(\w+|"[^"]+")(?: (\w+|"[^"]+"))?(?:\n|$)') m
        WHERE current_setting('server_version_num')::int < 160000
          AND d.text !~ 'SELECT.*SELECT' AND d.text !~ '\n +(\w+ )?JOIN '
          AND NOT EXISTS (
              SELECT FROM regexp_matches(d.text, '''[^'']*''', 'g') literal
              WHERE strpos(literal[1], coalesce(m[2], m[1])) > 0)) single ON true)"#;

fn define(rows: &Rows, oid: Oid, objects: &mut Objects<'_>) {
    let (Some((relation, identity)), Some(view)) = (rows.relation(oid), rows.views.get(oid)) else {
        return;
    };
    objects.add(Object {
        kind: if relation.kind == 'm' { "materialized view" } else { "view" },
        identity,
        definition: Some(words([
            access_method(rows, relation),
            storage_options(rows, relation),
            tablespace(rows, relation),
            Some(format!("as {}", view.query)),
        ])),
        owner: relation.owner,
        acl: relation.acl.as_ref(),
        letter: 'r',
        ..Object::of("pg_class", oid)
    });
}

#[cfg(test)]
mod tests {
    use crate::catalog::testing::Given;

    fn view(kind: &str, values: &[(&str, &str)]) -> Given {
        let usual = [("namespace", "2200"), ("kind", kind), ("name", "v")];
        Given::database()
            .row("access_methods", 9, &[("name", "columnar")])
            .row("tablespaces", 8, &[("name", "fast")])
            .row("relations", 1, &[&usual[..], values].concat())
            .row("views", 1, &[("query", "SELECT a\n   FROM public.t")])
    }

    #[test]
    fn definition() {
        let given = view("v", &[("options", "{security_invoker=true,check_option=local}")]);
        let expected = "public.v: with (check_option=local, security_invoker=true) as SELECT a\n   FROM public.t";
        assert_eq!(given.define("view"), expected);
        let given = view("m", &[("access_method", "9"), ("tablespace", "8")]);
        let expected = "public.v: using columnar tablespace fast as SELECT a\n   FROM public.t";
        assert_eq!(given.define("materialized view"), expected);
        assert_eq!(given.define("view"), "");
        assert_eq!(given.of_extension("pg_class", 1).define("materialized view"), "");
    }
}
