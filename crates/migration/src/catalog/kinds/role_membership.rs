//! Which role is a member of which.

use std::collections::BTreeMap;

use crate::catalog::cells::{Oid, words};
use crate::catalog::define::{Object, Objects};
use crate::catalog::rows::row;
use crate::catalog::sources::Rows;
use crate::catalog::to_sql::{MALFORMED, Otherwise, Statements, ToSql, one, role as named};
use crate::catalog::words::{Clauses};
use crate::catalog::ObjectId;

use super::Kind;
use super::role::BOOTSTRAP;

pub const KIND: Kind = Kind {
    names: &["role membership"],
    root: "role_memberships",
    define,
    to_sql: ToSql {
        make: |_, id, definition| make(id, definition),
        change: |_, _, _, _| Err(Otherwise::Anew),
        drop: |_, id, _| {
            let (member, of) = id.identity.split_once(" in ").ok_or(MALFORMED)?;
            one(format!("REVOKE {of} FROM {}", named(member)))
        },
    },
};

row! {
    /// That a member was granted a role, by one grantor.
    Membership {
        role: Oid = "roleid",
        grantor: Oid = "grantor",
        is_admin: bool = "admin_option",
        // Both from PostgreSQL 16 on; before, the member's own attribute decides.
        inherit: Option<bool> = "(to_jsonb(pg_auth_members) ->> 'inherit_option')::boolean",
        set: Option<bool> = "(to_jsonb(pg_auth_members) ->> 'set_option')::boolean",
    }
}

fn define(rows: &Rows, member: Oid, objects: &mut Objects<'_>) {
    let Some(role) = rows.roles.get(member).filter(|role| !role.is_predefined()) else {
        return;
    };
    let mut granted: BTreeMap<Oid, Vec<&Membership>> = BTreeMap::new();
    for membership in rows.role_memberships.of(member) {
        // PostgreSQL 16 makes the creator of a role its administrator by itself.
        let is_creator = membership.grantor == BOOTSTRAP
            && membership.is_admin
            && membership.inherit == Some(false)
            && membership.set == Some(false);
        if !is_creator && rows.roles.get(membership.role).is_some() {
            granted.entry(membership.role).or_default().push(membership);
        }
    }
    let who = if rows.is_migrator(member) { "the owner" } else { &role.name };
    for (of, memberships) in granted {
        let any = |option: fn(&Membership) -> Option<bool>| {
            memberships.iter().filter_map(|membership| option(membership)).reduce(|a, b| a || b)
        };
        let inherit = any(|membership| membership.inherit);
        objects.add(Object {
            kind: "role membership",
            identity: format!("{who} in {}", rows.role(of)),
            definition: Some(words([
                Some("member".to_owned()),
                memberships.iter().any(|membership| membership.is_admin).then(|| "with admin option".to_owned()),
                inherit.filter(|inherit| *inherit != role.inherits).map(|inherit| format!("inherit {inherit}")),
                (any(|membership| membership.set) == Some(false)).then(|| "set false".to_owned()),
            ])),
            ..Object::of("", 0)
        });
    }
}

fn make(id: &ObjectId, definition: &str) -> Statements {
    let (member, of) = id.identity.split_once(" in ").ok_or(MALFORMED)?;
    let clauses = Clauses::of(definition, &["with admin option", "inherit", "set"]);
    let options = words([
        // Before PostgreSQL 16 this is the only option, and spelled so.
        clauses.has("with admin option").then(|| "ADMIN OPTION".to_owned()),
        clauses.get("inherit").map(|inherit| format!("INHERIT {inherit}")),
        clauses.get("set").map(|set| format!("SET {set}")),
    ]);
    let options = options.replace("OPTION INHERIT", "OPTION, INHERIT").replace("OPTION SET", "OPTION, SET");
    let options = options.replace("true SET", "true, SET").replace("false SET", "false, SET");
    let with = if options.is_empty() { "" } else { " WITH " };
    one(format!("GRANT {of} TO {}{with}{options}", named(member)))
}

#[cfg(test)]
mod tests {
    use crate::catalog::testing::Given;

    /// The memberships of `app` in `readers`.
    fn in_readers(memberships: &[&[(&str, &str)]]) -> Given {
        let given = Given::database().role(20000, "app").role(20001, "readers");
        memberships.iter().fold(given, |given, values| {
            given.row("role_memberships", 20000, &[&[("role", "20001")], *values].concat())
        })
    }

    #[test]
    fn definition() {
        let before_16 = in_readers(&[&[("is_admin", "f")]]);
        assert_eq!(before_16.define("role membership"), "app in readers: member");
        assert_eq!(before_16.migrator(20000).define("role membership"), "the owner in readers: member");
        let less = in_readers(&[&[("is_admin", "f"), ("inherit", "f"), ("set", "f")]]);
        assert_eq!(less.define("role membership"), "app in readers: member inherit false set false");
    }

    #[test]
    fn of_several_grantors() {
        let as_creator = [("grantor", "10"), ("is_admin", "t"), ("inherit", "f"), ("set", "f")];
        assert_eq!(in_readers(&[&as_creator]).define("role membership"), "");
        let plain = [("grantor", "20002"), ("is_admin", "f"), ("inherit", "t"), ("set", "t")];
        let given = in_readers(&[&as_creator, &plain]);
        assert_eq!(given.define("role membership"), "app in readers: member");
        let admin = [("grantor", "20003"), ("is_admin", "t"), ("inherit", "f"), ("set", "f")];
        let given = in_readers(&[&admin, &plain]);
        assert_eq!(given.define("role membership"), "app in readers: member with admin option");
    }
}
