//! Sequences. Those of identity columns are in the column's definition.

use crate::catalog::cells::{Oid, words};
use crate::catalog::define::{Object, Objects};
use crate::catalog::rows::row;
use crate::catalog::sources::Rows;
use crate::catalog::to_sql::{Statements, ToSql};
use crate::catalog::ObjectId;

use super::Kind;
use super::table::Relation;

pub const KIND: Kind = Kind {
    names: &["sequence"],
    root: "relations",
    define,
    to_sql: ToSql {
        make: |_, id, definition| make(id, definition),
        change: |_, id, before, after| change(id, before, after),
        ..ToSql::USUAL
    },
};

row! {
    /// What a sequence is like.
    Sequence {
        type_name: String = "format_type(seqtypid, NULL)",
        start: i64 = "seqstart",
        increment: i64 = "seqincrement",
        minimum: i64 = "seqmin",
        maximum: i64 = "seqmax",
        cache: i64 = "seqcache",
        cycles: bool = "seqcycle",
    }
}

row! {
    /// The column that a sequence belongs to.
    Owned {
        sequence: Oid = "objid",
        relation: Oid = "refobjid",
        column: i32 = "refobjsubid",
        is_identity: bool = "deptype = 'i'",
    }
}

impl Sequence {
    fn numbers(&self) -> String {
        words([
            Some(format!("start with {}", self.start)),
            Some(format!("increment by {}", self.increment)),
            Some(format!("minvalue {}", self.minimum)),
            Some(format!("maxvalue {}", self.maximum)),
            Some(format!("cache {}", self.cache)),
            self.cycles.then(|| "cycle".to_owned()),
        ])
    }
}

/// The sequence of an identity column.
pub fn of_identity(rows: &Rows, table: &Relation, column: i32) -> Option<String> {
    let owned = rows.identity_of(table.oid, column)?;
    let (relation, identity) = rows.relation(owned.sequence)?;
    let sequence = rows.sequences.get(owned.sequence)?;
    let persistence = (relation.persistence != table.persistence).then(|| match relation.persistence {
        'u' => "unlogged".to_owned(),
        _ => "logged".to_owned(),
    });
    let inside = words([
        Some(format!("sequence name {identity}")),
        Some(sequence.numbers()),
        persistence,
    ]);
    Some(format!("({inside})"))
}

fn define(rows: &Rows, oid: Oid, objects: &mut Objects<'_>) {
    let (Some((relation, identity)), Some(sequence)) = (rows.relation(oid), rows.sequences.get(oid)) else {
        return;
    };
    let owned = rows.owned_sequences.get(oid);
    let owner = owned.and_then(|owned| {
        let (_, table) = rows.relation(owned.relation)?;
        let column = rows.columns.of(owned.relation).iter().find(|column| column.number == owned.column)?;
        Some(format!("owned by {table}.{}", column.name))
    });
    let is_identity = owned.is_some_and(|owned| owned.is_identity);
    objects.add(Object {
        kind: "sequence",
        identity,
        definition: (!is_identity).then(|| {
            words([
                (relation.persistence == 'u').then(|| "unlogged".to_owned()),
                Some(format!("as {}", sequence.type_name)),
                Some(sequence.numbers()),
                owner,
            ])
        }),
        owner: relation.owner,
        acl: relation.acl.as_ref(),
        letter: 's',
        ..Object::of("pg_class", oid)
    });
}

/// Whether it is unlogged, its numbers, and whose it is.
fn parts(definition: &str) -> (bool, &str, Option<&str>) {
    let rest = definition.strip_prefix("unlogged ");
    let numbers = rest.unwrap_or(definition);
    let (numbers, owner) = match numbers.split_once(" owned by ") {
        Some((numbers, owner)) => (numbers, Some(owner)),
        None => (numbers, None),
    };
    (rest.is_some(), numbers, owner)
}

fn make(id: &ObjectId, definition: &str) -> Statements {
    let (unlogged, numbers, owner) = parts(definition);
    let unlogged = if unlogged { "UNLOGGED " } else { "" };
    let mut statements = vec![format!("CREATE {unlogged}SEQUENCE {} {numbers}", id.identity)];
    statements.extend(owner.map(|owner| owned_by(id, owner)));
    Ok(statements)
}

fn change(id: &ObjectId, before: &str, after: &str) -> Statements {
    let (was_unlogged, had, had_owner) = parts(before);
    let (unlogged, numbers, owner) = parts(after);
    let alter = format!("ALTER SEQUENCE {}", id.identity);
    let mut statements = Vec::new();
    if was_unlogged != unlogged {
        statements.push(format!("{alter} SET {}", if unlogged { "UNLOGGED" } else { "LOGGED" }));
    }
    if had != numbers {
        let no_cycle = if numbers.ends_with(" cycle") { "" } else { " no cycle" };
        statements.push(format!("{alter} {numbers}{no_cycle}"));
    }
    if had_owner != owner {
        statements.push(owned_by(id, owner.unwrap_or("NONE")));
    }
    Ok(statements)
}

fn owned_by(id: &ObjectId, owner: &str) -> String {
    format!("ALTER SEQUENCE {} OWNED BY {owner}", id.identity)
}

#[cfg(test)]
mod tests {
    use crate::catalog::testing::Given;

    const NUMBERS: &str = "start with 1 increment by 2 minvalue 1 maxvalue 99 cache 1 cycle";

    /// A sequence that belongs to the column `public.t.a`.
    fn sequence(persistence: &str, identity: &str) -> Given {
        let relation = [("namespace", "2200"), ("kind", "S"), ("name", "s"), ("persistence", persistence)];
        let numbers = [("start", "1"), ("increment", "2"), ("minimum", "1"), ("maximum", "99"), ("cache", "1")];
        let sequence = [&numbers[..], &[("type_name", "integer"), ("cycles", "t")]].concat();
        let column = [("number", "1"), ("name", "a"), ("type_name", "integer"), ("storage", "p"), ("is_local", "t")];
        let is_identity = if identity.is_empty() { "f" } else { "t" };
        Given::database()
            .relation(1, "r", "t")
            .row("columns", 1, &[&column[..], &[("identity", identity)]].concat())
            .row("relations", 2, &relation)
            .row("sequences", 2, &sequence)
            .row("owned_sequences", 2, &[("relation", "1"), ("column", "1"), ("is_identity", is_identity)])
    }

    #[test]
    fn definition() {
        let expected = format!("public.s: as integer {NUMBERS} owned by public.t.a");
        assert_eq!(sequence("p", "").define("sequence"), expected);
        assert!(sequence("u", "").define("sequence").starts_with("public.s: unlogged as integer"));
    }

    #[test]
    fn of_an_identity_column() {
        let given = sequence("u", "d").row("identities", 1, &[("sequence", "2"), ("column", "1")]);
        assert_eq!(given.define("sequence"), "");
        let expected = format!("by default as identity (sequence name public.s {NUMBERS} unlogged)");
        assert_eq!(given.define("column"), format!("public.t.a: integer generated {expected}"));
    }
}
