//! Foreign-data wrappers and their servers.

use crate::catalog::rows::{Columns, PLAIN, options};
use crate::catalog::to_sql::{Otherwise, Statements, ToSql, keyword, one, options};
use crate::catalog::words::{Clauses};
use crate::catalog::ObjectId;

use super::Kind;

pub const KINDS: &[Kind] = &[
    Kind {
        names: &["foreign-data wrapper"],
        root: "wrappers",
        define: |rows, oid, objects| {
            objects.add_named("foreign-data wrapper", "pg_foreign_data_wrapper", oid, rows.wrappers.get(oid));
        },
        to_sql: ToSql {
            change: |_, id, before, after| change(id, before, after, &["handler", "validator", "options"]),
            ..ToSql::USUAL
        },
    },
    Kind {
        names: &["server"],
        root: "servers",
        define: |rows, oid, objects| {
            objects.add_named("server", "pg_foreign_server", oid, rows.servers.get(oid));
        },
        to_sql: ToSql {
            change: |_, id, before, after| {
                change(id, before, after, &["type", "version", "foreign data wrapper", "options"])
            },
            ..ToSql::USUAL
        },
    },
];

pub const WRAPPER: Columns = Columns {
    name: "quote_ident(fdwname)",
    owner: "fdwowner",
    acl: Some(("fdwacl", 'F')),
    definition: concat!(
        "concat_ws(' ', CASE WHEN fdwhandler <> 0 THEN 'handler ' || fdwhandler::regproc END,
            CASE WHEN fdwvalidator <> 0 THEN 'validator ' || fdwvalidator::regproc END,
            'options (' || ",
        options!("fdwoptions"),
        " || ')')"
    ),
    ..PLAIN
};

pub const SERVER: Columns = Columns {
    name: "quote_ident(srvname)",
    owner: "srvowner",
    acl: Some(("srvacl", 'S')),
    definition: concat!(
        "concat_ws(' ', 'type ' || quote_literal(srvtype), 'version ' || quote_literal(srvversion),
            'foreign data wrapper ' || (SELECT quote_ident(w.fdwname)
                FROM pg_catalog.pg_foreign_data_wrapper w WHERE w.oid = srvfdw),
            'options (' || ",
        options!("srvoptions"),
        " || ')')"
    ),
    ..PLAIN
};

/// Options are set; what else differs is made anew.
fn change(id: &ObjectId, before: &str, after: &str, keywords: &[&'static str]) -> Statements {
    let (before, after) = (Clauses::of(before, keywords), Clauses::of(after, keywords));
    let differs = |keyword: &&&str| **keyword != "options" && before.get(keyword) != after.get(keyword);
    if keywords.iter().find(differs).is_some() {
        return Err(Otherwise::Anew);
    }
    let options = options(before.get("options"), after.get("options")).unwrap_or_default();
    one(format!("ALTER {} {} {options}", keyword(&id.kind), id.identity))
}

#[cfg(test)]
mod tests {
    use crate::catalog::testing::Given;

    #[test]
    fn wrappers() {
        let values = [("name", "files"), ("definition", "handler public.h options (a '1')")];
        let given = Given::database().row("wrappers", 20000, &values);
        assert_eq!(given.define("foreign-data wrapper"), "files: handler public.h options (a '1')");
        let given = given.of_extension("pg_foreign_data_wrapper", 20000);
        assert_eq!(given.define("foreign-data wrapper"), "");
    }

    #[test]
    fn servers() {
        let acl = r#"{"{app=U/app,reader=U/app}","{app=U/app}"}"#;
        let definition = ("definition", "foreign data wrapper files");
        let values = [("name", "disk"), ("owner", "20001"), ("acl", acl), definition];
        let given = Given::database().role(20001, "app").row("servers", 20000, &values);
        assert_eq!(given.define("server"), "disk: foreign data wrapper files");
        assert_eq!(given.define("privilege"), "usage on server disk to reader: granted");
        assert_eq!(given.of_extension("pg_foreign_server", 20000).define("server"), "");
    }
}
