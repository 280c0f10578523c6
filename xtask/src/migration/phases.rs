//! Phase files → statements: what shall run, in order, with the directives that stand above each.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::split::{self, Piece};
use super::statement::{Class, Directives, Statement};

/// All phases of a folder, in order.
#[derive(Debug, Clone)]
pub struct Phases {
    /// The folder they were read from.
    pub dir: PathBuf,
    /// Ordered by number.
    pub phases: Vec<Phase>,
    /// SHA-256 of each file, in hexadecimal, by its path below the folder.
    pub hashes: BTreeMap<String, String>,
}

/// One ordered step: a file `NN_name.sql`, or a folder `NN_name/` of `.sql` files.
#[derive(Debug, Clone)]
pub struct Phase {
    /// The number that its name begins with.
    pub number: u32,
    /// `NN_name`, without `.sql`.
    pub name: String,
    /// The statements of all its files, in order.
    pub statements: Vec<Statement>,
}

/// A phase file that cannot be used: nothing was run.
#[derive(Debug)]
pub struct PhaseError {
    /// The file or folder.
    pub path: PathBuf,
    /// Line and column (in characters), both from 1.
    pub position: Option<(u32, u32)>,
    /// What is wrong, and what to do.
    pub message: String,
}

impl fmt::Display for PhaseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())?;
        if let Some((line, column)) = self.position {
            write!(f, ":{line}:{column}")?;
        }
        write!(f, ": {}", self.message)
    }
}

impl std::error::Error for PhaseError {}

impl PhaseError {
    fn new(path: &Path, message: impl Into<String>) -> Self {
        Self {
            path: path.to_owned(),
            position: None,
            message: message.into(),
        }
    }

    fn at(path: &Path, text: &str, offset: usize, message: impl Into<String>) -> Self {
        Self {
            path: path.to_owned(),
            position: Some(line_and_column(text, offset)),
            message: message.into(),
        }
    }
}

impl Phases {
    /// Reads the phases of a folder.
    ///
    /// # Errors
    /// A missing or empty folder, two phases of one number, a `.sql` file without a number, and what
    /// [`read_file`](Self) finds in a file: not UTF-8, an unterminated quote, an unknown directive,
    /// a statement that only psql understands.
    pub fn read(dir: &Path) -> Result<Self, PhaseError> {
        let mut phases: Vec<Phase> = Vec::new();
        let mut hashes = BTreeMap::new();
        for entry in sorted_entries(dir)? {
            let name = file_name(&entry);
            if name.starts_with('.') {
                continue;
            }
            let is_dir = entry.is_dir();
            let Some(stem) = (if is_dir {
                Some(name.as_str())
            } else {
                name.strip_suffix(".sql")
            }) else {
                continue;
            };
            let Some(number) = phase_number(stem) else {
                if is_dir {
                    continue;
                }
                return Err(PhaseError::new(
                    &entry,
                    "a phase is called NN_name.sql, for instance 03_tables.sql: give it a number, or another ending",
                ));
            };
            if let Some(twin) = phases.iter().find(|phase| phase.number == number) {
                return Err(PhaseError::new(
                    &entry,
                    format!(
                        "phase {number} is there twice, the other one is {}: give one of them another number",
                        twin.name
                    ),
                ));
            }
            let mut statements = Vec::new();
            if is_dir {
                for file in sorted_entries(&entry)? {
                    let file_name = file_name(&file);
                    if file_name.ends_with(".sql") && !file_name.starts_with('.') {
                        read_file(&file, format!("{name}/{file_name}"), &mut statements, &mut hashes)?;
                    }
                }
            } else {
                read_file(&entry, name.clone(), &mut statements, &mut hashes)?;
            }
            phases.push(Phase {
                number,
                name: stem.to_owned(),
                statements,
            });
        }
        if phases.is_empty() {
            return Err(PhaseError::new(
                dir,
                "no phase files here: they are called NN_name.sql; is this the folder you mean? (--sql, XTASK_SQL)",
            ));
        }
        phases.sort_by_key(|phase| phase.number);
        Ok(Self {
            dir: dir.to_owned(),
            phases,
            hashes,
        })
    }

    /// All statements, in the order in which they run.
    pub fn statements(&self) -> impl Iterator<Item = &Statement> {
        self.phases.iter().flat_map(|phase| &phase.statements)
    }
}

impl Phase {
    pub fn version_text(&self) -> &str { "" }
    /// Whether its text mentions what all databases of a server share: roles, and the databases
    /// themselves. It may say so of a phase that changes nothing of the kind, never the reverse.
    pub fn mentions_shared_objects(&self) -> bool {
        self.statements.iter().any(|statement| {
            statement
                .text
                .split(|c: char| !c.is_alphanumeric() && c != '_')
                .any(|word| {
                    ["role", "user", "group", "database"]
                        .iter()
                        .any(|shared| word.eq_ignore_ascii_case(shared))
                })
        })
    }
}

fn read_file(
    path: &Path,
    file: String,
    statements: &mut Vec<Statement>,
    hashes: &mut BTreeMap<String, String>,
) -> Result<(), PhaseError> {
    let bytes = std::fs::read(path).map_err(|error| PhaseError::new(path, format!("cannot be read: {error}")))?;
    hashes.insert(file.clone(), hex(&Sha256::digest(&bytes)));
    let text = String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let text = String::from_utf8_lossy(&error.as_bytes()[..valid]).into_owned();
        PhaseError::at(path, &text, valid, "not UTF-8 from here on: save the file as UTF-8")
    })?;
    let pieces = split::split(&text).map_err(|error| PhaseError::at(path, &text, error.offset, error.message))?;
    // Counted on from statement to statement: from the beginning each time would be quadratic.
    let (mut line, mut counted) = (1, 0);
    for piece in pieces {
        line += text[counted..piece.range.start].matches('\n').count() as u32;
        counted = piece.range.start;
        statements.push(statement(path, &file, &text, &piece, line)?);
    }
    Ok(())
}

fn statement(path: &Path, file: &str, text: &str, piece: &Piece, line: u32) -> Result<Statement, PhaseError> {
    let own = &text[piece.range.clone()];
    let at = |offset, message: String| PhaseError::at(path, text, offset, message);
    let mut directives = Directives::default();
    for comment in &piece.comments {
        let body = text[comment.clone()].trim_start_matches('-').trim();
        if let Some(directive) = body.strip_prefix("xtask:") {
            directives
                .add(directive.trim())
                .map_err(|message| at(comment.start, message))?;
        }
    }
    let class = Class::of(own).map_err(|message| at(piece.range.start, message))?;
    Ok(Statement {
        file: file.to_owned(),
        line,
        text: own.to_owned(),
        directives,
        class,
        copy_data: None,
        transaction: None,
    })
}

fn sorted_entries(dir: &Path) -> Result<Vec<PathBuf>, PhaseError> {
    let mut entries = std::fs::read_dir(dir)
        .and_then(|entries| {
            entries
                .map(|entry| entry.map(|entry| entry.path()))
                .collect::<Result<Vec<_>, _>>()
        })
        .map_err(|error| {
            PhaseError::new(
                dir,
                format!("the folder of phase files cannot be read: {error} (--sql or XTASK_SQL names it)"),
            )
        })?;
    entries.sort();
    Ok(entries)
}

fn file_name(path: &Path) -> String {
    path.file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
}

fn phase_number(stem: &str) -> Option<u32> {
    stem.split_once('_').and_then(|(number, _)| {
        number
            .bytes()
            .all(|byte| byte.is_ascii_digit())
            .then(|| number.parse().ok())
            .flatten()
    })
}

/// Line and column of a byte offset, both from 1; the column counts characters.
pub fn line_and_column(text: &str, offset: usize) -> (u32, u32) {
    let before = &text[..offset.min(text.len())];
    let line = before.bytes().filter(|&byte| byte == b'\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    (line as u32, column as u32)
}

/// Bytes as lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble)]);
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(files: &[(&str, &[u8])]) -> Result<Phases, PhaseError> {
        let dir = tempfile::tempdir().unwrap();
        for (name, content) in files {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
        Phases::read(dir.path())
    }

    fn error(files: &[(&str, &[u8])]) -> String {
        read(files).unwrap_err().to_string()
    }

    #[test]
    fn a_phase_is_a_file_or_a_folder_of_files() {
        let phases = read(&[
            ("10_last.sql", b"SELECT 10"),
            ("2_folder/b.sql", b"SELECT 'b'"),
            ("2_folder/a.sql", b"SELECT 'a'; SELECT 'a2';"),
            ("2_folder/README.md", b"not SQL"),
            ("1_first.sql", b"\xef\xbb\xbfSELECT 1;"),
            ("expected.json", b"{}"),
        ])
        .unwrap();
        let texts: Vec<_> = phases.statements().map(|statement| statement.text.as_str()).collect();
        assert_eq!(
            texts,
            ["SELECT 1", "SELECT 'a'", "SELECT 'a2'", "SELECT 'b'", "SELECT 10"]
        );
        assert_eq!(phases.phases[1].statements[2].place(), "2_folder/b.sql:1");
    }

    #[test]
    fn what_cannot_run_is_told_with_file_and_line() {
        assert!(
            error(&[("01_a.sql", b"SELECT 1;\nSELECT 'x")])
                .ends_with("01_a.sql:2:8: a quoted string that begins here and does not end (' is missing)")
        );
        assert!(error(&[("01_a.sql", b"SELECT 1;\n\xff")]).contains("01_a.sql:2:1: not UTF-8"));
        assert!(error(&[("01_a.sql", b""), ("1_b.sql", b"")]).contains("phase 1 is there twice"));
        assert!(error(&[("tables.sql", b"")]).contains("NN_name.sql"));
        assert!(error(&[]).contains("no phase files"));
        assert!(error(&[("01_a.sql", b"\n\\connect x")]).contains("01_a.sql:2:1: a command of psql"));
        assert!(error(&[("01_a.sql", b"BEGIN; COMMIT;")]).contains("commits, on its own"));
        assert!(error(&[("01_a.sql", b"COPY t FROM STDIN;")]).contains("use INSERT"));
        assert!(
            Phases::read(Path::new("/nowhere/at/all"))
                .unwrap_err()
                .to_string()
                .contains("/nowhere/at/all")
        );
    }

    #[test]
    fn directives_stand_above_their_statement() {
        let phases = read(&[(
            "01_a.sql",
            b"-- xtask: optional\n-- why\nCREATE EXTENSION x;\n-- xtask: prepares constraint public.t.c\nSELECT 1; SELECT 2",
        )])
        .unwrap();
        let directives: Vec<_> = phases
            .statements()
            .map(|statement| statement.directives.clone())
            .collect();
        assert!(directives[0].optional && directives[1].prepares.len() == 1);
        assert_eq!(directives[2], Directives::default());
        assert!(error(&[("01_a.sql", b"-- xtask: maybe\nSELECT 1")]).contains("01_a.sql:1:1: unknown directive"));
        assert!(error(&[("01_a.sql", b"SELECT 1;\n-- xtask: always\n")]).contains("no statement below"));
    }
}
