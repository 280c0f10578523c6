//! Conversions between encodings.

use crate::catalog::cells::Oid;
use crate::catalog::define::Objects;
use crate::catalog::rows::{Columns, PLAIN};
use crate::catalog::sources::Rows;

use super::Kind;

pub const KIND: Kind = Kind {
    names: &["conversion"],
    root: "conversions",
    define,
};

pub const COLUMNS: Columns = Columns {
    namespace: "connamespace",
    name: "quote_ident(conname)",
    owner: "conowner",
    definition: "concat_ws(' ',
        CASE WHEN condefault THEN 'default' END,
        'for ' || quote_literal(pg_encoding_to_char(conforencoding)),
        'to ' || quote_literal(pg_encoding_to_char(contoencoding)),
        'from ' || conproc)",
    ..PLAIN
};

fn define(rows: &Rows, oid: Oid, objects: &mut Objects<'_>) {
    objects.add_named("conversion", "pg_conversion", oid, rows.conversions.get(oid));
}
