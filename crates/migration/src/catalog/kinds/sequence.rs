//! Sequences. Those of identity columns are in the column's definition.

use crate::catalog::cells::{Oid, words};
use crate::catalog::define::{Object, Objects};
use crate::catalog::rows::row;
use crate::catalog::sources::Rows;

use super::Kind;
use super::table::Relation;

pub const KIND: Kind = Kind {
    names: &["sequence"],
    root: "relations",
    define,
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
