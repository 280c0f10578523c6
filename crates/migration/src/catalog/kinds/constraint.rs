//! Constraints of tables.

use crate::catalog::cells::Oid;
use crate::catalog::define::{Object, Objects};
use crate::catalog::rows::row;
use crate::catalog::sources::Rows;

use super::Kind;

pub const KIND: Kind = Kind {
    names: &["constraint"],
    root: "relations",
    define,
};

row! {
    /// A constraint of a table.
    Constraint {
        oid: Oid = "oid",
        /// Quoted.
        name: String = "quote_ident(conname)",
        kind: char = "contype",
        definition: String = "CASE WHEN contype NOT IN ('n', 't') THEN pg_get_constraintdef(oid) END",
        is_local: bool = "conislocal",
        parent: Oid = "conparentid",
        is_validated: bool = "convalidated",
        no_inherit: bool = "connoinherit",
        /// Of a NOT NULL: its column.
        column: i32 = "conkey[1]",
    }
}

/// NOT NULL (contype n, PostgreSQL 18) is in the column's definition; the copies of a foreign key on partitions and a
/// constraint trigger's twin (t) follow from their originals.
fn define(rows: &Rows, oid: Oid, objects: &mut Objects<'_>) {
    let Some((table, identity)) = rows.relation(oid) else {
        return;
    };
    for constraint in rows.constraints.of(oid) {
        if constraint.kind == 't' || constraint.kind == 'f' && constraint.parent != 0 {
            continue;
        }
        let inherited = if constraint.is_local || table.is_partition { "" } else { " inherited" };
        objects.add(Object {
            kind: "constraint",
            identity: format!("{} on {identity}", constraint.name),
            definition: (constraint.kind != 'n').then(|| format!("{}{inherited}", constraint.definition)),
            ..Object::of("pg_constraint", constraint.oid)
        });
        if !"cfnpux".contains(constraint.kind) {
            let reason = format!("constraint of kind {}", constraint.kind);
            objects.cannot_describe("pg_constraint", format!("{} on {identity}", constraint.name), reason);
        }
    }
}
