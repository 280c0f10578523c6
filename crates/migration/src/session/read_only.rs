//! Why a server that was reached takes no writes, and what to do about it.

use postgres::Client;

use connection::{Error, Kind, Settings};

use super::settings::SetFor;

/// What a server that takes no writes tells of the reason.
#[derive(Debug)]
pub enum Why {
    /// It replays another server's writes.
    Standby,
    /// `default_transaction_read_only` is on.
    Setting(Source),
    /// It could not be asked.
    Unknown,
}

/// Where a setting stands.
#[derive(Debug)]
pub struct Source {
    /// What `pg_settings` calls it, for instance `database user`.
    name: String,
    set_for: SetFor,
    /// File and line, for those who may see them.
    place: Option<String>,
}

impl Why {
    /// Asks the server.
    pub fn ask(client: &mut Client) -> Self {
        let mut ask = || -> Result<Self, postgres::Error> {
            let row = client.query_typed_one(include_str!("read_only.sql"), &[])?;
            if row.try_get("standby")? {
                return Ok(Self::Standby);
            }
            Ok(Self::Setting(Source {
                name: row.try_get("source")?,
                set_for: SetFor::from_row(&row)?,
                place: row.try_get("place")?,
            }))
        };
        // The reason is a help; that nothing can be written is true without it.
        ask().unwrap_or(Self::Unknown)
    }

    /// Whether it may be over in a moment: a standby is promoted when its primary fails.
    pub fn may_pass(&self) -> bool {
        !matches!(self, Self::Setting(_))
    }

    /// The error of whoever wanted to write.
    pub fn error(&self, settings: &Settings) -> Error {
        let several = "POSTGRES_HOST takes several hosts (a,b): the writable one is used";
        let what = format!("cannot write to {settings}");
        match self {
            Self::Standby => Error::new(
                Kind::Connect,
                what,
                "the server is a standby (it is in recovery): it does not accept writes",
            )
            .next(format!("connect to the primary; {several}")),
            Self::Setting(source) => {
                let (place, next) = source.place_and_next();
                let cause = format!(
                    "transactions are read-only by a setting, default_transaction_read_only = on, {place};\n\
                     the server itself is no standby"
                );
                Error::new(Kind::Connect, what, cause).next(next)
            }
            Self::Unknown => Error::new(
                Kind::Connect,
                what,
                "the server is a standby, or read-only by default_transaction_read_only: it does not accept writes",
            )
            .next(format!("connect to the primary, or reset the setting; {several}")),
        }
    }
}

impl Source {
    /// Where the setting stands, and what takes it away.
    fn place_and_next(&self) -> (String, String) {
        const SETTING: &str = "default_transaction_read_only";
        let known = self.set_for.role.is_some() || self.set_for.database.is_some();
        match self.name.as_str() {
            "database user" | "user" | "database" if known => {
                (format!("of {}", self.set_for.words()), self.set_for.reset(SETTING))
            }
            "global" => (format!("of {}", self.set_for.words()), self.set_for.reset(SETTING)),
            "client" => (
                "in what this client asked for (options= in DATABASE_URL)".to_owned(),
                "take it out there".to_owned(),
            ),
            "command line" => (
                "of the whole server (on its command line)".to_owned(),
                "start the server without it".to_owned(),
            ),
            "configuration file" => (
                format!(
                    "of the whole server ({})",
                    self.place.as_deref().unwrap_or("postgresql.conf or ALTER SYSTEM")
                ),
                format!(
                    "ALTER SYSTEM RESET {SETTING}; or take it out of postgresql.conf; then SELECT pg_reload_conf(); hosting\n\
                     services set it when the disk is full or the server is about to be moved"
                ),
            ),
            name => (format!("(source: {name})"), format!("RESET {SETTING}")),
        }
    }
}
