//! Roles. All databases of the cluster share them. Left out: PostgreSQL's own, the bootstrap superuser and whoever runs
//! the migrations. Passwords cannot be read.

use crate::catalog::cells::Oid;
use crate::catalog::define::{Object, Objects};
use crate::catalog::rows::row;
use crate::catalog::sources::Rows;
use crate::catalog::to_sql::{Statements, ToSql, one};
use crate::catalog::words::{Clauses};
use crate::catalog::ObjectId;

use super::Kind;

pub const KIND: Kind = Kind {
    names: &["role"],
    root: "roles",
    define,
    to_sql: ToSql {
        change: |_, id, before, after| change(id, before, after),
        ..ToSql::USUAL
    },
};

/// The role that initdb makes (`BOOTSTRAP_SUPERUSERID`).
pub const BOOTSTRAP: Oid = 10;

row! {
    /// A role.
    Role {
        /// Quoted.
        name: String = "quote_ident(rolname)",
        raw_name: String = "rolname",
        inherits: bool = "rolinherit",
        definition: String = "concat_ws(' ',
            CASE WHEN rolcanlogin THEN 'login' ELSE 'nologin' END,
            CASE WHEN rolsuper THEN 'superuser' END,
            CASE WHEN rolcreatedb THEN 'createdb' END,
            CASE WHEN rolcreaterole THEN 'createrole' END,
            CASE WHEN NOT rolinherit THEN 'noinherit' END,
            CASE WHEN rolreplication THEN 'replication' END,
            CASE WHEN rolbypassrls THEN 'bypassrls' END,
            CASE WHEN rolconnlimit <> -1 THEN 'connection limit ' || rolconnlimit END,
            'valid until ' || quote_literal(timezone('UTC', rolvaliduntil) || ' UTC'))",
    }
    name(name)
}

impl Role {
    /// Whether PostgreSQL made it.
    pub fn is_predefined(&self) -> bool {
        self.raw_name.starts_with("pg_")
    }
}

fn define(rows: &Rows, oid: Oid, objects: &mut Objects<'_>) {
    let Some(role) = rows.roles.get(oid) else {
        return;
    };
    if role.is_predefined() || oid == BOOTSTRAP || rows.is_migrator(oid) {
        return;
    }
    objects.add(Object {
        kind: "role",
        identity: role.name.clone(),
        definition: Some(role.definition.clone()),
        ..Object::of("pg_authid", oid)
    });
}

fn change(id: &ObjectId, before: &str, after: &str) -> Statements {
    let names = [
        "nologin", "superuser", "createdb", "createrole", "noinherit", "replication", "bypassrls", "connection limit",
        "valid until",
    ];
    let (was, is) = (Clauses::of(before, &names), Clauses::of(after, &names));
    let changed = names.iter().filter(|name| was.get(name) != is.get(name));
    let attributes = changed.map(|name| match (*name, is.get(name)) {
        ("nologin" | "noinherit", None) => name[2..].to_owned(),
        ("connection limit", limit) => format!("{name} {}", limit.unwrap_or("-1")),
        ("valid until", time) => format!("{name} {}", time.unwrap_or("'infinity'")),
        (_, Some(_)) => (*name).to_owned(),
        (_, None) => format!("no{name}"),
    });
    one(format!("ALTER ROLE {} {}", id.identity, attributes.collect::<Vec<_>>().join(" ")))
}

#[cfg(test)]
mod tests {
    use crate::catalog::testing::Given;

    #[test]
    fn only_of_users() {
        let reader = [("name", "\"Reader\""), ("raw_name", "Reader"), ("definition", "login createdb")];
        let given = Given::database()
            .role(10, "postgres")
            .role(3373, "pg_monitor")
            .role(20000, "app")
            .row("roles", 20001, &reader);
        assert_eq!(given.define("role"), "\"Reader\": login createdb\napp: ");
        assert_eq!(given.migrator(20000).define("role"), "\"Reader\": login createdb");
    }
}
