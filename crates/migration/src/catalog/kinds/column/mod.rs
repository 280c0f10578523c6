//! Columns of tables, and of views if ALTER set something on them.

use crate::catalog::cells::{Oid, words};
use crate::catalog::define::{Object, Objects};
use crate::catalog::rows::{Acl, options, row};
use crate::catalog::sources::Rows;
use crate::catalog::to_sql::ToSql;

use super::Kind;
use super::table::Relation;

mod definition;
mod sql;

pub use definition::{Definition, Value};
pub use sql::in_table;

pub const KIND: Kind = Kind {
    names: &["column"],
    root: "relations",
    define,
    to_sql: ToSql {
        make: sql::make,
        change: sql::change,
        drop: sql::drop,
    },
};

row! {
    /// A column of a relation. Its number is not in its definition: a migration cannot change the order.
    Column {
        number: i32 = "attnum",
        /// Quoted.
        name: String = "quote_ident(attname)",
        /// As `format_type` prints it.
        type_name: String = "format_type(atttypid, atttypmod)",
        type_oid: Oid = "atttypid",
        collation: Oid = "attcollation",
        collation_name: Option<String> = "CASE WHEN attcollation <> 0 THEN attcollation::regcollation END",
        not_null: bool = "attnotnull",
        has_default: bool = "atthasdef",
        generated: char = "attgenerated",
        identity: char = "attidentity",
        storage: char = "attstorage",
        compression: char = "attcompression",
        statistics: Option<i32> = "CASE WHEN attstattarget >= 0 THEN attstattarget END",
        options: Vec<String> = "attoptions",
        foreign_options: Option<String> = options!("attfdwoptions"),
        is_local: bool = "attislocal",
        acl: Option<Acl> = "CASE WHEN attacl IS NOT NULL THEN ARRAY[attacl::text, '{}'] END",
    }
    name(number number, name)
}

row! {
    /// A default, or what a column is generated from.
    Default {
        number: i32 = "adnum",
        expression: String = "pg_get_expr(adbin, adrelid)",
    }
}

row! {
    /// What types give their columns, where it is neither plain storage without a collation nor, of an array, extended
    /// storage with the default collation.
    TypeDefaults {
        collation: Oid = "typcollation",
        storage: char = "typstorage",
    }
}

/// The default collation, `COLLATE "default"` (`pg_collation.dat`).
const DEFAULT_COLLATION: Oid = 100;

/// Whether it is its type's: then it goes without saying.
pub fn has_own_collation(rows: &Rows, type_oid: Oid, type_name: &str, collation: Oid) -> bool {
    let usual = match rows.type_defaults.get(type_oid) {
        Some(defaults) => defaults.collation,
        None if type_name.ends_with(']') => DEFAULT_COLLATION,
        None => 0,
    };
    collation != 0 && collation != usual
}

fn define(rows: &Rows, oid: Oid, objects: &mut Objects<'_>) {
    let Some((relation, identity)) = rows.relation(oid).filter(|(relation, _)| "rpfvmc".contains(relation.kind)) else {
        return;
    };
    for column in rows.columns.of(oid) {
        objects.add(Object {
            sub: column.number,
            kind: "column",
            identity: format!("{identity}.{}", column.name),
            definition: is_described(rows, relation, column).then(|| definition(rows, relation, column)),
            owner: relation.owner,
            acl: column.acl.as_ref(),
            letter: 'c',
            ..Object::of("pg_class", oid)
        });
    }
}

/// Columns of views and of composite types are in their parent's definition.
fn is_described(rows: &Rows, relation: &Relation, column: &Column) -> bool {
    match relation.kind {
        'r' | 'p' | 'f' => true,
        'v' => column.has_default,
        'm' => {
            column.statistics.is_some()
                || own_options(column).next().is_some()
                || column.compression != ' '
                || column.storage != usual_storage(rows, column)
        }
        _ => false,
    }
}

/// `pg_attver` is the server's own bookkeeping: current releases of 15 and 17 give each column a new number of that name,
/// 18 does not; `pg_dump` leaves it out, too.
fn own_options(column: &Column) -> impl Iterator<Item = &String> {
    column.options.iter().filter(|option| !option.starts_with("pg_attver="))
}

fn usual_storage(rows: &Rows, column: &Column) -> char {
    match rows.type_defaults.get(column.type_oid) {
        Some(defaults) => defaults.storage,
        None if column.type_name.ends_with(']') => 'x',
        None => 'p',
    }
}

fn definition(rows: &Rows, relation: &Relation, column: &Column) -> String {
    let default = rows.defaults.of(relation.oid).iter().find(|default| default.number == column.number);
    let constraints = rows.constraints.of(relation.oid);
    let not_null = constraints.iter().find(|not_null| not_null.kind == 'n' && not_null.column == column.number);
    let mut options: Vec<&str> = own_options(column).map(String::as_str).collect();
    options.sort_unstable();
    words([
        Some(column.type_name.clone()),
        has_own_collation(rows, column.type_oid, &column.type_name, column.collation)
            .then(|| format!("collate {}", column.collation_name.as_deref().unwrap_or_default())),
        // In PostgreSQL 18 attnotnull is also set while the constraint is not valid.
        column.not_null.then(|| match not_null {
            Some(not_null) if !not_null.is_validated => "not null not valid".to_owned(),
            Some(not_null) if not_null.no_inherit => "not null no inherit".to_owned(),
            _ => "not null".to_owned(),
        }),
        default.map(|default| match column.generated {
            ' ' => format!("default {}", default.expression),
            's' => format!("generated always as ({}) stored", default.expression),
            'v' => format!("generated always as ({}) virtual", default.expression),
            _ => format!("generated always as ({}", default.expression),
        }),
        match column.identity {
            'a' => Some("generated always as identity".to_owned()),
            'd' => Some("generated by default as identity".to_owned()),
            _ => None,
        },
        super::sequence::of_identity(rows, relation, column.number),
        (column.storage != usual_storage(rows, column)).then(|| match column.storage {
            'p' => "storage plain".to_owned(),
            'e' => "storage external".to_owned(),
            'm' => "storage main".to_owned(),
            _ => "storage extended".to_owned(),
        }),
        match column.compression {
            ' ' => None,
            'p' => Some("compression pglz".to_owned()),
            'l' => Some("compression lz4".to_owned()),
            other => Some(format!("compression {other}")),
        },
        column.statistics.map(|statistics| format!("statistics {statistics}")),
        (!options.is_empty()).then(|| format!("with ({})", options.join(", "))),
        column.foreign_options.as_ref().map(|options| format!("options ({options})")),
        (!column.is_local).then(|| "inherited".to_owned()),
    ])
}

#[cfg(test)]
mod tests {
    use crate::catalog::testing::Given;

    /// A column of `public.t`, whose type is stored plainly.
    fn column(values: &[(&str, &str)]) -> String {
        let usual = [("number", "1"), ("name", "a"), ("type_name", "integer"), ("storage", "p"), ("is_local", "t")];
        Given::database()
            .relation(1, "r", "t")
            .row("columns", 1, &[&usual[..], values].concat())
            .row("defaults", 1, &[("number", "1"), ("expression", "b + 1")])
            .define("column")
    }

    #[test]
    fn definition() {
        assert_eq!(column(&[]), "public.t.a: integer default b + 1");
        assert_eq!(column(&[("not_null", "t")]), "public.t.a: integer not null default b + 1");
        assert_eq!(column(&[("generated", "s")]), "public.t.a: integer generated always as (b + 1) stored");
    }

    #[test]
    fn what_goes_without_saying() {
        assert!(column(&[("storage", "x")]).ends_with("storage extended"));
        assert!(!column(&[("type_name", "integer[]"), ("storage", "x")]).contains("storage"));
        assert!(!column(&[("options", "{pg_attver=2}")]).contains("with"));
        assert!(column(&[("options", "{n_distinct=5}")]).ends_with("with (n_distinct=5)"));
    }
}
