//! Phase files → statements: what shall run, in order, with the directives that stand above each.

mod cut_names;
mod down;
mod markers;
mod names;
#[cfg(test)]
mod tests;

pub use cut_names::CutNames;
pub use down::Down;

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use connection::{Error, Hint, Kind, Next};
use sha2::{Digest, Sha256};

use super::split::{self, Piece};
use super::statement::control::{Control, control};
use super::statement::{Class, Directives, RowChange, Sql, Statement};
use crate::text::{caret, hex, numbered};

/// All phases of a folder, in order.
#[derive(Debug, Clone)]
pub struct Phases {
    /// The folder they were read from.
    pub dir: PathBuf,
    /// Ordered by version.
    pub phases: Vec<Phase>,
    /// SHA-256 of each file, in hexadecimal, by its path below the folder.
    pub hashes: BTreeMap<String, String>,
    /// What looks like SQL and is read by nobody, by its path below the folder, folders with `/` at the end: hidden
    /// files, endings like `.SQL`, folders within a phase's folder, folders without a version. Files that undo others
    /// are meant to be left alone and not named here.
    pub left_out: Vec<String>,
}

/// One ordered step: a file `NN_name.sql`, or a folder `NN_name/` of `.sql` files. Names in the way of other tools will
/// do: `20230518191501_name.sql`, `0001_name.up.sql`, `V1.2__name.sql`, `2023-05-18-191501_name/up.sql`.
#[derive(Debug, Clone)]
pub struct Phase {
    /// The version that its name begins with, in parts: 1.2 is `[1, 2]`, and before 1.10.
    pub version: Vec<u64>,
    version_text: String,
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
    /// The line, with a caret below the place.
    pub excerpt: Option<String>,
    /// What is wrong, and what to do.
    pub message: String,
    /// What else to do, where that is known.
    pub next: Next,
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

impl From<PhaseError> for Error {
    fn from(error: PhaseError) -> Self {
        Self::new(
            Kind::Failed,
            "cannot read the phase files, nothing was run",
            [Some(error.to_string()), error.excerpt]
                .into_iter()
                .flatten()
                .collect::<Vec<_>>()
                .join("\n"),
        )
        .next(error.next)
    }
}

impl PhaseError {
    fn new(path: &Path, message: impl Into<String>) -> Self {
        Self {
            path: path.to_owned(),
            position: None,
            excerpt: None,
            message: message.into(),
            next: Next::default(),
        }
    }

    /// The folder itself cannot be used: is it the right one?
    fn of_folder(path: &Path, message: impl Into<String>) -> Self {
        Self {
            next: Hint::Folder.into(),
            ..Self::new(path, message)
        }
    }

    fn at(path: &Path, text: &str, offset: usize, message: impl Into<String>) -> Self {
        let (line, column) = line_and_column(text, offset);
        let marked = text.lines().nth((line as usize).saturating_sub(1)).unwrap_or_default();
        Self {
            path: path.to_owned(),
            position: Some((line, column)),
            excerpt: Some(format!(
                "{}\n{}",
                numbered(line as usize, marked),
                caret(marked, column)
            )),
            message: message.into(),
            next: Next::default(),
        }
    }
}

impl Phases {
    /// Reads the phases of a folder.
    ///
    /// # Errors
    /// A missing or empty folder, two phases of one version, a `.sql` file without a version, and what cannot be read in a
    /// file: not UTF-8, an unterminated quote, an unknown directive, a statement that only psql understands or that no
    /// phase may hold, a transaction without its end.
    pub fn read(dir: &Path) -> Result<Self, PhaseError> {
        let mut reader = Reader::default();
        let mut phases: Vec<Phase> = Vec::new();
        let mut undoing = Vec::new();
        for entry in sorted_entries(dir)? {
            let name = file_name(&entry);
            let is_dir = entry.is_dir();
            if names::is_overlooked(&name) && !is_dir {
                reader.left_out.push(name);
                continue;
            }
            if name.starts_with('.') || names::is_down(&name) && !is_dir {
                continue;
            }
            let Some(stem) = (if is_dir {
                Some(name.as_str())
            } else {
                name.strip_suffix(".sql")
            }) else {
                continue;
            };
            let Some(version) = names::version(stem) else {
                if is_dir {
                    if names::holds_sql(&entry) {
                        reader.left_out.push(format!("{name}/"));
                    }
                    continue;
                }
                if let Some(undone) = names::undone_version(stem) {
                    undoing.push((undone, name));
                    continue;
                }
                return Err(PhaseError::new(
                    &entry,
                    "a phase is called NN_name.sql, for instance 03_tables.sql: give it a number, or another ending",
                ));
            };
            if let Some(twin) = phases.iter().find(|phase| phase.version == version.key) {
                return Err(PhaseError::new(
                    &entry,
                    format!(
                        "phase {} is there twice, the other one is {}: give one of them another number",
                        version.text, twin.name
                    ),
                ));
            }
            let statements = if is_dir {
                reader.read_folder(&entry, &name)?
            } else {
                let mut statements = Vec::new();
                reader.read_file(&entry, name.clone(), &mut statements)?;
                statements
            };
            phases.push(Phase {
                version: version.key,
                version_text: version.text,
                name: stem.to_owned(),
                statements,
            });
        }
        if phases.is_empty() {
            return Err(PhaseError::of_folder(
                dir,
                "no phase files here: they are called NN_name.sql; is this the folder you mean?",
            ));
        }
        // Flyway's undo the phase of the same version. Without one it is none: refinery runs such files.
        for (undone, name) in undoing {
            if !phases.iter().any(|phase| phase.version == undone.key) {
                reader.left_out.push(name);
            }
        }
        phases.sort_by(|a, b| a.version.cmp(&b.version));
        reader.left_out.sort();
        Ok(Self {
            dir: dir.to_owned(),
            phases,
            hashes: reader.hashes,
            left_out: reader.left_out,
        })
    }

    /// Statements that are in no file, as one phase.
    pub fn of_statements(name: &str, statements: Vec<Statement>) -> Self {
        Self {
            dir: PathBuf::new(),
            phases: vec![Phase {
                version: Vec::new(),
                version_text: String::new(),
                name: name.to_owned(),
                statements,
            }],
            hashes: BTreeMap::new(),
            left_out: Vec::new(),
        }
    }

    /// Some of the statements of [`of_statements`](Self::of_statements).
    pub fn part(&self, numbers: Range<usize>) -> Self {
        let statements = self
            .statements()
            .skip(numbers.start)
            .take(numbers.len())
            .cloned()
            .collect();
        let name = self.phases.first().map(|phase| phase.name.as_str()).unwrap_or_default();
        Self::of_statements(name, statements)
    }

    /// Puts statements before the first of [`of_statements`](Self::of_statements): all are one transaction then.
    pub fn precede(&mut self, statements: Vec<Statement>) {
        let Some(phase) = self.phases.first_mut().filter(|_| !statements.is_empty()) else {
            return;
        };
        phase.statements.splice(0..0, statements);
        for statement in &mut phase.statements {
            statement.transaction = Some(0);
        }
    }

    /// All statements, in the order in which they run.
    pub fn statements(&self) -> impl Iterator<Item = &Statement> {
        self.phases.iter().flat_map(|phase| &phase.statements)
    }

    /// Different names that PostgreSQL cuts to the same 63 bytes, and so takes for one. Those inside of function bodies
    /// and other literals are not looked at, nor those with Unicode escapes.
    pub fn cut_names(&self) -> Vec<CutNames> {
        cut_names::cut_names(self)
    }
}

impl Phase {
    /// Its version as it stands in the name, and as other tools keep it in their version tables: `0001`,
    /// `20230518191501` (diesel's dashes are left out), `1.2`.
    pub fn version_text(&self) -> &str {
        &self.version_text
    }

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

/// What is collected on the way through the files.
#[derive(Default)]
struct Reader {
    hashes: BTreeMap<String, String>,
    left_out: Vec<String>,
    /// How many transactions there have been.
    transactions: u32,
}

impl Reader {
    /// All `.sql` files of a phase's folder; only `up.sql`, where there is one, as diesel does.
    fn read_folder(&mut self, dir: &Path, name: &str) -> Result<Vec<Statement>, PhaseError> {
        let mut statements = Vec::new();
        let only_up = dir.join("up.sql").is_file();
        for file in sorted_entries(dir)? {
            let file_name = file_name(&file);
            let path = format!("{name}/{file_name}");
            if file.is_dir() {
                if !file_name.starts_with('.') && names::holds_sql(&file) {
                    self.left_out.push(format!("{path}/"));
                }
            } else if names::is_overlooked(&file_name) {
                self.left_out.push(path);
            } else if !file_name.ends_with(".sql") || names::is_down(&file_name) {
                // Not for us.
            } else if only_up && file_name != "up.sql" {
                self.left_out.push(path);
            } else {
                self.read_file(&file, path, &mut statements)?;
            }
        }
        Ok(statements)
    }

    /// What makes a change.
    fn read_file(&mut self, path: &Path, file: String, statements: &mut Vec<Statement>) -> Result<(), PhaseError> {
        let text = self.read_text(path, &file)?;
        let part = markers::up_part(&text).map_err(|(offset, message)| PhaseError::at(path, &text, offset, message))?;
        self.read_statements(path, &file, &text, part, statements)
    }

    /// What undoes a change, in the same file.
    fn read_down_part(&mut self, path: &Path, file: String, statements: &mut Vec<Statement>) -> Result<(), PhaseError> {
        let text = self.read_text(path, &file)?;
        let up = markers::up_part(&text).map_err(|(offset, message)| PhaseError::at(path, &text, offset, message))?;
        // What stands before it still counts for the lines.
        let blank = |byte: u8| if byte == b'\n' { '\n' } else { ' ' };
        let text: String = text
            .bytes()
            .take(up.end)
            .map(blank)
            .chain(text[up.end..].chars())
            .collect();
        let down = markers::Part {
            start: up.end,
            end: text.len(),
        };
        self.read_statements(path, &file, &text, down, statements)
    }

    fn read_text(&mut self, path: &Path, file: &str) -> Result<String, PhaseError> {
        let bytes = std::fs::read(path).map_err(|error| PhaseError::new(path, format!("cannot be read: {error}")))?;
        self.hashes.insert(file.to_owned(), hex(&Sha256::digest(&bytes)));
        String::from_utf8(bytes).map_err(|error| {
            let valid = error.utf8_error().valid_up_to();
            let text = String::from_utf8_lossy(&error.as_bytes()[..valid]).into_owned();
            PhaseError::at(path, &text, valid, "not UTF-8 from here on: save the file as UTF-8")
        })
    }

    fn read_statements(
        &mut self,
        path: &Path,
        file: &str,
        text: &str,
        part: markers::Part,
        statements: &mut Vec<Statement>,
    ) -> Result<(), PhaseError> {
        let at = |offset: usize, message: &str| PhaseError::at(path, text, offset, message);
        let pieces = split::split(&text[..part.end]).map_err(|error| at(error.offset, error.message))?;
        // Where BEGIN stands, while a transaction is open.
        let mut begun: Option<usize> = None;
        // Counted on from statement to statement: from the beginning each time would be quadratic.
        let (mut line, mut counted) = (1, 0);
        for piece in pieces {
            let start = piece.range.start;
            line += text[counted..start].matches('\n').count() as u32;
            counted = start;
            if start < part.start {
                return Err(at(
                    start,
                    "a statement above the line that says where the change begins (up): move it below that line",
                ));
            }
            let directives = directives(path, text, &piece)?;
            let border = control(&piece.sql).map_err(|message| at(start, &message))?;
            if border.is_some() && directives != Directives::default() {
                return Err(at(
                    start,
                    "a directive above BEGIN or COMMIT: write it above the statement that it is meant for",
                ));
            }
            match (border, begun) {
                (Some(Control::Begin), None) => {
                    begun = Some(start);
                    self.transactions += 1;
                }
                (Some(Control::Begin), Some(_)) => {
                    return Err(at(
                        start,
                        "BEGIN inside of a transaction: PostgreSQL has none within another; COMMIT the one before, or \
                         take this BEGIN out",
                    ));
                }
                (Some(Control::Commit), Some(_)) => begun = None,
                (Some(Control::Commit), None) => {
                    return Err(at(
                        start,
                        "COMMIT without a BEGIN in this file: take it out, or write BEGIN above the statements that \
                         belong together",
                    ));
                }
                (None, _) => {
                    let class = Class::of(&piece.sql).map_err(|message| at(start, &message))?;
                    if directives.quarantine {
                        quarantine(&piece.sql, begun.is_some()).map_err(|message| at(start, &message))?;
                    }
                    statements.push(Statement {
                        file: file.to_owned(),
                        line,
                        text: piece.sql,
                        copy_data: piece.copy_data.map(|range| text[range].to_owned()),
                        transaction: begun.map(|_| self.transactions),
                        directives,
                        class,
                    });
                }
            }
        }
        match begun {
            Some(begin) => Err(at(
                begin,
                "BEGIN without a COMMIT in this file: write COMMIT below the last statement that belongs to it, or take \
                 this BEGIN out",
            )),
            None => Ok(()),
        }
    }
}

/// Whether a statement can do what the directive `quarantine` above it says.
fn quarantine(sql: &Sql, in_transaction: bool) -> Result<(), String> {
    let wrong = |message: String| format!("the directive quarantine, and {message}");
    if in_transaction {
        return Err(wrong(
            "a statement inside of BEGIN and COMMIT: it works in batches that are committed one by one; take it out"
                .to_owned(),
        ));
    }
    RowChange::of(sql).map(|_| ()).map_err(wrong)
}

/// What the comments above a statement say to the engine.
fn directives(path: &Path, text: &str, piece: &Piece) -> Result<Directives, PhaseError> {
    let mut directives = Directives::default();
    for comment in &piece.comments {
        if let Some(directive) = split::directive(&text[comment.clone()]) {
            directives
                .add(directive)
                .map_err(|message| PhaseError::at(path, text, comment.start, message))?;
        }
    }
    Ok(directives)
}

fn sorted_entries(dir: &Path) -> Result<Vec<PathBuf>, PhaseError> {
    let mut entries = std::fs::read_dir(dir)
        .and_then(|entries| {
            entries
                .map(|entry| entry.map(|entry| entry.path()))
                .collect::<Result<Vec<_>, _>>()
        })
        .map_err(|error| PhaseError::of_folder(dir, format!("the folder of phase files cannot be read: {error}")))?;
    entries.sort();
    Ok(entries)
}

fn file_name(path: &Path) -> String {
    path.file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
}

/// Line and column of a byte offset, both from 1; the column counts characters.
pub fn line_and_column(text: &str, offset: usize) -> (u32, u32) {
    let before = &text[..offset.min(text.len())];
    let line = before.bytes().filter(|&byte| byte == b'\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    (line as u32, column as u32)
}
