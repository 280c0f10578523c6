//! The database: privileges and a comment hang on it; it has no name of its own here.

use crate::catalog::cells::Oid;
use crate::catalog::define::{Object, Objects};
use crate::catalog::rows::{Columns, PLAIN};
use crate::catalog::sources::Rows;
use crate::catalog::to_sql::{ToSql};

use super::Kind;

pub const KIND: Kind = Kind {
    names: &[],
    root: "databases",
    define,
    to_sql: ToSql::USUAL,
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

#[cfg(test)]
mod tests {
    use crate::catalog::testing::Given;

    #[test]
    fn only_what_hangs_on_it() {
        let acl = r#"{"{=T/app,app=CTc/app}","{=Tc/app,app=CTc/app}"}"#;
        let given = Given::database()
            .role(20000, "app")
            .row("databases", 16384, &[("name", "main"), ("owner", "20000"), ("acl", acl)])
            .row("shared_comments", 16384, &[("class", "pg_database"), ("comment", "the shop")]);
        assert_eq!(given.define("database"), "");
        assert_eq!(given.define("owner"), "");
        assert_eq!(given.define("privilege"), "connect on database to public: revoked");
        assert!(given.define("comment").contains("on database: the shop"));
    }
}
