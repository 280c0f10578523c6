//! Privileges on initdb's objects and on extensions' members: only what was changed afterwards.

use crate::catalog::cells::Oid;
use crate::catalog::define::Objects;
use crate::catalog::rows::{Acl, row};
use crate::catalog::sources::Rows;
use crate::catalog::to_sql::{ToSql};

use super::Kind;

pub const KIND: Kind = Kind {
    names: &[],
    root: "initial_privileges",
    define,
    to_sql: ToSql::USUAL,
};

row! {
    /// An object that came with privileges, and has others now.
    Changed {
        class: String = "class",
        namespace: Oid = "namespace",
        target: String = "CASE WHEN sub > 0 THEN 'column ' || i.identity ELSE i.type || ' ' || i.identity END",
        owner: Oid = "owner",
        letter: char = "letter",
        acl: Option<Acl> = "ARRAY[now::text, coalesce(was, acldefault(letter, owner))::text]",
    }
}

fn define(rows: &Rows, oid: Oid, objects: &mut Objects<'_>) {
    for changed in rows.initial_privileges.of(oid) {
        let is_postgresqls = rows.schemas.get(changed.namespace).is_some_and(|schema| schema.name == "pg_catalog");
        if is_postgresqls || rows.is_member(&changed.class, oid) {
            objects.add_privileges(&changed.target, changed.owner, changed.letter, changed.acl.as_ref());
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::catalog::testing::Given;

    #[test]
    fn only_of_postgresql_and_extensions() {
        let changed = |namespace| {
            let acl = r#"{"{postgres=X/postgres}","{=X/postgres,postgres=X/postgres}"}"#;
            let object = [("class", "pg_proc"), ("namespace", namespace), ("target", "function x.f()")];
            let privileges = [("owner", "10"), ("letter", "f"), ("acl", acl)];
            let given = Given::database().role(10, "postgres");
            given.row("initial_privileges", 2000, &[object, privileges].concat())
        };
        assert_eq!(changed("11").define("privilege"), "execute on function x.f() to public: revoked");
        assert_eq!(changed("2200").define("privilege"), "");
        let given = changed("2200").of_extension("pg_proc", 2000);
        assert_eq!(given.define("privilege"), "execute on function x.f() to public: revoked");
    }
}
