//! Collations.

use crate::catalog::cells::Oid;
use crate::catalog::define::Objects;
use crate::catalog::rows::{Columns, PLAIN};
use crate::catalog::sources::Rows;
use crate::catalog::to_sql::{ToSql, one};
use crate::catalog::words::{Clauses};

use super::Kind;

pub const KIND: Kind = Kind {
    names: &["collation"],
    root: "collations",
    define,
    to_sql: ToSql {
        make: |_, id, definition| {
            let clauses = Clauses::of(definition, &["provider", "locale", "lc_collate", "lc_ctype", "rules", "not deterministic"]);
            let named = ["provider", "locale", "lc_collate", "lc_ctype", "rules"];
            let mut options: Vec<String> =
                named.iter().filter_map(|name| Some(format!("{name} = {}", clauses.get(name)?))).collect();
            options.extend(clauses.has("not deterministic").then(|| "deterministic = false".to_owned()));
            one(format!("CREATE COLLATION {} ({})", id.identity, options.join(", ")))
        },
        ..ToSql::USUAL
    },
};

pub const COLUMNS: Columns = Columns {
    namespace: "collnamespace",
    name: "quote_ident(collname)",
    owner: "collowner",
    // The column is colliculocale up to 16 and colllocale from 17 on; collicurules is new in 16.
    definition: "concat_ws(' ',
        'provider ' || CASE collprovider
            WHEN 'c' THEN 'libc' WHEN 'i' THEN 'icu' WHEN 'b' THEN 'builtin' WHEN 'd' THEN 'default'
            ELSE collprovider::text END,
        'locale ' || quote_literal(coalesce(
            to_jsonb(pg_collation) ->> 'colllocale', to_jsonb(pg_collation) ->> 'colliculocale')),
        'lc_collate ' || quote_literal(collcollate),
        'lc_ctype ' || quote_literal(collctype),
        'rules ' || quote_literal(to_jsonb(pg_collation) ->> 'collicurules'),
        CASE WHEN NOT collisdeterministic THEN 'not deterministic' END)",
    ..PLAIN
};

fn define(rows: &Rows, oid: Oid, objects: &mut Objects<'_>) {
    objects.add_named("collation", "pg_collation", oid, rows.collations.get(oid));
}

#[cfg(test)]
mod tests {
    use crate::catalog::testing::Given;

    #[test]
    fn only_in_schemas_of_users() {
        let in_schema = |namespace| {
            let definition = ("definition", "provider icu locale 'de' not deterministic");
            let values = [("namespace", namespace), ("name", "german"), definition];
            Given::database().row("collations", 20000, &values)
        };
        let given = in_schema("2200");
        assert_eq!(given.define("collation"), "public.german: provider icu locale 'de' not deterministic");
        assert_eq!(given.of_extension("pg_collation", 20000).define("collation"), "");
        assert_eq!(in_schema("11").define("collation"), "");
    }
}
