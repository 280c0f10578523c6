//! Schemas.

use crate::catalog::cells::Oid;
use crate::catalog::define::{Object, Objects};
use crate::catalog::rows::{Columns, PLAIN};
use crate::catalog::sources::Rows;

use super::Kind;

pub const KIND: Kind = Kind {
    names: &["schema"],
    root: "schemas",
    define,
};

/// The definition only tells PostgreSQL's own.
pub const COLUMNS: Columns = Columns {
    name: "quote_ident(nspname)",
    owner: "nspowner",
    acl: Some(("nspacl", 'n')),
    definition: "CASE WHEN nspname ~ '^pg_' OR nspname IN ('information_schema', 'migration') THEN nspname END",
    ..PLAIN
};

fn define(rows: &Rows, oid: Oid, objects: &mut Objects<'_>) {
    let Some(schema) = rows.schemas.get(oid).filter(|_| rows.schema(oid).is_some()) else {
        return;
    };
    if rows.is_member("pg_namespace", oid) {
        return;
    }
    objects.add(Object {
        kind: "schema",
        identity: schema.name.clone(),
        definition: Some(String::new()),
        owner: schema.owner,
        acl: schema.acl.as_ref(),
        letter: 'n',
        ..Object::of("pg_namespace", oid)
    });
}
