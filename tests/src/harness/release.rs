//! Phases that change from release to release, as their authors edit them.

use std::fs;
use std::path::Path;

use super::Context;
use super::back::Before;
use super::database::Database;
use super::phases::Phases;
use super::xtask::{Output, Xtask, fixture};

/// A folder of phases beside its `expected.json`, which each release succeeds.
pub struct Releases<'c> {
    context: &'c Context,
    folder: Phases,
}

impl<'c> Releases<'c> {
    /// None yet.
    pub fn new(context: &'c Context) -> Self {
        Releases {
            context,
            folder: Phases::new(&[]),
        }
    }

    /// Puts these phases in place of those that are there, and observes them.
    pub fn release(&self, files: &[(&str, &str)]) -> &Self {
        for entry in fs::read_dir(self.path()).expect("the folder is there") {
            let path = entry.expect("readable").path();
            if path.extension().is_some_and(|extension| extension == "sql") {
                fs::remove_file(path).expect("writable");
            }
        }
        for (name, content) in files {
            self.folder.write(name, content);
        }
        self.context.observe(self.path());
        self
    }

    /// The same from a folder of `fixtures/live`.
    pub fn release_fixture(&self, folder: &str) -> &Self {
        let mut files = Vec::new();
        for entry in fs::read_dir(fixture(&format!("live/{folder}"))).expect("the fixture is there") {
            let path = entry.expect("readable").path();
            let name = path.file_name().expect("a file").to_string_lossy().into_owned();
            files.push((name, fs::read_to_string(path).expect("text")));
        }
        let files: Vec<_> = files
            .iter()
            .map(|(name, text)| (name.as_str(), text.as_str()))
            .collect();
        self.release(&files)
    }

    /// `xtask migrate` on a database, by its owner.
    pub fn migrate(&self, database: &Database) -> Output {
        Xtask::migrate(database).phases(self.path()).run()
    }

    /// Migrates, and again: the second time there is nothing to do, and `verify` agrees.
    #[track_caller]
    pub fn deploys(&self, database: &Database) {
        self.deploys_saying(database, &[]);
    }

    /// The same; the first time these texts are said.
    #[track_caller]
    pub fn deploys_saying(&self, database: &Database, texts: &[&str]) {
        let before = Before::of(database);
        let output = self.migrate(database);
        output.ends(0);
        for text in texts {
            output.says(text);
        }
        self.is_done(database);
        before.there_and_back(database, Some(self.path()), false);
    }

    /// There is nothing to do.
    #[track_caller]
    pub fn is_done(&self, database: &Database) {
        self.migrate(database).ends(0).says("nothing to do");
        Xtask::verify(database).phases(self.path()).run().ends(0);
    }

    /// `xtask plan` as text.
    pub fn plan(&self, database: &Database) -> Output {
        Xtask::plan(database).phases(self.path()).run()
    }

    /// The phases, and `expected.json`.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }
}
