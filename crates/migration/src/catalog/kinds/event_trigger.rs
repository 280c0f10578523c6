//! Event triggers.

use crate::catalog::cells::Oid;
use crate::catalog::define::Objects;
use crate::catalog::rows::{Columns, PLAIN};
use crate::catalog::sources::Rows;

use super::Kind;

pub const KIND: Kind = Kind {
    names: &["event trigger"],
    root: "event_triggers",
    define,
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
