//! What a role without rights may have put where SQL finds it: a migration would run it with all rights that it has.

use connection::{Error, Kind, describe};
use postgres::Client;
use postgres::types::Type;

/// Refuses a database in which somebody who is not trusted owns what stands in for PostgreSQL's own functions and
/// operators in the search path, or a table of the phases with triggers. Trusted are superusers, the owner of the
/// database, this role, and unless it is a superuser the roles that it is a member of. `tables`: the names of those of
/// the phases.
///
/// # Errors
/// Of kind [`Kind::Failed`]: such things are there, with their owners. The connection is gone.
pub fn refuse_strangers(client: &mut Client, tables: &[&str]) -> Result<(), Error> {
    let mut ask = || -> Result<Vec<String>, postgres::Error> {
        let rows = client.query_typed(include_str!("strangers.sql"), &[(&tables, Type::TEXT_ARRAY)])?;
        let text = |row: &postgres::Row| {
            let (kind, identity): (String, String) = (row.try_get("kind")?, row.try_get("identity")?);
            Ok(format!(
                "{kind} {identity} belongs to {}",
                row.try_get::<_, String>("owner")?
            ))
        };
        rows.iter().map(text).collect()
    };
    let found =
        ask().map_err(|error| Error::new(Kind::Failed, "cannot tell whose functions are here", describe(&error)))?;
    if found.is_empty() {
        return Ok(());
    }
    Err(Error::new(
        Kind::Failed,
        "refused: a role that is not trusted could run its own code here with the rights of this one",
        found.join("\n"),
    )
    .next("look at them and drop them; what is meant to be there shall belong to this role: ALTER … OWNER TO"))
}
