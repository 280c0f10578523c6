//! Settings of roles and of the database.

use crate::catalog::cells::Oid;
use crate::catalog::define::{Object, Objects};
use crate::catalog::rows::row;
use crate::catalog::sources::Rows;

use super::Kind;
use super::role::BOOTSTRAP;

pub const KIND: Kind = Kind {
    names: &["database setting", "role setting", "role setting in database"],
    root: "role_settings",
    define,
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
            (0, _) => ("database setting", String::new()),
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
