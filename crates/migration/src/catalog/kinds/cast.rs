//! Casts.

use crate::catalog::cells::Oid;
use crate::catalog::define::Objects;
use crate::catalog::rows::{Columns, PLAIN};
use crate::catalog::sources::Rows;
use crate::catalog::to_sql::{ToSql};

use super::Kind;

pub const KIND: Kind = Kind {
    names: &["cast"],
    root: "casts",
    define,
    to_sql: ToSql::USUAL,
};

pub const COLUMNS: Columns = Columns {
    name: "format('(%s as %s)', format_type(castsource, NULL), format_type(casttarget, NULL))",
    definition: "concat_ws(' ',
        CASE castmethod
            WHEN 'f' THEN 'with function ' || castfunc::regprocedure
            WHEN 'i' THEN 'with inout' ELSE 'without function' END,
        CASE castcontext WHEN 'a' THEN 'as assignment' WHEN 'i' THEN 'as implicit' END)",
    ..PLAIN
};

fn define(rows: &Rows, oid: Oid, objects: &mut Objects<'_>) {
    objects.add_named("cast", "pg_cast", oid, rows.casts.get(oid));
}

#[cfg(test)]
mod tests {
    use crate::catalog::testing::Given;

    #[test]
    fn definition() {
        let definition = "with function public.color(text) as assignment";
        let given = Given::database()
            .row("casts", 20000, &[("name", "(text as public.color)"), ("definition", definition)])
            .row("comments", 20000, &[("class", "pg_cast"), ("comment", "why")]);
        assert_eq!(given.define("cast"), format!("(text as public.color): {definition}"));
        assert!(given.define("comment").contains("on cast (text as public.color): why"));
        assert_eq!(given.of_extension("pg_cast", 20000).define("cast"), "");
    }
}
