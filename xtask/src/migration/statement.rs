//! One statement: its text, what the comments above it say, and what its first words tell.

use sha2::{Digest, Sha256};
use squawk_lexer::TokenKind;

use super::catalog::ObjectId;
use super::phases::hex;

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
    pub copy_data: Option<String>,
    pub transaction: Option<u32>,
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
    pub drops_rows: Option<String>,
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

impl Directives {
    /// Adds what a comment says after `xtask:`.
    ///
    /// # Errors
    /// It says something unknown.
    pub fn add(&mut self, directive: &str) -> Result<(), String> {
        let (word, rest) = directive.split_once(char::is_whitespace).unwrap_or((directive, ""));
        let rest = rest.trim();
        match (word, rest) {
            ("optional", "") => self.optional = true,
            ("always", "") => self.always = true,
            ("prepares", object) => {
                self.prepares
                    .push(object.parse().map_err(|error| format!("prepares {object}: {error}"))?);
            }
            ("drops", rest) if rest.starts_with("rows:") => self.drops_rows = Some(rest[5..].trim().to_owned()),
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

impl Class {
    /// Tells the class of a statement.
    ///
    /// # Errors
    /// What cannot be a statement of a phase: why, and what to do.
    pub fn of(text: &str) -> Result<Self, String> {
        if text.starts_with('\\') {
            return Err("a command of psql, which no server understands: phases are plain SQL".into());
        }
        let words = first_words(text, 3);
        let word = |n: usize| words.get(n).map(String::as_str).unwrap_or_default();
        Ok(match word(0) {
            "begin" | "start" | "commit" | "end" | "rollback" | "abort" | "savepoint" | "release" => {
                return Err(format!(
                    "{} in a phase: each statement is sent, and commits, on its own; take it out (what must happen \
                     together goes into one statement, for instance a DO block)",
                    word(0).to_uppercase()
                ));
            }
            "copy" if first_words(text, usize::MAX).iter().any(|word| word == "stdin") => {
                return Err("COPY … FROM STDIN needs data that only psql sends: use INSERT".into());
            }
            "set" | "reset" => Class::Session,
            "select" if calls_set_config(&words) => Class::Session,
            "do" => Class::Do,
            "select" | "insert" | "update" | "delete" | "merge" | "with" | "values" | "table" | "call" | "copy"
            | "explain" | "show" | "notify" | "truncate" | "execute" | "prepare" | "deallocate" | "analyze"
            | "vacuum" => Class::Dml,
            _ if text.starts_with('(') => Class::Dml,
            _ => Class::Ddl,
        })
    }
}

impl Statement {
    /// A statement of the engine's own making, in the place of another one.
    pub fn plain(file: &str, line: u32, text: impl Into<String>) -> Self {
        Self {
            file: file.to_owned(),
            line,
            text: text.into(),
            directives: Directives::default(),
            class: Class::Ddl,
            copy_data: None,
            transaction: None,
        }
    }

    /// The tables that DROP TABLE names, and the columns that ALTER TABLE … DROP COLUMN does, as they are written.
    pub fn drops(&self) -> Vec<(String, Option<String>)> {
        let tokens: Vec<&str> = significant_tokens(&self.text).map(|(_, text)| text).collect();
        let is = |n: usize, word: &str| tokens.get(n).is_some_and(|token| token.eq_ignore_ascii_case(word));
        // A name goes on as long as there are dots.
        let name = |mut n: usize| {
            if is(n, "if") {
                n += if is(n + 1, "not") { 3 } else { 2 };
            }
            n += usize::from(is(n, "only"));
            let mut text = (*tokens.get(n)?).to_owned();
            while is(n + 1, ".") {
                text.push('.');
                text.push_str(tokens.get(n + 2)?);
                n += 2;
            }
            Some((text, n + 1))
        };
        let mut found = Vec::new();
        if !is(1, "table") {
            return found;
        }
        let Some((table, mut n)) = name(2) else { return found };
        if is(0, "drop") {
            found.push((table, None));
            while is(n, ",")
                && let Some((table, next)) = name(n + 1)
            {
                found.push((table, None));
                n = next;
            }
        } else if is(0, "alter") {
            for n in n..tokens.len() {
                let from = n + 1 + usize::from(is(n + 1, "column"));
                let other = ["constraint", "default", "not", "expression", "identity"];
                if is(n, "drop")
                    && !other.iter().any(|word| is(n + 1, word))
                    && let Some((column, _)) = name(from)
                {
                    found.push((table.clone(), Some(column)));
                }
            }
        }
        found
    }

    pub fn may_change_rows(&self) -> bool { false }
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

    /// The index that a `CREATE INDEX name ON table` is about to build, concurrently or not: the names
    /// of index and table as they are written. None where PostgreSQL chooses the name.
    pub fn built_index(&self) -> Option<(String, String)> {
        let words = self.first_words(3);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        if !matches!(
            words.as_slice(),
            ["create", "index", ..] | ["create", "unique", "index"]
        ) {
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
        let mut before = find(0, "index")?;
        if tokens
            .get(before + 1)
            .is_some_and(|text| text.eq_ignore_ascii_case("concurrently"))
        {
            before += 1;
        }
        let on = find(before, "on")?;
        let mut name = &tokens[before + 1..on];
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
pub(super) fn significant_tokens(text: &str) -> impl Iterator<Item = (TokenKind, &str)> {
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

fn calls_set_config(words: &[String]) -> bool {
    let mut words = words
        .iter()
        .skip(1)
        .map(String::as_str)
        .filter(|word| *word != "pg_catalog");
    words.next() == Some("set_config")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn index_that_is_built() {
        let index = |sql: &str| {
            let text = sql.to_owned();
            let class = Class::of(&text).unwrap();
            let directives = Directives::default();
            Statement {
                file: String::new(),
                line: 1,
                text,
                directives,
                class,
            }
            .built_index()
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
        assert_eq!(index("CREATE INDEX i ON t (c)"), pair("i", "t"));
        assert_eq!(index("CREATE INDEX ON t (c)"), None);
        assert_eq!(index("CREATE TABLE index_on (c int)"), None);
    }
}
