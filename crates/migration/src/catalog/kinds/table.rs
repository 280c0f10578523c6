//! Tables and foreign tables; and what all relations have in common.

use crate::catalog::cells::{Oid, words};
use crate::catalog::define::{Object, Objects};
use crate::catalog::rows::{Acl, options, row};
use crate::catalog::sources::Rows;
use crate::catalog::to_sql::{Definitions, Ends, MALFORMED, Otherwise, Statements, ToSql, keyword, options as set_options, parameters, with};
use crate::catalog::words::{Clauses, items};
use crate::catalog::ObjectId;

use super::Kind;

pub const KIND: Kind = Kind {
    names: &["table", "foreign table"],
    root: "relations",
    define,
    to_sql: ToSql {
        make,
        change,
        ..ToSql::USUAL
    },
};

row! {
    /// A table, view, index, sequence or composite type.
    Relation {
        oid: Oid = "oid",
        namespace: Oid = "relnamespace",
        /// Quoted.
        name: String = "quote_ident(relname)",
        kind: char = "relkind",
        /// Where its rows are: of no definition, but it tells that they were written anew.
        file: Oid = "relfilenode",
        persistence: char = "relpersistence",
        owner: Oid = "relowner",
        acl: Option<Acl> = "CASE WHEN relacl IS NOT NULL THEN ARRAY[relacl::text, \
            acldefault(CASE relkind WHEN 'S' THEN 's' ELSE 'r' END::\"char\", relowner)::text] END",
        row_type: Oid = "reltype",
        access_method: Oid = "relam",
        tablespace: Oid = "reltablespace",
        toast: Oid = "reltoastrelid",
        options: Vec<String> = "reloptions",
        of_type: Option<String> = "CASE WHEN reloftype <> 0 THEN format_type(reloftype, NULL) END",
        is_partition: bool = "relispartition",
        bound: Option<String> = "CASE WHEN relispartition THEN pg_get_expr(relpartbound, oid) END",
        partition_key: Option<String> = "CASE relkind WHEN 'p' THEN pg_get_partkeydef(oid) END",
        row_security: bool = "relrowsecurity",
        forces_row_security: bool = "relforcerowsecurity",
        replica_identity: char = "relreplident",
    }
    name(namespace, name)
}

row! {
    /// That a relation inherits from another.
    Inherits {
        parent: Oid = "inhparent",
        number: i32 = "inhseqno",
        is_detaching: bool = "inhdetachpending",
    }
}

row! {
    /// What a foreign table has besides.
    Foreign {
        server: Oid = "ftserver",
        options: Option<String> = options!("ftoptions"),
    }
}

/// The options of a table and of what holds its long values, if there are any.
pub fn storage_options(rows: &Rows, relation: &Relation) -> Option<String> {
    let toast = rows.relations.get(relation.toast);
    let toast = toast.iter().flat_map(|toast| &toast.options).map(|option| format!("toast.{option}"));
    let mut options: Vec<String> = relation.options.iter().cloned().chain(toast).collect();
    options.sort();
    (!options.is_empty()).then(|| format!("with ({})", options.join(", ")))
}

/// How it is stored, if not as most tables are.
pub fn access_method(rows: &Rows, relation: &Relation) -> Option<String> {
    let method = &rows.access_methods.get(relation.access_method)?.name;
    (method != "heap").then(|| format!("using {method}"))
}

/// The tablespace, if it is not the database's own.
pub fn tablespace(rows: &Rows, relation: &Relation) -> Option<String> {
    let tablespace = rows.tablespaces.get(relation.tablespace)?;
    Some(format!("tablespace {}", tablespace.name))
}

fn define(rows: &Rows, oid: Oid, objects: &mut Objects<'_>) {
    let Some((table, identity)) = rows.relation(oid).filter(|(table, _)| "rpf".contains(table.kind)) else {
        return;
    };
    let inherits = rows.inherits.of(oid);
    let mut parents: Vec<_> = inherits
        .iter()
        .filter_map(|inherits| Some((inherits.number, rows.relation(inherits.parent)?.1)))
        .collect();
    parents.sort();
    let parents = parents.into_iter().map(|(_, parent)| parent).collect::<Vec<_>>().join(", ");
    let how = if table.is_partition { "partition of" } else { "inherits" };
    let foreign = rows.foreign_tables.get(oid);
    let server = foreign.and_then(|foreign| rows.servers.get(foreign.server));
    let definition = words([
        (table.persistence == 'u').then(|| "unlogged".to_owned()),
        table.of_type.as_ref().map(|of| format!("of {of}")),
        (!parents.is_empty()).then(|| format!("{how} {parents}")),
        table.bound.clone(),
        inherits.iter().any(|inherits| inherits.is_detaching).then(|| "detach pending".to_owned()),
        table.partition_key.as_ref().map(|key| format!("partition by {key}")),
        server.map(|server| format!("server {}", server.name)),
        foreign.and_then(|foreign| foreign.options.as_ref()).map(|options| format!("options ({options})")),
        access_method(rows, table),
        storage_options(rows, table),
        tablespace(rows, table),
        table.row_security.then(|| "row level security".to_owned()),
        table.forces_row_security.then(|| "forced row level security".to_owned()),
        match table.replica_identity {
            'f' => Some("replica identity full".to_owned()),
            'n' => Some("replica identity nothing".to_owned()),
            'i' => Some("replica identity index".to_owned()),
            _ => None,
        },
    ]);
    objects.add(Object {
        kind: if table.kind == 'f' { "foreign table" } else { "table" },
        identity,
        definition: Some(definition),
        owner: table.owner,
        acl: table.acl.as_ref(),
        letter: 'r',
        ..Object::of("pg_class", oid)
    });
}

const CLAUSES: &[&str] = &[
    "unlogged",
    "of",
    "partition of",
    "inherits",
    "detach pending",
    "partition by",
    "server",
    "options",
    "using",
    "with",
    "tablespace",
    "row level security",
    "forced row level security",
    "replica identity",
];

/// The tables that a table is a partition of, or inherits from.
pub fn parents(end: &Definitions, table: &str) -> Vec<String> {
    let definition = end.get(&ObjectId::new("table", table)).map(String::as_str).unwrap_or_default();
    let clauses = Clauses::of(definition, CLAUSES);
    let partition = clauses.get("partition of").and_then(|of| Some(of.split_once(' ')?.0));
    let inherits = clauses.get("inherits").map(items).unwrap_or_default();
    partition.into_iter().chain(inherits).map(ToOwned::to_owned).collect()
}

/// The partitions of a table that hold rows, those of partitions too.
pub fn partitions(end: &Definitions, table: &str) -> Vec<String> {
    let tables = end.keys().filter(|id| id.kind == "table");
    let own = tables.filter(|id| parents(end, &id.identity).iter().any(|parent| parent == table));
    own.flat_map(|id| match is_partitioned(end, &id.identity) {
        true => partitions(end, &id.identity),
        false => vec![id.identity.clone()],
    })
    .collect()
}

/// Whether a table has partitions.
pub fn is_partitioned(end: &Definitions, table: &str) -> bool {
    let definition = end.get(&ObjectId::new("table", table)).map(String::as_str).unwrap_or_default();
    Clauses::of(definition, CLAUSES).has("partition by")
}

fn make(ends: &Ends<'_>, id: &ObjectId, definition: &str) -> Statements {
    let name = &id.identity;
    let clauses = Clauses::of(definition, CLAUSES);
    let columns = super::column::in_table(ends.after, name, clauses.has("partition of"))?.join(", ");
    let shape = match clauses.get("of") {
        // Its columns are the type's.
        Some(of) => format!("OF {of}"),
        None => format!("({columns})"),
    };
    let unlogged = if clauses.has("unlogged") { "UNLOGGED " } else { "" };
    let parts = words([
        Some(format!("CREATE {unlogged}{} {name} {shape}", keyword(&id.kind))),
        clauses.get("inherits").map(|parents| format!("INHERITS ({parents})")),
        clauses.get("partition by").map(|key| format!("PARTITION BY {key}")),
        clauses.get("server").map(|server| format!("SERVER {server}")),
        clauses.get("options").map(|options| format!("OPTIONS {options}")),
        clauses.get("using").map(|method| format!("USING {method}")),
        clauses.get("with").map(with),
        clauses.get("tablespace").map(|tablespace| format!("TABLESPACE {tablespace}")),
    ]);
    let mut statements = vec![parts];
    if let Some(of) = clauses.get("partition of") {
        statements.push(attach(name, of)?);
    }
    statements.extend(settings(id, &Clauses::of("", CLAUSES), &clauses));
    if clauses.has("detach pending") {
        return Err(Otherwise::Never("it is on its way out of its parent"));
    }
    Ok(statements)
}

fn attach(name: &str, of: &str) -> Result<String, Otherwise> {
    let (parent, bound) = of.split_once(' ').ok_or(MALFORMED)?;
    Ok(format!("ALTER TABLE {parent} ATTACH PARTITION {name} {bound}"))
}

/// What ALTER TABLE alone says.
fn settings(id: &ObjectId, was: &Clauses<'_>, is: &Clauses<'_>) -> Vec<String> {
    let alter = |action: &str| format!("ALTER TABLE {} {action}", id.identity);
    let differs = |clause: &str| was.get(clause) != is.get(clause);
    let mut statements = Vec::new();
    if differs("row level security") {
        let action = if is.has("row level security") { "ENABLE" } else { "DISABLE" };
        statements.push(alter(&format!("{action} ROW LEVEL SECURITY")));
    }
    if differs("forced row level security") {
        let no = if is.has("forced row level security") { "" } else { "NO " };
        statements.push(alter(&format!("{no}FORCE ROW LEVEL SECURITY")));
    }
    match is.get("replica identity") {
        // The index says so; and a foreign table has none to choose.
        Some("index") => {}
        _ if id.kind == "foreign table" => {}
        which if differs("replica identity") => {
            statements.push(alter(&format!("REPLICA IDENTITY {}", which.unwrap_or("default"))));
        }
        _ => {}
    }
    statements
}

fn change(_: &Ends<'_>, id: &ObjectId, before: &str, after: &str) -> Statements {
    let name = &id.identity;
    let (was, is) = (Clauses::of(before, CLAUSES), Clauses::of(after, CLAUSES));
    let differs = |clause: &str| was.get(clause) != is.get(clause);
    let alter = |action: &str| format!("ALTER {} {name} {action}", keyword(&id.kind));
    if ["partition by", "server", "detach pending"].into_iter().any(differs) {
        return Err(Otherwise::Never("ALTER TABLE cannot change it, and to make it anew would lose its rows"));
    }
    let mut statements = Vec::new();
    if differs("partition of") {
        if let Some((parent, _)) = was.get("partition of").and_then(|of| of.split_once(' ')) {
            statements.push(format!("ALTER TABLE {parent} DETACH PARTITION {name}"));
        }
        if let Some(of) = is.get("partition of") {
            statements.push(attach(name, of)?);
        }
    }
    if differs("inherits") {
        let parents = |clauses: &Clauses<'_>| -> Vec<String> {
            items(clauses.get("inherits").unwrap_or_default()).into_iter().map(ToOwned::to_owned).collect()
        };
        let (had, has) = (parents(&was), parents(&is));
        let gone = had.iter().filter(|parent| !has.contains(parent));
        statements.extend(gone.map(|parent| alter(&format!("NO INHERIT {parent}"))));
        let new = has.iter().filter(|parent| !had.contains(parent));
        statements.extend(new.map(|parent| alter(&format!("INHERIT {parent}"))));
    }
    if differs("of") {
        statements.push(is.get("of").map_or_else(|| alter("NOT OF"), |of| alter(&format!("OF {of}"))));
    }
    if differs("unlogged") {
        statements.push(alter(if is.has("unlogged") { "SET UNLOGGED" } else { "SET LOGGED" }));
    }
    if differs("using") {
        statements.push(alter(&format!("SET ACCESS METHOD {}", is.get("using").unwrap_or("heap"))));
    }
    if differs("tablespace") {
        statements.push(alter(&format!("SET TABLESPACE {}", is.get("tablespace").unwrap_or("pg_default"))));
    }
    statements.extend(parameters(was.get("with"), is.get("with")).iter().map(|action| alter(action)));
    statements.extend(set_options(was.get("options"), is.get("options")).iter().map(|action| alter(action)));
    statements.extend(settings(id, &was, &is));
    Ok(statements)
}

#[cfg(test)]
mod tests {
    use crate::catalog::testing::Given;

    fn table(kind: &str, values: &[(&str, &str)]) -> Given {
        let usual = [("oid", "1"), ("namespace", "2200"), ("name", "t"), ("kind", kind)];
        Given::database().row("relations", 1, &[&usual[..], values].concat())
    }

    #[test]
    fn parents_and_partitions() {
        assert_eq!(table("p", &[("partition_key", "RANGE (a)")]).define("table"), "public.t: partition by RANGE (a)");
        let inherits = |number: &'static str, oid: &'static str| [("number", number), ("parent", oid)];
        let of_two = |given: Given| {
            let given = given.relation(2, "m", "a").relation(3, "m", "b");
            given.row("inherits", 1, &inherits("2", "2")).row("inherits", 1, &inherits("1", "3")).define("table")
        };
        assert_eq!(of_two(table("r", &[("persistence", "u")])), "public.t: unlogged inherits public.b, public.a");
        let partition = [("is_partition", "t"), ("bound", "DEFAULT")];
        assert_eq!(of_two(table("r", &partition)), "public.t: partition of public.b, public.a DEFAULT");
    }

    #[test]
    fn storage() {
        let given = table("r", &[("options", "{fillfactor=70}"), ("toast", "5"), ("access_method", "2")])
            .row("relations", 5, &[("kind", "t"), ("options", "{autovacuum_enabled=false}")])
            .row("access_methods", 2, &[("name", "heap")]);
        assert_eq!(given.define("table"), "public.t: with (fillfactor=70, toast.autovacuum_enabled=false)");
        let rows = [("row_security", "t"), ("forces_row_security", "t"), ("replica_identity", "f")];
        let expected = "public.t: row level security forced row level security replica identity full";
        assert_eq!(table("r", &rows).define("table"), expected);
    }

    #[test]
    fn foreign() {
        let given = table("f", &[])
            .row("foreign_tables", 1, &[("server", "20000"), ("options", "filename 'a.csv'")])
            .row("servers", 20000, &[("name", "files")]);
        assert_eq!(given.define("foreign table"), "public.t: server files options (filename 'a.csv')");
        assert_eq!(given.define("table"), "");
    }
}
