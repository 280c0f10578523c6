//! What undoes a phase file, in the ways of several tools: read only where somebody asks for it.

use std::path::{Path, PathBuf};

use super::{PhaseError, Reader, file_name, names, sorted_entries};
use crate::source::statement::Statement;

/// Statements that undo a phase file.
#[derive(Debug, Clone)]
pub struct Down {
    /// The phase file, by its path below the folder of the phases.
    pub of: String,
    /// In the order in which they run.
    pub statements: Vec<Statement>,
}

impl Down {
    /// What undoes a phase file: `x.down.sql` for `x.sql` and `x.up.sql`, `down.sql` for `up.sql`, `U1__….sql` for
    /// `V1__….sql`, or the part of the file itself behind `-- migrate:down` or `-- +goose Down`. None if there is nothing
    /// of the kind.
    ///
    /// # Errors
    /// As for [`Phases::read`](super::Phases::read), but for what a missing file would be.
    pub fn read(dir: &Path, of: &str) -> Result<Option<Self>, PhaseError> {
        let up = dir.join(of);
        let mut reader = Reader::default();
        let mut statements = Vec::new();
        if let Some(down) = file_of(&up)? {
            let below = down.strip_prefix(dir).unwrap_or(&down).to_string_lossy().into_owned();
            reader.read_file(&down, below, &mut statements)?;
        } else if up.is_file() {
            reader.read_down_part(&up, of.to_owned(), &mut statements)?;
        }
        let of = of.to_owned();
        Ok((!statements.is_empty()).then_some(Self { of, statements }))
    }

    /// The file or files that its statements stand in.
    pub fn file(&self) -> &str {
        self.statements.first().map_or(&self.of, |statement| &statement.file)
    }
}

/// The file of its own that undoes a phase file.
fn file_of(up: &Path) -> Result<Option<PathBuf>, PhaseError> {
    let name = file_name(up);
    let stem = name.strip_suffix(".sql").unwrap_or(&name);
    let stem = stem.strip_suffix(".up").unwrap_or(stem);
    let names = [format!("{stem}.down.sql"), "down.sql".to_owned()];
    let beside = names.iter().take(if name == "up.sql" { 2 } else { 1 });
    let found = beside.map(|name| up.with_file_name(name)).find(|path| path.is_file());
    if found.is_some() {
        return Ok(found);
    }
    let (Some(version), Some(folder)) = (names::flyway(stem, 'V'), up.parent()) else {
        return Ok(None);
    };
    let entries = sorted_entries(folder)?.into_iter();
    Ok(entries
        .filter(|path| path.extension().is_some_and(|ending| ending == "sql"))
        .find(|path| names::undone_version(&file_name(path)).is_some_and(|undone| undone.key == version.key)))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn in_the_ways_of_several_tools() {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in [
            ("1_a.up.sql", "SELECT 1;"),
            ("1_a.down.sql", "SELECT 11; SELECT 12;"),
            ("2_b.sql", "-- migrate:up\nSELECT 2;\n-- migrate:down\nSELECT 22;\n"),
            ("V3__c.sql", "SELECT 3;"),
            ("U3.0__c.sql", "SELECT 33;"),
            ("4_d/up.sql", "SELECT 4;"),
            ("4_d/down.sql", "SELECT 44;"),
            ("5_e.sql", "SELECT 5;"),
            ("6_f.sql", "SELECT 6;"),
            ("6_f.down.sql", "-- nothing"),
        ] {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let down = |of: &str| -> Vec<String> {
            let down = Down::read(folder.path(), of).unwrap();
            let statements = down.into_iter().flat_map(|down| down.statements);
            statements
                .map(|statement| format!("{} {}", statement.place(), statement.text.as_str()))
                .collect()
        };
        assert_eq!(
            down("1_a.up.sql"),
            ["1_a.down.sql:1 SELECT 11", "1_a.down.sql:1 SELECT 12"]
        );
        assert_eq!(down("2_b.sql"), ["2_b.sql:4 SELECT 22"]);
        assert_eq!(down("V3__c.sql"), ["U3.0__c.sql:1 SELECT 33"]);
        assert_eq!(down("4_d/up.sql"), ["4_d/down.sql:1 SELECT 44"]);
        for none in ["5_e.sql", "6_f.sql", "7_gone.sql"] {
            assert!(down(none).is_empty(), "{none}");
        }
    }
}
