//! Functions, procedures and aggregates.

use crate::catalog::cells::Oid;
use crate::catalog::define::{Object, Objects};
use crate::catalog::rows::{Acl, row};
use crate::catalog::sources::Rows;
use crate::catalog::to_sql::{Otherwise, Statements, ToSql, one};
use crate::catalog::words::{Clauses, inside};
use crate::catalog::ObjectId;

use super::Kind;

pub const KIND: Kind = Kind {
    names: &["function", "procedure", "aggregate"],
    root: "routines",
    define,
    to_sql: ToSql {
        make: |_, id, definition| make(id, definition),
        change: |_, id, before, after| {
            // Neither what it returns nor the names of what it takes can be replaced.
            let head = |definition: &'_ str| definition.split("\n LANGUAGE ").next().map(ToOwned::to_owned);
            if id.kind != "aggregate" && head(before) != head(after) {
                return Err(Otherwise::Anew);
            }
            make(id, after)
        },
        ..ToSql::USUAL
    },
};

row! {
    /// A function, procedure or aggregate.
    Routine {
        namespace: Oid = "pronamespace",
        /// With its arguments' types.
        name: String = "oid::regprocedure",
        kind: char = "prokind",
        owner: Oid = "proowner",
        acl: Option<Acl> = "CASE WHEN proacl IS NOT NULL THEN ARRAY[proacl::text, acldefault('f', proowner)::text] END",
        definition: String = "CASE WHEN prokind <> 'a' THEN pg_get_functiondef(oid) END",
        parallel: char = "proparallel",
    }
    name(namespace, name)
}

row! {
    /// What an aggregate is made of.
    Aggregate {
        definition: String = AGGREGATE,
    }
}

const AGGREGATE: &str = "concat_ws(' ',
    '(' || pg_get_function_arguments(aggfnoid) || ')',
    'kind ' || aggkind::text,
    'sfunc ' || aggtransfn,
    'stype ' || format_type(aggtranstype, NULL),
    CASE WHEN aggtransspace <> 0 THEN 'sspace ' || aggtransspace END,
    CASE WHEN aggfinalfn <> 0 THEN 'finalfunc ' || aggfinalfn END,
    CASE WHEN aggfinalextra THEN 'finalfunc_extra' END,
    'finalfunc_modify ' || aggfinalmodify::text,
    CASE WHEN aggcombinefn <> 0 THEN 'combinefunc ' || aggcombinefn END,
    CASE WHEN aggserialfn <> 0 THEN 'serialfunc ' || aggserialfn END,
    CASE WHEN aggdeserialfn <> 0 THEN 'deserialfunc ' || aggdeserialfn END,
    'initcond ' || quote_literal(agginitval),
    CASE WHEN aggmtransfn <> 0 THEN 'msfunc ' || aggmtransfn END,
    CASE WHEN aggminvtransfn <> 0 THEN 'minvfunc ' || aggminvtransfn END,
    CASE WHEN aggmtranstype <> 0 THEN 'mstype ' || format_type(aggmtranstype, NULL) END,
    CASE WHEN aggmtransspace <> 0 THEN 'msspace ' || aggmtransspace END,
    CASE WHEN aggmfinalfn <> 0 THEN 'mfinalfunc ' || aggmfinalfn END,
    CASE WHEN aggmfinalextra THEN 'mfinalfunc_extra' END,
    CASE WHEN aggmtransfn <> 0 THEN 'mfinalfunc_modify ' || aggmfinalmodify::text END,
    'minitcond ' || quote_literal(aggminitval),
    CASE WHEN aggsortop <> 0 THEN 'sortop ' || aggsortop::regoperator END)";

fn define(rows: &Rows, oid: Oid, objects: &mut Objects<'_>) {
    let Some(routine) = rows.routines.get(oid).filter(|routine| rows.schema(routine.namespace).is_some()) else {
        return;
    };
    if !"afpw".contains(routine.kind) {
        let reason = format!("routine of kind {}", routine.kind);
        objects.cannot_describe("pg_proc", routine.name.clone(), reason);
    }
    let aggregate = rows.aggregates.get(oid).filter(|_| routine.kind == 'a');
    objects.add(Object {
        kind: match routine.kind {
            'p' => "procedure",
            'a' => "aggregate",
            _ => "function",
        },
        identity: routine.name.clone(),
        definition: Some(match aggregate {
            Some(aggregate) => format!("{} parallel {}", aggregate.definition, routine.parallel),
            None => routine.definition.clone(),
        }),
        owner: routine.owner,
        acl: routine.acl.as_ref(),
        letter: 'f',
        ..Object::of("pg_proc", oid)
    });
}

fn make(id: &ObjectId, definition: &str) -> Statements {
    if id.kind != "aggregate" {
        return one(definition.trim_end().to_owned());
    }
    let keywords = [
        "kind", "sfunc", "stype", "sspace", "finalfunc", "finalfunc_extra", "finalfunc_modify", "combinefunc", "serialfunc",
        "deserialfunc", "initcond", "msfunc", "minvfunc", "mstype", "msspace", "mfinalfunc", "mfinalfunc_extra",
        "mfinalfunc_modify", "minitcond", "sortop", "parallel",
    ];
    let clauses = Clauses::of(definition, &keywords);
    let name = id.identity.split('(').next().unwrap_or_default();
    let arguments = match inside(clauses.head) {
        "" => "*",
        arguments => arguments,
    };
    let options = keywords.iter().filter_map(|keyword| {
        let value = clauses.get(keyword)?;
        let option = match (*keyword, value) {
            ("kind", "h") => "hypothetical".to_owned(),
            ("kind", _) => return None,
            ("finalfunc_extra" | "mfinalfunc_extra", _) => (*keyword).to_owned(),
            ("finalfunc_modify" | "mfinalfunc_modify", "s") => format!("{keyword} = shareable"),
            ("finalfunc_modify" | "mfinalfunc_modify", "w") => format!("{keyword} = read_write"),
            ("finalfunc_modify" | "mfinalfunc_modify", _) => format!("{keyword} = read_only"),
            ("parallel", "s") => "parallel = safe".to_owned(),
            ("parallel", "r") => "parallel = restricted".to_owned(),
            ("parallel", _) => "parallel = unsafe".to_owned(),
            ("sortop", value) => format!("sortop = OPERATOR({})", value.split('(').next().unwrap_or_default()),
            (_, value) => format!("{keyword} = {value}"),
        };
        Some(option)
    });
    let options = options.collect::<Vec<_>>().join(", ");
    one(format!("CREATE OR REPLACE AGGREGATE {name} ({arguments}) ({options})"))
}

#[cfg(test)]
mod tests {
    use crate::catalog::testing::Given;

    fn routine(kind: &str) -> Given {
        let values = [("name", "public.f(integer)"), ("kind", kind), ("definition", "CREATE ..."), ("parallel", "u")];
        Given::database()
            .row("routines", 20000, &[&values[..], &[("namespace", "2200")]].concat())
            .row("aggregates", 20000, &[("definition", "(integer) kind n sfunc int4pl")])
    }

    #[test]
    fn definition() {
        assert_eq!(routine("f").define("function"), "public.f(integer): CREATE ...");
        assert_eq!(routine("w").define("function"), "public.f(integer): CREATE ...");
        assert_eq!(routine("p").define("procedure"), "public.f(integer): CREATE ...");
        assert_eq!(routine("a").define("aggregate"), "public.f(integer): (integer) kind n sfunc int4pl parallel u");
        assert_eq!(routine("f").unmodelled(), "");
        assert_eq!(routine("z").unmodelled(), "pg_proc public.f(integer): routine of kind z");
    }
}
