//! The database: privileges and a comment hang on it; it has no name of its own here.

use crate::catalog::cells::Oid;
use crate::catalog::define::{Object, Objects};
use crate::catalog::rows::{Columns, PLAIN};
use crate::catalog::sources::Rows;

use super::Kind;

pub const KIND: Kind = Kind {
    names: &[],
    root: "databases",
    define,
};

pub const COLUMNS: Columns = Columns {
    name: "quote_ident(datname)",
    owner: "datdba",
    acl: Some(("datacl", 'd')),
    ..PLAIN
};

fn define(rows: &Rows, oid: Oid, objects: &mut Objects<'_>) {
    let Some(database) = rows.databases.get(oid) else {
        return;
    };
    objects.add(Object {
        kind: "database",
        owner: database.owner,
        acl: database.acl.as_ref(),
        letter: 'd',
        ..Object::of("pg_database", oid)
    });
}
