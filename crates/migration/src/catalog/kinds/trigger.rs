//! Triggers.

use crate::catalog::cells::{Oid, words};
use crate::catalog::define::{Object, Objects};
use crate::catalog::rows::row;
use crate::catalog::sources::Rows;
use crate::catalog::to_sql::{Definitions, Ends, Otherwise, Statements, ToSql, firing as fires, on_table, one};
use crate::catalog::ObjectId;

use super::Kind;

pub const KIND: Kind = Kind {
    names: &["trigger"],
    root: "relations",
    define,
    to_sql: ToSql {
        make,
        change: |_, id, before, after| change(id, before, after),
        drop,
    },
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

/// The trigger of a partitioned table of which a partition has a copy.
fn original<'a>(end: &'a Definitions, id: &ObjectId) -> Option<&'a String> {
    let (name, table) = on_table(id).ok()?;
    let parents = super::table::parents(end, table).into_iter();
    parents.filter_map(|parent| end.get(&ObjectId::new("trigger", format!("{name} on {parent}")))).next()
}

fn make(ends: &Ends<'_>, id: &ObjectId, definition: &str) -> Statements {
    let (create, action) = fires(definition);
    if original(ends.after, id).is_some() {
        return one(switch(id, action)?);
    }
    let mut statements = vec![create.to_owned()];
    if action != "ENABLE" {
        statements.push(switch(id, action)?);
    }
    Ok(statements)
}

fn change(id: &ObjectId, before: &str, after: &str) -> Statements {
    let ((was, before), (is, after)) = (fires(before), fires(after));
    if was == is {
        return one(switch(id, after)?);
    }
    // A constraint trigger cannot be replaced.
    let rest = is.strip_prefix("CREATE TRIGGER ").filter(|_| was.starts_with("CREATE TRIGGER "));
    let rest = rest.ok_or(Otherwise::Anew)?;
    let mut statements = vec![format!("CREATE OR REPLACE TRIGGER {rest}")];
    if before != after {
        statements.push(switch(id, after)?);
    }
    Ok(statements)
}

fn drop(ends: &Ends<'_>, id: &ObjectId, definition: &str) -> Statements {
    match original(ends.after, id) {
        Some(original) => one(switch(id, fires(original).1)?),
        // It goes with its original.
        None if original(ends.before, id).is_some() => Ok(Vec::new()),
        None => (ToSql::USUAL.drop)(ends, id, definition),
    }
}

fn switch(id: &ObjectId, action: &str) -> Result<String, Otherwise> {
    let (name, table) = on_table(id)?;
    Ok(format!("ALTER TABLE {table} {action} TRIGGER {name}"))
}

#[cfg(test)]
mod tests {
    use crate::catalog::testing::Given;

    const DEFINITION: &str = "CREATE TRIGGER log AFTER INSERT ON public.t FOR EACH ROW EXECUTE FUNCTION public.f()";

    /// A trigger of `public.t`, and its copy on the partition `public.t_1`.
    fn triggers(original: &str, copy: &str) -> String {
        let trigger = [("name", "log"), ("definition", DEFINITION)];
        Given::database()
            .relation(1, "p", "t")
            .row("triggers", 1, &[&trigger[..], &[("oid", "3"), ("enabled", original)]].concat())
            .relation(2, "r", "t_1")
            .row("inherits", 2, &[("parent", "1")])
            .row("triggers", 2, &[&trigger[..], &[("oid", "4"), ("enabled", copy), ("parent", "3")]].concat())
            .define("trigger")
    }

    #[test]
    fn when_they_fire() {
        assert_eq!(triggers("O", "O"), format!("log on public.t: {DEFINITION}"));
        assert_eq!(triggers("D", "D"), format!("log on public.t: {DEFINITION} DISABLED"));
        let switched = format!("log on public.t: {DEFINITION} ENABLED ALWAYS\nlog on public.t_1: {DEFINITION}");
        assert_eq!(triggers("A", "R"), format!("{switched} ENABLED REPLICA"));
        assert_eq!(triggers("A", "O"), switched);
    }
}
