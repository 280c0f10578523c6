//! Publications, their tables and their schemas.

use crate::catalog::cells::{Oid, words};
use crate::catalog::define::{Object, Objects};
use crate::catalog::rows::{Columns, PLAIN, row};
use crate::catalog::sources::Rows;
use crate::catalog::to_sql::{MALFORMED, Otherwise, Statements, ToSql, one};
use crate::catalog::words::{Clauses, inside, items};
use crate::catalog::ObjectId;

use super::Kind;

pub const KINDS: &[Kind] = &[
    Kind {
        names: &["publication"],
        root: "publications",
        define: |rows, oid, objects| {
            objects.add_named("publication", "pg_publication", oid, rows.publications.get(oid));
        },
        to_sql: ToSql {
            make: |_, id, definition| {
                let (all, options) = publication(definition);
                let all = if all { " FOR ALL TABLES" } else { "" };
                one(format!("CREATE PUBLICATION {}{all} WITH ({options})", id.identity))
            },
            change: |_, id, before, after| {
                let ((was, had), (is, mut options)) = (publication(before), publication(after));
                if was != is {
                    return Err(Otherwise::Anew);
                }
                if had.contains("generated_columns") && !options.contains("generated_columns") {
                    options += ", publish_generated_columns = none";
                }
                one(format!("ALTER PUBLICATION {} SET ({options})", id.identity))
            },
            ..ToSql::USUAL
        },
    },
    Kind {
        names: &["publication table"],
        root: "publication_tables",
        define: define_table,
        to_sql: ToSql {
            make: |_, id, definition| alter(id, "ADD TABLE", definition),
            change: |_, _, _, _| Err(Otherwise::Anew),
            drop: |_, id, _| alter(id, "DROP TABLE", ""),
        },
    },
    Kind {
        names: &["publication schema"],
        root: "publication_schemas",
        define: define_schema,
        to_sql: ToSql {
            make: |_, id, definition| alter(id, "ADD TABLES IN SCHEMA", definition),
            change: |_, _, _, _| Err(Otherwise::Anew),
            drop: |_, id, _| alter(id, "DROP TABLES IN SCHEMA", ""),
        },
    },
];

pub const PUBLICATION: Columns = Columns {
    name: "quote_ident(pubname)",
    owner: "pubowner",
    definition: "concat_ws(' ',
        CASE WHEN puballtables THEN 'for all tables' END,
        'publish (' || concat_ws(', ',
            CASE WHEN pubinsert THEN 'insert' END, CASE WHEN pubupdate THEN 'update' END,
            CASE WHEN pubdelete THEN 'delete' END, CASE WHEN pubtruncate THEN 'truncate' END) || ')',
        CASE WHEN pubviaroot THEN 'via partition root' END,
        -- From PostgreSQL 18 on; n is what older servers do.
        'generated columns ' || nullif(to_jsonb(pg_publication) ->> 'pubgencols', 'n'))",
    ..PLAIN
};

row! {
    /// A table of a publication.
    PublicationTable {
        publication: Oid = "prpubid",
        table: Oid = "prrelid",
        columns: Vec<i32> = "'{' || array_to_string(prattrs::int2[], ',') || '}'",
        condition: Option<String> = "pg_get_expr(prqual, prrelid)",
    }
}

row! {
    /// A schema of a publication.
    PublicationSchema {
        publication: Oid = "pnpubid",
        schema: Oid = "pnnspid",
    }
}

fn define_table(rows: &Rows, oid: Oid, objects: &mut Objects<'_>) {
    let Some(of) = rows.publication_tables.get(oid) else {
        return;
    };
    let (Some(publication), Some((_, table))) = (rows.publications.get(of.publication), rows.relation(of.table)) else {
        return;
    };
    let columns = rows.columns.of(of.table).iter();
    let mut columns: Vec<&str> = columns
        .filter(|column| of.columns.contains(&column.number))
        .map(|column| column.name.as_str())
        .collect();
    columns.sort_unstable();
    objects.add(Object {
        kind: "publication table",
        identity: format!("{table} in {}", publication.name),
        definition: Some(words([
            (!columns.is_empty()).then(|| format!("({})", columns.join(", "))),
            of.condition.as_ref().map(|condition| format!("where {condition}")),
        ])),
        ..Object::of("pg_publication_rel", oid)
    });
}

fn define_schema(rows: &Rows, oid: Oid, objects: &mut Objects<'_>) {
    let Some(of) = rows.publication_schemas.get(oid) else {
        return;
    };
    if let (Some(publication), Some(schema)) = (rows.publications.get(of.publication), rows.schema(of.schema)) {
        objects.add(Object {
            kind: "publication schema",
            identity: format!("{schema} in {}", publication.name),
            definition: Some(String::new()),
            ..Object::of("pg_publication_namespace", oid)
        });
    }
}

/// Whether it is of all tables, and its options.
fn publication(definition: &str) -> (bool, String) {
    let clauses = Clauses::of(definition, &["for all tables", "publish", "via partition root", "generated columns"]);
    let mut options = vec![
        format!("publish = '{}'", items(inside(clauses.get("publish").unwrap_or_default())).join(", ")),
        format!("publish_via_partition_root = {}", clauses.has("via partition root")),
    ];
    options.extend(clauses.get("generated columns").map(|which| {
        let which = if which == "s" { "stored" } else { "none" };
        format!("publish_generated_columns = {which}")
    }));
    (clauses.has("for all tables"), options.join(", "))
}

/// What is said of a part: `part in publication`.
fn alter(id: &ObjectId, action: &str, definition: &str) -> Statements {
    let (part, publication) = id.identity.rsplit_once(" in ").ok_or(MALFORMED)?;
    one(format!("ALTER PUBLICATION {publication} {action} {part} {definition}"))
}

#[cfg(test)]
mod tests {
    use crate::catalog::testing::Given;

    fn publication() -> Given {
        let definition = ("definition", "publish (insert, update, delete, truncate)");
        Given::database().row("publications", 20000, &[("name", "shop"), definition])
    }

    #[test]
    fn tables() {
        let table = |columns| {
            publication()
                .relation(1, "r", "t")
                .row("columns", 1, &[("number", "1"), ("name", "b")])
                .row("columns", 1, &[("number", "2"), ("name", "a")])
                .row("columns", 1, &[("number", "3"), ("name", "c")])
                .row("publication_tables", 2, &[("publication", "20000"), ("table", "1"), ("columns", columns)])
                .define("publication table")
        };
        assert_eq!(table("{1,2}"), "public.t in shop: (a, b)");
        assert_eq!(table("{}"), "public.t in shop: ");
    }

    #[test]
    fn itself_and_schemas() {
        let given = publication().row("publication_schemas", 2, &[("publication", "20000"), ("schema", "2200")]);
        assert_eq!(given.define("publication"), "shop: publish (insert, update, delete, truncate)");
        assert_eq!(given.define("publication schema"), "public in shop: ");
    }
}
