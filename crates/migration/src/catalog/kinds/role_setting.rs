//! Settings of roles and of the database.

use crate::catalog::cells::Oid;
use crate::catalog::define::{Object, Objects};
use crate::catalog::rows::row;
use crate::catalog::sources::Rows;
use crate::catalog::to_sql::{MALFORMED, Statements, ToSql, block, role as named};
use crate::catalog::{ObjectId, outside_quotes};
use crate::catalog::cells::quote_literal;

use super::Kind;
use super::role::BOOTSTRAP;

pub const KIND: Kind = Kind {
    names: &["database setting", "role setting", "role setting in database"],
    root: "role_settings",
    define,
    to_sql: ToSql {
        make: |_, id, definition| set(id, Some(definition)),
        change: |_, id, _, after| set(id, Some(after)),
        drop: |_, id, _| set(id, None),
    },
};

row! {
    /// Settings of a role, of the database, or of a role in the database.
    Settings {
        is_of_database: bool = "setdatabase <> 0",
        settings: Vec<String> = "setconfig",
    }
}

fn define(rows: &Rows, role: Oid, objects: &mut Objects<'_>) {
    for of in rows.role_settings.of(role) {
        if role == BOOTSTRAP && !of.is_of_database {
            continue;
        }
        let (kind, whose) = match (role, of.is_of_database) {
            (0, true) => ("database setting", String::new()),
            // ALTER ROLE ALL.
            (0, false) => ("role setting", "all.".to_owned()),
            (_, is_of_database) => {
                let kind = if is_of_database { "role setting in database" } else { "role setting" };
                let whose = if rows.is_migrator(role) { "the owner".to_owned() } else { rows.role(role) };
                (kind, format!("{whose}."))
            }
        };
        for setting in &of.settings {
            let (name, value) = setting.split_once('=').unwrap_or((setting, ""));
            objects.add(Object {
                kind,
                identity: format!("{whose}{name}"),
                definition: Some(value.to_owned()),
                ..Object::of("", 0)
            });
        }
    }
}

/// The database's name is known only there, and how a value is quoted only to the setting itself.
fn set(id: &ObjectId, value: Option<&str>) -> Statements {
    let (whose, name) = match id.kind.as_str() {
        "database setting" => ("", id.identity.as_str()),
        _ => {
            let dot = outside_quotes(&id.identity).find(|(_, c)| *c == '.').ok_or(MALFORMED)?.0;
            (&id.identity[..dot], &id.identity[dot + 1..])
        }
    };
    let alter = match id.kind.as_str() {
        "database setting" => "ALTER DATABASE %1$I".to_owned(),
        "role setting" => format!("ALTER ROLE {}", named(whose)),
        _ => format!("ALTER ROLE {} IN DATABASE %1$I", named(whose)),
    };
    let (first, action) = match value {
        Some(value) => (
            format!("PERFORM set_config({}, {}, true); ", quote_literal(name), quote_literal(value)),
            format!("SET {name} FROM CURRENT"),
        ),
        None => (String::new(), format!("RESET {name}")),
    };
    let statement = quote_literal(&format!("{alter} {action}"));
    block(&format!("{first}EXECUTE format({statement}, current_database())"))
}

#[cfg(test)]
mod tests {
    use crate::catalog::testing::Given;

    #[test]
    fn whose_they_are() {
        let settings = |is_of_database, settings| [("is_of_database", is_of_database), ("settings", settings)];
        let given = Given::database()
            .role(10, "postgres")
            .role(20000, "app")
            .row("role_settings", 0, &settings("t", r#"{"search_path=\"$user\", public"}"#))
            .row("role_settings", 0, &settings("f", "{lock_timeout=1s}"))
            .row("role_settings", 10, &settings("f", "{work_mem=1GB}"))
            .row("role_settings", 20000, &settings("f", "{work_mem=64MB,application_name=a=b}"))
            .row("role_settings", 20000, &settings("t", "{work_mem=8MB}"));
        assert_eq!(given.define("database setting"), r#"search_path: "$user", public"#);
        assert_eq!(given.define("role setting"), "all.lock_timeout: 1s\napp.application_name: a=b\napp.work_mem: 64MB");
        assert_eq!(given.define("role setting in database"), "app.work_mem: 8MB");
        assert_eq!(given.migrator(20000).define("role setting in database"), "the owner.work_mem: 8MB");
    }
}
