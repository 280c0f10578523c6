//! Relations that readers are kept out of, by an ACCESS EXCLUSIVE lock.

use postgres::Client;

use crate::catalog::{ObjectId, Unread};
use crate::expected::Expected;
use crate::locks::Blocker;

/// A relation that cannot be read now.
pub struct Locked {
    /// Its oid.
    pub oid: u32,
    /// Its kind and name.
    pub id: ObjectId,
    /// One of PostgreSQL's own, which every reader needs.
    pub system: bool,
    /// It is not locked itself: it is a view of what is.
    reads: bool,
    /// The lock is held; otherwise it is waited for, and readers wait behind that.
    granted: bool,
    /// By whom.
    blocker: Blocker,
}

impl Locked {
    /// All of the client's database.
    ///
    /// # Errors
    /// The connection is gone.
    pub fn find(client: &mut Client) -> Result<Vec<Self>, postgres::Error> {
        let rows = client.query_typed(include_str!("locked.sql"), &[])?;
        let blockers = Blocker::from_rows(client, &rows)?;
        rows.iter()
            .zip(blockers)
            .map(|(row, blocker)| {
                Ok(Self {
                    oid: row.try_get("relation")?,
                    id: ObjectId::new(row.try_get::<_, String>("kind")?, row.try_get::<_, String>("identity")?),
                    system: row.try_get("system")?,
                    reads: row.try_get("reads")?,
                    granted: row.try_get("granted")?,
                    blocker,
                })
            })
            .collect()
    }

    /// Whether somebody keeps readers out of it directly.
    pub fn is_cause(&self) -> bool {
        !self.reads
    }

    /// Who keeps readers out of it, in words.
    pub fn holder(&self) -> String {
        let lock = match (self.granted, self.reads) {
            (true, false) => "locked (ACCESS EXCLUSIVE) by",
            (true, true) => "what it reads is locked (ACCESS EXCLUSIVE) by",
            (false, _) => "readers wait behind one who waits for an ACCESS EXCLUSIVE lock:",
        };
        format!("{lock} {}", self.blocker)
    }

    /// What the catalog says where it was left out.
    pub fn unread(&self) -> (u32, Unread) {
        let unread = Unread {
            relation: self.id.to_string(),
            holder: self.holder(),
        };
        (self.oid, unread)
    }

    /// Whether a phase has to do with it: it, or something that belongs to it, is named.
    pub fn matters(&self, expected: &Expected) -> bool {
        let of_statements = expected.statements.iter().flat_map(|leaves| &leaves.objects);
        self.system
            || expected
                .objects
                .keys()
                .chain(of_statements.map(|(id, _)| id))
                .any(|id| names(&id.identity, &self.id.identity))
            || expected
                .statements
                .iter()
                .flat_map(|leaves| &leaves.locks)
                .any(|lock| lock.table == self.id.identity)
    }
}

/// Whether an identity names the relation as a whole word: `public.t`, `public.t.id`, `t_pkey on public.t`.
fn names(identity: &str, relation: &str) -> bool {
    let ends = |c: Option<char>| c.is_none_or(|c| !(c.is_alphanumeric() || c == '_' || c == '$' || c == '"'));
    identity.match_indices(relation).any(|(start, _)| {
        let end = start + relation.len();
        ends(identity[..start].chars().next_back()) && ends(identity[end..].chars().next())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_names_a_relation_as_a_whole_word() {
        for identity in [
            "public.t",
            "public.t.id",
            "t_pkey on public.t",
            "select on table public.t to reader",
        ] {
            assert!(names(identity, "public.t"), "{identity}");
        }
        for identity in ["public.tags", "other_public.t", "t_pkey on public.t2", "public.\"t\""] {
            assert!(!names(identity, "public.t"), "{identity}");
        }
    }
}
