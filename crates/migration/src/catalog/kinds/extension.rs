//! Extensions. No version: CREATE EXTENSION without one takes the server's own, as `pg_dump` has it.

use crate::catalog::cells::Oid;
use crate::catalog::define::{Object, Objects};
use crate::catalog::rows::{Columns, PLAIN, row};
use crate::catalog::sources::Rows;
use crate::catalog::to_sql::{Otherwise, ToSql, one};

use super::Kind;

pub const KIND: Kind = Kind {
    names: &["extension"],
    root: "extensions",
    define,
    to_sql: ToSql {
        change: |_, id, _, after| match after.strip_prefix("schema ") {
            Some(schema) => one(format!("ALTER EXTENSION {} SET SCHEMA {schema}", id.identity)),
            None => Err(Otherwise::Anew),
        },
        ..ToSql::USUAL
    },
};

pub const COLUMNS: Columns = Columns {
    name: "quote_ident(extname)",
    owner: "extowner",
    of: "extnamespace",
    ..PLAIN
};

row! {
    /// The comment of an extension's control file.
    Control {
        comment: String = "comment",
    }
}

fn define(rows: &Rows, oid: Oid, objects: &mut Objects<'_>) {
    let Some(extension) = rows.extensions.get(oid) else {
        return;
    };
    let schema = rows.schemas.get(extension.of).map(|schema| schema.name.as_str());
    objects.add(Object {
        kind: "extension",
        identity: extension.name.clone(),
        definition: Some(format!("schema {}", schema.unwrap_or_default())),
        owner: extension.owner,
        ..Object::of("pg_extension", oid)
    });
}

#[cfg(test)]
mod tests {
    use crate::catalog::testing::Given;

    #[test]
    fn definition() {
        let comment = |comment| {
            let given = Given::database()
                .row("extensions", 20000, &[("name", "citext"), ("of", "2200")])
                .row("controls", 0, &[("comment", "case-insensitive strings")])
                .row("comments", 20000, &[("class", "pg_extension"), ("comment", comment)]);
            assert_eq!(given.define("extension"), "citext: schema public");
            given.define("comment").contains("on extension citext: ")
        };
        assert!(comment("for e-mail addresses"));
        assert!(!comment("case-insensitive strings"));
    }
}
