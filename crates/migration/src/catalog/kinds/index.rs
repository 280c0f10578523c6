//! Indexes.

use crate::catalog::cells::{Oid, words};
use crate::catalog::define::{Object, Objects};
use crate::catalog::rows::row;
use crate::catalog::sources::Rows;

use super::Kind;
use super::table::tablespace;

pub const KIND: Kind = Kind {
    names: &["index"],
    root: "relations",
    define,
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
