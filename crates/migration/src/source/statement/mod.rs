//! One statement: its text, what the comments above it say, and what its first words tell.

mod class;
pub(crate) mod control;
pub(crate) mod copy;
mod refused;
mod row_change;
pub(crate) mod tokens;

pub use class::Class;
pub use row_change::RowChange;
pub(crate) use row_change::unquoted;
pub use tokens::Sql;

use sha2::{Digest, Sha256};

use crate::catalog::{ObjectId, outside_quotes};
use crate::text::hex;

/// One SQL statement of a phase.
#[derive(Debug, Clone)]
pub struct Statement {
    /// The file's path, below the folder of the phases, with `/` between its parts.
    pub file: String,
    /// The line of its first token, from 1.
    pub line: u32,
    /// The text that is sent: from its first token up to, and without, the semicolon.
    pub text: Sql,
    /// The rows of a `COPY … FROM stdin`, as they stand in the file, without the line `\.` after them.
    pub copy_data: Option<String>,
    /// The same number for all statements that stood between one BEGIN and its COMMIT; no two transactions of the
    /// phases share one.
    pub transaction: Option<u32>,
    /// What the comments above it say.
    pub directives: Directives,
    /// Told from its first words.
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
    /// `as written`: it takes no online form.
    pub as_written: bool,
    /// `duplicates keep latest by …`, `violations …`: what happens to rows that the constraint refuses.
    pub violations: Option<Violations>,
    /// `quarantine`: what the statement changes is kept as it was, and it works in batches.
    pub quarantine: bool,
    /// `drops rows: <reason>`: it may drop a table or column that holds values, and why.
    pub drops_rows: Option<String>,
}

/// What happens to rows that a constraint refuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Violations {
    /// `duplicates keep latest by <columns>`: of those with the same key the one with the latest of these stays, the others
    /// are set aside.
    KeepLatest(Vec<String>),
    /// `violations quarantine`: they are set aside.
    Quarantine,
    /// `violations set null`: they stay, and refer to nothing.
    SetNull,
    /// `violations set <column> = <expression>`: they stay, with this value.
    Set {
        /// The column.
        column: String,
        /// The expression, of the row's columns.
        expression: String,
    },
}

impl Violations {
    fn parse(word: &str, rest: &str) -> Option<Self> {
        let (first, more) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        match (word, first) {
            ("duplicates", "keep") => {
                let by = more.trim().strip_prefix("latest by ")?;
                Some(Self::KeepLatest(
                    divide(by).into_iter().map(ToOwned::to_owned).collect(),
                ))
            }
            ("violations", "quarantine") if more.is_empty() => Some(Self::Quarantine),
            ("violations", "set") if more.trim() == "null" => Some(Self::SetNull),
            ("violations", "set") => {
                let (column, expression) = more.split_once('=')?;
                Some(Self::Set {
                    column: column.trim().to_owned(),
                    expression: expression.trim().to_owned(),
                })
            }
            _ => None,
        }
    }
}

/// The parts between commas that stand in no parentheses.
pub(crate) fn divide(text: &str) -> Vec<&str> {
    let (mut depth, mut start, mut parts) = (0, 0, Vec::new());
    for (at, c) in outside_quotes(text) {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(text[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(text[start..].trim());
    parts
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
            ("quarantine", "") => self.quarantine = true,
            ("as", "written") => self.as_written = true,
            ("prepares", object) => {
                self.prepares
                    .push(object.parse().map_err(|error| format!("prepares {object}: {error}"))?);
            }
            ("accepts", reason) if !reason.is_empty() => self.accepts = Some(reason.to_owned()),
            ("duplicates" | "violations", rest) => {
                let violations = Violations::parse(word, rest).ok_or_else(|| {
                    format!(
                        "{directive}: say “duplicates keep latest by <columns>”, “violations quarantine”, “violations set \
                         null” or “violations set <column> = <expression>”"
                    )
                })?;
                self.violations = Some(violations);
            }
            ("drops", rest) => match rest.strip_prefix("rows:").map(str::trim) {
                Some(reason) if !reason.is_empty() => self.drops_rows = Some(reason.to_owned()),
                _ => return Err("drops rows needs a reason: -- xtask: drops rows: <reason>".to_owned()),
            },
            _ => {
                return Err(format!(
                    "unknown directive “{directive}”: there are optional, always, quarantine, prepares <object>, as \
                     written, accepts <reason>, drops rows: <reason>, duplicates keep latest by <columns>, violations …"
                ));
            }
        }
        Ok(())
    }
}

impl Statement {
    /// A statement of the engine's own making, in the place of another one.
    pub fn plain(file: &str, line: u32, text: impl Into<String>) -> Self {
        Self {
            file: file.to_owned(),
            line,
            text: Sql::new(text),
            directives: Directives::default(),
            class: Class::Ddl,
            copy_data: None,
            transaction: None,
        }
    }

    /// The tables that DROP TABLE names, and the columns that ALTER TABLE … DROP COLUMN does, as they are written.
    pub fn drops(&self) -> Vec<(String, Option<String>)> {
        let tokens: Vec<&str> = self.text.tokens().map(|token| token.text).collect();
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

    /// SHA-256 of its tokens and of the rows of COPY, in hexadecimal: comments and white space do not count.
    pub fn hash(&self) -> String {
        let mut sha = Sha256::new();
        self.text.canonical(|piece| sha.update(piece));
        if let Some(rows) = &self.copy_data {
            // No text of tokens has two separators in a row.
            sha.update("\0\0");
            sha.update(rows);
        }
        hex(&sha.finalize())
    }

    /// The first words, on one line, for people: 72 characters at most.
    pub fn summary(&self) -> String {
        const MORE: &str = " ...";
        const WIDTH: usize = 72 - MORE.len();
        let mut line = String::new();
        let mut width = 0;
        for word in self
            .text
            .lines()
            .map(|line| line.split("--").next().unwrap_or_default())
            .flat_map(str::split_whitespace)
        {
            let space = usize::from(width > 0);
            let needed = space + word.chars().count();
            if width + needed > WIDTH {
                if width == 0 {
                    line.extend(word.chars().take(WIDTH));
                }
                line.push_str(MORE);
                break;
            }
            if space > 0 {
                line.push(' ');
            }
            line.push_str(word);
            width += needed;
        }
        line
    }

    /// Whether its words say that it changes rows, or that it runs code that may: INSERT, UPDATE, DELETE, MERGE,
    /// TRUNCATE, COPY, CALL, EXECUTE, and DO or SELECT with one of these in them. A function that is merely called
    /// tells nothing.
    pub fn may_change_rows(&self) -> bool {
        class::may_change_rows(&self.text)
    }

    /// The UPDATE or DELETE that keeps what it changes, if a directive says so.
    pub fn quarantines(&self) -> Option<RowChange> {
        // The phases were not read where there is none.
        self.directives
            .quarantine
            .then(|| RowChange::of(&self.text).ok())
            .flatten()
    }

    /// `file:line`.
    pub fn place(&self) -> String {
        format!("{}:{}", self.file, self.line)
    }

    /// The words of the text that are not comments or literals, in lower case, up to `count`.
    pub fn first_words(&self, count: usize) -> Vec<String> {
        self.text.words().take(count).collect()
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

    /// It may read all rows of a table that is in use: who writes to it does not wait. `CREATE INDEX CONCURRENTLY` and its
    /// relatives, and `ALTER TABLE … VALIDATE CONSTRAINT`.
    pub fn keeps_nobody_waiting(&self) -> bool {
        self.is_concurrent()
            || self.text.begins_with(&["alter"]) && self.text.tokens().any(|token| token.is("validate"))
    }

    /// `CREATE INDEX CONCURRENTLY` without that word, which keeps it out of transactions: it makes the same index, and
    /// where nobody uses the table nobody is kept waiting.
    pub fn without_concurrently(&self) -> Option<String> {
        let word = self.text.tokens().take(4).find(|token| token.is("concurrently"))?;
        let end = word.start + word.text.len();
        self.text
            .begins_with(&["create"])
            .then(|| format!("{}{}", &self.text[..word.start], &self.text[end..]))
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
        let tokens: Vec<&str> = self.text.tokens().map(|token| token.text).collect();
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

#[cfg(test)]
mod tests {
    use super::*;

    fn statement(text: &str) -> Statement {
        let mut statement = Statement::plain("", 1, text);
        statement.class = Class::of(&statement.text).unwrap();
        statement
    }

    #[test]
    fn the_hash_is_that_of_tokens_and_rows() {
        let hash = |text: &str, rows: Option<&str>| {
            let mut statement = statement(text);
            statement.copy_data = rows.map(ToOwned::to_owned);
            statement.hash()
        };
        assert_eq!(hash("SELECT 1", None), hash("SELECT\r\n  1 -- one", None));
        assert_ne!(hash("SELECT 1", None), hash("SELECT 2", None));
        let copy = "COPY t FROM stdin";
        assert_ne!(hash(copy, Some("1\n")), hash(copy, Some("2\n")));
        assert_ne!(hash(copy, Some("")), hash(copy, None));
        assert_eq!(hash(copy, Some("1\n")), hash("COPY t  FROM stdin", Some("1\n")));
    }

    #[test]
    fn the_summary_fits_a_line() {
        assert_eq!(statement("SELECT 1,\n    2 -- two").summary(), "SELECT 1, 2");
        let long = statement(&format!("SELECT {}", "word, ".repeat(30))).summary();
        assert!(long.ends_with("word, ..."), "{long}");
        assert!(long.is_ascii() && long.len() <= 72, "{long}");
        let word = statement(&"x".repeat(100)).summary();
        assert_eq!(word.len(), 72);
        let exact = format!("SELECT {}", "x".repeat(61));
        assert_eq!(statement(&exact).summary(), exact);
    }

    #[test]
    fn rows_are_dropped_for_a_reason() {
        let mut directives = Directives::default();
        directives.add("drops rows: the table was a copy").unwrap();
        assert_eq!(directives.drops_rows.as_deref(), Some("the table was a copy"));
        for wrong in ["drops rows", "drops rows:", "drops rows:  ", "drops it"] {
            assert!(directives.add(wrong).unwrap_err().contains("reason"), "{wrong}");
        }
        assert!(directives.add("maybe").unwrap_err().contains("drops rows: <reason>"));
    }

    #[test]
    fn who_keeps_nobody_waiting() {
        for text in [
            "ALTER TABLE t VALIDATE CONSTRAINT c",
            "create unique index concurrently i on t (a)",
        ] {
            assert!(statement(text).keeps_nobody_waiting(), "{text}");
        }
        for text in [
            "CREATE INDEX i ON t (a)",
            "ALTER TABLE t ADD CONSTRAINT \"validate\" CHECK (a = ' VALIDATE ')",
            "COMMENT ON TABLE validate IS NULL",
        ] {
            assert!(!statement(text).keeps_nobody_waiting(), "{text}");
        }
    }

    #[test]
    fn index_that_is_built() {
        let index = |sql: &str| statement(sql).built_index();
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
