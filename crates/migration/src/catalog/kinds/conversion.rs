//! Conversions between encodings.

use crate::catalog::cells::Oid;
use crate::catalog::define::Objects;
use crate::catalog::rows::{Columns, PLAIN};
use crate::catalog::sources::Rows;
use crate::catalog::to_sql::{ToSql, one};

use super::Kind;

pub const KIND: Kind = Kind {
    names: &["conversion"],
    root: "conversions",
    define,
    to_sql: ToSql {
        make: |_, id, definition| {
            let rest = definition.strip_prefix("default ");
            let default = if rest.is_some() { "DEFAULT " } else { "" };
            one(format!("CREATE {default}CONVERSION {} {}", id.identity, rest.unwrap_or(definition)))
        },
        ..ToSql::USUAL
    },
};

pub const COLUMNS: Columns = Columns {
    namespace: "connamespace",
    name: "quote_ident(conname)",
    owner: "conowner",
    definition: "concat_ws(' ',
        CASE WHEN condefault THEN 'default' END,
        'for ' || quote_literal(pg_encoding_to_char(conforencoding)),
        'to ' || quote_literal(pg_encoding_to_char(contoencoding)),
        'from ' || conproc)",
    ..PLAIN
};

fn define(rows: &Rows, oid: Oid, objects: &mut Objects<'_>) {
    objects.add_named("conversion", "pg_conversion", oid, rows.conversions.get(oid));
}

#[cfg(test)]
mod tests {
    use crate::catalog::testing::Given;

    #[test]
    fn definition() {
        let definition = "default for 'LATIN1' to 'UTF8' from public.latin1_to_utf8";
        let values = [("namespace", "2200"), ("name", "mine"), ("owner", "20001"), ("definition", definition)];
        let given = Given::database().role(20001, "app").row("conversions", 20000, &values);
        assert_eq!(given.define("conversion"), format!("public.mine: {definition}"));
        assert_eq!(given.define("owner"), "of conversion public.mine: app");
        assert_eq!(given.of_extension("pg_conversion", 20000).define("conversion"), "");
    }
}
