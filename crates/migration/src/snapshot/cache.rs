//! Records in a folder, for the next time. Nothing there is ever needed: what cannot be used is thrown away.
//!
//! A file has two lines: which files of which phases are on record, and the record. It is written beside its place and
//! gets its name by a rename, so that whoever is killed, or fills the disk, leaves no part of one.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::record::{self, Record, common, files};
use crate::source::phases::Phases;
use crate::text::sha256;

/// How many records are kept.
const KEPT: usize = 16;
/// How large they may be together.
const LIMIT: u64 = 64 << 20;
/// What their names begin with, and end with.
const AFFIXES: [&str; 2] = ["observed-", ".json"];
/// What the name of one that is being written ends with.
const INCOMPLETE: &str = ".incomplete";
/// After this time nobody is still at work on an incomplete one.
const ABANDONED: Duration = Duration::from_hours(1);

/// Where records are kept that were made under the same circumstances.
pub struct Cache {
    folder: PathBuf,
    key: String,
}

/// What was found in a cache.
#[derive(Debug, Default)]
pub struct Found {
    /// What is known of the first files, or of all. Empty where nothing is.
    pub record: Record,
    /// Files that could not be used, and why.
    pub damaged: Vec<String>,
}

/// A file's first line.
#[derive(Serialize, Deserialize)]
struct Head {
    key: String,
    files: Vec<record::File>,
    complete: bool,
    /// Of the second line.
    hash: String,
}

impl Cache {
    /// Records in `folder`; `circumstances` stand for all but the phases that could make an observation another one.
    pub fn new(folder: &Path, circumstances: &[&str]) -> Self {
        // Of each its length, so that no two lists can be taken for one.
        let texts = circumstances.iter().map(|text| format!("{} {text} ", text.len()));
        Self {
            folder: folder.to_owned(),
            key: sha256(&texts.collect::<String>()),
        }
    }

    /// What is known of the first files of these phases. Of records that know as many, a complete one is better.
    pub fn find(&self, phases: &Phases) -> Found {
        let wanted = files(phases);
        let mut found = Found::default();
        let mut useful = Vec::new();
        for path in self.all() {
            match read_head(&path) {
                Ok(head) if head.key != self.key => {}
                Ok(head) => {
                    let complete = head.complete && head.files == wanted;
                    useful.push((common(&head.files, &wanted), complete, path, head));
                }
                Err(error) => found.throw_away(&path, &error),
            }
        }
        useful.retain(|(known, ..)| *known > 0);
        useful.sort_by_key(|(known, complete, ..)| (*known, *complete));
        while let Some((known, complete, path, head)) = useful.pop() {
            match read_record(&path, &head) {
                Ok(mut record) => {
                    // Those that were not used for the longest time go first. If this fails, it may be the wrong one.
                    let _ = File::open(&path).and_then(|file| file.set_modified(SystemTime::now()));
                    if !complete {
                        record.keep(known);
                    }
                    found.record = record;
                    break;
                }
                Err(error) => found.throw_away(&path, &error),
            }
        }
        found
    }

    /// Keeps a record; one without a whole file is none worth keeping. The oldest go.
    ///
    /// # Errors
    /// It cannot be written; nothing is left of it then.
    pub fn keep(&self, record: &Record) -> io::Result<()> {
        let Some(last) = record.files().last() else {
            return Ok(());
        };
        let body = serde_json::to_string(record)?;
        let head = serde_json::to_string(&Head {
            key: self.key.clone(),
            files: record.files().to_vec(),
            complete: record.is_complete(),
            hash: sha256(&body),
        })?;
        let name = sha256(&format!("{} {last:?} {}", self.key, record.is_complete()));
        let [before, after] = AFFIXES;
        let path = self.folder.join(format!("{before}{}{after}", &name[..16]));
        let incomplete = self
            .folder
            .join(format!("{before}{:016x}{INCOMPLETE}", fastrand::u64(..)));
        fs::create_dir_all(&self.folder)?;
        let written = fs::write(&incomplete, format!("{head}\n{body}\n")).and_then(|()| fs::rename(&incomplete, &path));
        if written.is_err() {
            // Later ones remove it if this cannot.
            let _ = fs::remove_file(&incomplete);
        }
        self.tidy();
        written
    }

    /// Throws away what does not hold.
    pub fn forget(&self) {
        for path in self.all() {
            if read_head(&path).is_ok_and(|head| head.key == self.key) {
                // What cannot be removed is found out again.
                let _ = fs::remove_file(path);
            }
        }
    }

    /// All records, whatever their circumstances; the one that was used last stands last.
    fn all(&self) -> Vec<PathBuf> {
        let [before, after] = AFFIXES;
        let mut paths: Vec<_> = self.named(before, after).collect();
        paths.sort();
        paths.into_iter().map(|(_, path)| path).collect()
    }

    fn named(&self, before: &str, after: &str) -> impl Iterator<Item = (SystemTime, PathBuf)> {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        entries.filter_map(move |entry| {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let is_one = name.starts_with(before) && name.ends_with(after);
            let time = entry.metadata().and_then(|data| data.modified());
            is_one.then(|| (time.unwrap_or(SystemTime::UNIX_EPOCH), entry.path()))
        })
    }

    /// Removes what is too much, and what was never completed.
    fn tidy(&self) {
        let mut sum = 0;
        for (n, path) in self.all().iter().rev().enumerate() {
            sum += fs::metadata(path).map_or(0, |data| data.len());
            if n >= KEPT || sum > LIMIT {
                // Somebody else may have removed it; else the next one does.
                let _ = fs::remove_file(path);
            }
        }
        for (time, path) in self.named(AFFIXES[0], INCOMPLETE) {
            if time.elapsed().is_ok_and(|age| age > ABANDONED) {
                let _ = fs::remove_file(path);
            }
        }
    }
}

impl Found {
    fn throw_away(&mut self, path: &Path, error: &io::Error) {
        // Another process may have removed it a moment ago.
        if error.kind() != io::ErrorKind::NotFound {
            let _ = fs::remove_file(path);
            self.damaged.push(format!("{}: {error}", path.display()));
        }
    }
}

fn read_head(path: &Path) -> io::Result<Head> {
    let mut line = String::new();
    BufReader::new(File::open(path)?).read_line(&mut line)?;
    Ok(serde_json::from_str(&line)?)
}

fn read_record(path: &Path, head: &Head) -> io::Result<Record> {
    let mut text = String::new();
    File::open(path)?.read_to_string(&mut text)?;
    let body = text.split_once('\n').map_or("", |(_, body)| body);
    let body = body.strip_suffix('\n').unwrap_or(body);
    let damaged = || io::Error::other("it is not as it was written");
    if sha256(body) != head.hash {
        return Err(damaged());
    }
    let record: Record = serde_json::from_str(body)?;
    if record.files() != head.files || record.is_complete() != head.complete || !record.is_sound() {
        return Err(damaged());
    }
    Ok(record)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::scratch::Seen;

    /// Phases of one file each, and a record of its first run.
    fn recorded(folder: &Path, text: &str) -> (Phases, Record) {
        fs::create_dir_all(folder).unwrap();
        fs::write(folder.join("1_a.sql"), text).unwrap();
        let phases = Phases::read(folder).unwrap();
        let mut record = Record::default();
        record.first.push(Ok(Seen::default()));
        record.close(&phases);
        (phases, record)
    }

    #[test]
    fn found_under_the_same_circumstances_until_others_are_newer() {
        let folder = tempfile::tempdir().unwrap();
        let kept = folder.path().join("target/snapshot");
        let cache = |circumstances: &[&str]| Cache::new(&kept, circumstances);
        let (phases, record) = recorded(&folder.path().join("sql"), "SELECT 'first';");
        cache(&["15", "a"]).keep(&record).unwrap();
        assert_eq!(cache(&["15", "a"]).find(&phases).record.len(), 1);
        for others in [&["18", "a"][..], &["15"], &["15a", ""], &["", "15a"]] {
            assert!(cache(others).find(&phases).record.is_empty(), "{others:?}");
        }
        let path = cache(&[]).all().pop().unwrap();
        File::open(path).unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
        for n in 0..KEPT {
            let (_, record) = recorded(&folder.path().join("others"), &format!("SELECT {n};"));
            cache(&["15", "a"]).keep(&record).unwrap();
        }
        assert_eq!(cache(&[]).all().len(), KEPT);
        assert!(cache(&["15", "a"]).find(&phases).record.is_empty());
    }

    #[test]
    fn what_is_damaged_is_named_and_gone_and_what_was_never_completed_goes() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::new(folder.path(), &[]);
        let (phases, record) = recorded(&folder.path().join("sql"), "SELECT 1;");
        cache.keep(&record).unwrap();
        let path = cache.all().pop().unwrap();
        let incomplete = folder.path().join(format!("observed-1{INCOMPLETE}"));
        fs::write(&incomplete, "").unwrap();
        let long_ago = SystemTime::UNIX_EPOCH;
        File::open(&incomplete).unwrap().set_modified(long_ago).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, &text[..text.len() - 3]).unwrap();
        let found = cache.find(&phases);
        assert!(found.record.is_empty() && !path.exists());
        assert!(found.damaged[0].contains(path.to_str().unwrap()), "{:?}", found.damaged);
        cache.keep(&record).unwrap();
        assert_eq!(cache.find(&phases).damaged, Vec::<String>::new());
        assert!(!incomplete.exists());
        cache.forget();
        assert!(cache.all().is_empty());
    }
}
