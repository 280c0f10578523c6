//! Constraints of tables.

use crate::catalog::cells::Oid;
use crate::catalog::define::{Object, Objects};
use crate::catalog::rows::row;
use crate::catalog::sources::Rows;
use crate::catalog::to_sql::{Ends, Otherwise, Statements, ToSql, on_table, one};
use crate::catalog::words::{Clauses};
use crate::catalog::ObjectId;
use crate::catalog::split_at_last_dot;

use super::Kind;

pub const KIND: Kind = Kind {
    names: &["constraint"],
    root: "relations",
    define,
    to_sql: ToSql {
        make,
        change,
        drop,
    },
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

/// Whether a constraint is kept by an index of its name.
pub fn has_index(definition: &str) -> bool {
    ["UNIQUE", "PRIMARY KEY", "EXCLUDE"].iter().any(|kind| definition.starts_with(kind))
}

/// The index that keeps a constraint, if one does.
fn index_of(name: &str, table: &str) -> ObjectId {
    let (schema, _) = split_at_last_dot(table).unwrap_or_default();
    ObjectId::new("index", format!("{schema}.{name}"))
}

/// Constraints of a partition, and of a table that inherits, which come and go with those of the parent.
fn of_parent(ends: &Ends<'_>, id: &ObjectId, table: &str, definition: &str) -> Option<ObjectId> {
    let (name, _) = on_table(id).ok()?;
    let parents = super::table::parents(ends.after, table).into_iter().chain(super::table::parents(ends.before, table));
    let mut same = parents.map(|parent| ObjectId::new("constraint", format!("{name} on {parent}")));
    same.find(|id| [ends.before, ends.after].iter().any(|end| end.get(id).is_some_and(|is| is == definition)))
}

fn make(ends: &Ends<'_>, id: &ObjectId, definition: &str) -> Statements {
    let (name, table) = on_table(id)?;
    if definition.ends_with(" inherited") {
        return Ok(Vec::new());
    }
    let is_new = ends.makes(&ObjectId::new("table", table));
    if !is_new && !has_index(definition) && of_parent(ends, id, table, definition).is_some() {
        return Ok(Vec::new());
    }
    let is_partitioned = super::table::is_partitioned(ends.after, table);
    let add = |definition: &str| format!("ALTER TABLE {table} ADD CONSTRAINT {name} {definition}");
    if has_index(definition) {
        let index = index_of(name, table);
        let built = ends.after.get(&index);
        let settings = built.map(|built| super::index::settings(&index, built)).unwrap_or_default();
        let kind = ["UNIQUE", "PRIMARY KEY"].into_iter().find(|kind| definition.starts_with(kind));
        let by_index = kind.zip(built).filter(|_| !is_partitioned && !definition.contains(" WITHOUT OVERLAPS"));
        let mut statements = match by_index {
            Some((kind, built)) if !is_new => {
                let when = definition.find(" DEFERRABLE").map_or("", |at| &definition[at..]);
                let using = add(&format!("{kind} USING INDEX {name}{when}"));
                // One that is there already is taken.
                let is_there = ends.before.contains_key(&index) && !ends.goes(id);
                (!is_there).then(|| super::index::concurrently(built)).into_iter().chain([using]).collect()
            }
            // Those of the partitions are made by themselves, and attached.
            _ if is_partitioned => vec![add(definition).replacen("ALTER TABLE ", "ALTER TABLE ONLY ", 1)],
            _ => vec![add(definition)],
        };
        statements.extend(settings);
        return Ok(statements);
    }
    if is_partitioned && !is_new && definition.starts_with("FOREIGN KEY") {
        // There is no NOT VALID for it on all versions: each partition gets its own, which is then taken over.
        let mut statements = Vec::new();
        for partition in super::table::partitions(ends.before, table) {
            let add = format!("ALTER TABLE {partition} ADD CONSTRAINT {name} {definition} NOT VALID");
            let validate = format!("ALTER TABLE {partition} VALIDATE CONSTRAINT {name}");
            statements.extend([add, validate]);
        }
        statements.push(add(definition));
        return Ok(statements);
    }
    let whole = is_new
        || [" NOT VALID", " NOT ENFORCED"].iter().any(|how| definition.contains(how));
    if whole {
        return one(add(definition));
    }
    Ok(vec![
        format!("{} NOT VALID", add(definition)),
        format!("ALTER TABLE {table} VALIDATE CONSTRAINT {name}"),
    ])
}

fn change(_: &Ends<'_>, id: &ObjectId, before: &str, after: &str) -> Statements {
    let (name, table) = on_table(id)?;
    if before.strip_suffix(" NOT VALID") == Some(after) {
        return one(format!("ALTER TABLE {table} VALIDATE CONSTRAINT {name}"));
    }
    let when = |definition| -> Clauses<'_> { Clauses::of(definition, &["DEFERRABLE"]) };
    let (was, is) = (when(before), when(after));
    if after.starts_with("FOREIGN KEY") && was.head == is.head {
        let when = is.get("DEFERRABLE").map_or("NOT DEFERRABLE".to_owned(), |how| format!("DEFERRABLE {how}"));
        return one(format!("ALTER TABLE {table} ALTER CONSTRAINT {name} {when}"));
    }
    Err(Otherwise::Anew)
}

fn drop(ends: &Ends<'_>, id: &ObjectId, definition: &str) -> Statements {
    let (name, table) = on_table(id)?;
    let goes_with_parent = of_parent(ends, id, table, definition).is_some_and(|parent| ends.goes(&parent));
    let goes_with_index = || {
        let index = ends.before.get(&index_of(name, table))?;
        let of = super::index::attached_to(index)?;
        let constraint = super::index::constraint_of(&of, ends.before.get(&of)?)?;
        Some(ends.goes(&constraint))
    };
    if definition.ends_with(" inherited") || goes_with_parent || goes_with_index() == Some(true) {
        return Ok(Vec::new());
    }
    if goes_with_index() == Some(false) {
        return Err(Otherwise::Never("its index is a part of that of the partitioned table, which stays"));
    }
    one(format!("ALTER TABLE {table} DROP CONSTRAINT {name}"))
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
