//! The query that reads all objects, put together from one file a kind.

use std::collections::BTreeSet;

/// What a file adds to the query.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Rows of the list of objects.
    Objects,
    /// Rows of the list of access lists.
    AccessLists,
    /// Rows of the answer.
    Answer,
}

/// One file, and under which name `probe.sql` reports that there is something for it to read
/// (`None`: it is always sent).
struct Part {
    name: &'static str,
    place: Place,
    probe: Option<&'static str>,
    sql: &'static str,
}

macro_rules! part {
    ($place:ident, always $name:literal) => {
        Part {
            name: $name,
            place: Place::$place,
            probe: None,
            sql: include_str!(concat!("sql/", $name, ".sql")),
        }
    };
    ($place:ident, probed $name:literal) => {
        part!($place, probed $name by $name)
    };
    ($place:ident, probed $name:literal by $probe:literal) => {
        Part {
            name: $name,
            place: Place::$place,
            probe: Some($probe),
            sql: include_str!(concat!("sql/", $name, ".sql")),
        }
    };
}

const PARTS: &[Part] = &[
    part!(Objects, always "schemas"),
    part!(Objects, always "extensions"),
    part!(Objects, probed "tables" by "relations"),
    part!(Objects, probed "columns" by "relations"),
    part!(Objects, probed "sequences"),
    part!(Objects, probed "constraints" by "relations"),
    part!(Objects, probed "indexes" by "relations"),
    part!(Objects, probed "functions"),
    part!(Objects, probed "triggers" by "relations"),
    part!(Objects, always "database"),
    part!(Objects, always "roles"),
    part!(Objects, probed "role_memberships"),
    part!(Objects, probed "role_settings"),
    part!(Objects, probed "views"),
    part!(Objects, probed "enums"),
    part!(Objects, probed "types"),
    part!(Objects, probed "policies"),
    part!(Objects, probed "operators"),
    part!(Objects, probed "conversions"),
    part!(Objects, probed "text_search"),
    part!(Objects, probed "foreign"),
    part!(Objects, probed "publications"),
    part!(AccessLists, always "access_lists"),
    part!(AccessLists, always "initial_privileges"),
    part!(AccessLists, probed "default_privileges"),
    part!(Answer, always "answer"),
    part!(Answer, always "comments"),
    part!(Answer, probed "labels"),
    part!(Answer, probed "extension_dependencies"),
    part!(Answer, always "unmodelled"),
    part!(Answer, probed "unmodelled_rare"),
    part!(Answer, probed "unmodelled_newer"),
];

/// Settings for the transaction of a read. Names are qualified in definitions unless `search_path`
/// finds them; compiling the query would take longer than running it; the rest is how values print.
pub(super) const SETTINGS: &str = "SET LOCAL search_path = ''; SET LOCAL jit = off; \
     SET LOCAL work_mem = '32MB'; SET LOCAL quote_all_identifiers = off; \
     SET LOCAL DateStyle = 'ISO'; SET LOCAL IntervalStyle = 'postgres'; \
     SET LOCAL TimeZone = 'UTC'; SET LOCAL extra_float_digits = 1; \
     SET LOCAL bytea_output = 'hex';";

/// Joins for a read of everything. Rows of lists that are put together within the query are counted badly, and those of
/// system catalogs that were never analysed too: taken for few, they were joined by nested loops, which took half a
/// minute for some thousand tables. Hash joins take the same time whatever the statistics say.
pub(super) const JOINS: &str = "SET LOCAL enable_nestloop = off; SET LOCAL enable_mergejoin = off;";

/// Asks which parts have something to read: one row, with a column for each that is probed.
pub(super) const PROBE: &str = include_str!("sql/probe.sql");

/// What the objects of new relations need; the schemas give the list its types.
const OF_RELATIONS: &[&str] = &[
    "schemas",
    "tables",
    "columns",
    "sequences",
    "constraints",
    "indexes",
    "triggers",
    "access_lists",
    "answer",
];

/// The query for the relations $1, and those that they belong to, alone; without comments. It looks them up one by one,
/// so it takes as long in a large database as in a small one. Of those that they belong to it tells less than all.
pub(super) fn of_relations() -> String {
    const ONLY: &str = "AND c.oid IN (
        SELECT pg_catalog.unnest($1::pg_catalog.oid[])
        UNION
        SELECT i.indrelid FROM pg_catalog.pg_index i WHERE i.indexrelid = ANY ($1)
        UNION
        SELECT d.refobjid FROM pg_catalog.pg_depend d
        WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = ANY ($1)
          AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass)";
    let base = include_str!("sql/base.sql")
        .replace("AS MATERIALIZED", "AS NOT MATERIALIZED")
        .replace("-- of all relations", ONLY);
    assemble(&base, |part| OF_RELATIONS.contains(&part.name))
}

/// The query with the parts that `found` names, or with all of them; without these relations and what belongs to them.
pub(super) fn text(found: Option<&BTreeSet<String>>, without: &[u32]) -> String {
    let mut base = include_str!("sql/base.sql").to_owned();
    if !without.is_empty() {
        let without: Vec<_> = without.iter().map(ToString::to_string).collect();
        let others = format!("AND c.oid <> ALL ('{{{}}}'::pg_catalog.oid[])", without.join(","));
        base = base.replace("-- of all relations", &others);
    }
    assemble(&base, |part| match (part.probe, found) {
        (Some(name), Some(found)) => found.contains(name),
        _ => true,
    })
}

fn assemble(base: &str, takes_part: impl Fn(&Part) -> bool) -> String {
    let rows = |place| {
        PARTS
            .iter()
            .filter(|part| part.place == place && takes_part(part))
            .map(|part| part.sql)
            .collect::<Vec<_>>()
            .join("UNION ALL\n")
    };
    [
        base,
        "object (classid, objid, objsubid, kind, identity, definition, owner, acltype, acl) \
         AS MATERIALIZED (\n",
        &rows(Place::Objects),
        "),\naccess_list (target, owner, acltype, acl, initial) AS (\n",
        &rows(Place::AccessLists),
        "),\n",
        include_str!("sql/privileges.sql"),
        &rows(Place::Answer),
    ]
    .concat()
}
