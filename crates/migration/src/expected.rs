//! `expected.json`: the catalog that a finished database has, and what each statement leaves.
//!
//! Made by `snapshot`, read by everything else. One object a line, so that a change of the schema
//! can be reviewed in the file's diff.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use connection::{Error, Hint, Kind, Next};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::catalog::{Catalog, Difference, ObjectId};
use super::locks::TableLock;
use super::source::phases::Phases;
use super::source::statement::Statement;
use super::text::hex;

/// The file's name; it stands in the folder of the phases.
pub const FILE: &str = "expected.json";
/// The file's format. Another one is stale.
const FORMAT: u32 = 3;

/// A definition, or none: absent.
pub type State = Option<String>;

/// The content of `expected.json`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expected {
    /// Names this version of the phases: a hash of all that follows but locks, online forms, the lineage, and what is
    /// obsolete.
    pub version: String,
    /// The versions that this one was made from, by editing the phases: a database that is at one of them is older.
    pub lineage: BTreeSet<String>,
    /// SHA-256 of the phase files, by path.
    pub files: BTreeMap<String, String>,
    /// What the phases leave in the end. Absent ones are those that a fresh database has and a finished one has not.
    pub objects: BTreeMap<ObjectId, State>,
    /// Objects that a fresh database has and the phases leave alone.
    pub baseline: BTreeSet<ObjectId>,
    /// Objects of optional statements: they may be missing.
    pub optional: BTreeSet<ObjectId>,
    /// Objects that a version of the lineage left in the end, and this one does not name.
    pub obsolete: BTreeSet<ObjectId>,
    /// One for each statement, in order.
    pub statements: Vec<Effect>,
}

/// What a statement means: when it runs on a database in use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Meaning {
    /// It leaves objects in the catalog: it runs when one of them is not as it shall be.
    #[default]
    State,
    /// It drops or changes what later statements make again: it runs only with them, in one transaction.
    Replaces,
    /// It leaves nothing in the catalog: it runs once in each database.
    Once,
    /// It concerns the session: it runs whenever a later statement of its file does.
    Session,
}

/// What a statement does, as observed on the scratch server in two runs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Effect {
    /// SHA-256 of the statement's tokens.
    pub hash: String,
    /// Its first words, for people.
    pub summary: String,
    /// What it means.
    pub meaning: Meaning,
    /// The objects that it created, changed or dropped in the first run, each with the state it left it in.
    pub objects: Vec<(ObjectId, State)>,
    /// The objects that it dropped or changed in the second run, for a later statement to make them again.
    pub replaces: BTreeSet<ObjectId>,
    /// It failed in the second run: what it does was done already.
    pub fails_again: bool,
    /// The tables that it read or wrote; of statements that run once only.
    pub touches: BTreeSet<String>,
    /// Those that it puts rows into.
    pub fills: BTreeSet<String>,
    /// Those that it takes rows out of.
    pub empties: BTreeSet<String>,
    /// It may change rows, or a sequence.
    pub writes: bool,
    /// The strongest lock on each table that was there before.
    pub locks: Vec<TableLock>,
    /// Statements that leave the same and keep nobody waiting; empty where it needs none, or has none.
    pub online: Vec<OnlineStep>,
}

/// A statement of an online form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OnlineStep {
    /// Its text.
    pub text: String,
    /// The objects that it creates, changes or drops, each with the state it leaves it in.
    pub leaves: Vec<(ObjectId, State)>,
    /// The strongest lock on each table that was there before.
    pub locks: Vec<TableLock>,
}

/// Names a statement that runs once: the same text counts as often as it stands in the phases.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct OnceKey {
    /// SHA-256 of its tokens.
    pub hash: String,
    /// Which of those with this hash, from 1.
    pub occurrence: i32,
}

/// The file as JSON.
#[derive(Deserialize)]
struct Document {
    version: String,
    lineage: BTreeSet<String>,
    files: BTreeMap<String, String>,
    objects: BTreeMap<String, State>,
    baseline: BTreeSet<String>,
    optional: BTreeSet<String>,
    obsolete: BTreeSet<String>,
    statements: Vec<StatementDocument>,
}

#[derive(Serialize, Deserialize)]
struct StatementDocument {
    statement: String,
    hash: String,
    #[serde(default, skip_serializing_if = "is_default")]
    meaning: Meaning,
    /// Objects that stay as it leaves them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    leaves: Vec<String>,
    /// Objects that a later statement changes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    interim: BTreeMap<String, State>,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    replaces: BTreeSet<String>,
    #[serde(default, skip_serializing_if = "is_false")]
    fails_again: bool,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    touches: BTreeSet<String>,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    fills: BTreeSet<String>,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    empties: BTreeSet<String>,
    #[serde(default, skip_serializing_if = "is_false")]
    writes: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    locks: Vec<TableLock>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    online: Vec<OnlineDocument>,
}

#[derive(Serialize, Deserialize)]
struct OnlineDocument {
    send: String,
    leaves: BTreeMap<String, State>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    locks: Vec<TableLock>,
}

fn is_false(value: &bool) -> bool {
    !value
}

fn is_default(meaning: &Meaning) -> bool {
    *meaning == Meaning::State
}

impl Expected {
    /// The names of the tables, without their schemas and without quotes.
    pub fn tables(&self) -> Vec<&str> {
        let tables = self.objects.keys().filter(|id| id.kind == "table");
        let names = tables.filter_map(|id| id.identity.rsplit('.').next());
        names.map(|name| name.trim_matches('"')).collect()
    }

    /// Reads the file beside the phases and makes sure that it was made from them.
    ///
    /// # Errors
    /// It is missing, cannot be read, or is stale.
    pub fn read(phases: &Phases) -> Result<Self, Error> {
        let path = phases.dir.join(FILE);
        let stale = |cause: String| {
            let what = format!("cannot use {}, nothing was run", path.display());
            Error::new(Kind::Failed, what, cause)
                .next(Next::from(Hint::MakeExpected).then(", and commit it with the phase files"))
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
        let damaged = |error: &dyn std::fmt::Display| format!("it is damaged: {error}");
        #[derive(Deserialize)]
        struct Format {
            format: u32,
        }
        let Format { format } = serde_json::from_str(text).map_err(|error| damaged(&error))?;
        if format != FORMAT {
            return Err(format!("its format is {format}, this tool writes {FORMAT}"));
        }
        let document: Document = serde_json::from_str(text).map_err(|error| damaged(&error))?;
        let id = |text: &str| text.parse::<ObjectId>().map_err(|error| damaged(&error));
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
                        .ok_or_else(|| damaged(&format_args!("{id} is left and not expected")))?;
                    left.push((id, state.clone()));
                }
                for (text, state) in &statement.interim {
                    left.push((id(text)?, state.clone()));
                }
                left.sort();
                Ok(Effect {
                    hash: statement.hash,
                    summary: statement.statement,
                    meaning: statement.meaning,
                    objects: left,
                    replaces: ids(statement.replaces)?,
                    fails_again: statement.fails_again,
                    touches: statement.touches,
                    fills: statement.fills,
                    empties: statement.empties,
                    writes: statement.writes,
                    locks: statement.locks,
                    online: statement
                        .online
                        .into_iter()
                        .map(|step| {
                            let leaves = step.leaves.into_iter().map(|(text, state)| Ok((id(&text)?, state)));
                            Ok(OnlineStep {
                                text: step.send,
                                leaves: leaves.collect::<Result<_, String>>()?,
                                locks: step.locks,
                            })
                        })
                        .collect::<Result<_, String>>()?,
                })
            })
            .collect::<Result<_, String>>()?;
        Ok(Self {
            version: document.version,
            lineage: document.lineage,
            files: document.files,
            objects,
            baseline: ids(document.baseline)?,
            optional: ids(document.optional)?,
            obsolete: ids(document.obsolete)?,
            statements,
        })
    }

    /// The file's text: sorted, one object, version or statement a line.
    ///
    /// # Errors
    /// None that is known: every part is a string.
    pub fn text(&self) -> Result<String, serde_json::Error> {
        let json = serde_json::to_string::<str>;
        let ids = |ids: &BTreeSet<ObjectId>| {
            ids.iter()
                .map(|id| json(&id.to_string()))
                .collect::<Result<Vec<_>, _>>()
        };
        let mut text = format!("{{\n\"format\": {FORMAT},\n\"version\": {},\n", json(&self.version)?);
        let lineage = self.lineage.iter().map(|version| json(version));
        section(&mut text, "lineage", lineage.collect::<Result<_, _>>()?, ["[", "],"]);
        section(&mut text, "obsolete", ids(&self.obsolete)?, ["[", "],"]);
        text.push_str(&self.observed(true)?);
        text.push_str("}\n");
        Ok(text)
    }

    /// What was observed, as the file has it.
    fn observed(&self, with_locks: bool) -> Result<String, serde_json::Error> {
        let json = serde_json::to_string::<str>;
        let mut text = String::new();
        let mut lines = Vec::new();
        for (file, hash) in &self.files {
            lines.push(format!("{}: {}", json(file)?, json(hash)?));
        }
        section(&mut text, "files", lines, ["{", "},"]);
        let mut lines = Vec::new();
        for (id, state) in &self.objects {
            lines.push(format!("{}: {}", json(&id.to_string())?, serde_json::to_string(state)?));
        }
        section(&mut text, "objects", lines, ["{", "},"]);
        for (name, ids) in [("baseline", &self.baseline), ("optional", &self.optional)] {
            let lines = ids.iter().map(|id| json(&id.to_string())).collect::<Result<_, _>>()?;
            section(&mut text, name, lines, ["[", "],"]);
        }
        let mut lines = Vec::new();
        for statement in &self.statements {
            let mut document = StatementDocument {
                statement: statement.summary.clone(),
                hash: statement.hash.clone(),
                meaning: statement.meaning,
                leaves: Vec::new(),
                interim: BTreeMap::new(),
                replaces: statement.replaces.iter().map(ToString::to_string).collect(),
                fails_again: statement.fails_again,
                touches: statement.touches.clone(),
                fills: statement.fills.clone(),
                empties: statement.empties.clone(),
                writes: statement.writes,
                locks: Vec::new(),
                online: Vec::new(),
            };
            if with_locks {
                document.locks.clone_from(&statement.locks);
                document.online = statement.online.iter().map(OnlineStep::document).collect();
            }
            for (id, state) in &statement.objects {
                if self.objects.get(id) == Some(state) {
                    document.leaves.push(id.to_string());
                } else {
                    document.interim.insert(id.to_string(), state.clone());
                }
            }
            lines.push(serde_json::to_string(&document)?);
        }
        section(&mut text, "statements", lines, ["[", "]"]);
        Ok(text)
    }

    /// Names the version, and makes it the successor of the file that was there before, whose text this is. That may
    /// bear the marks of a merge: then both sides are its predecessors.
    ///
    /// # Errors
    /// As [`text`](Self::text).
    pub fn succeed(&mut self, old: Option<&str>) -> Result<(), serde_json::Error> {
        self.version = hex(&Sha256::digest(self.observed(false)?.as_bytes()));
        let Some(old) = old else { return Ok(()) };
        // Hashes of files and statements stand further down.
        let head = old.split("\n\"files\": {").next().unwrap_or_default();
        for line in head.lines() {
            let value = line.trim().trim_end_matches(',').trim_start_matches("\"version\": ");
            let Ok(value) = serde_json::from_str::<String>(value) else {
                continue;
            };
            if value.len() == 64 && value.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                self.lineage.insert(value);
            } else {
                self.obsolete.extend(value.parse());
            }
        }
        self.lineage.remove(&self.version);
        if let Ok(old) = Self::parse(old) {
            let left = |(id, state): (ObjectId, State)| state.is_some().then_some(id);
            self.obsolete.extend(old.objects.into_iter().filter_map(left));
        }
        let is_left = |id: &ObjectId| matches!(self.objects.get(id), Some(Some(_))) || self.baseline.contains(id);
        self.obsolete.retain(|id| !is_left(id) && !id.is_shared());
        Ok(())
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

    /// Whether nothing is there that the phases make, on the way too, or that earlier versions made: what is shared by the
    /// cluster does not count, nor what a fresh database has.
    pub fn is_untouched(&self, actual: &Catalog) -> bool {
        let present = |id: &ObjectId| !id.is_shared() && !self.baseline.contains(id) && actual.get(id).is_some();
        // Presence is looked up, making is searched for: the former goes first.
        let made = |(id, state): (&ObjectId, &State)| present(id) && (state.is_some() || self.is_made(id));
        !(self.objects.iter().any(made) || self.obsolete.iter().any(present))
    }

    /// Whether a statement makes the object; it may be gone in the end.
    fn is_made(&self, id: &ObjectId) -> bool {
        let mut left = self.statements.iter().flat_map(|effect| &effect.objects);
        left.any(|(left, state)| left == id && state.is_some())
    }

    /// Whether an object is as it shall be in the end; one that is in no file shall be absent.
    pub fn is_as_expected(&self, id: &ObjectId, actual: &Catalog) -> bool {
        match self.objects.get(id) {
            Some(state) => state.as_deref() == actual.get(id),
            None => actual.get(id).is_none() || self.baseline.contains(id),
        }
    }

    /// Whether the phases themselves make the object and drop it again, and no earlier version left it.
    pub fn is_working_object(&self, id: &ObjectId) -> bool {
        let state = self.objects.get(id);
        state == Some(&None) && !self.baseline.contains(id) && !self.obsolete.contains(id) && self.is_made(id)
    }

    /// Whether it may be gone in the end: an earlier version left it, or the phases themselves drop it.
    pub fn is_dispensable(&self, id: &ObjectId) -> bool {
        self.obsolete.contains(id) || self.objects.get(id) == Some(&None)
    }

    /// Whether a statement takes the object away for a later one to make it again.
    pub fn is_replaced(&self, id: &ObjectId) -> bool {
        self.statements.iter().any(|statement| statement.replaces.contains(id))
    }

    /// The last statement that leaves the object, as an index into [`statements`](Self::statements).
    pub fn maker(&self, id: &ObjectId) -> Option<usize> {
        self.statements
            .iter()
            .rposition(|statement| statement.objects.iter().any(|(left, _)| left == id))
    }
}

impl OnlineStep {
    fn document(&self) -> OnlineDocument {
        let leaves = self.leaves.iter().map(|(id, state)| (id.to_string(), state.clone()));
        OnlineDocument {
            send: self.text.clone(),
            leaves: leaves.collect(),
            locks: self.locks.clone(),
        }
    }
}

/// One part of the file: a name, and a line for each element.
fn section(text: &mut String, name: &str, lines: Vec<String>, [open, close]: [&str; 2]) {
    // Writing into a String cannot fail.
    let _ = writeln!(text, "\"{name}\": {open}\n{}\n{close}", lines.join(",\n"));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(objects: &[&str], old: Option<&str>) -> Expected {
        let mut expected = Expected {
            objects: objects
                .iter()
                .map(|id| (id.parse().unwrap(), Some(String::new())))
                .collect(),
            ..Expected::default()
        };
        expected.succeed(old).unwrap();
        expected
    }

    #[test]
    fn a_merge_succeeds_both_sides() {
        let base = version(&["table public.a", "table public.gone"], None);
        let side = |objects: &[&str]| version(objects, Some(&base.text().unwrap()));
        let (ours, theirs) = (side(&["table public.a"]), side(&["table public.a", "table public.b"]));
        assert_eq!(ours.lineage, BTreeSet::from([base.version.clone()]));
        assert!(ours.obsolete.contains(&"table public.gone".parse().unwrap()));
        assert_eq!(Expected::parse(&ours.text().unwrap()), Ok(ours.clone()));
        let line = |expected: &Expected| format!("\"version\": \"{}\",", expected.version);
        let conflicted = ours.text().unwrap().replace(
            &line(&ours),
            &format!(
                "<<<<<<< HEAD\n{}\n=======\n{}\n>>>>>>> theirs",
                line(&ours),
                line(&theirs)
            ),
        );
        let merged = version(
            &["table public.a", "table public.b", "table public.c"],
            Some(&conflicted),
        );
        let expected = [&base, &ours, &theirs].map(|expected| expected.version.clone());
        assert_eq!(merged.lineage, BTreeSet::from(expected));
        assert!(merged.obsolete.contains(&"table public.gone".parse().unwrap()));
        // Made again from the same phases, it is the same version.
        let again = version(&["table public.a"], Some(&ours.text().unwrap()));
        assert_eq!((again.version, again.lineage), (ours.version, ours.lineage));
    }
}
