//! Operators.

use crate::catalog::cells::Oid;
use crate::catalog::define::Objects;
use crate::catalog::rows::{Columns, PLAIN};
use crate::catalog::sources::Rows;
use crate::catalog::to_sql::{MALFORMED, Statements, ToSql, one};
use crate::catalog::words::{Clauses, inside, items};
use crate::catalog::ObjectId;

use super::Kind;

pub const KIND: Kind = Kind {
    names: &["operator"],
    root: "operators",
    define,
    to_sql: ToSql {
        make: |_, id, definition| make(id, definition),
        ..ToSql::USUAL
    },
};

pub const COLUMNS: Columns = Columns {
    namespace: "oprnamespace",
    name: "oid::regoperator",
    owner: "oprowner",
    definition: "CASE WHEN oprcode = 0 THEN 'shell' ELSE concat_ws(' ',
        'returns ' || format_type(oprresult, NULL),
        'function ' || oprcode,
        CASE WHEN oprcom <> 0 THEN 'commutator ' || oprcom::regoperator END,
        CASE WHEN oprnegate <> 0 THEN 'negator ' || oprnegate::regoperator END,
        CASE WHEN oprrest <> 0 THEN 'restrict ' || oprrest END,
        CASE WHEN oprjoin <> 0 THEN 'join ' || oprjoin END,
        CASE WHEN oprcanmerge THEN 'merges' END,
        CASE WHEN oprcanhash THEN 'hashes' END) END",
    ..PLAIN
};

fn define(rows: &Rows, oid: Oid, objects: &mut Objects<'_>) {
    objects.add_named("operator", "pg_operator", oid, rows.operators.get(oid));
}

fn make(id: &ObjectId, definition: &str) -> Statements {
    let parts = id.identity.rfind('(').map(|at| id.identity.split_at(at));
    let (name, arguments) = parts.ok_or(MALFORMED)?;
    if definition == "shell" {
        return Err(MALFORMED);
    }
    let keywords = ["returns", "function", "commutator", "negator", "restrict", "join", "merges", "hashes"];
    let clauses = Clauses::of(definition, &keywords);
    let sides = ["LEFTARG", "RIGHTARG"].iter().zip(items(inside(arguments)));
    let mut options: Vec<String> =
        sides.filter(|(_, of)| *of != "NONE").map(|(side, of)| format!("{side} = {of}")).collect();
    for keyword in &keywords[1..] {
        let Some(value) = clauses.get(keyword) else { continue };
        let operator = || value.rfind('(').map_or(value, |at| &value[..at]);
        options.push(match *keyword {
            "commutator" | "negator" => format!("{keyword} = OPERATOR({})", operator()),
            "merges" | "hashes" => (*keyword).to_owned(),
            _ => format!("{keyword} = {value}"),
        });
    }
    one(format!("CREATE OPERATOR {name} ({})", options.join(", ")))
}

#[cfg(test)]
mod tests {
    use crate::catalog::testing::Given;

    #[test]
    fn its_name_tells_the_schema() {
        let in_schema = |namespace| {
            let definition = ("definition", "returns boolean function public.same");
            let values = [("namespace", namespace), ("name", "public.===(text,text)"), definition];
            Given::database().row("operators", 20000, &values)
        };
        let given = in_schema("2200");
        assert_eq!(given.define("operator"), "public.===(text,text): returns boolean function public.same");
        assert_eq!(given.of_extension("pg_operator", 20000).define("operator"), "");
        assert_eq!(in_schema("11").define("operator"), "");
    }
}
