//! Indexes.

use crate::catalog::cells::{Oid, words};
use crate::catalog::define::{Object, Objects};
use crate::catalog::rows::row;
use crate::catalog::sources::Rows;
use crate::catalog::to_sql::{Ends, Otherwise, Statements, ToSql, one};
use crate::catalog::words::{Clauses};
use crate::catalog::ObjectId;
use crate::catalog::{outside_quotes, split_at_last_dot};

use super::Kind;
use super::table::tablespace;

pub const KIND: Kind = Kind {
    names: &["index"],
    root: "relations",
    define,
    to_sql: ToSql {
        make,
        change,
        drop,
    },
};

row! {
    /// What an index is like, besides being a relation.
    Index {
        table: Oid = "indrelid",
        definition: String = "pg_get_indexdef(indexrelid)",
        is_clustered: bool = "indisclustered",
        is_replica_identity: bool = "indisreplident",
        is_valid: bool = "indisvalid AND indisready AND indislive",
    }
}

fn define(rows: &Rows, oid: Oid, objects: &mut Objects<'_>) {
    let (Some((relation, identity)), Some(index)) = (rows.relation(oid), rows.indexes.get(oid)) else {
        return;
    };
    if rows.relation(index.table).is_none() {
        return;
    }
    let parent = rows.inherits.get(oid).and_then(|inherits| rows.relation(inherits.parent));
    let statistics = rows.columns.of(oid).iter().filter_map(|column| {
        let statistics = column.statistics?;
        Some((column.number, format!("statistics of column {} {statistics}", column.number)))
    });
    let mut statistics: Vec<_> = statistics.collect();
    statistics.sort();
    let first = [
        Some(index.definition.clone()),
        tablespace(rows, relation),
        parent.map(|(_, parent)| format!("attached to {parent}")),
        index.is_clustered.then(|| "clustered".to_owned()),
        index.is_replica_identity.then(|| "replica identity".to_owned()),
    ];
    let last = (!index.is_valid).then(|| "INVALID".to_owned());
    let statistics = statistics.into_iter().map(|(_, text)| Some(text));
    objects.add(Object {
        kind: "index",
        identity,
        definition: Some(words(first.into_iter().chain(statistics).chain([last]))),
        owner: relation.owner,
        ..Object::of("pg_class", oid)
    });
}

/// What stands behind CREATE INDEX.
const EXTRAS: &[&str] =
    &["tablespace", "attached to", "clustered", "replica identity", "statistics of column", "INVALID"];

/// CREATE INDEX, and what is said besides.
fn parts(definition: &str) -> Clauses<'_> {
    Clauses::of(definition, EXTRAS)
}

/// The table that an index is on.
pub fn table_of(definition: &str) -> Option<&str> {
    let on = outside_quotes(definition).find(|(at, _)| definition[*at..].starts_with(" ON "))?.0;
    let rest = &definition[on + " ON ".len()..];
    let rest = rest.strip_prefix("ONLY ").unwrap_or(rest);
    Some(&rest[..rest.find(" USING ")?])
}

/// The index of a partitioned table that it is a part of.
pub fn attached_to(definition: &str) -> Option<ObjectId> {
    Some(ObjectId::new("index", parts(definition).get("attached to")?))
}

/// The constraint that an index keeps, if there is one of its name.
pub fn constraint_of(id: &ObjectId, definition: &str) -> Option<ObjectId> {
    let (_, name) = split_at_last_dot(&id.identity)?;
    Some(ObjectId::new("constraint", format!("{name} on {}", table_of(definition)?)))
}

/// Whether it is of a partitioned table, which has none that is built while others write.
fn is_partitioned(create: &str) -> bool {
    create.contains(" ON ONLY ")
}

/// CREATE INDEX CONCURRENTLY, where it can be.
pub fn concurrently(definition: &str) -> String {
    let create = parts(definition).head;
    if is_partitioned(create) {
        return create.to_owned();
    }
    create.replacen("INDEX ", "INDEX CONCURRENTLY ", 1)
}

/// What is said of an index that is there.
pub fn settings(id: &ObjectId, definition: &str) -> Vec<String> {
    let clauses = parts(definition);
    let table = table_of(definition).unwrap_or_default();
    let name = split_at_last_dot(&id.identity).map_or("", |(_, name)| name);
    let alter = format!("ALTER INDEX {}", id.identity);
    let statements = [
        clauses.get("tablespace").map(|tablespace| format!("{alter} SET TABLESPACE {tablespace}")),
        clauses.get("attached to").map(|parent| format!("ALTER INDEX {parent} ATTACH PARTITION {}", id.identity)),
        clauses.has("clustered").then(|| format!("ALTER TABLE {table} CLUSTER ON {name}")),
        clauses.has("replica identity").then(|| format!("ALTER TABLE {table} REPLICA IDENTITY USING INDEX {name}")),
    ];
    let targets = clauses.get("statistics of column").into_iter().flat_map(|text| text.split(" statistics of column "));
    let targets = targets.filter_map(|target| target.split_once(' '));
    let targets = targets.map(|(column, target)| format!("{alter} ALTER COLUMN {column} SET STATISTICS {target}"));
    statements.into_iter().flatten().chain(targets).collect()
}

fn make(ends: &Ends<'_>, id: &ObjectId, definition: &str) -> Statements {
    if constraint_of(id, definition).is_some_and(|constraint| ends.after.contains_key(&constraint)) {
        // It comes with its constraint.
        return Ok(Vec::new());
    }
    let is_new = table_of(definition).is_some_and(|table| ends.makes(&ObjectId::new("table", table)));
    let create = if is_new { parts(definition).head.to_owned() } else { concurrently(definition) };
    Ok([create].into_iter().chain(settings(id, definition)).collect())
}

fn change(ends: &Ends<'_>, id: &ObjectId, before: &str, after: &str) -> Statements {
    let (was, is) = (parts(before), parts(after));
    let of_key = constraint_of(id, before).filter(|constraint| ends.before.contains_key(constraint));
    let is_less = was.has("attached to") && !is.has("attached to") || is.has("INVALID") && !was.has("INVALID");
    if is_less && of_key.is_some_and(|constraint| !ends.goes(&constraint)) {
        return Err(Otherwise::Never("the index of a key that stays is not taken out of that of the partitioned table"));
    }
    if was.head != is.head || was.has("attached to") {
        return Err(Otherwise::Anew);
    }
    let table = table_of(after).unwrap_or_default();
    let (had, has) = (settings(id, before), settings(id, after));
    let mut statements: Vec<String> = has.iter().filter(|setting| !had.contains(setting)).cloned().collect();
    for setting in had.iter().filter(|setting| !has.contains(setting)) {
        let back = match setting.rsplit_once(" SET STATISTICS ") {
            Some((alter, _)) if !has.iter().any(|setting| setting.starts_with(alter)) => {
                format!("{alter} SET STATISTICS -1")
            }
            Some(_) => continue,
            None if setting.contains(" CLUSTER ON ") => format!("ALTER TABLE {table} SET WITHOUT CLUSTER"),
            // The table says which other one it has.
            None if setting.contains(" REPLICA IDENTITY ") => continue,
            None => return Err(Otherwise::Anew),
        };
        statements.push(back);
    }
    Ok(statements)
}

fn drop(ends: &Ends<'_>, id: &ObjectId, definition: &str) -> Statements {
    if attached_to(definition).is_some_and(|whole| ends.after.contains_key(&whole)) {
        return Err(Otherwise::Never("it is a part of the index of the partitioned table, which stays"));
    }
    let goes_with = [constraint_of(id, definition), attached_to(definition)];
    if goes_with.iter().flatten().any(|other| ends.goes(other)) {
        return Ok(Vec::new());
    }
    let concurrently = if is_partitioned(definition) { "" } else { "CONCURRENTLY " };
    one(format!("DROP INDEX {concurrently}{}", id.identity))
}

#[cfg(test)]
mod tests {
    use crate::catalog::testing::Given;

    const DEFINITION: &str = "CREATE INDEX t_a ON public.t USING btree (a)";

    fn index(values: &[(&str, &str)]) -> Given {
        let usual = [("table", "1"), ("definition", DEFINITION)];
        let given = Given::database().relation(1, "r", "t").relation(2, "i", "t_a");
        given.row("indexes", 2, &[&usual[..], values].concat())
    }

    #[test]
    fn definition() {
        assert_eq!(index(&[("is_valid", "t")]).define("index"), format!("public.t_a: {DEFINITION}"));
        let given = index(&[("is_clustered", "t"), ("is_replica_identity", "t")])
            .row("columns", 2, &[("number", "10"), ("statistics", "50")])
            .row("columns", 2, &[("number", "9"), ("statistics", "100")]);
        let last = "clustered replica identity statistics of column 9 100 statistics of column 10 50 INVALID";
        assert_eq!(given.define("index"), format!("public.t_a: {DEFINITION} {last}"));
    }

    #[test]
    fn of_a_partition_or_an_extension() {
        let given = index(&[("is_valid", "t")]).relation(3, "I", "p_a").row("inherits", 2, &[("parent", "3")]);
        assert_eq!(given.define("index"), format!("public.t_a: {DEFINITION} attached to public.p_a"));
        assert_eq!(index(&[]).of_extension("pg_class", 1).define("index"), "");
    }
}
