//! Operator families, with what is in them.

use crate::catalog::cells::Oid;
use crate::catalog::define::{Object, Objects};
use crate::catalog::rows::{Columns, PLAIN, row};
use crate::catalog::sources::Rows;
use crate::catalog::to_sql::{Otherwise, Statements, ToSql};
use crate::catalog::words::{items};
use crate::catalog::ObjectId;

use super::Kind;

pub const KIND: Kind = Kind {
    names: &["operator family"],
    root: "operator_families",
    define,
    to_sql: ToSql {
        make: |ends, id, definition| {
            let mut statements = vec![format!("CREATE OPERATOR FAMILY {}", id.identity)];
            statements.extend(change(id, "", definition)?);
            let _ = ends;
            Ok(statements)
        },
        change: |_, id, before, after| change(id, before, after),
        ..ToSql::USUAL
    },
};

pub const COLUMNS: Columns = Columns {
    namespace: "opfnamespace",
    name: "quote_ident(opfname) || ' using ' || quote_ident(
        (pg_identify_object_as_address('pg_catalog.pg_opfamily'::regclass, oid, 0)).object_names[1])",
    owner: "opfowner",
    ..PLAIN
};

row! {
    /// An operator or a support function of a family.
    Member {
        number: i32 = "amopstrategy",
        /// By which those of one number are ordered.
        order: String = "amopopr::regoperator",
        definition: String = "concat_ws(' ', 'operator', amopstrategy, amopopr::regoperator,
            CASE WHEN amopsortfamily <> 0 THEN 'for order by ' || quote_ident(
                (pg_identify_object_as_address('pg_catalog.pg_opfamily'::regclass, amopsortfamily, 0)).object_names[3]) END)",
    }
}

row! {
    /// A support function of a family.
    Function {
        number: i32 = "amprocnum",
        /// By which those of one number are ordered.
        order: String = "amproc::regprocedure",
        definition: String = "format('function %s (%s, %s) %s', amprocnum,
            format_type(amproclefttype, NULL), format_type(amprocrighttype, NULL), amproc::regprocedure)",
    }
}

fn define(rows: &Rows, oid: Oid, objects: &mut Objects<'_>) {
    let Some(family) = rows.operator_families.get(oid) else {
        return;
    };
    let Some(schema) = rows.schema(family.namespace).filter(|_| !rows.is_member("pg_opfamily", oid)) else {
        return;
    };
    let mut operators: Vec<_> = rows.operators_of_families.of(oid).iter().collect();
    operators.sort_by(|a, b| (a.number, &a.order).cmp(&(b.number, &b.order)));
    let mut functions: Vec<_> = rows.functions_of_families.of(oid).iter().collect();
    functions.sort_by(|a, b| (a.number, &a.order).cmp(&(b.number, &b.order)));
    let operators = operators.into_iter().map(|operator| operator.definition.as_str());
    let functions = functions.into_iter().map(|function| function.definition.as_str());
    objects.add(Object {
        kind: "operator family",
        identity: format!("{schema}.{}", family.name),
        definition: Some(operators.chain(functions).collect::<Vec<_>>().join(", ")),
        owner: family.owner,
        ..Object::of("pg_opfamily", oid)
    });
}

fn change(id: &ObjectId, before: &str, after: &str) -> Statements {
    let (before, after) = (items(before), items(after));
    let gone = before.iter().filter(|member| !after.contains(member));
    let mut statements = Vec::new();
    for member in gone {
        // `operator 1 =(integer,integer)`, or `function 1 (integer, integer) f(integer,integer)`.
        let (what, rest) = member.match_indices(' ').nth(1).map(|(at, _)| member.split_at(at)).unwrap_or((member, ""));
        let (Some(open), Some(close)) = (rest.find('('), rest.find(')')) else {
            return Err(Otherwise::Anew);
        };
        statements.push(format!("ALTER OPERATOR FAMILY {} DROP {what} {}", id.identity, &rest[open..=close]));
    }
    let new = after.iter().filter(|member| !before.contains(member));
    statements.extend(new.map(|member| format!("ALTER OPERATOR FAMILY {} ADD {member}", id.identity)));
    Ok(statements)
}

#[cfg(test)]
mod tests {
    use crate::catalog::testing::Given;

    #[test]
    fn members_by_their_numbers() {
        let member = |number, order, definition| [("number", number), ("order", order), ("definition", definition)];
        let given = Given::database()
            .row("operator_families", 20000, &[("namespace", "2200"), ("name", "reverse using btree")])
            .row("functions_of_families", 20000, &member("1", "f(int)", "function 1"))
            .row("operators_of_families", 20000, &member("10", "<(int,int)", "operator 10"))
            .row("operators_of_families", 20000, &member("2", "<(text,text)", "operator 2 of text"))
            .row("operators_of_families", 20000, &member("2", "<(int,int)", "operator 2 of int"));
        let expected = "operator 2 of int, operator 2 of text, operator 10, function 1";
        assert_eq!(given.define("operator family"), format!("public.reverse using btree: {expected}"));
        assert_eq!(given.of_extension("pg_opfamily", 20000).define("operator family"), "");
    }
}
