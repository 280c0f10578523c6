//! Procedural languages.

use crate::catalog::cells::Oid;
use crate::catalog::define::Objects;
use crate::catalog::rows::{Columns, PLAIN};
use crate::catalog::sources::Rows;
use crate::catalog::to_sql::{ToSql, one};
use crate::catalog::words::{Clauses};

use super::Kind;

pub const KIND: Kind = Kind {
    names: &["language"],
    root: "languages",
    define,
    to_sql: ToSql {
        make: |_, id, definition| {
            let clauses = Clauses::of(definition, &["trusted", "handler", "inline", "validator"]);
            let trusted = if clauses.has("trusted") { "TRUSTED " } else { "" };
            let functions = ["handler", "inline", "validator"].iter().filter_map(|role| {
                let function = clauses.get(role)?.split('(').next()?;
                Some(format!(" {role} {function}"))
            });
            one(format!("CREATE {trusted}LANGUAGE {}{}", id.identity, functions.collect::<String>()))
        },
        ..ToSql::USUAL
    },
};

pub const COLUMNS: Columns = Columns {
    name: "quote_ident(lanname)",
    owner: "lanowner",
    acl: Some(("lanacl", 'l')),
    definition: "concat_ws(' ',
        CASE WHEN lanpltrusted THEN 'trusted' END,
        'handler ' || lanplcallfoid::regprocedure,
        CASE WHEN laninline <> 0 THEN 'inline ' || laninline::regprocedure END,
        CASE WHEN lanvalidator <> 0 THEN 'validator ' || lanvalidator::regprocedure END)",
    ..PLAIN
};

fn define(rows: &Rows, oid: Oid, objects: &mut Objects<'_>) {
    objects.add_named("language", "pg_language", oid, rows.languages.get(oid));
}

#[cfg(test)]
mod tests {
    use crate::catalog::testing::Given;

    #[test]
    fn definition_and_privileges() {
        let acl = r#"{"{app=U/app}","{=U/app,app=U/app}"}"#;
        let definition = ("definition", "trusted handler public.handler()");
        let values = [("name", "plmine"), ("owner", "20001"), ("acl", acl), definition];
        let given = Given::database().role(20001, "app").row("languages", 20000, &values);
        assert_eq!(given.define("language"), "plmine: trusted handler public.handler()");
        assert_eq!(given.define("privilege"), "usage on language plmine to public: revoked");
        assert_eq!(given.of_extension("pg_language", 20000).define("language"), "");
    }
}
