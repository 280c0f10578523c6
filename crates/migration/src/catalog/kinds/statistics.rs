//! Extended statistics.

use crate::catalog::cells::Oid;
use crate::catalog::define::Objects;
use crate::catalog::rows::{Columns, PLAIN};
use crate::catalog::sources::Rows;

use super::Kind;

pub const KIND: Kind = Kind {
    names: &["statistics"],
    root: "statistics",
    define,
};

pub const COLUMNS: Columns = Columns {
    namespace: "stxnamespace",
    name: "quote_ident(stxname)",
    owner: "stxowner",
    definition: "concat_ws(' ',
        pg_get_statisticsobjdef(oid), CASE WHEN stxstattarget >= 0 THEN 'statistics ' || stxstattarget END)",
    ..PLAIN
};

fn define(rows: &Rows, oid: Oid, objects: &mut Objects<'_>) {
    objects.add_named("statistics", "pg_statistic_ext", oid, rows.statistics.get(oid));
}

#[cfg(test)]
mod tests {
    use crate::catalog::testing::Given;

    #[test]
    fn definition() {
        let definition = "CREATE STATISTICS public.t_a_b (ndistinct) ON a, b FROM public.t statistics 50";
        let values = [("namespace", "2200"), ("name", "t_a_b"), ("definition", definition)];
        let given = Given::database().row("statistics", 20000, &values);
        assert_eq!(given.define("statistics"), format!("public.t_a_b: {definition}"));
        assert_eq!(given.of_extension("pg_statistic_ext", 20000).define("statistics"), "");
    }
}
