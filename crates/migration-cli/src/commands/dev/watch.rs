//! Which files have changed. By looking at them again and again: a few hundred names cost a millisecond, it works on every
//! file system, also those that are mounted from elsewhere, and whatever an editor does to save a file.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

/// How often is looked, at most.
const PAUSE: Duration = Duration::from_millis(50);
/// Looking takes this part of the time, at most.
const SHARE: u32 = 20;

/// What tells one state of a file from another. Who writes a file anew under its name gives it another number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    modified: Option<SystemTime>,
    size: u64,
    number: u64,
}

type Files = BTreeMap<PathBuf, Stamp>;

/// Files and folders that are looked at.
pub struct Watch {
    roots: Vec<PathBuf>,
    left_out: Vec<PathBuf>,
    is_wanted: fn(&Path) -> bool,
    /// As they were when a change was last told.
    told: Files,
    /// As they were when they were last looked at.
    last: Files,
    took: Duration,
}

impl Watch {
    /// Of what is in these folders, or is one of these files, all that is wanted. What begins with a dot and what cargo
    /// makes is never looked at.
    pub fn new(roots: Vec<PathBuf>, is_wanted: fn(&Path) -> bool) -> Self {
        let mut watch = Self {
            roots,
            left_out: Vec::new(),
            is_wanted,
            told: Files::new(),
            last: Files::new(),
            took: Duration::ZERO,
        };
        watch.told = watch.look();
        watch.last = watch.told.clone();
        watch
    }

    /// The same without this folder, which somebody else looks at.
    pub fn without(mut self, folder: PathBuf) -> Self {
        self.left_out.push(folder);
        self.told = self.look();
        self.last = self.told.clone();
        self
    }

    /// The files that have changed, come or gone since the last time; none while they still change.
    pub fn changed(&mut self) -> Vec<PathBuf> {
        let now = self.look();
        if now != self.last {
            self.last = now;
            return Vec::new();
        }
        if now == self.told {
            return Vec::new();
        }
        let before = std::mem::replace(&mut self.told, now);
        let mut names: Vec<PathBuf> = before.keys().chain(self.told.keys()).cloned().collect();
        names.sort();
        names.dedup();
        names.retain(|name| before.get(name) != self.told.get(name));
        names
    }

    /// How long to wait until the next look.
    pub fn pause(&self) -> Duration {
        PAUSE.max(self.took * SHARE)
    }

    fn look(&mut self) -> Files {
        let start = Instant::now();
        let mut files = Files::new();
        for root in &self.roots {
            self.add(root, &mut files);
        }
        self.took = start.elapsed();
        files
    }

    /// What is gone meanwhile is not there.
    fn add(&self, path: &Path, files: &mut Files) {
        let Ok(metadata) = fs::metadata(path) else { return };
        if self.left_out.iter().any(|left_out| left_out == path) {
            return;
        }
        if metadata.is_dir() {
            for entry in fs::read_dir(path).into_iter().flatten().flatten() {
                let name = entry.file_name();
                // Links to folders may lead in a circle.
                let is_link_to_folder = entry.file_type().is_ok_and(|kind| kind.is_symlink()) && entry.path().is_dir();
                if !name.to_string_lossy().starts_with('.') && name != "target" && !is_link_to_folder {
                    self.add(&entry.path(), files);
                }
            }
        } else if (self.is_wanted)(path) {
            use std::os::unix::fs::MetadataExt;
            let stamp = Stamp {
                modified: metadata.modified().ok(),
                size: metadata.len(),
                number: metadata.ino(),
            };
            files.insert(path.to_owned(), stamp);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks until nothing changes any more: twice after each change.
    fn settled(watch: &mut Watch) -> Vec<PathBuf> {
        let first = watch.changed();
        if first.is_empty() { watch.changed() } else { first }
    }

    #[test]
    fn tells_what_has_changed_once_it_rests() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        fs::create_dir_all(path("sub/target")).unwrap();
        fs::create_dir(path("sql")).unwrap();
        fs::write(path("a.sql"), "1").unwrap();
        let watch = Watch::new(vec![dir.path().to_owned()], |path| !path.ends_with("left.out"));
        let mut watch = watch.without(path("sql"));
        assert!(settled(&mut watch).is_empty());

        fs::write(path("a.sql"), "22").unwrap();
        assert!(watch.changed().is_empty(), "it may still change");
        fs::write(path("sub/b.sql"), "1").unwrap();
        assert!(watch.changed().is_empty(), "it still changes");
        assert_eq!(watch.changed(), [path("a.sql"), path("sub/b.sql")]);
        assert!(watch.changed().is_empty());

        // As editors save: another file takes the name, with the same size.
        fs::write(path(".a.sql.swp"), "33").unwrap();
        fs::rename(path(".a.sql.swp"), path("a.sql")).unwrap();
        assert_eq!(settled(&mut watch), [path("a.sql")]);

        fs::remove_file(path("sub/b.sql")).unwrap();
        assert_eq!(settled(&mut watch), [path("sub/b.sql")]);
        for nobody in [".hidden", "sub/target/made", "left.out", "sql/c"] {
            fs::write(path(nobody), "1").unwrap();
            assert!(settled(&mut watch).is_empty(), "{nobody}");
        }
    }

    #[test]
    fn a_folder_may_go_and_come_back() {
        let dir = tempfile::tempdir().unwrap();
        let (folder, away) = (dir.path().join("sql"), dir.path().join("away"));
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("a.sql"), "1").unwrap();
        let mut watch = Watch::new(vec![folder.clone()], |_| true);
        fs::rename(&folder, &away).unwrap();
        assert_eq!(settled(&mut watch), [folder.join("a.sql")]);
        fs::rename(&away, &folder).unwrap();
        assert_eq!(settled(&mut watch), [folder.join("a.sql")]);
    }
}
