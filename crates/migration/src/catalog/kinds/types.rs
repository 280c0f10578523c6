//! Types and domains. Row types of tables, array types and multirange types come with what they belong to.

use crate::catalog::cells::{Oid, quote_literal, words};
use crate::catalog::define::{Object, Objects};
use crate::catalog::rows::{Acl, row};
use crate::catalog::sources::Rows;
use crate::catalog::to_sql::{MALFORMED, Otherwise, Statements, ToSql, on_table, one};
use crate::catalog::words::{Clauses, inside, items};
use crate::catalog::ObjectId;

use super::Kind;
use super::column::has_own_collation;

pub const KIND: Kind = Kind {
    names: &["type", "domain", "domain constraint"],
    root: "types",
    define,
    to_sql: ToSql {
        make: |_, id, definition| make(id, definition),
        change: |_, id, before, after| change(id, before, after),
        drop: |_, id, definition| match id.kind.as_str() {
            "domain constraint" => {
                let (name, domain) = on_table(id)?;
                one(format!("ALTER DOMAIN {domain} DROP CONSTRAINT {name}"))
            }
            // Its functions go along.
            _ if definition.starts_with("base ") => one(format!("DROP TYPE {} CASCADE", id.identity)),
            kind => one(format!("DROP {} {}", kind.to_uppercase(), id.identity)),
        },
    },
};

row! {
    /// A type.
    Type {
        oid: Oid = "oid",
        namespace: Oid = "typnamespace",
        /// Quoted.
        name: String = "quote_ident(typname)",
        kind: char = "typtype",
        relation: Oid = "typrelid",
        owner: Oid = "typowner",
        acl: Option<Acl> = "CASE WHEN typacl IS NOT NULL THEN ARRAY[typacl::text, acldefault('T', typowner)::text] END",
        /// Of a base type or a domain.
        definition: String = DEFINITION,
        /// Of a domain: its type, and its collation.
        base: Option<String> = "CASE typtype WHEN 'd' THEN format_type(typbasetype, typtypmod) END",
        base_oid: Oid = "typbasetype",
        collation: Oid = "typcollation",
        collation_name: Option<String> = "CASE WHEN typtype = 'd' AND typcollation <> 0 THEN typcollation::regcollation END",
        not_null: bool = "typnotnull",
        default: Option<String> = "CASE typtype WHEN 'd' THEN coalesce(pg_get_expr(typdefaultbin, 0), typdefault) END",
    }
    name(namespace, name)
}

const DEFINITION: &str = "CASE typtype WHEN 'b' THEN concat_ws(' ',
    'base input ' || typinput, 'output ' || typoutput,
    CASE WHEN typreceive <> 0 THEN 'receive ' || typreceive END,
    CASE WHEN typsend <> 0 THEN 'send ' || typsend END,
    CASE WHEN typmodin <> 0 THEN 'typmod in ' || typmodin END,
    CASE WHEN typmodout <> 0 THEN 'typmod out ' || typmodout END,
    CASE WHEN typanalyze <> 0 THEN 'analyze ' || typanalyze END,
    CASE WHEN typsubscript <> 0 THEN 'subscript ' || typsubscript END,
    'length ' || typlen,
    CASE WHEN typbyval THEN 'by value' END,
    'alignment ' || typalign::text, 'storage ' || typstorage::text, 'category ' || typcategory::text,
    CASE WHEN typispreferred THEN 'preferred' END,
    'delimiter ' || typdelim::text,
    CASE WHEN typelem <> 0 THEN 'element ' || format_type(typelem, NULL) END,
    CASE WHEN typcollation <> 0 THEN 'collatable' END,
    'default ' || quote_literal(typdefault)) END";

row! {
    /// A label of an enum.
    Label {
        order: String = "enumsortorder",
        label: String = "quote_literal(enumlabel)",
    }
}

row! {
    /// What a range type is made of.
    Range {
        definition: String = RANGE,
    }
}

const RANGE: &str = "concat_ws(' ',
    'range of ' || format_type(rngsubtype, NULL),
    'operator class ' || (SELECT quote_ident(a.object_names[2]) || '.' || quote_ident(a.object_names[3])
        FROM pg_identify_object_as_address('pg_catalog.pg_opclass'::regclass, rngsubopc, 0) a),
    CASE WHEN rngcollation <> 0 THEN 'collate ' || rngcollation::regcollation END,
    CASE WHEN rngcanonical <> 0 THEN 'canonical ' || rngcanonical END,
    CASE WHEN rngsubdiff <> 0 THEN 'subtype difference ' || rngsubdiff END,
    'multirange ' || format_type(rngmultitypid, NULL))";

row! {
    /// A constraint of a domain.
    DomainConstraint {
        oid: Oid = "oid",
        /// Quoted.
        name: String = "quote_ident(conname)",
        definition: Option<String> = "CASE WHEN contype <> 'n' THEN pg_get_constraintdef(oid) END",
    }
}

fn define(rows: &Rows, oid: Oid, objects: &mut Objects<'_>) {
    let Some(of) = rows.types.get(oid).filter(|_| !rows.is_member("pg_type", oid)) else {
        return;
    };
    let Some(schema) = rows.schema(of.namespace) else {
        return;
    };
    let identity = format!("{schema}.{}", of.name);
    let definition = match of.kind {
        'b' => of.definition.clone(),
        'c' if rows.relations.get(of.relation).is_some_and(|relation| relation.kind == 'c') => composite(rows, of),
        'd' => domain(rows, of),
        'e' => enumeration(rows, oid),
        'p' => "shell".to_owned(),
        'r' => rows.ranges.get(oid).map(|range| range.definition.clone()).unwrap_or_default(),
        'c' | 'm' => return,
        other => return objects.cannot_describe("pg_type", identity, format!("type of kind {other}")),
    };
    for constraint in rows.domain_constraints.of(oid) {
        objects.add(Object {
            kind: "domain constraint",
            identity: format!("{} on {identity}", constraint.name),
            definition: constraint.definition.clone(),
            ..Object::of("pg_constraint", constraint.oid)
        });
    }
    objects.add(Object {
        kind: if of.kind == 'd' { "domain" } else { "type" },
        identity,
        definition: Some(definition),
        owner: of.owner,
        acl: of.acl.as_ref(),
        letter: 'T',
        ..Object::of("pg_type", oid)
    });
}

fn composite(rows: &Rows, of: &Type) -> String {
    let mut attributes: Vec<_> = rows.columns.of(of.relation).iter().collect();
    attributes.sort_by_key(|attribute| attribute.number);
    let attributes = attributes.into_iter().map(|attribute| {
        let collation = attribute.collation_name.as_ref();
        let collation = collation.filter(|_| {
            has_own_collation(rows, attribute.type_oid, &attribute.type_name, attribute.collation)
        });
        let collation = collation.map(|collation| format!(" collate {collation}")).unwrap_or_default();
        format!("{} {}{collation}", attribute.name, attribute.type_name)
    });
    format!("({})", attributes.collect::<Vec<_>>().join(", "))
}

fn domain(rows: &Rows, of: &Type) -> String {
    let base = of.base.clone().unwrap_or_default();
    let collation = has_own_collation(rows, of.base_oid, &base, of.collation);
    words([
        Some(base),
        of.collation_name.as_ref().filter(|_| collation).map(|collation| format!("collate {collation}")),
        of.not_null.then(|| "not null".to_owned()),
        of.default.as_ref().map(|default| format!("default {default}")),
    ])
}

fn enumeration(rows: &Rows, oid: Oid) -> String {
    let mut labels: Vec<_> = rows.labels.of(oid).iter().collect();
    let order = |label: &Label| label.order.parse::<f32>().unwrap_or_default();
    labels.sort_by(|a, b| order(a).total_cmp(&order(b)));
    let labels: Vec<_> = labels.into_iter().map(|label| label.label.as_str()).collect();
    format!("enum ({})", labels.join(", "))
}

const RANGE_CLAUSES: &[&str] =
    &["range of", "operator class", "collate", "canonical", "subtype difference", "multirange"];
const BASE_CLAUSES: &[&str] = &[
    "base input", "output", "receive", "send", "typmod in", "typmod out", "analyze", "subscript", "length", "by value",
    "alignment", "storage", "category", "preferred", "delimiter", "element", "collatable", "default",
];
const DOMAIN_CLAUSES: &[&str] = &["collate", "not null", "default"];

fn make(id: &ObjectId, definition: &str) -> Statements {
    let name = &id.identity;
    if id.kind == "domain constraint" {
        let (name, domain) = on_table(id)?;
        return one(format!("ALTER DOMAIN {domain} ADD CONSTRAINT {name} {definition}"));
    }
    if id.kind == "domain" {
        return one(format!("CREATE DOMAIN {name} AS {definition}"));
    }
    if let Some(labels) = definition.strip_prefix("enum ") {
        return one(format!("CREATE TYPE {name} AS ENUM {labels}"));
    }
    if definition == "shell" {
        return one(format!("CREATE TYPE {name}"));
    }
    if definition.starts_with("range of ") {
        let clauses = Clauses::of(definition, RANGE_CLAUSES);
        let options = [
            ("range of", "subtype"),
            ("operator class", "subtype_opclass"),
            ("collate", "collation"),
            ("canonical", "canonical"),
            ("subtype difference", "subtype_diff"),
            ("multirange", "multirange_type_name"),
        ];
        let options = options.iter().filter_map(|(clause, option)| Some(format!("{option} = {}", clauses.get(clause)?)));
        return one(format!("CREATE TYPE {name} AS RANGE ({})", options.collect::<Vec<_>>().join(", ")));
    }
    if definition.starts_with('(') {
        return one(format!("CREATE TYPE {name} AS {definition}"));
    }
    base(name, definition)
}

/// A base type: its functions need its name before they are there.
fn base(name: &str, definition: &str) -> Statements {
    let clauses = Clauses::of(definition, BASE_CLAUSES);
    let mut options = Vec::new();
    for clause in BASE_CLAUSES {
        let Some(value) = clauses.get(clause) else { continue };
        options.push(match (*clause, value) {
            ("base input", value) => format!("input = {value}"),
            ("typmod in", value) => format!("typmod_in = {value}"),
            ("typmod out", value) => format!("typmod_out = {value}"),
            ("length", "-1") => "internallength = variable".to_owned(),
            ("length", value) => format!("internallength = {value}"),
            ("by value", _) => "passedbyvalue".to_owned(),
            ("alignment", "c") => "alignment = char".to_owned(),
            ("alignment", "s") => "alignment = int2".to_owned(),
            ("alignment", "i") => "alignment = int4".to_owned(),
            ("alignment", _) => "alignment = double".to_owned(),
            ("storage", "p") => "storage = plain".to_owned(),
            ("storage", "e") => "storage = external".to_owned(),
            ("storage", "x") => "storage = extended".to_owned(),
            ("storage", _) => "storage = main".to_owned(),
            ("category", value) => format!("category = {}", quote_literal(value)),
            ("delimiter", value) => format!("delimiter = {}", quote_literal(value)),
            ("preferred", _) => "preferred = true".to_owned(),
            ("collatable", _) => "collatable = true".to_owned(),
            (clause, value) => format!("{clause} = {value}"),
        });
    }
    Ok(vec![format!("CREATE TYPE {name}"), format!("CREATE TYPE {name} ({})", options.join(", "))])
}

fn change(id: &ObjectId, before: &str, after: &str) -> Statements {
    let name = &id.identity;
    if id.kind == "domain constraint" {
        let (name, domain) = on_table(id)?;
        if before.strip_suffix(" NOT VALID") == Some(after) {
            return one(format!("ALTER DOMAIN {domain} VALIDATE CONSTRAINT {name}"));
        }
        return Err(Otherwise::Anew);
    }
    if id.kind == "domain" {
        let (was, is) = (Clauses::of(before, DOMAIN_CLAUSES), Clauses::of(after, DOMAIN_CLAUSES));
        if was.head != is.head || was.get("collate") != is.get("collate") {
            return Err(Otherwise::Anew);
        }
        let mut statements = Vec::new();
        if was.has("not null") != is.has("not null") {
            let action = if is.has("not null") { "SET" } else { "DROP" };
            statements.push(format!("ALTER DOMAIN {name} {action} NOT NULL"));
        }
        if was.get("default") != is.get("default") {
            statements.push(match is.get("default") {
                Some(default) => format!("ALTER DOMAIN {name} SET DEFAULT {default}"),
                None => format!("ALTER DOMAIN {name} DROP DEFAULT"),
            });
        }
        return Ok(statements);
    }
    if let (Some(was), Some(is)) = (before.strip_prefix("enum "), after.strip_prefix("enum ")) {
        return enumerate(name, &items(inside(was)), &items(inside(is)));
    }
    if before.starts_with('(') && after.starts_with('(') {
        return attributes(name, &items(inside(before)), &items(inside(after)));
    }
    Err(Otherwise::Anew)
}

/// Labels can be added and renamed, not taken away or put in another order.
fn enumerate(name: &str, had: &[&str], has: &[&str]) -> Statements {
    let kept = has.iter().filter(|label| had.contains(label));
    if kept.eq(had.iter()) {
        let mut statements = Vec::new();
        for (n, label) in has.iter().enumerate().filter(|(_, label)| !had.contains(label)) {
            let place = match (n.checked_sub(1).and_then(|n| has.get(n)), had.first()) {
                (Some(before), _) => format!(" AFTER {before}"),
                (None, Some(first)) => format!(" BEFORE {first}"),
                (None, None) => String::new(),
            };
            statements.push(format!("ALTER TYPE {name} ADD VALUE {label}{place}"));
        }
        return Ok(statements);
    }
    let renamed: Vec<_> = had.iter().zip(has).filter(|(was, is)| was != is).collect();
    if had.len() == has.len() && renamed.iter().all(|(was, is)| !has.contains(was) && !had.contains(is)) {
        let statements = renamed.iter().map(|(was, is)| format!("ALTER TYPE {name} RENAME VALUE {was} TO {is}"));
        return Ok(statements.collect());
    }
    Err(Otherwise::Anew)
}

/// Attributes can be added at the end, dropped and changed where they are.
fn attributes(name: &str, had: &[&str], has: &[&str]) -> Statements {
    let column = |attribute: &str| attribute.split(' ').next().map(ToOwned::to_owned).unwrap_or_default();
    let names = |list: &[&str]| list.iter().map(|attribute| column(attribute)).collect::<Vec<_>>();
    let (had_names, has_names) = (names(had), names(has));
    let kept: Vec<&String> = had_names.iter().filter(|name| has_names.contains(name)).collect();
    if !kept.iter().copied().eq(has_names.iter().take(kept.len())) {
        return Err(Otherwise::Anew);
    }
    let mut statements = Vec::new();
    for attribute in had.iter().filter(|attribute| !has_names.contains(&column(attribute))) {
        statements.push(format!("ALTER TYPE {name} DROP ATTRIBUTE {}", column(attribute)));
    }
    for attribute in has {
        let (of, rest) = attribute.split_once(' ').ok_or(MALFORMED)?;
        match had.iter().find(|had| column(had) == of) {
            None => statements.push(format!("ALTER TYPE {name} ADD ATTRIBUTE {attribute}")),
            Some(is) if is != attribute => {
                statements.push(format!("ALTER TYPE {name} ALTER ATTRIBUTE {of} TYPE {rest}"));
            }
            Some(_) => {}
        }
    }
    Ok(statements)
}

#[cfg(test)]
mod tests {
    use crate::catalog::testing::Given;

    fn of_type(kind: &str, values: &[(&str, &str)]) -> Given {
        let usual = [("oid", "20000"), ("namespace", "2200"), ("name", "x"), ("kind", kind)];
        Given::database().row("types", 20000, &[&usual[..], values].concat())
    }

    #[test]
    fn definition() {
        let label = |order, label| [("order", order), ("label", label)];
        let given = of_type("e", &[]).row("labels", 20000, &label("10", "'c'"));
        let given = given.row("labels", 20000, &label("1", "'a'")).row("labels", 20000, &label("2.5", "'b'"));
        assert_eq!(given.define("type"), "public.x: enum ('a', 'b', 'c')");
        assert_eq!(of_type("p", &[]).define("type"), "public.x: shell");
        assert_eq!(of_type("b", &[("definition", "base input f")]).define("type"), "public.x: base input f");
        let given = of_type("r", &[]).row("ranges", 20000, &[("definition", "range of integer")]);
        assert_eq!(given.define("type"), "public.x: range of integer");
        assert_eq!(given.of_extension("pg_type", 20000).define("type"), "");
        assert_eq!(of_type("z", &[]).unmodelled(), "pg_type public.x: type of kind z");
    }

    #[test]
    fn row_types() {
        let row_type = |kind| {
            let collation = [("type_oid", "25"), ("collation", "950"), ("collation_name", "\"C\"")];
            let column = [("number", "1"), ("name", "a"), ("type_name", "text")];
            let given = of_type("c", &[("relation", "1")]).relation(1, kind, "x");
            let given = given.row("columns", 1, &[("number", "2"), ("name", "b"), ("type_name", "integer")]);
            given.row("columns", 1, &[&column[..], &collation].concat()).define("type")
        };
        assert_eq!(row_type("c"), "public.x: (a text collate \"C\", b integer)");
        assert_eq!(row_type("r"), "");
    }

    #[test]
    fn domains() {
        let given = of_type("d", &[("base", "text"), ("not_null", "t"), ("default", "'a'::text")])
            .row("domain_constraints", 20000, &[("oid", "2"), ("name", "short"), ("definition", "CHECK (f(VALUE))")])
            .row("domain_constraints", 20000, &[("oid", "3"), ("name", "x_not_null")]);
        assert_eq!(given.define("domain"), "public.x: text not null default 'a'::text");
        assert_eq!(given.define("domain constraint"), "short on public.x: CHECK (f(VALUE))");
    }
}
