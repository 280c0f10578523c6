//! Event triggers.

use crate::catalog::cells::Oid;
use crate::catalog::define::Objects;
use crate::catalog::rows::{Columns, PLAIN};
use crate::catalog::sources::Rows;
use crate::catalog::to_sql::{Otherwise, ToSql, firing, one};

use super::Kind;

pub const KIND: Kind = Kind {
    names: &["event trigger"],
    root: "event_triggers",
    define,
    to_sql: ToSql {
        make: |_, id, definition| {
            let (definition, action) = firing(definition);
            let mut statements = vec![format!("CREATE EVENT TRIGGER {} {definition}", id.identity)];
            if action != "ENABLE" {
                statements.push(format!("ALTER EVENT TRIGGER {} {action}", id.identity));
            }
            Ok(statements)
        },
        change: |_, id, before, after| match (firing(before), firing(after)) {
            ((was, _), (is, action)) if was == is => one(format!("ALTER EVENT TRIGGER {} {action}", id.identity)),
            _ => Err(Otherwise::Anew),
        },
        ..ToSql::USUAL
    },
};

pub const COLUMNS: Columns = Columns {
    name: "quote_ident(evtname)",
    owner: "evtowner",
    definition: "concat_ws(' ',
        'on ' || evtevent,
        'when tag in (' || (SELECT string_agg(quote_literal(tag), ', ' ORDER BY tag) FROM unnest(evttags) tag) || ')',
        'execute function ' || evtfoid::regprocedure,
        CASE evtenabled
            WHEN 'D' THEN 'DISABLED' WHEN 'R' THEN 'ENABLED REPLICA' WHEN 'A' THEN 'ENABLED ALWAYS' END)",
    ..PLAIN
};

fn define(rows: &Rows, oid: Oid, objects: &mut Objects<'_>) {
    objects.add_named("event trigger", "pg_event_trigger", oid, rows.event_triggers.get(oid));
}

#[cfg(test)]
mod tests {
    use crate::catalog::testing::Given;

    #[test]
    fn definition_and_owner() {
        let definition = "on ddl_command_end execute function public.log() DISABLED";
        let values = [("name", "log"), ("owner", "20001"), ("definition", definition)];
        let given = Given::database().role(20001, "app").row("event_triggers", 20000, &values);
        assert_eq!(given.define("event trigger"), format!("log: {definition}"));
        assert_eq!(given.define("owner"), "of event trigger log: app");
        let given = given.migrator(20001);
        assert_eq!(given.define("owner"), "");
        assert_eq!(given.of_extension("pg_event_trigger", 20000).define("event trigger"), "");
    }
}
