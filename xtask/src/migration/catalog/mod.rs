//! Stub until the catalog reader lands.
use std::fmt;
/// Kind and identity of an object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ObjectId {
    /// For instance `column`.
    pub kind: String,
    /// For instance `public.events.email`.
    pub identity: String,
}
impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.identity)
    }
}
impl std::str::FromStr for ObjectId {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let (kind, identity) = text
            .rsplit_once(' ')
            .ok_or("not an object: kind and identity, for instance `column public.events.email`")?;
        Ok(Self {
            kind: kind.into(),
            identity: identity.into(),
        })
    }
}
