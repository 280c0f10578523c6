//! A `search_path` that the role or the database is set to: `psql -f` would use it, a migration does not.

use std::collections::BTreeMap;

use connection::{Error, Kind, Settings, describe};
use postgres::Client;

use crate::source::phases::Phases;
use crate::source::statement::Statement;

/// A `search_path` that `ALTER ROLE … SET` or `ALTER DATABASE … SET` gives to the sessions of the migrating role, and
/// that names other schemas than `public`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct OwnSearchPath {
    /// The role that it is set for, quoted; none for all.
    role: Option<String>,
    /// The database that it is set for, quoted; none for all.
    database: Option<String>,
    /// As PostgreSQL keeps it.
    value: String,
}

/// Refuses phases that would mean something else under psql than here, because the role or the database has a
/// `search_path` of its own.
///
/// # Errors
/// See above; the connection is gone.
pub fn refuse_own_search_path(client: &mut Client, phases: &Phases, settings: &Settings) -> Result<(), Error> {
    let mut ask = || -> Result<Option<OwnSearchPath>, postgres::Error> {
        let Some(row) = client.query_typed_opt(include_str!("search_path.sql"), &[])? else {
            return Ok(None);
        };
        Ok(OwnSearchPath::new(
            row.try_get("role")?,
            row.try_get("database")?,
            row.try_get("value")?,
        ))
    };
    let own = ask().map_err(|error| Error::new(Kind::Connect, format!("cannot use {settings}"), describe(&error)))?;
    own.map_or(Ok(()), |own| own.allows(phases, settings))
}

impl OwnSearchPath {
    /// None where the value means no more than what a migration is set to anyway.
    fn new(role: Option<String>, database: Option<String>, value: String) -> Option<Self> {
        let mut schemas: Vec<String> = value
            .split(',')
            .map(|schema| schema.trim().trim_matches('"').to_owned())
            .collect();
        // It is searched first, whether it is named there or not.
        if schemas.first().is_some_and(|schema| schema == "pg_catalog") {
            schemas.remove(0);
        }
        let same = matches!(
            schemas.iter().map(String::as_str).collect::<Vec<_>>().as_slice(),
            ["public"] | ["$user", "public"]
        );
        (!same).then_some(Self { role, database, value })
    }

    /// Whether these phases may run: each file must say itself where its names are looked for.
    ///
    /// # Errors
    /// A file does not, and would mean something else under psql than here.
    fn allows(&self, phases: &Phases, settings: &Settings) -> Result<(), Error> {
        let mut says = BTreeMap::new();
        for statement in phases.statements() {
            *says.entry(statement.file.as_str()).or_insert(false) |= sets_search_path(statement);
        }
        let silent: Vec<&str> = says.iter().filter(|(_, says)| !**says).map(|(file, _)| *file).collect();
        if silent.is_empty() {
            return Ok(());
        }
        let (whose, reset) = match (&self.role, &self.database) {
            (Some(role), Some(database)) => (
                format!("role {role} in database {database}"),
                format!("ALTER ROLE {role} IN DATABASE {database}"),
            ),
            (Some(role), None) => (format!("role {role}"), format!("ALTER ROLE {role}")),
            (None, Some(database)) => (format!("database {database}"), format!("ALTER DATABASE {database}")),
            (None, None) => ("all roles (ALTER ROLE ALL)".to_owned(), "ALTER ROLE ALL".to_owned()),
        };
        let value = &self.value;
        Err(Error::new(
            Kind::Failed,
            format!("refusing to migrate {settings}, nothing was run"),
            format!(
                "search_path = {value} is set for {whose}; phases run with search_path = public,\n\
                 so names without a schema would mean other objects here than with psql -f"
            ),
        )
        .next(format!(
            "if the phases mean schema public: {reset} RESET search_path;\n\
             if not, say it where it is meant: SET search_path TO …; at the top of {}",
            silent.join(", ")
        )))
    }
}

fn sets_search_path(statement: &Statement) -> bool {
    let text = statement.text.to_ascii_lowercase();
    let words: Vec<&str> = text
        .split(|c: char| !(c.is_alphanumeric() || c == '_'))
        .filter(|word| !word.is_empty())
        .take(6)
        .collect();
    match words.as_slice() {
        ["set", "search_path", ..] | ["set", "session", "search_path", ..] => true,
        ["select", call @ ..] => call.windows(2).any(|pair| pair == ["set_config", "search_path"]),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(value: &str) -> Option<OwnSearchPath> {
        OwnSearchPath::new(Some("app".into()), None, value.into())
    }

    #[test]
    fn what_means_public_is_none_of_its_own() {
        for value in ["public", "\"$user\", public", "\"$user\",public", "pg_catalog, public"] {
            assert_eq!(own(value), None, "{value}");
        }
        for value in ["app", "app, public", "public, extensions", "\"\"", "\"app, public\""] {
            assert_eq!(own(value).unwrap().value, value);
        }
    }
}
