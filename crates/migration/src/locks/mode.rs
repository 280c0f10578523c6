//! The modes of locks on tables.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A mode of a lock on a table, from the weakest to the strongest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "&'static str", try_from = "String")]
pub enum LockMode {
    /// Of those who read.
    AccessShare,
    /// Of `SELECT … FOR UPDATE` and its relatives.
    RowShare,
    /// Of those who write rows.
    RowExclusive,
    /// Of `VACUUM`, `CREATE INDEX CONCURRENTLY`, `VALIDATE CONSTRAINT`.
    ShareUpdateExclusive,
    /// Of `CREATE INDEX`.
    Share,
    /// Of `CREATE TRIGGER`.
    ShareRowExclusive,
    /// Of `REFRESH MATERIALIZED VIEW CONCURRENTLY`.
    Exclusive,
    /// Of `DROP TABLE`, `TRUNCATE` and most forms of `ALTER TABLE`.
    AccessExclusive,
}

impl LockMode {
    /// All of them, the weakest first.
    pub const ALL: [Self; 8] = [
        Self::AccessShare,
        Self::RowShare,
        Self::RowExclusive,
        Self::ShareUpdateExclusive,
        Self::Share,
        Self::ShareRowExclusive,
        Self::Exclusive,
        Self::AccessExclusive,
    ];

    /// Its name in `pg_locks`.
    pub fn name(self) -> &'static str {
        match self {
            Self::AccessShare => "AccessShareLock",
            Self::RowShare => "RowShareLock",
            Self::RowExclusive => "RowExclusiveLock",
            Self::ShareUpdateExclusive => "ShareUpdateExclusiveLock",
            Self::Share => "ShareLock",
            Self::ShareRowExclusive => "ShareRowExclusiveLock",
            Self::Exclusive => "ExclusiveLock",
            Self::AccessExclusive => "AccessExclusiveLock",
        }
    }

    /// Whether two sessions cannot hold these modes on one table at the same time: PostgreSQL's documentation, table 13.2.
    pub fn conflicts_with(self, other: Self) -> bool {
        // Each mode conflicts with all from a certain one on; but `SHARE` may be held by many.
        let weakest = match self {
            Self::AccessShare => Self::AccessExclusive,
            Self::RowShare => Self::Exclusive,
            Self::RowExclusive => Self::Share,
            Self::ShareUpdateExclusive => Self::ShareUpdateExclusive,
            Self::Share | Self::ShareRowExclusive => Self::RowExclusive,
            Self::Exclusive => Self::RowShare,
            Self::AccessExclusive => Self::AccessShare,
        };
        other >= weakest && (self, other) != (Self::Share, Self::Share)
    }
}

/// As the documentation writes it, for instance `ACCESS EXCLUSIVE`.
impl fmt::Display for LockMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, letter) in self.name().trim_end_matches("Lock").chars().enumerate() {
            if letter.is_uppercase() && n > 0 {
                f.write_str(" ")?;
            }
            write!(f, "{}", letter.to_ascii_uppercase())?;
        }
        Ok(())
    }
}

impl FromStr for LockMode {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let mode = Self::ALL.into_iter().find(|mode| mode.name() == name);
        mode.ok_or_else(|| format!("{name} is no mode of a lock on a table"))
    }
}

impl TryFrom<String> for LockMode {
    type Error = String;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        name.parse()
    }
}

impl From<LockMode> for &'static str {
    fn from(mode: LockMode) -> Self {
        mode.name()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings() {
        for mode in LockMode::ALL {
            assert_eq!(mode.name().parse(), Ok(mode));
            let json = serde_json::to_string(&mode).unwrap();
            assert_eq!(json, format!("\"{}\"", mode.name()));
            assert_eq!(serde_json::from_str::<LockMode>(&json).unwrap(), mode);
        }
        assert_eq!(LockMode::Share.to_string(), "SHARE");
        assert_eq!(LockMode::ShareUpdateExclusive.to_string(), "SHARE UPDATE EXCLUSIVE");
        assert!("SIReadLock".parse::<LockMode>().is_err());
        assert!(LockMode::ALL.is_sorted());
    }

    #[test]
    fn conflicts_are_those_of_the_documentation() {
        // Rows and columns from ACCESS SHARE to ACCESS EXCLUSIVE.
        let table = [
            ".......X", "......XX", "....XXXX", "...XXXXX", "..XX.XXX", "..XXXXXX", ".XXXXXXX", "XXXXXXXX",
        ];
        for (row, one) in table.into_iter().zip(LockMode::ALL) {
            let conflicts = LockMode::ALL.map(|other| if one.conflicts_with(other) { 'X' } else { '.' });
            assert_eq!(conflicts.iter().collect::<String>(), row, "{one}");
        }
    }
}
