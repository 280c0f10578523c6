//! A `search_path` that the role or the database is set to: `psql -f` would use it, a migration does not.

use std::collections::BTreeMap;

use connection::{Error, Kind, Settings};
use postgres::Client;

use super::connect::Connector;
use super::settings::SetFor;
use crate::source::phases::Phases;
use crate::source::statement::Statement;

/// A `search_path` that `ALTER ROLE … SET` or `ALTER DATABASE … SET` gives to the sessions of the migrating role, and
/// that names other schemas than `public`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct OwnSearchPath {
    set_for: SetFor,
    /// As PostgreSQL keeps it.
    value: String,
}

/// Refuses phases that would mean something else under psql than here, because the role or the database has a
/// `search_path` of its own.
///
/// # Errors
/// See above; the connection is gone.
pub fn refuse_own_search_path(client: &mut Client, phases: &Phases, connector: &Connector) -> Result<(), Error> {
    let mut ask = || -> Result<Option<OwnSearchPath>, postgres::Error> {
        let Some(row) = client.query_typed_opt(include_str!("search_path.sql"), &[])? else {
            return Ok(None);
        };
        Ok(OwnSearchPath::new(SetFor::from_row(&row)?, row.try_get("value")?))
    };
    let own = ask().map_err(|error| connector.lost(&error))?;
    own.map_or(Ok(()), |own| own.allows(phases, connector.settings()))
}

impl OwnSearchPath {
    /// None where the value means no more than what a migration is set to anyway.
    fn new(set_for: SetFor, value: String) -> Option<Self> {
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
        (!same).then_some(Self { set_for, value })
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
        let value = &self.value;
        Err(Error::new(
            Kind::Failed,
            format!("refusing to migrate {settings}, nothing was run"),
            format!(
                "search_path = {value} is set for {}; phases run with search_path = public,\n\
                 so names without a schema would mean other objects here than with psql -f",
                self.set_for.words()
            ),
        )
        .next(format!(
            "if the phases mean schema public: {}\n\
             if not, say it where it is meant: SET search_path TO …; at the top of {}",
            self.set_for.reset("search_path"),
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
        let set_for = SetFor {
            role: Some("app".into()),
            database: None,
        };
        OwnSearchPath::new(set_for, value.into())
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
