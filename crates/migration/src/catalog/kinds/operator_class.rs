//! Operator classes.

use crate::catalog::cells::Oid;
use crate::catalog::define::{Objects};
use crate::catalog::rows::{Columns, PLAIN};
use crate::catalog::sources::Rows;

use super::Kind;

pub const KIND: Kind = Kind {
    names: &["operator class"],
    root: "operator_classes",
    define,
};

pub const COLUMNS: Columns = Columns {
    namespace: "opcnamespace",
    name: "quote_ident(opcname) || ' using ' || quote_ident(
        (pg_identify_object_as_address('pg_catalog.pg_opclass'::regclass, oid, 0)).object_names[1])",
    owner: "opcowner",
    definition: "concat_ws(' ',
        CASE WHEN opcdefault THEN 'default' END,
        'for type ' || format_type(opcintype, NULL),
        'family ' || (SELECT quote_ident(a.object_names[2]) || '.' || quote_ident(a.object_names[3])
            FROM pg_identify_object_as_address('pg_catalog.pg_opfamily'::regclass, opcfamily, 0) a),
        CASE WHEN opckeytype <> 0 THEN 'storage ' || format_type(opckeytype, NULL) END)",
    ..PLAIN
};

fn define(rows: &Rows, oid: Oid, objects: &mut Objects<'_>) {
    objects.add_named("operator class", "pg_opclass", oid, rows.operator_classes.get(oid));
}
