//! The files of a workspace that are written or added to. What is there stays.

use std::fs;
use std::path::{Path, PathBuf};

use connection::Error;

use super::cannot;

/// A workspace's folder, and what has been written there.
pub struct Workspace {
    folder: PathBuf,
    written: Vec<PathBuf>,
}

impl Workspace {
    /// Writes nothing yet.
    pub fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            written: Vec::new(),
        }
    }

    /// Whether there is such a file or folder.
    pub fn has(&self, name: &str) -> bool {
        self.folder.join(name).exists()
    }

    /// What was written, each file once.
    pub fn written(self) -> Vec<PathBuf> {
        let mut written = self.written;
        written.sort();
        written.dedup();
        written
    }

    /// Writes a file, whose folder need not be there.
    pub fn write(&mut self, name: &str, text: &str) -> Result<(), Error> {
        let path = self.folder.join(name);
        let failed = |error: std::io::Error| cannot("write", &path, &error);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(failed)?;
        }
        fs::write(&path, text).map_err(failed)?;
        self.written.push(path);
        Ok(())
    }

    /// The text of a file; none if there is no such file.
    fn read(&self, name: &str) -> Result<Option<String>, Error> {
        let path = self.folder.join(name);
        match fs::read_to_string(&path) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(cannot("read", &path, &error)),
        }
    }

    /// Makes the folder's Cargo.toml one of a workspace.
    pub fn make_root(&mut self) -> Result<(), Error> {
        const NAME: &str = "Cargo.toml";
        let text = match self.read(NAME)? {
            None => "[workspace]\nresolver = \"3\"\nmembers = []\n".to_owned(),
            Some(text) if has_table(&text, "workspace") => return Ok(()),
            Some(text) => format!("{}\n\n[workspace]\nmembers = []\n", text.trim_end()),
        };
        self.write(NAME, &text)
    }

    /// Adds profiles of packages to Cargo.toml, unless it has some.
    pub fn add_profiles(&mut self, profiles: &str) -> Result<(), Error> {
        const NAME: &str = "Cargo.toml";
        let text = self.read(NAME)?.unwrap_or_default();
        // The member that cargo has added to it is written as well.
        let added = if text.contains("[profile.dev") { "" } else { profiles };
        self.write(NAME, &format!("{text}{added}"))
    }

    /// Adds the alias to cargo's settings, unless there is one.
    pub fn add_alias(&mut self, alias: &str) -> Result<(), Error> {
        const NAME: &str = ".cargo/config.toml";
        let text = self.read(NAME)?.unwrap_or_default();
        if text.lines().any(|line| line.trim_start().starts_with("xtask")) {
            return Ok(());
        }
        const TABLE: &str = "[alias]\n";
        let text = match text.split_once(TABLE) {
            Some((before, after)) => format!("{before}{TABLE}{alias}{after}"),
            None if text.is_empty() => format!("{TABLE}{alias}"),
            None => format!("{}\n\n{TABLE}{alias}", text.trim_end()),
        };
        self.write(NAME, &text)
    }
}

/// Whether a TOML file has this table, or one below it.
fn has_table(text: &str, name: &str) -> bool {
    text.lines().any(|line| {
        let table = line
            .trim_start()
            .strip_prefix('[')
            .and_then(|line| line.strip_prefix(name));
        table.is_some_and(|rest| rest.starts_with([']', '.']))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(name: &str, before: Option<&str>, change: impl Fn(&mut Workspace)) -> String {
        let dir = tempfile::tempdir().unwrap();
        let mut workspace = Workspace::new(dir.path());
        if let Some(before) = before {
            workspace.write(name, before).unwrap();
        }
        change(&mut workspace);
        fs::read_to_string(dir.path().join(name)).unwrap()
    }

    #[test]
    fn a_package_becomes_a_workspace_and_a_workspace_stays() {
        let root = |before| after("Cargo.toml", before, |workspace| workspace.make_root().unwrap());
        assert!(root(None).starts_with("[workspace]\n"));
        assert_eq!(
            root(Some("[package]\nname = \"a\"\n")),
            "[package]\nname = \"a\"\n\n[workspace]\nmembers = []\n"
        );
        for stays in [
            "[workspace]\nmembers = [\"a\"]\n",
            "[workspace.package]\nedition = \"2024\"\n",
        ] {
            assert_eq!(root(Some(stays)), stays);
        }
    }

    #[test]
    fn the_alias_stands_in_its_table_once() {
        let add = |workspace: &mut Workspace| workspace.add_alias("xtask = 1\n").unwrap();
        let config = |before| after(".cargo/config.toml", before, add);
        assert_eq!(config(None), "[alias]\nxtask = 1\n");
        assert_eq!(config(Some("[alias]\nb = 2\n")), "[alias]\nxtask = 1\nb = 2\n");
        assert_eq!(config(Some("[env]\nA = 1\n")), "[env]\nA = 1\n\n[alias]\nxtask = 1\n");
        assert_eq!(config(Some("[alias]\nxtask = 3\n")), "[alias]\nxtask = 3\n");
    }
}
