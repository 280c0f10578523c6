//! What was observed, as a record that can be kept: what is on it need not be observed again.
//!
//! It names statements by what is sent to the server, file by file: whoever changes a comment, a file's name or a reason
//! in a directive changes none of them. What the statements mean is told from the record each time.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::scratch::{Scratch, Seen};
use crate::catalog::{Catalog, ObjectId, changes};
use crate::expected::OnlineStep;
use crate::source::phases::Phases;
use crate::source::statement::Statement;
use crate::sqlstate::is_acceptable_where_optional;
use crate::text::hex;

/// What phases did on a scratch server: the first run of their first files, or of all and the second run as well.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Record {
    /// What an empty database holds.
    fresh: Vec<(ObjectId, String)>,
    /// The statements on record, file by file.
    files: Vec<File>,
    /// What each did in the first run, or why it, being optional, could not be run.
    pub(super) first: Vec<Result<Seen, String>>,
    /// Of statements that would keep users of a table waiting: their online form, or why it is none. It depends on no later
    /// statement.
    pub(super) online: BTreeMap<usize, Result<Vec<OnlineStep>, String>>,
    /// None until all have run twice.
    pub(super) again: Option<Again>,
    /// Everything is read after each statement.
    #[serde(skip)]
    pub(super) careful: bool,
}

/// What the phases do after their first run.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Again {
    /// What each statement did in the second run; none: it was not run, or failed.
    pub(super) second: Vec<Option<Seen>>,
    /// Which of those that shall run always still change rows, and how many.
    pub(super) restless: Vec<(usize, i64)>,
}

/// The statements of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct File {
    /// A hash of them and of those of all files before.
    hash: String,
    /// How many there are up to its end.
    end: usize,
}

/// The files of phases. Those without a statement do nothing.
pub(super) fn files(phases: &Phases) -> Vec<File> {
    let statements: Vec<&Statement> = phases.statements().collect();
    let mut files: Vec<File> = Vec::new();
    for statements in statements.chunk_by(|a, b| a.file == b.file) {
        let last = files.last();
        let mut hash = Sha256::new();
        hash.update(last.map(|file| file.hash.as_str()).unwrap_or_default());
        for statement in statements {
            // All that has a say in how it runs; of each text its length, so that no two can be taken for one.
            let directives = &statement.directives;
            let data = statement.copy_data.as_deref();
            for text in [Some(statement.text.as_str()), data] {
                hash.update(format!("{:?} ", text.map(str::len)));
                hash.update(text.unwrap_or_default());
            }
            hash.update(format!(
                "{:?} {} {} ",
                statement.transaction, directives.optional, directives.always
            ));
        }
        files.push(File {
            hash: hex(&hash.finalize()),
            end: last.map_or(0, |file| file.end) + statements.len(),
        });
    }
    files
}

/// How many files two lists have in common, from the first one on.
pub(super) fn common(a: &[File], b: &[File]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

/// The catalog after statements that did this.
pub(super) fn with(catalog: &Catalog, seen: &[Option<&Seen>]) -> Catalog {
    let mut objects: BTreeMap<ObjectId, String> = catalog
        .iter()
        .map(|(id, definition)| (id.clone(), definition.to_owned()))
        .collect();
    for (id, _, after) in seen.iter().flatten().flat_map(|seen| &seen.changes) {
        match after {
            Some(definition) => objects.insert(id.clone(), definition.clone()),
            None => objects.remove(id),
        };
    }
    objects.into_iter().collect()
}

impl Record {
    /// An empty one, which is filled by reading everything after each statement: that takes long.
    pub(super) fn careful() -> Self {
        Self {
            careful: true,
            ..Self::default()
        }
    }

    /// How many statements are on it.
    pub fn len(&self) -> usize {
        self.first.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.first.is_empty()
    }

    /// Whether both runs are on it.
    pub fn is_complete(&self) -> bool {
        self.again.is_some()
    }

    /// Begins with what an empty database holds.
    pub(super) fn begin(&mut self, fresh: &Catalog) {
        let objects = fresh.iter().map(|(id, definition)| (id.clone(), definition.to_owned()));
        self.fresh = objects.collect();
    }

    pub(super) fn fresh(&self) -> Catalog {
        self.fresh.iter().cloned().collect()
    }

    /// The files that are on it.
    pub(super) fn files(&self) -> &[File] {
        &self.files
    }

    /// Names the files whose statements are all on record; of one that failed half-way the statements go.
    pub(super) fn close(&mut self, phases: &Phases) {
        self.files = files(phases);
        self.files.retain(|file| file.end <= self.first.len());
        self.first.truncate(self.files.last().map_or(0, |file| file.end));
        self.online.split_off(&self.first.len());
    }

    /// Leaves the first files on record, for phases that go on otherwise.
    pub(super) fn keep(&mut self, files: usize) {
        self.files.truncate(files);
        self.first.truncate(self.files.last().map_or(0, |file| file.end));
        self.online.split_off(&self.first.len());
        self.again = None;
    }

    /// Whether it can be what [`complete`](Self::complete) made.
    pub(super) fn is_sound(&self) -> bool {
        let statements = self.files.last().map_or(0, |file| file.end);
        let again = self.again.as_ref();
        statements == self.first.len() && again.is_none_or(|again| again.second.len() == statements)
    }

    /// Runs the statements on record without looking, and then looks whether they left what they left then.
    pub(super) fn holds(
        &self,
        scratch: &mut Scratch<'_>,
        statements: &[&Statement],
        progress: &dyn Fn(usize, &Statement),
    ) -> Result<bool, postgres::Error> {
        let mut left = self.fresh();
        if !changes(&left, scratch.catalog()).is_empty() {
            return Ok(false);
        }
        for (n, (statement, seen)) in statements.iter().zip(&self.first).enumerate() {
            progress(n + 1, statement);
            let as_then = match (scratch.run_unseen(statement)?, seen) {
                (Ok(()), Ok(_)) => true,
                (Err(error), Err(_)) => statement.directives.optional && is_acceptable_where_optional(&error),
                _ => false,
            };
            if !as_then {
                return Ok(false);
            }
        }
        scratch.end_file()?;
        scratch.catch_up()?;
        let seen: Vec<_> = self.first.iter().map(|seen| seen.as_ref().ok()).collect();
        left = with(&left, &seen);
        Ok(changes(&left, scratch.catalog()).is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files_of(texts: &[(&str, &str)]) -> Vec<File> {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in texts {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        files(&Phases::read(folder.path()).unwrap())
    }

    #[test]
    fn what_is_sent_names_a_file_and_all_before_it() {
        let two = files_of(&[("1_a.sql", "SELECT 1;\nSELECT 2;"), ("2_b.sql", "SELECT 3;")]);
        assert_eq!(two.iter().map(|file| file.end).collect::<Vec<_>>(), [2, 3]);
        let same = files_of(&[
            ("1_other.sql", "-- A comment.\nSELECT 1; SELECT 2;\n"),
            ("2_b.sql", "-- xtask: accepts a reason\nSELECT 3;"),
            ("3_empty.sql", "-- nothing"),
        ]);
        assert_eq!(same, two);
        let later = files_of(&[("1_a.sql", "SELECT 1;\nSELECT 2;"), ("2_b.sql", "SELECT 4;")]);
        assert_eq!(common(&later, &two), 1);
        for first in [
            "SELECT 1;\nSELECT 5;",
            "SELECT 1;",
            "BEGIN; SELECT 1;\nSELECT 2; COMMIT;",
            "-- xtask: always\nSELECT 1;\nSELECT 2;",
        ] {
            let other = files_of(&[("1_a.sql", first), ("2_b.sql", "SELECT 3;")]);
            assert!(common(&other, &two) == 0 && other[1] != two[1], "{first}");
        }
        let apart = files_of(&[
            ("1_a.sql", "SELECT 1;"),
            ("2_a.sql", "SELECT 2;"),
            ("3_b.sql", "SELECT 3;"),
        ]);
        assert_eq!(common(&apart, &two), 0);
    }

    #[test]
    fn a_file_that_failed_half_way_is_not_on_record() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("1_a.sql"), "SELECT 1;").unwrap();
        std::fs::write(folder.path().join("2_b.sql"), "SELECT 2; SELECT 3; SELECT 4;").unwrap();
        let phases = Phases::read(folder.path()).unwrap();
        let mut record = Record::default();
        record.first.extend((0..3).map(|_| Ok(Seen::default())));
        record.close(&phases);
        assert_eq!((record.len(), record.files().len()), (1, 1));
        assert!(record.is_sound());
    }
}
