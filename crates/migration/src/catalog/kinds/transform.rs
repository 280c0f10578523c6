//! Transforms between types and languages.

use crate::catalog::cells::Oid;
use crate::catalog::define::Objects;
use crate::catalog::rows::{Columns, PLAIN};
use crate::catalog::sources::Rows;
use crate::catalog::to_sql::{ToSql, one};
use crate::catalog::words::{Clauses};

use super::Kind;

pub const KIND: Kind = Kind {
    names: &["transform"],
    root: "transforms",
    define,
    to_sql: ToSql {
        make: |_, id, definition| {
            let clauses = Clauses::of(definition, &["from sql with function", "to sql with function"]);
            let functions = ["from sql with function", "to sql with function"];
            let functions = functions.iter().filter_map(|way| Some(format!("{way} {}", clauses.get(way)?)));
            let functions = functions.collect::<Vec<_>>().join(", ");
            one(format!("CREATE TRANSFORM {} ({functions})", id.identity))
        },
        ..ToSql::USUAL
    },
};

pub const COLUMNS: Columns = Columns {
    name: "format('for %s language %s', format_type(trftype, NULL),
        (SELECT quote_ident(l.lanname) FROM pg_catalog.pg_language l WHERE l.oid = trflang))",
    definition: "concat_ws(' ',
        CASE WHEN trffromsql <> 0 THEN 'from sql with function ' || trffromsql::regprocedure END,
        CASE WHEN trftosql <> 0 THEN 'to sql with function ' || trftosql::regprocedure END)",
    ..PLAIN
};

fn define(rows: &Rows, oid: Oid, objects: &mut Objects<'_>) {
    objects.add_named("transform", "pg_transform", oid, rows.transforms.get(oid));
}

#[cfg(test)]
mod tests {
    use crate::catalog::testing::Given;

    #[test]
    fn definition() {
        let definition = "from sql with function public.to_python(internal)";
        let values = [("name", "for public.point language plpython3u"), ("definition", definition)];
        let given = Given::database().row("transforms", 20000, &values);
        assert_eq!(given.define("transform"), format!("for public.point language plpython3u: {definition}"));
        assert_eq!(given.of_extension("pg_transform", 20000).define("transform"), "");
    }
}
