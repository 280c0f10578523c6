//! `expected.json`: the catalog that a finished database has, and what each statement leaves.
//!
//! Made by `snapshot`, read by everything else. One object a line, so that a change of the schema
//! can be reviewed in the file's diff.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::catalog::{Catalog, Difference, ObjectId};
use super::phases::{Phases, hex};
use super::statement::Statement;
use crate::error::{Error, Kind};

/// The file's name; it stands in the folder of the phases.
pub const FILE: &str = "expected.json";
/// The file's format. Another one is stale.
const FORMAT: u32 = 1;

/// A definition, or none: absent.
pub type State = Option<String>;

/// The content of `expected.json`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// SHA-256 of the phase files, by path.
    pub files: BTreeMap<String, String>,
    /// What the phases leave in the end. Absent ones are those that a fresh database has and a finished one has not.
    pub objects: BTreeMap<ObjectId, State>,
    /// Objects that a fresh database has and the phases leave alone.
    pub baseline: BTreeSet<ObjectId>,
    /// Objects of optional statements: they may be missing.
    pub optional: BTreeSet<ObjectId>,
    /// One for each statement, in order.
    pub statements: Vec<Leaves>,
    /// SHA-256 of the file.
    pub hash: String,
}

/// What a statement does, as observed on the scratch server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Leaves {
    /// SHA-256 of the statement's text.
    pub hash: String,
    /// Its first words, for people.
    pub summary: String,
    /// The objects that it created, changed or dropped, each with the state it left it in.
    pub objects: Vec<(ObjectId, State)>,
    /// It changes rows and fails when it is run again: rows that are put in once.
    pub once: bool,
    /// The strongest lock on each table that was there before.
    pub locks: Vec<TableLock>,
}

/// What a statement does to a table that was there before it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableLock {
    /// The qualified table.
    pub table: String,
    /// The strongest lock, as `pg_locks` names it, for instance `AccessExclusiveLock`.
    pub mode: String,
    /// It read the whole table meanwhile.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub scans: bool,
    /// It wrote the whole table anew.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub rewrites: bool,
}

/// The file as JSON.
#[derive(Deserialize)]
struct Document {
    format: u32,
    files: BTreeMap<String, String>,
    objects: BTreeMap<String, State>,
    baseline: BTreeSet<String>,
    optional: BTreeSet<String>,
    statements: Vec<StatementDocument>,
}

#[derive(Serialize, Deserialize)]
struct StatementDocument {
    statement: String,
    hash: String,
    /// Objects that stay as it leaves them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    leaves: Vec<String>,
    /// Objects that a later statement changes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    interim: BTreeMap<String, State>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    once: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    locks: Vec<TableLock>,
}

impl Expected {
    /// Reads the file beside the phases and makes sure that it was made from them.
    ///
    /// # Errors
    /// It is missing, cannot be read, or is stale.
    pub fn read(phases: &Phases) -> Result<Self, Error> {
        let path = phases.dir.join(FILE);
        let stale = |cause: String| {
            Error::new(
                Kind::Failed,
                format!("cannot use {}, nothing was run", path.display()),
                cause,
            )
            .next(
                "make it with: cargo xtask snapshot (with the same --sql), and commit it with the phase files;\n\
                 or do without: migrate --no-snapshot runs every statement as it stands",
            )
        };
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(stale("it is missing".into())),
            Err(error) => return Err(stale(error.to_string())),
        };
        let expected = Self::parse(&text).map_err(&stale)?;
        match expected.staleness(phases) {
            None => Ok(expected),
            Some(reason) => Err(stale(format!("it is stale: {reason}"))),
        }
    }

    /// Reads the file's text.
    ///
    /// # Errors
    /// It is not what [`text`](Self::text) writes.
    pub fn parse(text: &str) -> Result<Self, String> {
        let document: Document = serde_json::from_str(text).map_err(|error| format!("it is damaged: {error}"))?;
        if document.format != FORMAT {
            return Err(format!("its format is {}, this tool writes {FORMAT}", document.format));
        }
        let id = |text: &str| {
            text.parse::<ObjectId>()
                .map_err(|error| format!("it is damaged: {error}"))
        };
        let ids = |texts: BTreeSet<String>| texts.iter().map(|text| id(text)).collect::<Result<_, _>>();
        let objects = document
            .objects
            .into_iter()
            .map(|(text, state)| Ok((id(&text)?, state)))
            .collect::<Result<BTreeMap<_, _>, String>>()?;
        let statements = document
            .statements
            .into_iter()
            .map(|statement| {
                let mut left = Vec::new();
                for text in &statement.leaves {
                    let id = id(text)?;
                    let state = objects
                        .get(&id)
                        .ok_or_else(|| format!("it is damaged: {id} is left and not expected"))?;
                    left.push((id, state.clone()));
                }
                for (text, state) in &statement.interim {
                    left.push((id(text)?, state.clone()));
                }
                left.sort();
                Ok(Leaves {
                    hash: statement.hash,
                    summary: statement.statement,
                    objects: left,
                    once: statement.once,
                    locks: statement.locks,
                })
            })
            .collect::<Result<_, String>>()?;
        Ok(Self {
            files: document.files,
            objects,
            baseline: ids(document.baseline)?,
            optional: ids(document.optional)?,
            statements,
            hash: hex(&Sha256::digest(text.as_bytes())),
        })
    }

    /// The file's text: sorted, one object or statement a line.
    ///
    /// # Errors
    /// None that is known: every part is a string.
    pub fn text(&self) -> Result<String, serde_json::Error> {
        let mut text = format!("{{\n\"format\": {FORMAT},\n");
        let map = |text: &mut String, name: &str, lines: Vec<String>, brackets: [&str; 2]| {
            // Writing into a String cannot fail.
            let _ = writeln!(
                text,
                "\"{name}\": {}\n{}\n{}{}",
                brackets[0],
                lines.join(",\n"),
                brackets[1],
                if name == "statements" { "" } else { "," }
            );
        };
        let json = serde_json::to_string::<str>;
        let mut lines = Vec::new();
        for (file, hash) in &self.files {
            lines.push(format!("{}: {}", json(file)?, json(hash)?));
        }
        map(&mut text, "files", lines, ["{", "}"]);
        let mut lines = Vec::new();
        for (id, state) in &self.objects {
            lines.push(format!("{}: {}", json(&id.to_string())?, serde_json::to_string(state)?));
        }
        map(&mut text, "objects", lines, ["{", "}"]);
        for (name, ids) in [("baseline", &self.baseline), ("optional", &self.optional)] {
            let lines = ids.iter().map(|id| json(&id.to_string())).collect::<Result<_, _>>()?;
            map(&mut text, name, lines, ["[", "]"]);
        }
        let mut lines = Vec::new();
        for statement in &self.statements {
            let mut document = StatementDocument {
                statement: statement.summary.clone(),
                hash: statement.hash.clone(),
                leaves: Vec::new(),
                interim: BTreeMap::new(),
                once: statement.once,
                locks: statement.locks.clone(),
            };
            for (id, state) in &statement.objects {
                if self.objects.get(id) == Some(state) {
                    document.leaves.push(id.to_string());
                } else {
                    document.interim.insert(id.to_string(), state.clone());
                }
            }
            lines.push(serde_json::to_string(&document)?);
        }
        map(&mut text, "statements", lines, ["[", "]"]);
        text.push_str("}\n");
        Ok(text)
    }

    /// Why the file was not made from these phases; none where it was.
    pub fn staleness(&self, phases: &Phases) -> Option<String> {
        if self.files != phases.hashes {
            let names = self.files.keys().chain(phases.hashes.keys()).collect::<BTreeSet<_>>();
            let changed: Vec<_> = names
                .into_iter()
                .filter(|name| self.files.get(*name) != phases.hashes.get(*name))
                .cloned()
                .collect();
            return Some(format!("{} changed since it was made", changed.join(", ")));
        }
        // Equal files are cut equally, unless another version of the tool cut them.
        let hashes = phases.statements().map(Statement::hash);
        let same = hashes.eq(self.statements.iter().map(|statement| statement.hash.clone()));
        (!same).then(|| "another version of this tool made it".to_owned())
    }

    /// What a database lacks, has otherwise, or has besides; optional objects may be missing.
    pub fn differences(&self, actual: &Catalog) -> Vec<Difference> {
        let mut differences = Vec::new();
        for (id, state) in &self.objects {
            let is = actual.get(id);
            match (state, is) {
                (Some(expected), None) if !self.optional.contains(id) => {
                    differences.push(Difference::Missing {
                        id: id.clone(),
                        expected: expected.clone(),
                    });
                }
                (Some(expected), Some(actual)) if expected != actual => differences.push(Difference::Different {
                    id: id.clone(),
                    expected: expected.clone(),
                    actual: actual.to_owned(),
                }),
                // To be gone, and there: as wrong as something that is missing.
                (None, Some(actual)) => differences.push(Difference::Different {
                    id: id.clone(),
                    expected: "(absent)".to_owned(),
                    actual: actual.to_owned(),
                }),
                _ => {}
            }
        }
        let known = |id: &ObjectId| self.objects.contains_key(id) || self.baseline.contains(id) || id.is_shared();
        for (id, actual) in actual.iter().filter(|(id, _)| !known(id)) {
            differences.push(Difference::Extra {
                id: id.clone(),
                actual: actual.to_owned(),
            });
        }
        differences.sort_by(|a, b| a.id().cmp(b.id()));
        differences
    }

    /// Whether no expected object is there: what is shared by the cluster does not count.
    pub fn is_untouched(&self, actual: &Catalog) -> bool {
        let present = |(id, state): (&ObjectId, &State)| {
            state.is_some() && !id.is_shared() && !self.baseline.contains(id) && actual.get(id).is_some()
        };
        !self.objects.iter().any(present)
    }

    /// Whether an object is as it shall be in the end; one that is in no file shall be absent.
    pub fn is_as_expected(&self, id: &ObjectId, actual: &Catalog) -> bool {
        match self.objects.get(id) {
            Some(state) => state.as_deref() == actual.get(id),
            None => actual.get(id).is_none() || self.baseline.contains(id),
        }
    }

    /// The last statement that leaves the object, as an index into [`statements`](Self::statements).
    pub fn maker(&self, id: &ObjectId) -> Option<usize> {
        self.statements
            .iter()
            .rposition(|statement| statement.objects.iter().any(|(left, _)| left == id))
    }
}
