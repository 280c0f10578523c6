//! Folders of phase files that a test makes up.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

/// A temporary folder with the given files in it.
pub struct Phases(TempDir);

impl Phases {
    /// Writes them: (name, content).
    pub fn new(files: &[(&str, &str)]) -> Self {
        let phases = Phases(tempfile::tempdir().expect("a temporary folder"));
        for (name, content) in files {
            phases.write(name, content);
        }
        phases
    }

    /// Writes one, or writes it anew.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.0.path().join(name);
        fs::create_dir_all(path.parent().expect("a file has a folder")).expect("writable");
        fs::write(path, content).expect("writable");
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        self.0.path()
    }
}
