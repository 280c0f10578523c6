//! Publications, their tables and their schemas.

use crate::catalog::cells::{Oid, words};
use crate::catalog::define::{Object, Objects};
use crate::catalog::rows::{Columns, PLAIN, row};
use crate::catalog::sources::Rows;

use super::Kind;

pub const KINDS: &[Kind] = &[
    Kind {
        names: &["publication"],
        root: "publications",
        define: |rows, oid, objects| {
            objects.add_named("publication", "pg_publication", oid, rows.publications.get(oid));
        },
    },
    Kind {
        names: &["publication table"],
        root: "publication_tables",
        define: define_table,
    },
    Kind {
        names: &["publication schema"],
        root: "publication_schemas",
        define: define_schema,
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
