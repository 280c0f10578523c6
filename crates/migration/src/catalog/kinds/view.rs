//! Views and materialized views.

use crate::catalog::cells::{Oid, words};
use crate::catalog::define::{Object, Objects};
use crate::catalog::rows::row;
use crate::catalog::sources::Rows;
use crate::catalog::to_sql::{Otherwise, Statements, ToSql, keyword, one, parameters, with};
use crate::catalog::words::{Clauses, items};
use crate::catalog::ObjectId;

use super::Kind;
use super::table::{access_method, storage_options, tablespace};

pub const KIND: Kind = Kind {
    names: &["view", "materialized view"],
    root: "relations",
    define,
    to_sql: ToSql {
        make: |_, id, definition| make(id, definition, "CREATE"),
        change: |_, id, before, after| change(id, before, after),
        ..ToSql::USUAL
    },
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

const CLAUSES: &[&str] = &["using", "with", "tablespace", "as"];

fn make(id: &ObjectId, definition: &str, create: &str) -> Statements {
    let clauses = Clauses::of(definition, CLAUSES);
    let parts = words([
        clauses.get("using").map(|method| format!(" USING {method}")),
        clauses.get("with").map(|options| format!(" {}", with(options))),
        clauses.get("tablespace").map(|tablespace| format!(" TABLESPACE {tablespace}")),
    ]);
    let query = clauses.get("as").unwrap_or_default();
    one(format!("{create} {} {}{parts} AS {query}", keyword(&id.kind), id.identity))
}

fn change(id: &ObjectId, before: &str, after: &str) -> Statements {
    let (was, is) = (Clauses::of(before, CLAUSES), Clauses::of(after, CLAUSES));
    if was.get("as") == is.get("as") && was.get("using") == is.get("using") && was.get("tablespace") == is.get("tablespace")
    {
        let alter = format!("ALTER {} {}", keyword(&id.kind), id.identity);
        let changed = parameters(was.get("with"), is.get("with")).into_iter();
        return Ok(changed.map(|action| format!("{alter} {action}")).collect());
    }
    // What a view shows can be added to, not taken away from.
    let (had, has) = (shown(was.get("as").unwrap_or_default()), shown(is.get("as").unwrap_or_default()));
    let only_adds = had.zip(has).is_some_and(|(had, has)| has.starts_with(&had));
    if id.kind == "view" && only_adds {
        return make(id, after, "CREATE OR REPLACE");
    }
    Err(Otherwise::Anew)
}

/// The names of the columns that a query shows, where it is as `pg_get_viewdef` prints one SELECT.
fn shown(query: &str) -> Option<Vec<&str>> {
    let list = query.strip_prefix("SELECT ")?;
    let list = list.split_once("\n   FROM ").map_or(list, |(list, _)| list);
    let list = list.strip_prefix("DISTINCT ").unwrap_or(list);
    let name = |item| -> Option<&str> {
        let named: Clauses<'_> = Clauses::of(item, &["AS"]);
        let name = named.get("AS").or_else(|| item.rsplit('.').next())?;
        (!name.contains([' ', '(', ')'])).then_some(name)
    };
    items(list).into_iter().map(name).collect()
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
