//! An empty cluster, kept so that initdb need not run for each scratch server of this machine's binaries.
//!
//! A kept cluster is never run: each server runs on a copy of it. So it needs no lock, two servers at once share nothing,
//! and what ends a server or its owner leaves the kept one as it is. It gets its name only when it is complete.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::storage;

/// How many are kept, of about 40 MB each: the newest of two versions of PostgreSQL, say.
const KEPT: usize = 2;
/// What their names begin with.
const PREFIX: &str = "cluster-";
/// What the names of incomplete ones begin with.
const INCOMPLETE: &str = "incomplete-";
/// After this time nobody is still at work on an incomplete one.
const ABANDONED: Duration = Duration::from_hours(1);

/// What a folder holds.
#[derive(Debug, Default, PartialEq, Eq, Clone, Copy)]
struct Size {
    files: u64,
    bytes: u64,
}

/// The place of a kept cluster; whether there is one is seen when it is asked for.
pub(super) struct Kept {
    /// The folder of all that are kept.
    all: PathBuf,
    /// The one of this very server and its options.
    path: PathBuf,
}

impl Kept {
    /// `of` stands for all that initdb's result depends on.
    pub(super) fn new(all: &Path, of: &str) -> Self {
        Self {
            all: all.to_owned(),
            path: all.join(format!("{PREFIX}{}", storage::hash_of(of.as_bytes()))),
        }
    }

    /// Copies it to `data`, with each file owned as `own` does it, and returns its superuser's password. None: there is
    /// none. One that is not as it was kept is thrown away, and said so.
    pub(super) fn copy_to(
        &self,
        data: &Path,
        own: &dyn Fn(&Path) -> io::Result<()>,
        progress: &dyn Fn(&str),
    ) -> Option<String> {
        let note = self.path.join("note");
        let text = fs::read_to_string(&note).ok()?;
        let copied = copy(&self.path.join("data"), data, own);
        match (copied, parse(&text)) {
            (Ok(size), Some((kept, password))) if size == kept => {
                // Those that were not used for the longest time go first. If this fails, it may be the wrong one.
                let _ = File::open(&note).and_then(|file| file.set_modified(SystemTime::now()));
                return Some(password);
            }
            (Ok(_), _) => self.discard("it is not as it was kept", progress),
            // The copy failed, for lack of space perhaps: that says nothing of the kept one.
            (Err(error), _) => progress(&format!("cannot copy {}: {error}", self.path.display())),
        }
        // initdb makes the folder itself, and says why if it cannot.
        let _ = fs::remove_dir_all(data);
        None
    }

    /// Keeps the data that initdb made just now. If it cannot, that is said, and nothing is kept.
    pub(super) fn keep(&self, data: &Path, password: &str, progress: &dyn Fn(&str)) {
        if let Err(error) = self.try_to_keep(data, password) {
            progress(&format!(
                "cannot keep an empty cluster in {}: {error}",
                self.all.display()
            ));
        }
    }

    fn try_to_keep(&self, data: &Path, password: &str) -> io::Result<()> {
        fs::create_dir_all(&self.all)?;
        let incomplete = self.all.join(format!("{INCOMPLETE}{}", storage::unique_name()));
        storage::private_folder(&incomplete)?;
        let made = copy(data, &incomplete.join("data"), &|_| Ok(())).and_then(|size| {
            let note = format!("{} {}\n{password}", size.files, size.bytes);
            storage::write_private(&incomplete.join("note"), &note)?;
            // Fails where another process has kept one meanwhile: that one will do.
            fs::rename(&incomplete, &self.path)
        });
        if made.is_err() {
            // What could not be written completely is of no use; later ones remove it if this cannot.
            let _ = fs::remove_dir_all(&incomplete);
        }
        self.tidy();
        if self.path.is_dir() { Ok(()) } else { made }
    }

    /// Throws it away, and says why.
    pub(super) fn discard(&self, why: &str, progress: &dyn Fn(&str)) {
        progress(&format!(
            "{}: {why}; thrown away, initdb makes another one",
            self.path.display()
        ));
        // Where it cannot be removed it is found wanting again.
        let _ = fs::remove_dir_all(&self.path);
    }

    /// Removes those that were not used for the longest time, and what was never completed.
    fn tidy(&self) {
        let Ok(entries) = fs::read_dir(&self.all) else { return };
        let mut kept = Vec::new();
        for path in entries.flatten().map(|entry| entry.path()) {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let time = |path: &Path| fs::metadata(path).and_then(|data| data.modified()).ok();
            let age = |path: &Path| time(path).and_then(|time| time.elapsed().ok());
            if name.starts_with(PREFIX) {
                kept.push((time(&path.join("note")), path));
            } else if name.starts_with(INCOMPLETE) && age(&path).is_some_and(|age| age > ABANDONED) {
                let _ = fs::remove_dir_all(&path);
            }
        }
        kept.sort();
        let surplus = kept.len().saturating_sub(KEPT);
        for (_, path) in kept.into_iter().take(surplus).filter(|(_, path)| *path != self.path) {
            // Somebody who copies it just now does without.
            let _ = fs::remove_dir_all(path);
        }
    }
}

/// Throws away all that are kept, and says why.
pub(super) fn discard_all(all: &Path, why: &str, progress: &dyn Fn(&str)) {
    for entry in fs::read_dir(all).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(PREFIX) {
            let path = entry.path();
            Kept {
                all: all.to_owned(),
                path,
            }
            .discard(why, progress);
        }
    }
}

/// Size and password.
fn parse(note: &str) -> Option<(Size, String)> {
    let mut lines = note.lines();
    let (files, bytes) = lines.next()?.split_once(' ')?;
    let size = Size {
        files: files.parse().ok()?,
        bytes: bytes.parse().ok()?,
    };
    let password = lines.next().filter(|password| !password.is_empty())?;
    Some((size, password.to_owned()))
}

/// Copies a folder with all that is in it, for its owner alone: PostgreSQL refuses data that others may write.
fn copy(from: &Path, to: &Path, own: &dyn Fn(&Path) -> io::Result<()>) -> io::Result<Size> {
    storage::private_folder(to)?;
    own(to)?;
    let mut size = Size::default();
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        let kind = entry.file_type()?;
        if kind.is_dir() {
            let inner = copy(&entry.path(), &to, own)?;
            size.files += inner.files;
            size.bytes += inner.bytes;
        } else if kind.is_file() {
            size.files += 1;
            size.bytes += fs::copy(entry.path(), &to)?;
            own(&to)?;
        } else {
            return Err(io::Error::other(format!(
                "{} is neither a file nor a folder",
                entry.path().display()
            )));
        }
    }
    Ok(size)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder that is removed in the end.
    struct Folder(PathBuf);

    impl Folder {
        fn new() -> Self {
            let path = std::env::temp_dir().join(storage::unique_name());
            storage::private_folder(&path).unwrap();
            Self(path)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn data(folder: &Path) -> PathBuf {
        let data = folder.join("initdb");
        fs::create_dir_all(data.join("base/1")).unwrap();
        fs::write(data.join("PG_VERSION"), "15\n").unwrap();
        fs::write(data.join("base/1/1255"), [7; 8192]).unwrap();
        data
    }

    #[test]
    fn a_copy_is_what_was_kept_and_a_damaged_one_is_thrown_away() {
        let folder = Folder::new();
        let all = folder.0.join("target/snapshot");
        let kept = Kept::new(&all, "PostgreSQL 15");
        let copies = |to: &str| kept.copy_to(&folder.0.join(to), &|_| Ok(()), &|_| {});
        assert_eq!(copies("a"), None);
        kept.keep(&data(&folder.0), "secret", &|text| panic!("{text}"));
        assert_eq!(copies("b").as_deref(), Some("secret"));
        assert_eq!(fs::read(folder.0.join("b/base/1/1255")).unwrap(), [7; 8192]);
        assert_eq!(
            Kept::new(&all, "PostgreSQL 18").copy_to(&folder.0.join("c"), &|_| Ok(()), &|_| {}),
            None
        );

        fs::remove_file(kept.path.join("data/PG_VERSION")).unwrap();
        assert_eq!(copies("d"), None);
        assert!(!folder.0.join("d").exists() && !kept.path.exists());
        // It can be kept anew, and what was never completed goes with time.
        let old = all.join("incomplete-x");
        fs::create_dir(&old).unwrap();
        let yesterday = SystemTime::now() - Duration::from_hours(24);
        File::open(&old).unwrap().set_modified(yesterday).unwrap();
        kept.keep(&data(&folder.0), "secret", &|text| panic!("{text}"));
        assert!(copies("e").is_some() && !old.exists());
    }

    #[test]
    fn the_newest_are_kept() {
        let folder = Folder::new();
        let all = folder.0.join("kept");
        let data = data(&folder.0);
        for n in 0..4 {
            let kept = Kept::new(&all, &n.to_string());
            kept.keep(&data, "secret", &|text| panic!("{text}"));
            let time = SystemTime::UNIX_EPOCH + Duration::from_secs(n);
            File::open(kept.path.join("note")).unwrap().set_modified(time).unwrap();
        }
        assert_eq!(fs::read_dir(&all).unwrap().count(), KEPT);
        assert!(Kept::new(&all, "3").path.is_dir());
    }

    #[test]
    fn what_cannot_be_kept_is_said() {
        let folder = Folder::new();
        fs::write(folder.0.join("kept"), "no folder").unwrap();
        let said = std::cell::Cell::new(0);
        let kept = Kept::new(&folder.0.join("kept"), "x");
        kept.keep(&data(&folder.0), "secret", &|_| said.set(said.get() + 1));
        assert_eq!(said.get(), 1);
        assert_eq!(kept.copy_to(&folder.0.join("a"), &|_| Ok(()), &|_| {}), None);
    }
}
