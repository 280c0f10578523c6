//! Why a statement runs, or does not, in words.

use std::fmt;

use serde::Serialize;

use crate::catalog::ObjectId;

/// Why a statement runs, or does not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "reason")]
pub enum Reason {
    /// What it leaves is missing, or otherwise.
    Unsatisfied {
        /// Which objects.
        objects: Vec<ObjectId>,
    },
    /// It cannot run again; what is missing is made from its definition.
    Repaired {
        /// Which objects.
        objects: Vec<ObjectId>,
    },
    /// What it makes is there otherwise, and it changes nothing that is there.
    Different {
        /// Which objects.
        objects: Vec<ObjectId>,
    },
    /// What is missing is there under the name that an earlier version gave it.
    Renamed {
        /// Which objects.
        objects: Vec<ObjectId>,
    },
    /// All that it leaves is there.
    Satisfied,
    /// Nothing that is expected is there: everything runs.
    Untouched,
    /// An object that it prepares is not as expected yet.
    Prepares {
        /// Which.
        objects: Vec<ObjectId>,
    },
    /// What it prepares is as expected.
    Prepared,
    /// A directive says so.
    Always,
    /// It runs once, and has not run here.
    Once,
    /// It runs once, and has run here.
    OnceDone,
    /// What it replaces must be made again.
    Replaces {
        /// Which objects.
        objects: Vec<ObjectId>,
    },
    /// What it replaces is as it shall be.
    NothingToReplace,
    /// An earlier statement takes away what it makes.
    MadeAgain {
        /// Where the earlier statement stands.
        after: String,
    },
    /// Another statement of the same rows is new.
    RowsPutBack {
        /// Where that one stands.
        with: String,
    },
    /// A statement that runs once needs what it makes for a while.
    Needed {
        /// Where that one stands.
        by: String,
    },
    /// It sets up the session for a statement that runs.
    Session,
    /// No statement of its file runs that it would set up the session for.
    SessionIdle,
    /// Asked for.
    Forced,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |objects: &[ObjectId]| match objects {
            [one] => one.to_string(),
            [first, rest @ ..] => format!("{first} and {} more", rest.len()),
            [] => String::new(),
        };
        match self {
            Self::Unsatisfied { objects } => write!(f, "missing or different: {}", list(objects)),
            Self::Repaired { objects } => write!(
                f,
                "missing: {}; the statement itself cannot add it to what is there: made from the definition",
                list(objects)
            ),
            Self::Different { objects } => write!(
                f,
                "there, and different: {}; the statement changes nothing that is there",
                list(objects)
            ),
            Self::Renamed { objects } => write!(f, "there under an earlier name, renamed: {}", list(objects)),
            Self::Satisfied => f.write_str("all it leaves is there"),
            Self::Untouched => f.write_str("nothing expected is there yet"),
            Self::Prepares { objects } => write!(f, "prepares {}", list(objects)),
            Self::Prepared => f.write_str("what it prepares is there"),
            Self::Always => f.write_str("directive: always"),
            Self::Once => f.write_str("runs once, and has not run here"),
            Self::OnceDone => f.write_str("runs once, and has run here"),
            Self::Replaces { objects } => write!(f, "makes way for {}, in one transaction", list(objects)),
            Self::NothingToReplace => f.write_str("what it would make way for is as it shall be"),
            Self::MadeAgain { after } => write!(f, "makes again what {after} takes away, in one transaction"),
            Self::RowsPutBack { with } => write!(f, "the rows are put in anew, with {with}, in one transaction"),
            Self::Needed { by } => write!(f, "{by} needs it for a while"),
            Self::Session => f.write_str("sets up the session"),
            Self::SessionIdle => f.write_str("sets up the session for nothing"),
            Self::Forced => f.write_str("asked for"),
        }
    }
}
