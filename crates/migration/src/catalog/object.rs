//! Names of objects: a kind and an identity within it.

use std::fmt;
use std::str::FromStr;
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

/// Every kind that [`Catalog::read`](super::Catalog::read) returns, sorted.
///
/// Comments, privileges and security labels are objects of their own, so that a statement which
/// only writes a comment leaves only that.
pub fn kinds() -> &'static [&'static str] {
    static KINDS: OnceLock<Vec<&'static str>> = OnceLock::new();
    KINDS.get_or_init(|| {
        let own = super::kinds::all().flat_map(|kind| kind.names);
        let mut kinds: Vec<_> = own
            .copied()
            .chain(super::kinds::attached::KINDS.iter().map(|(name, _)| *name))
            .collect();
        kinds.sort_unstable();
        kinds
    })
}

/// An object's name, the same in every database: `column public.events.email`,
/// `constraint events_pkey on public.events`, `privilege select on table public.events to reader`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ObjectId {
    /// One of [`kinds`].
    pub kind: String,
    /// The name within the kind, qualified and quoted as PostgreSQL would.
    pub identity: String,
}

impl ObjectId {
    /// Names an object. Nothing is checked: `kind` should be one of [`kinds`].
    pub fn new(kind: impl Into<String>, identity: impl Into<String>) -> Self {
        Self {
            kind: kind.into(),
            identity: identity.into(),
        }
    }

    /// The table that it is, or is a part of.
    pub fn table(&self) -> Option<&str> {
        match self.kind.as_str() {
            "table" => Some(&self.identity),
            "column" => split_at_last_dot(&self.identity).map(|(table, _)| table),
            "constraint" | "trigger" | "policy" | "rule" => split_on(&self.identity).map(|(_, table)| table),
            _ => None,
        }
    }

    /// Whether all databases of the cluster share the object. Of those an application sees other
    /// applications' too.
    pub fn is_shared(&self) -> bool {
        match self.kind.as_str() {
            "role" | "role membership" | "role setting" => true,
            "comment" => self.identity.starts_with("on role "),
            "privilege" => self.identity.contains(" on parameter "),
            "security label" => self.identity.contains(" on role "),
            _ => false,
        }
    }
}

/// Cuts a qualified name at the last dot that is not inside quotes.
pub fn split_at_last_dot(identity: &str) -> Option<(&str, &str)> {
    let dot = outside_quotes(identity).filter(|(_, c)| *c == '.').last()?.0;
    Some((&identity[..dot], &identity[dot + 1..]))
}

/// Cuts `name on table` in two.
pub fn split_on(identity: &str) -> Option<(&str, &str)> {
    let on = outside_quotes(identity)
        .find(|(at, _)| identity[*at..].starts_with(" on "))?
        .0;
    Some((&identity[..on], &identity[on + " on ".len()..]))
}

/// The characters that are not inside quotes, with their places.
pub fn outside_quotes(text: &str) -> impl Iterator<Item = (usize, char)> {
    let mut quoted = false;
    text.char_indices().filter(move |(_, c)| {
        quoted ^= *c == '"';
        !quoted
    })
}

impl fmt::Display for ObjectId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.kind, self.identity)
    }
}

/// A text that does not begin with one of [`kinds`] or names nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseObjectIdError {
    text: String,
}

impl fmt::Display for ParseObjectIdError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "\"{}\" is not an object: write its kind and name, such as \
             \"column public.events.email\" or \"constraint events_pkey on public.events\" \
             (kinds: {})",
            self.text,
            kinds().join(", ")
        )
    }
}

impl std::error::Error for ParseObjectIdError {}

impl FromStr for ObjectId {
    type Err = ParseObjectIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // The longest kind wins: "domain constraint" is not a domain.
        let trimmed = text.trim();
        // Most kinds are told apart by their first letter: a large expected.json holds tens of thousands of names.
        kinds()
            .iter()
            .filter(|kind| kind.as_bytes().first() == trimmed.as_bytes().first())
            .filter(|kind| trimmed.strip_prefix(**kind).is_some_and(|rest| rest.starts_with(' ')))
            .max_by_key(|kind| kind.len())
            .map(|kind| Self::new(*kind, trimmed[kind.len()..].trim()))
            .ok_or_else(|| ParseObjectIdError { text: text.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_what_it_displays() {
        for kind in kinds() {
            let id = ObjectId::new(*kind, "check public.x");
            assert_eq!(id.to_string().parse(), Ok(id));
        }
        assert!("tables public.x".parse::<ObjectId>().is_err());
        assert!("table ".parse::<ObjectId>().is_err());
    }
}
