//! What objects of the future shall be given (ALTER DEFAULT PRIVILEGES), and privileges on parameters of the server.

use crate::catalog::cells::Oid;
use crate::catalog::define::Objects;
use crate::catalog::rows::{Acl, Columns, PLAIN, row};
use crate::catalog::sources::Rows;
use crate::catalog::to_sql::ToSql;

use super::Kind;
use super::role::BOOTSTRAP;

pub const KINDS: &[Kind] = &[
    Kind {
        names: &[],
        root: "default_privileges",
        define,
        to_sql: ToSql::USUAL,
    },
    Kind {
        names: &[],
        root: "parameters",
        define: |rows, oid, objects| {
            if let Some(parameter) = rows.parameters.get(oid) {
                let target = format!("parameter {}", parameter.name);
                objects.add_privileges(&target, BOOTSTRAP, 'p', parameter.acl.as_ref());
            }
        },
        to_sql: ToSql::USUAL,
    },
];

pub const PARAMETER: Columns = Columns {
    name: "quote_ident(parname)",
    owner: "10::oid",
    acl: Some(("paracl", 'p')),
    ..PLAIN
};

row! {
    /// Privileges for what a role makes.
    DefaultPrivilege {
        role: Oid = "defaclrole",
        schema: Oid = "defaclnamespace",
        kind: char = "defaclobjtype",
        acl: Option<Acl> = "ARRAY[defaclacl::text, CASE WHEN defaclnamespace = 0 THEN acldefault(
            CASE defaclobjtype WHEN 'S' THEN 's' ELSE defaclobjtype END, defaclrole)::text ELSE '{}' END]",
    }
}

fn define(rows: &Rows, oid: Oid, objects: &mut Objects<'_>) {
    let Some(of) = rows.default_privileges.get(oid) else {
        return;
    };
    let mut target = match of.kind {
        'r' => "tables".to_owned(),
        'S' => "sequences".to_owned(),
        'f' => "functions".to_owned(),
        'T' => "types".to_owned(),
        'n' => "schemas".to_owned(),
        'L' => "large objects".to_owned(),
        other => other.to_string(),
    };
    if let Some(schema) = rows.schema(of.schema) {
        target += &format!(" in schema {schema}");
    }
    if !rows.is_migrator(of.role) {
        target += &format!(" of {}", rows.role(of.role));
    }
    objects.add_privileges(&target, of.role, if of.kind == 'r' { 'R' } else { 'D' }, of.acl.as_ref());
}

#[cfg(test)]
mod tests {
    use crate::catalog::testing::Given;

    /// What `app` has its objects given.
    fn of_app(values: &[(&str, &str)]) -> Given {
        let given = Given::database().role(10, "postgres").role(20000, "app").role(20001, "reader");
        given.row("default_privileges", 30000, &[&[("role", "20000")], values].concat())
    }

    #[test]
    fn of_objects_to_be_made() {
        let tables = [("schema", "2200"), ("kind", "r"), ("acl", r#"{"{reader=r*/app}","{}"}"#)];
        let expected = "to reader: granted with grant option";
        let given = of_app(&tables);
        let of_app_in = "select on tables in schema public of app";
        assert_eq!(given.define("default privilege"), format!("{of_app_in} {expected}"));
        let given = given.migrator(20000);
        assert_eq!(given.define("default privilege"), format!("select on tables in schema public {expected}"));
        let functions = [("kind", "f"), ("acl", r#"{"{app=X/app}","{=X/app,app=X/app}"}"#)];
        assert_eq!(of_app(&functions).define("default privilege"), "execute on functions of app to public: revoked");
    }

    #[test]
    fn of_parameters() {
        let acl = r#"{"{postgres=sA/postgres,reader=s/postgres}","{postgres=sA/postgres}"}"#;
        let given = of_app(&[]).row("parameters", 40000, &[("name", "work_mem"), ("acl", acl)]);
        assert_eq!(given.define("privilege"), "set on parameter work_mem to reader: granted");
    }
}
