//! Triggers.

use crate::catalog::cells::{Oid, words};
use crate::catalog::define::{Object, Objects};
use crate::catalog::rows::row;
use crate::catalog::sources::Rows;

use super::Kind;

pub const KIND: Kind = Kind {
    names: &["trigger"],
    root: "relations",
    define,
};

row! {
    /// A trigger of a table or view.
    Trigger {
        oid: Oid = "oid",
        /// Quoted.
        name: String = "quote_ident(tgname)",
        definition: String = "pg_get_triggerdef(oid)",
        enabled: char = "tgenabled",
        parent: Oid = "tgparentid",
    }
}

/// When a trigger or rule fires, if not as usual.
pub fn firing(enabled: char) -> Option<String> {
    match enabled {
        'D' => Some("DISABLED".to_owned()),
        'R' => Some("ENABLED REPLICA".to_owned()),
        'A' => Some("ENABLED ALWAYS".to_owned()),
        _ => None,
    }
}

fn define(rows: &Rows, oid: Oid, objects: &mut Objects<'_>) {
    let Some((_, identity)) = rows.relation(oid) else {
        return;
    };
    for trigger in rows.triggers.of(oid) {
        // A partition's copy is an object only where it is switched otherwise than its original.
        let parents = rows.inherits.of(oid).iter().flat_map(|inherits| rows.triggers.of(inherits.parent));
        let original = parents.into_iter().find(|original| original.oid == trigger.parent);
        if original.is_some_and(|original| original.enabled == trigger.enabled) {
            continue;
        }
        objects.add(Object {
            kind: "trigger",
            identity: format!("{} on {identity}", trigger.name),
            definition: Some(words([Some(trigger.definition.clone()), firing(trigger.enabled)])),
            ..Object::of("pg_trigger", trigger.oid)
        });
    }
}
