//! What hangs on objects of any kind, so that a statement which only writes a comment leaves only that.

use crate::catalog::cells::quote_literal;
use crate::catalog::to_sql::{
    Definitions, Ends, MALFORMED, Otherwise, Statements, ToSql, block, keyword, of_table, on_table, one, role,
};
use crate::catalog::{ObjectId, outside_quotes, split_on};

/// The kinds, with their statements.
pub const KINDS: [(&str, ToSql); 6] = [
    (
        "comment",
        ToSql {
            make: |_, id, text| comment(id, Some(text)),
            change: |_, id, _, text| comment(id, Some(text)),
            drop: |_, id, _| comment(id, None),
        },
    ),
    (
        "default privilege",
        ToSql {
            make: |_, id, definition| default_privilege(id, definition),
            change: |_, _, _, _| Err(Otherwise::Anew),
            drop: |_, id, definition| default_privilege(id, opposite(definition)),
        },
    ),
    (
        "extension dependency",
        ToSql {
            make: |_, id, _| depends(id, ""),
            drop: |_, id, _| depends(id, "NO "),
            ..ToSql::USUAL
        },
    ),
    (
        "owner",
        ToSql {
            make: |_, id, owner| set_owner(id, owner),
            change: |_, id, _, owner| set_owner(id, owner),
            drop: |_, id, _| set_owner(id, "CURRENT_USER"),
        },
    ),
    (
        "privilege",
        ToSql {
            make: |ends, id, definition| with_maintain(ends, id, privilege(id, definition)),
            change: |ends, id, before, after| with_maintain(ends, id, change_privilege(id, before, after)),
            drop: |ends, id, definition| with_maintain(ends, id, privilege(id, opposite(definition))),
        },
    ),
    (
        "security label",
        ToSql {
            make: |_, id, label| security_label(id, &quote_literal(label)),
            change: |_, id, _, label| security_label(id, &quote_literal(label)),
            drop: |_, id, _| security_label(id, "NULL"),
        },
    ),
];

/// What something hangs on; none if that is the database.
pub fn target(id: &ObjectId) -> Option<ObjectId> {
    let text = match id.kind.as_str() {
        "comment" => id.identity.strip_prefix("on ")?,
        "owner" => id.identity.strip_prefix("of ")?,
        "extension dependency" => id.identity.strip_prefix("of ")?.rsplit_once(" on ")?.0,
        "security label" => split_on(&id.identity)?.1,
        "privilege" => grant(id)?.1,
        _ => return None,
    };
    text.parse().ok()
}

/// An object as COMMENT ON and ALTER write it.
fn written(target: &str) -> Result<String, Otherwise> {
    let id: ObjectId = target.parse().map_err(|_| MALFORMED)?;
    Ok(match id.kind.as_str() {
        "domain constraint" => {
            let (name, domain) = on_table(&id)?;
            format!("CONSTRAINT {name} ON DOMAIN {domain}")
        }
        "aggregate" => format!("AGGREGATE {}", id.identity.replace("()", "(*)")),
        kind => format!("{} {}", keyword(kind), id.identity),
    })
}

fn comment(id: &ObjectId, text: Option<&str>) -> Statements {
    let target = id.identity.strip_prefix("on ").ok_or(MALFORMED)?;
    // Of schema public it is the lack of a comment that is told.
    let text = match (target, text) {
        ("schema public", None) => "'standard public schema'".to_owned(),
        (_, None | Some("")) => "NULL".to_owned(),
        (_, Some(text)) => quote_literal(text),
    };
    if target == "database" {
        let statement = quote_literal(&format!("COMMENT ON DATABASE %I IS {}", text.replace('%', "%%")));
        return block(&format!("EXECUTE format({statement}, current_database())"));
    }
    if let (Some(name), "NULL") = (target.strip_prefix("extension "), text.as_str()) {
        // What its control file says.
        return block(&format!(
            "EXECUTE (SELECT format('COMMENT ON EXTENSION %I IS %L', name, comment)
             FROM pg_available_extensions WHERE quote_ident(name) = {})",
            quote_literal(name)
        ));
    }
    one(format!("COMMENT ON {} IS {text}", written(target)?))
}

fn set_owner(id: &ObjectId, owner: &str) -> Statements {
    let target = id.identity.strip_prefix("of ").ok_or(MALFORMED)?;
    one(format!("ALTER {} OWNER TO {owner}", written(target)?))
}

fn depends(id: &ObjectId, no: &str) -> Statements {
    let (target, extension) = id
        .identity
        .strip_prefix("of ")
        .and_then(|rest| rest.rsplit_once(" on "))
        .ok_or(MALFORMED)?;
    one(format!(
        "ALTER {} {no}DEPENDS ON EXTENSION {extension}",
        written(target)?
    ))
}

fn security_label(id: &ObjectId, label: &str) -> Statements {
    let (provider, target) = split_on(&id.identity).ok_or(MALFORMED)?;
    one(format!(
        "SECURITY LABEL {} ON {} IS {label}",
        provider.replacen("for ", "FOR ", 1),
        written(target)?
    ))
}

/// Privilege, what it is on, and to whom.
fn grant(id: &ObjectId) -> Option<(&str, &str, &str)> {
    let (privilege, rest) = split_on(&id.identity)?;
    let to = outside_quotes(rest)
        .filter(|(at, _)| rest[*at..].starts_with(" to "))
        .last()?
        .0;
    Some((privilege, &rest[..to], &rest[to + " to ".len()..]))
}

fn opposite(definition: &str) -> &str {
    if definition == "revoked" { "granted" } else { "revoked" }
}

fn privilege(id: &ObjectId, definition: &str) -> Statements {
    let (privilege, target, grantee) = grant(id).ok_or(MALFORMED)?;
    let grantee = role(grantee);
    // That GRANT ALL is on record without MAINTAIN.
    let lacks = privilege.strip_prefix("not ");
    let gives = definition.starts_with("granted") != lacks.is_some();
    let privilege = lacks.unwrap_or(privilege);
    if definition.contains(" by ") {
        return Err(Otherwise::Never("another role granted it"));
    }
    let (what, on) = match target.parse::<ObjectId>() {
        Ok(id) if id.kind == "column" => {
            let (table, column) = of_table(&id)?;
            (format!("{privilege} ({column})"), format!("TABLE {table}"))
        }
        Ok(id) => (
            privilege.to_owned(),
            format!("{} {}", granted_on(&id.kind), id.identity),
        ),
        Err(_) if target == "database" => (privilege.to_owned(), "DATABASE %I".to_owned()),
        Err(_) => (privilege.to_owned(), target.to_owned()),
    };
    let statement = if gives {
        let option = if definition.ends_with(" with grant option") {
            " WITH GRANT OPTION"
        } else {
            ""
        };
        format!("GRANT {what} ON {on} TO {grantee}{option}")
    } else {
        format!("REVOKE {what} ON {on} FROM {grantee}")
    };
    if target == "database" {
        return block(&format!(
            "EXECUTE format({}, current_database())",
            quote_literal(&statement)
        ));
    }
    one(statement)
}

fn granted_on(kind: &str) -> String {
    match kind {
        "table" | "view" | "materialized view" | "foreign table" => "TABLE".to_owned(),
        "function" | "procedure" | "aggregate" => "ROUTINE".to_owned(),
        "server" => "FOREIGN SERVER".to_owned(),
        kind => keyword(kind),
    }
}

fn change_privilege(id: &ObjectId, before: &str, after: &str) -> Statements {
    let only_option = before == "granted with grant option" && after == "granted";
    if !only_option {
        return privilege(id, after);
    }
    let revoke = privilege(id, "revoked")?;
    Ok(revoke
        .into_iter()
        .map(|sql| sql.replacen("REVOKE ", "REVOKE GRANT OPTION FOR ", 1))
        .collect())
}

/// The privileges on tables that GRANT ALL gives on every server. Who has them all is taken to have MAINTAIN, too, which
/// is new in PostgreSQL 17; see `acl`.
const OF_TABLES: [&str; 7] = [
    "delete",
    "insert",
    "references",
    "select",
    "trigger",
    "truncate",
    "update",
];

/// Adds what becomes of MAINTAIN where somebody comes to have all privileges on a table, or does not have them all any
/// more: no object says so.
fn with_maintain(ends: &Ends<'_>, id: &ObjectId, statements: Statements) -> Statements {
    let (name, target, grantee) = grant(id).ok_or(MALFORMED)?;
    let is_table = ["table ", "view ", "materialized view ", "foreign table "]
        .iter()
        .any(|kind| target.starts_with(kind));
    let has_maintain = ["maintain", "not maintain"].contains(&name);
    if !is_table || !(has_maintain || OF_TABLES.contains(&name)) {
        return statements;
    }
    let of = |name: &str| ObjectId::new("privilege", format!("{name} on {target} to {grantee}"));
    let holds = |end: &Definitions| {
        // The owner has what is not revoked, others what is granted.
        let has = |name: &&str| match end.get(&of(name)) {
            Some(definition) => definition != "revoked",
            None => grantee == "the owner",
        };
        match OF_TABLES.iter().all(has) {
            true => !end.contains_key(&of("not maintain")),
            false => end.contains_key(&of("maintain")),
        }
    };
    let is_first = || {
        let changes = |name: &&&str| ends.before.get(&of(name)) != ends.after.get(&of(name));
        OF_TABLES.iter().find(changes) == Some(&name)
    };
    let mut statements = if has_maintain { Vec::new() } else { statements? };
    let gives = holds(ends.after);
    if has_maintain || is_first() && holds(ends.before) != gives {
        let option = ends.after.iter().any(|(other, definition)| {
            other.kind == "privilege"
                && other.identity.ends_with(&format!(" on {target} to {grantee}"))
                && definition.contains("with grant option")
        });
        let definition = match (gives, option) {
            (true, true) => "granted with grant option",
            (true, false) => "granted",
            (false, _) => "revoked",
        };
        for sql in privilege(&of("maintain"), definition)? {
            statements.extend(block(&format!(
                "IF current_setting('server_version_num')::integer >= 170000 THEN {sql}; END IF"
            ))?);
        }
    }
    Ok(statements)
}

/// `select on tables in schema app of reader to grantee`.
fn default_privilege(id: &ObjectId, definition: &str) -> Statements {
    let (privilege, target, grantee) = grant(id).ok_or(MALFORMED)?;
    if definition.contains(" by ") {
        return Err(Otherwise::Never("another role granted it"));
    }
    let (target, of) = match target.rsplit_once(" of ") {
        Some((target, of)) => (target, format!(" FOR ROLE {of}")),
        None => (target, String::new()),
    };
    let (what, schema) = match target.split_once(" in schema ") {
        Some((what, schema)) => (what, format!(" IN SCHEMA {schema}")),
        None => (target, String::new()),
    };
    let option = if definition.ends_with(" with grant option") {
        " WITH GRANT OPTION"
    } else {
        ""
    };
    let lacks = privilege.strip_prefix("not ");
    let gives = definition.starts_with("granted") != lacks.is_some();
    let (action, to) = if gives { ("GRANT", "TO") } else { ("REVOKE", "FROM") };
    one(format!(
        "ALTER DEFAULT PRIVILEGES{of}{schema} {action} {} ON {} {to} {}{option}",
        lacks.unwrap_or(privilege),
        keyword(what),
        role(grantee)
    ))
}
