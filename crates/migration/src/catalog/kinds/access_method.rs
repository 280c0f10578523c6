//! Access methods of tables and indexes.

use crate::catalog::cells::Oid;
use crate::catalog::define::Objects;
use crate::catalog::rows::{Columns, PLAIN};
use crate::catalog::sources::Rows;
use crate::catalog::to_sql::{ToSql, one};

use super::Kind;

pub const KIND: Kind = Kind {
    names: &["access method"],
    root: "access_methods",
    define,
    to_sql: ToSql {
        make: |_, id, definition| one(format!("CREATE ACCESS METHOD {} TYPE {definition}", id.identity)),
        ..ToSql::USUAL
    },
};

pub const COLUMNS: Columns = Columns {
    name: "quote_ident(amname)",
    definition: "CASE amtype WHEN 'i' THEN 'index' WHEN 't' THEN 'table' ELSE amtype::text END
        || ' handler ' || amhandler",
    ..PLAIN
};

fn define(rows: &Rows, oid: Oid, objects: &mut Objects<'_>) {
    objects.add_named("access method", "pg_am", oid, rows.access_methods.get(oid));
}

#[cfg(test)]
mod tests {
    use crate::catalog::testing::Given;

    #[test]
    fn only_of_users() {
        let given = Given::database()
            .row("access_methods", 403, &[("name", "btree"), ("definition", "index handler bthandler")])
            .row("access_methods", 20000, &[("name", "bloom"), ("definition", "index handler public.blhandler")]);
        assert_eq!(given.define("access method"), "bloom: index handler public.blhandler");
        assert_eq!(given.of_extension("pg_am", 20000).define("access method"), "");
    }
}
