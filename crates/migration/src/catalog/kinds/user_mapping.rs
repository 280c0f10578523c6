//! User mappings. The view shows options only to those who may see them, so they are objects of their own: the mapping
//! itself is the same for every reader.

use crate::catalog::cells::{Oid, quote_literal};
use crate::catalog::define::{Object, Objects};
use crate::catalog::rows::row;
use crate::catalog::sources::Rows;
use crate::catalog::to_sql::{Otherwise, Statements, ToSql, keyword, one, role};
use crate::catalog::ObjectId;

use super::Kind;

pub const KIND: Kind = Kind {
    names: &["user mapping", "user mapping option"],
    root: "user_mappings",
    define,
    to_sql: ToSql {
        make: |_, id, definition| make(id, definition, "ADD"),
        change: |_, id, _, after| make(id, after, "SET"),
        drop: |_, id, _| match id.identity.split_once(" for ").filter(|_| id.kind == "user mapping option") {
            Some((name, whom)) => one(format!("ALTER USER MAPPING {} OPTIONS (DROP {name})", mapping(whom))),
            None => one(format!("DROP USER MAPPING {}", mapping(id.identity.trim_start_matches("for ")))),
        },
    },
};

row! {
    /// For whom a server is mapped.
    UserMapping {
        user: Oid = "umuser",
        /// Quoted; none is everybody.
        user_name: Option<String> = "quote_ident(usename)",
        /// As the unquoted name prints.
        raw_name: String = "coalesce(usename, 'public')",
        server: String = "quote_ident(srvname)",
        raw_server: String = "srvname",
        /// Names, quoted and not, and values.
        names: Vec<String> = "ARRAY(SELECT quote_ident(o.option_name) FROM pg_options_to_table(umoptions) o)",
        values: Vec<String> = "ARRAY(SELECT o.option_value FROM pg_options_to_table(umoptions) o)",
        /// There are options that this role may not read.
        is_hidden: bool = "umoptions IS NULL AND NOT pg_has_role(
            (SELECT s.srvowner FROM pg_catalog.pg_foreign_server s WHERE s.oid = srvid), 'USAGE')",
    }
}

/// Options whose values are nobody's business.
const SECRETS: [&str; 5] = ["pass", "secret", "token", "key", "cred"];

fn define(rows: &Rows, oid: Oid, objects: &mut Objects<'_>) {
    let Some(mapping) = rows.user_mappings.get(oid) else {
        return;
    };
    let user = match &mapping.user_name {
        _ if mapping.user == 0 => "public",
        _ if rows.is_migrator(mapping.user) => "the owner",
        name => name.as_deref().unwrap_or_default(),
    };
    let whom = format!("for {user} server {}", mapping.server);
    for (name, value) in mapping.names.iter().zip(&mapping.values) {
        let lower = name.to_lowercase();
        let is_secret = SECRETS.iter().any(|secret| lower.contains(secret));
        objects.add(Object {
            kind: "user mapping option",
            identity: format!("{name} {whom}"),
            definition: Some(if is_secret { "(secret)".to_owned() } else { quote_literal(value) }),
            ..Object::of("", 0)
        });
    }
    if mapping.is_hidden {
        let identity = format!("for {} server {}", mapping.raw_name, mapping.raw_server);
        objects.cannot_describe("pg_user_mapping", identity, "its options, which this role may not read".to_owned());
    }
    objects.add(Object {
        kind: "user mapping",
        identity: whom,
        definition: Some(String::new()),
        ..Object::of("pg_user_mapping", oid)
    });
}

fn make(id: &ObjectId, definition: &str, action: &str) -> Statements {
    match id.identity.split_once(" for ").filter(|_| id.kind == "user mapping option") {
        Some(_) if definition == "(secret)" => Err(Otherwise::Never("its value is a secret, which is not kept")),
        Some((name, whom)) => {
            one(format!("ALTER USER MAPPING {} OPTIONS ({action} {name} {definition})", mapping(whom)))
        }
        None => one(format!("CREATE {} {}", keyword(&id.kind), mapping(id.identity.trim_start_matches("for ")))),
    }
}

/// `FOR … SERVER …` of `whom server name`.
fn mapping(whom: &str) -> String {
    let (user, server) = whom.split_once(" server ").unwrap_or((whom, ""));
    format!("FOR {} SERVER {server}", role(user))
}

#[cfg(test)]
mod tests {
    use crate::catalog::testing::Given;

    #[test]
    fn for_whom() {
        let mapping = |user, user_name| {
            let values = [("user", user), ("user_name", user_name), ("server", "disk")];
            Given::database().migrator(20000).row("user_mappings", 1, &values).define("user mapping")
        };
        assert_eq!(mapping("0", ""), "for public server disk: ");
        assert_eq!(mapping("20000", "app"), "for the owner server disk: ");
        assert_eq!(mapping("20001", "reader"), "for reader server disk: ");
    }

    #[test]
    fn options_and_secrets() {
        let options = [("names", r#"{user,"\"userPassword\"",sslkey}"#), ("values", "{o'hara,123,/key}")];
        let given = Given::database().row("user_mappings", 1, &[&options[..], &[("server", "disk")]].concat());
        let expected = "\"userPassword\" for public server disk: (secret)\n\
                        sslkey for public server disk: (secret)\nuser for public server disk: 'o''hara'";
        assert_eq!(given.define("user mapping option"), expected);
        let hidden = [("raw_name", "public"), ("raw_server", "disk"), ("is_hidden", "t")];
        let unmodelled = Given::database().row("user_mappings", 1, &hidden).unmodelled();
        assert!(unmodelled.starts_with("pg_user_mapping for public server disk: its options"));
    }
}
