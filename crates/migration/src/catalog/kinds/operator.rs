//! Operators.

use crate::catalog::cells::Oid;
use crate::catalog::define::Objects;
use crate::catalog::rows::{Columns, PLAIN};
use crate::catalog::sources::Rows;

use super::Kind;

pub const KIND: Kind = Kind {
    names: &["operator"],
    root: "operators",
    define,
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
