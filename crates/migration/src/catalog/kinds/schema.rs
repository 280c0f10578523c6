//! Schemas.

use crate::catalog::cells::Oid;
use crate::catalog::define::{Object, Objects};
use crate::catalog::rows::{Columns, PLAIN};
use crate::catalog::sources::Rows;
use crate::catalog::to_sql::{ToSql};

use super::Kind;

pub const KIND: Kind = Kind {
    names: &["schema"],
    root: "schemas",
    define,
    to_sql: ToSql::USUAL,
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

#[cfg(test)]
mod tests {
    use crate::catalog::testing::Given;

    #[test]
    fn only_of_users() {
        let given = Given::database()
            .role(20000, "app")
            .row("schemas", 20001, &[("name", "shop"), ("owner", "20000")])
            .row("schemas", 20002, &[("name", "migration"), ("definition", "migration")])
            .row("schemas", 20003, &[("name", "cron")])
            .of_extension("pg_namespace", 20003);
        assert_eq!(given.define("schema"), "public: \nshop: ");
        assert_eq!(given.define("owner"), "of schema shop: app");
    }

    #[test]
    fn the_comment_of_public() {
        let comment = |text| {
            let values = [("class", "pg_namespace"), ("comment", text)];
            Given::database().row("comments", 2200, &values).define("comment")
        };
        assert_eq!(comment("standard public schema"), "");
        assert_eq!(comment("shared"), "on schema public: shared");
        assert_eq!(Given::database().define("comment"), "on schema public: ");
    }
}
