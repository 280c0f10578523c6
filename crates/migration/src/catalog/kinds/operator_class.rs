//! Operator classes.

use crate::catalog::cells::Oid;
use crate::catalog::define::{Objects};
use crate::catalog::rows::{Columns, PLAIN};
use crate::catalog::sources::Rows;
use crate::catalog::to_sql::{Otherwise, ToSql};

use super::Kind;

pub const KIND: Kind = Kind {
    names: &["operator class"],
    root: "operator_classes",
    define,
    to_sql: ToSql {
        make: |_, _, _| {
            Err(Otherwise::Never("which members of its family are its own is in no definition"))
        },
        ..ToSql::USUAL
    },
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

#[cfg(test)]
mod tests {
    use crate::catalog::testing::Given;

    #[test]
    fn definition() {
        let definition = "for type integer family public.reverse";
        let values = [("namespace", "2200"), ("name", "reverse using btree"), ("definition", definition)];
        let given = Given::database().row("operator_classes", 20000, &values);
        assert_eq!(given.define("operator class"), format!("public.reverse using btree: {definition}"));
        assert_eq!(given.of_extension("pg_opclass", 20000).define("operator class"), "");
    }
}
