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

#[cfg(test)]
mod tests {
    use crate::catalog::testing::Given;

    /// A constraint of `public.t`, with a comment.
    fn constraint(is_partition: &str, values: &[(&str, &str)]) -> Given {
        let table = [("namespace", "2200"), ("name", "t"), ("kind", "r"), ("is_partition", is_partition)];
        let usual = [("oid", "2"), ("name", "c"), ("definition", "CHECK ((a > 0)) NOT VALID")];
        Given::database()
            .row("relations", 1, &table)
            .row("constraints", 1, &[&usual[..], values].concat())
            .row("comments", 2, &[("class", "pg_constraint"), ("comment", "why")])
    }

    #[test]
    fn definition() {
        let check = |is_partition, is_local| constraint(is_partition, &[("kind", "c"), ("is_local", is_local)]);
        assert_eq!(check("f", "t").define("constraint"), "c on public.t: CHECK ((a > 0)) NOT VALID");
        assert_eq!(check("f", "f").define("constraint"), "c on public.t: CHECK ((a > 0)) NOT VALID inherited");
        assert_eq!(check("t", "f").define("constraint"), "c on public.t: CHECK ((a > 0)) NOT VALID");
        assert_eq!(constraint("f", &[("kind", "z")]).unmodelled(), "pg_constraint c on public.t: constraint of kind z");
    }

    #[test]
    fn what_others_define() {
        let not_null = constraint("f", &[("kind", "n")]);
        assert_eq!(not_null.define("constraint"), "");
        assert!(not_null.define("comment").contains("on constraint c on public.t: why"));
        for follows in [constraint("f", &[("kind", "t")]), constraint("t", &[("kind", "f"), ("parent", "9")])] {
            assert_eq!(follows.define("constraint"), "");
            assert!(!follows.define("comment").contains("constraint"));
        }
    }
}
