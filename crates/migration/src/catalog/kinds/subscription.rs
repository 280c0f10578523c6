//! Subscriptions: the columns that everybody may read; the connection string is not one of them.

use crate::catalog::cells::Oid;
use crate::catalog::define::Objects;
use crate::catalog::rows::{Columns, PLAIN};
use crate::catalog::sources::Rows;
use crate::catalog::to_sql::{Otherwise, ToSql};

use super::Kind;

pub const KIND: Kind = Kind {
    names: &["subscription"],
    root: "subscriptions",
    define,
    // It has a slot on another server, which is not left behind.
    to_sql: ToSql {
        make: |_, _, _| Err(Otherwise::Never("its connection is not known")),
        change: |_, _, _, _| Err(Otherwise::Never("its connection is not known")),
        drop: |_, _, _| Err(Otherwise::Never("its slot on the publisher has to go with it")),
    },
};

pub const COLUMNS: Columns = Columns {
    name: "quote_ident(subname)",
    owner: "subowner",
    definition: "concat_ws(' ',
        'publication ' || array_to_string(ARRAY(SELECT quote_ident(q) FROM unnest(subpublications) q ORDER BY 1), ', '),
        CASE WHEN subenabled THEN 'enabled' ELSE 'disabled' END,
        CASE WHEN subbinary THEN 'binary' END,
        -- A boolean before PostgreSQL 16, a letter since.
        'streaming ' || left(substream::text, 1),
        'two phase ' || subtwophasestate::text,
        CASE WHEN subdisableonerr THEN 'disable on error' END,
        'slot ' || quote_ident(subslotname),
        'synchronous_commit ' || subsynccommit)",
    ..PLAIN
};

fn define(rows: &Rows, oid: Oid, objects: &mut Objects<'_>) {
    objects.add_named("subscription", "pg_subscription", oid, rows.subscriptions.get(oid));
    if let Some(subscription) = rows.subscriptions.get(oid) {
        let reason = "its connection, and options newer than PostgreSQL 15".to_owned();
        objects.cannot_describe("pg_subscription", subscription.name.clone(), reason);
    }
}

#[cfg(test)]
mod tests {
    use crate::catalog::testing::Given;

    #[test]
    fn its_connection_is_unknown() {
        let definition = "publication shop enabled streaming f slot shop synchronous_commit off";
        let given = Given::database().row("subscriptions", 20000, &[("name", "shop"), ("definition", definition)]);
        assert_eq!(given.define("subscription"), format!("shop: {definition}"));
        assert!(given.unmodelled().starts_with("pg_subscription shop: its connection"));
    }
}
