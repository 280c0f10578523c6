//! Phase files → statements: what shall run, in order, with the directives that stand above each.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use squawk_lexer::TokenKind;

use super::catalog::ObjectId;
use super::split::{self, Piece};

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

/// One SQL statement of a phase.
#[derive(Debug, Clone)]
pub struct Statement {
    /// The file's path, below the folder of the phases, with `/` between its parts.
    pub file: String,
    /// The line of its first token, from 1.
    pub line: u32,
    /// The text that is sent: from its first token up to, and without, the semicolon.
    pub text: String,
    /// What the comments above it say.
    pub directives: Directives,
    /// Told from its first word.
    pub class: Class,
}

/// What the comments right above a statement tell the engine: `-- xtask: …`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Directives {
    /// `optional`: a lacking privilege or an extension that is not available is a warning.
    pub optional: bool,
    /// `always`: run it even if it is satisfied.
    pub always: bool,
    /// `prepares <object>`: run it only while one of these objects is not as expected.
    pub prepares: Vec<ObjectId>,
    /// `accepts <reason>`: what `snapshot` would report of its locks is known, and why it is accepted.
    pub accepts: Option<String>,
}

/// What kind of statement it is, by its first word alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Changes the catalog: CREATE, ALTER, DROP, COMMENT, GRANT, …
    Ddl,
    /// Reads or changes rows, or runs code that may: SELECT, INSERT, DO, CALL, …
    Dml,
    /// Changes only the session: SET, RESET, `SELECT set_config(…)`.
    Session,
    /// DO: code that may be anything; one that leaves nothing is taken for DDL that found nothing to do.
    Do,
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

impl Statement {
    /// SHA-256 of the text, in hexadecimal.
    pub fn hash(&self) -> String {
        hex(&Sha256::digest(self.text.as_bytes()))
    }

    /// The first words, on one line, for people: 72 characters at most.
    pub fn summary(&self) -> String {
        let mut line = String::new();
        for word in self
            .text
            .lines()
            .map(|line| line.split("--").next().unwrap_or_default())
            .flat_map(str::split_whitespace)
        {
            if line.chars().count() + word.chars().count() > 70 {
                line.push_str(" …");
                break;
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        line
    }

    /// `file:line`.
    pub fn place(&self) -> String {
        format!("{}:{}", self.file, self.line)
    }

    /// The words of the text that are not comments or literals, in lower case, up to `count`.
    pub fn first_words(&self, count: usize) -> Vec<String> {
        first_words(&self.text, count)
    }

    /// `CREATE INDEX CONCURRENTLY`, and its relatives: they wait for transactions without
    /// keeping anybody else waiting, and what they leave when they fail is INVALID.
    pub fn is_concurrent(&self) -> bool {
        let words = self.first_words(5);
        let word = |n: usize| words.get(n).map(String::as_str).unwrap_or_default();
        match word(0) {
            "create" => {
                word(1) == "index" && word(2) == "concurrently" || word(2) == "index" && word(3) == "concurrently"
            }
            "drop" => word(1) == "index" && word(2) == "concurrently",
            "reindex" | "refresh" => words.iter().any(|word| word == "concurrently"),
            _ => false,
        }
    }

    /// The index that a `CREATE INDEX CONCURRENTLY name ON table` is about to build: the names of
    /// index and table as they are written. None where PostgreSQL chooses the name.
    pub fn concurrent_index(&self) -> Option<(String, String)> {
        if !self.is_concurrent() || self.first_words(1) != ["create"] {
            return None;
        }
        let tokens: Vec<&str> = significant_tokens(&self.text).map(|(_, text)| text).collect();
        let find = |from: usize, word: &str| {
            tokens
                .iter()
                .skip(from)
                .position(|text| text.eq_ignore_ascii_case(word))
                .map(|found| from + found)
        };
        let concurrently = find(0, "concurrently")?;
        let on = find(concurrently, "on")?;
        let mut name = &tokens[concurrently + 1..on];
        if name.len() > 3 && name[0].eq_ignore_ascii_case("if") {
            name = &name[3..];
        }
        let mut table = &tokens[on + 1..];
        if table.first().is_some_and(|text| text.eq_ignore_ascii_case("only")) {
            table = &table[1..];
        }
        let end = table
            .iter()
            .position(|text| *text == "(" || text.eq_ignore_ascii_case("using"))?;
        (!name.is_empty()).then(|| (name.concat(), table[..end].concat()))
    }
}

/// The tokens that are neither white space nor comments, with their text.
fn significant_tokens(text: &str) -> impl Iterator<Item = (TokenKind, &str)> {
    let mut position = 0;
    squawk_lexer::tokenize(text).filter_map(move |token| {
        let start = position;
        position += token.len as usize;
        let trivia = matches!(
            token.kind,
            TokenKind::Whitespace | TokenKind::LineComment | TokenKind::BlockComment { .. } | TokenKind::Eof
        );
        (!trivia).then(|| (token.kind, &text[start..position]))
    })
}

fn first_words(text: &str, count: usize) -> Vec<String> {
    significant_tokens(text)
        .filter(|(kind, _)| *kind == TokenKind::Ident)
        .take(count)
        .map(|(_, word)| word.to_lowercase())
        .collect()
}

fn own_words_set_config(words: &[String]) -> bool {
    let mut words = words
        .iter()
        .skip(1)
        .map(String::as_str)
        .filter(|word| *word != "pg_catalog");
    words.next() == Some("set_config")
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
    for piece in pieces {
        statements.push(statement(path, &file, &text, &piece)?);
    }
    Ok(())
}

fn statement(path: &Path, file: &str, text: &str, piece: &Piece) -> Result<Statement, PhaseError> {
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
    if own.starts_with('\\') {
        return Err(at(
            piece.range.start,
            "a command of psql, which no server understands: phases are plain SQL".into(),
        ));
    }
    let words = first_words(own, 3);
    let word = |n: usize| words.get(n).map(String::as_str).unwrap_or_default();
    let class = match word(0) {
        "begin" | "start" | "commit" | "end" | "rollback" | "abort" | "savepoint" | "release" => {
            return Err(at(
                piece.range.start,
                format!(
                    "{} in a phase: each statement is sent, and commits, on its own; take it out (what must happen \
                     together goes into one statement, for instance a DO block)",
                    word(0).to_uppercase()
                ),
            ));
        }
        "copy" if first_words(own, usize::MAX).iter().any(|word| word == "stdin") => {
            return Err(at(
                piece.range.start,
                "COPY … FROM STDIN needs data that only psql sends: use INSERT".into(),
            ));
        }
        "set" | "reset" => Class::Session,
        "select" if own_words_set_config(&words) => Class::Session,
        "do" => Class::Do,
        "select" | "insert" | "update" | "delete" | "merge" | "with" | "values" | "table" | "call" | "copy"
        | "explain" | "show" | "notify" | "truncate" | "execute" | "prepare" | "deallocate" | "analyze" | "vacuum" => {
            Class::Dml
        }
        _ if own.starts_with('(') => Class::Dml,
        _ => Class::Ddl,
    };
    Ok(Statement {
        file: file.to_owned(),
        line: line_and_column(text, piece.range.start).0,
        text: own.to_owned(),
        directives,
        class,
    })
}

impl Directives {
    fn add(&mut self, directive: &str) -> Result<(), String> {
        let (word, rest) = directive.split_once(char::is_whitespace).unwrap_or((directive, ""));
        let rest = rest.trim();
        match (word, rest) {
            ("optional", "") => self.optional = true,
            ("always", "") => self.always = true,
            ("prepares", object) => {
                self.prepares
                    .push(object.parse().map_err(|error| format!("prepares {object}: {error}"))?);
            }
            ("accepts", reason) if !reason.is_empty() => self.accepts = Some(reason.to_owned()),
            _ => {
                return Err(format!(
                    "unknown directive “{directive}”: there are optional, always, prepares <object>, accepts <reason>"
                ));
            }
        }
        Ok(())
    }
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
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing into a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
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

    #[test]
    fn index_of_a_concurrent_build() {
        let index = |sql: &str| {
            let phases = read(&[("01_a.sql", sql.as_bytes())]).unwrap();
            phases.phases[0].statements[0].concurrent_index()
        };
        let pair = |index: &str, table: &str| Some((index.to_owned(), table.to_owned()));
        assert_eq!(
            index("CREATE INDEX CONCURRENTLY IF NOT EXISTS i ON s.t (c)"),
            pair("i", "s.t")
        );
        assert_eq!(
            index("create unique index concurrently \"I\" on only \"T\" using btree (c)"),
            pair("\"I\"", "\"T\"")
        );
        assert_eq!(index("CREATE INDEX CONCURRENTLY ON t (c)"), None);
        assert_eq!(index("CREATE INDEX i ON t (c)"), None);
    }
}
