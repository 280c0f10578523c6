//! Access methods of tables and indexes.

use crate::catalog::cells::Oid;
use crate::catalog::define::Objects;
use crate::catalog::rows::{Columns, PLAIN};
use crate::catalog::sources::Rows;

use super::Kind;

pub const KIND: Kind = Kind {
    names: &["access method"],
    root: "access_methods",
    define,
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
