//! Extended statistics.

use crate::catalog::cells::Oid;
use crate::catalog::define::Objects;
use crate::catalog::rows::{Columns, PLAIN};
use crate::catalog::sources::Rows;
use crate::catalog::to_sql::{Otherwise, Statements, ToSql, one};
use crate::catalog::words::{Clauses};
use crate::catalog::ObjectId;

use super::Kind;

pub const KIND: Kind = Kind {
    names: &["statistics"],
    root: "statistics",
    define,
    to_sql: ToSql {
        make: |_, id, definition| make(id, definition),
        change: |_, id, before, after| change(id, before, after),
        ..ToSql::USUAL
    },
};

pub const COLUMNS: Columns = Columns {
    namespace: "stxnamespace",
    name: "quote_ident(stxname)",
    owner: "stxowner",
    definition: "concat_ws(' ',
        pg_get_statisticsobjdef(oid), CASE WHEN stxstattarget >= 0 THEN 'statistics ' || stxstattarget END)",
    ..PLAIN
};

fn define(rows: &Rows, oid: Oid, objects: &mut Objects<'_>) {
    objects.add_named("statistics", "pg_statistic_ext", oid, rows.statistics.get(oid));
}

fn make(id: &ObjectId, definition: &str) -> Statements {
    let clauses = Clauses::of(definition, &["statistics"]);
    let mut statements = vec![clauses.head.to_owned()];
    statements.extend(clauses.get("statistics").map(|target| set_target(id, target)));
    Ok(statements)
}

fn change(id: &ObjectId, before: &str, after: &str) -> Statements {
    let (before, after) = (Clauses::of(before, &["statistics"]), Clauses::of(after, &["statistics"]));
    if before.head != after.head {
        return Err(Otherwise::Anew);
    }
    one(set_target(id, after.get("statistics").unwrap_or("-1")))
}

fn set_target(id: &ObjectId, target: &str) -> String {
    format!("ALTER STATISTICS {} SET STATISTICS {target}", id.identity)
}

#[cfg(test)]
mod tests {
    use crate::catalog::testing::Given;

    #[test]
    fn definition() {
        let definition = "CREATE STATISTICS public.t_a_b (ndistinct) ON a, b FROM public.t statistics 50";
        let values = [("namespace", "2200"), ("name", "t_a_b"), ("definition", definition)];
        let given = Given::database().row("statistics", 20000, &values);
        assert_eq!(given.define("statistics"), format!("public.t_a_b: {definition}"));
        assert_eq!(given.of_extension("pg_statistic_ext", 20000).define("statistics"), "");
    }
}
