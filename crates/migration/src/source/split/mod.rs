//! Cuts SQL text into statements where PostgreSQL's own parser would.
//!
//! The rule, checked against PostgreSQL's parser on its regression suite (`tests/fixtures/split`):
//! cut at `;` at parenthesis depth 0, and inside `CREATE FUNCTION` or `CREATE PROCEDURE` let
//! `BEGIN ATOMIC … END` and `CASE … END` nest.
//!
//! What `psql` adds to that, and a `pg_dump` contains, is read as `psql` does: the rows below a `COPY … FROM stdin;`, and
//! the lines `\restrict` and `\unrestrict`.

mod rows;

use std::fmt;
use std::ops::Range;

use squawk_lexer::{LiteralKind, TokenKind, tokenize};

use super::statement::Sql;
use super::statement::copy::{CopyEnd, copy_end};

/// One statement as a piece of the text it was cut from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// From the first token up to, and without, the semicolon, in bytes.
    pub range: Range<usize>,
    /// What stands there.
    pub sql: Sql,
    /// The line comments between the previous statement and this one, in bytes, in order.
    pub comments: Vec<Range<usize>>,
    /// The rows of a `COPY … FROM stdin`, in bytes, without the line `\.` after them.
    pub copy_data: Option<Range<usize>>,
}

/// A text that PostgreSQL could not read to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SplitError {
    /// Where the trouble begins, in bytes.
    pub offset: usize,
    /// What it is.
    pub message: &'static str,
}

impl fmt::Display for SplitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message)
    }
}

impl std::error::Error for SplitError {}

/// Cuts `text` into its statements. Empty ones (`;;`) are left out.
///
/// # Errors
/// A quote or comment that does not end, rows of COPY that do not end, a command of psql, and NUL bytes, which cannot be
/// sent to a server.
pub fn split(text: &str) -> Result<Vec<Piece>, SplitError> {
    if let Some(offset) = text.find('\0') {
        return Err(SplitError {
            offset,
            message: "a NUL byte, which PostgreSQL cannot read",
        });
    }
    let mut pieces = Vec::new();
    let mut comments = Vec::new();
    let mut current: Option<Current> = None;
    let mut position = 0;
    // A byte-order mark comes as white space: psql skips it as well.
    let mut tokens = tokenize(text);
    while let Some(token) = tokens.next() {
        let range = position..position + token.len as usize;
        position = range.end;
        if let Some(message) = unterminated(token.kind) {
            return Err(SplitError {
                offset: range.start,
                message,
            });
        }
        match token.kind {
            TokenKind::Eof => break,
            TokenKind::Whitespace | TokenKind::BlockComment { .. } => {}
            TokenKind::LineComment => {
                if current.is_none() {
                    comments.push(range);
                }
            }
            TokenKind::Semi if current.as_ref().is_none_or(Current::can_end) => {
                if let Some(done) = current.take() {
                    let mut piece = done.piece(text, std::mem::take(&mut comments));
                    if reads_rows(&piece) {
                        let rows = rows::find(text, position, piece.range.start)?;
                        piece.copy_data = Some(rows.data);
                        comments.extend(rows.comments);
                        position = rows.end;
                        tokens = tokenize(&text[position..]);
                    }
                    pieces.push(piece);
                }
            }
            TokenKind::Unknown if &text[range.clone()] == "\\" => {
                let line = text[range.start..].lines().next().unwrap_or_default();
                let command = line.split_whitespace().next().unwrap_or_default();
                if current.is_some() || !matches!(command, r"\restrict" | r"\unrestrict") {
                    return Err(SplitError {
                        offset: range.start,
                        message: "a command of psql, which no server understands: phases are plain SQL",
                    });
                }
                // They keep psql from obeying such commands in a dump, as we do anyway.
                position = range.start + line.len();
                tokens = tokenize(&text[position..]);
            }
            kind => current
                .get_or_insert_with(|| Current::new(range.start))
                .add(kind, &text[range.clone()], range),
        }
    }
    if let Some(done) = current {
        let piece = done.piece(text, comments);
        if reads_rows(&piece) {
            return Err(rows::missing(piece.range.start));
        }
        pieces.push(piece);
    } else if let Some(comment) = comments
        .into_iter()
        .find(|range| directive(&text[range.clone()]).is_some())
    {
        return Err(SplitError {
            offset: comment.start,
            message: "a directive with no statement below it",
        });
    }
    Ok(pieces)
}

/// Whether the rows of the statement follow it.
fn reads_rows(piece: &Piece) -> bool {
    copy_end(&piece.sql) == Some(CopyEnd::FromStdin)
}

fn unterminated(kind: TokenKind) -> Option<&'static str> {
    Some(match kind {
        TokenKind::BlockComment { terminated: false } => "a comment that begins here and does not end (*/ is missing)",
        TokenKind::QuotedIdent { terminated: false, .. } => {
            "a quoted identifier that begins here and does not end (\" is missing)"
        }
        TokenKind::Literal { kind } => match kind {
            LiteralKind::DollarQuotedString { terminated: false } => {
                "a dollar-quoted string that begins here and does not end (its closing tag is missing)"
            }
            LiteralKind::Str { terminated: false }
            | LiteralKind::NationalStr { terminated: false }
            | LiteralKind::BitStr { terminated: false }
            | LiteralKind::ByteStr { terminated: false }
            | LiteralKind::EscStr { terminated: false }
            | LiteralKind::UnicodeEscStr { terminated: false } => {
                "a quoted string that begins here and does not end (' is missing)"
            }
            _ => return None,
        },
        _ => return None,
    })
}

/// What must be known of the statement that is being read, to tell whether a `;` ends it.
struct Current {
    range: Range<usize>,
    tokens: Vec<(TokenKind, Range<usize>)>,
    words: Words,
    /// Open parentheses.
    depth: u32,
    /// Open `BEGIN ATOMIC` and, within one, `CASE`.
    blocks: u32,
    after_begin: bool,
}

/// How much of `CREATE [OR REPLACE] FUNCTION | PROCEDURE` has been read.
#[derive(PartialEq)]
enum Words {
    Nothing,
    Create,
    Routine,
    Other,
}

impl Current {
    fn new(start: usize) -> Self {
        Self {
            range: start..start,
            tokens: Vec::new(),
            words: Words::Nothing,
            depth: 0,
            blocks: 0,
            after_begin: false,
        }
    }

    fn piece(self, text: &str, comments: Vec<Range<usize>>) -> Piece {
        Piece {
            sql: Sql::of_piece(text, self.range.clone(), self.tokens),
            range: self.range,
            comments,
            copy_data: None,
        }
    }

    fn can_end(&self) -> bool {
        self.depth == 0 && self.blocks == 0
    }

    fn add(&mut self, kind: TokenKind, text: &str, range: Range<usize>) {
        self.range.end = range.end;
        self.tokens.push((kind, range));
        match kind {
            TokenKind::OpenParen => self.depth += 1,
            TokenKind::CloseParen => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
        let is = |word: &str| kind == TokenKind::Ident && text.eq_ignore_ascii_case(word);
        match self.words {
            Words::Nothing => self.words = if is("create") { Words::Create } else { Words::Other },
            Words::Create if is("or") || is("replace") => {}
            Words::Create => {
                self.words = if is("function") || is("procedure") {
                    Words::Routine
                } else {
                    Words::Other
                };
            }
            Words::Routine => {
                if is("atomic") && self.after_begin || is("case") && self.blocks > 0 {
                    self.blocks += 1;
                } else if is("end") {
                    self.blocks = self.blocks.saturating_sub(1);
                }
                self.after_begin = is("begin");
            }
            Words::Other => {}
        }
    }
}

/// What a comment says to the engine: what stands behind `-- xtask:`.
pub fn directive(comment: &str) -> Option<&str> {
    let body = comment.trim_start_matches('-').trim();
    body.strip_prefix("xtask:").map(str::trim)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::{Path, PathBuf};

    use super::*;

    fn fixtures() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/split")
    }

    /// The byte ranges are those that PostgreSQL 15's own parser reports for its regression suite.
    #[test]
    fn cuts_where_postgresql_does() {
        let folder = fixtures().join("postgresql");
        let mut expected: BTreeMap<String, Vec<Range<usize>>> = BTreeMap::new();
        for line in std::fs::read_to_string(folder.join("expected_ranges.tsv"))
            .unwrap()
            .lines()
            .skip(1)
        {
            let fields: Vec<&str> = line.split('\t').collect();
            let range = fields[2].parse().unwrap()..fields[3].parse().unwrap();
            expected.entry(fields[0].to_owned()).or_default().push(range);
        }
        assert!(expected.len() >= 40, "{} files", expected.len());
        for (file, ranges) in expected {
            let text = std::fs::read_to_string(folder.join(&file)).unwrap();
            let cut: Vec<_> = split(&text).unwrap().into_iter().map(|piece| piece.range).collect();
            assert_eq!(cut, ranges, "{file}");
        }
    }

    /// Where PostgreSQL's parser reads a file, we find as many statements; where it finds a quote or
    /// comment that does not end, so do we.
    #[test]
    fn handmade_cases() {
        let folder = fixtures().join("handmade");
        let mut checked = 0;
        for line in std::fs::read_to_string(folder.join("expected.tsv"))
            .unwrap()
            .lines()
            .skip(1)
        {
            let fields: Vec<&str> = line.split('\t').collect();
            let Ok(text) = String::from_utf8(std::fs::read(folder.join(fields[0])).unwrap()) else {
                continue;
            };
            let pieces = split(&text);
            if let Ok(count) = fields[1].parse::<usize>() {
                assert_eq!(pieces.unwrap().len(), count, "{}", fields[0]);
            } else if fields[1].contains("unterminated") || fields[1].contains("NUL") {
                pieces.unwrap_err();
            }
            checked += 1;
        }
        assert!(checked >= 55, "{checked} files");
    }

    fn texts(text: &str) -> Vec<(&str, Option<&str>)> {
        split(text)
            .unwrap()
            .into_iter()
            .map(|piece| (&text[piece.range], piece.copy_data.map(|range| &text[range])))
            .collect()
    }

    #[test]
    fn rows_of_copy_are_no_sql() {
        let text = std::fs::read_to_string(fixtures().join("handmade/038_copy_from_stdin.sql")).unwrap();
        assert_eq!(
            texts(&text),
            [
                ("CREATE TEMP TABLE c38 (a text, b text)", None),
                ("COPY c38 FROM stdin", Some("it's; fine\t$$\n\\N\t--x\n")),
                ("SELECT 1", None),
            ]
        );
        assert_eq!(
            texts("COPY t (a) FROM STDIN WITH (FORMAT csv, DELIMITER ';'); -- rows\r\n\"a\r\nb\"\r\n\\.\r\nSELECT 1;"),
            [
                (
                    "COPY t (a) FROM STDIN WITH (FORMAT csv, DELIMITER ';')",
                    Some("\"a\r\nb\"\r\n")
                ),
                ("SELECT 1", None),
            ]
        );
        // No rows; the end of the text ends the last line, too.
        assert_eq!(texts("COPY t FROM stdin;\n\\."), [("COPY t FROM stdin", Some(""))]);
        let text = "COPY t FROM stdin; -- xtask: always\n\\.\nSELECT 1";
        assert_eq!(
            split(text).unwrap()[1].comments.len(),
            1,
            "a comment belongs to what follows"
        );
    }

    #[test]
    fn rows_of_copy_have_an_end() {
        let error = |text: &str| {
            let error = split(text).unwrap_err();
            (error.offset, error.message)
        };
        for text in [
            "SELECT 1;\nCOPY t FROM stdin;\n1\n",
            "SELECT 1;\nCOPY t FROM stdin;",
            "SELECT 1;\nCOPY t FROM stdin",
            "SELECT 1;\nCOPY t FROM stdin;\n1\n \\.\n",
        ] {
            let (offset, message) = error(text);
            assert!(
                offset == 10 && message.contains("do not end"),
                "{text}: {offset} {message}"
            );
        }
        let (offset, message) = error("COPY t FROM stdin; SELECT 1;\n\\.\n");
        assert!(offset == 19 && message.contains("next line"), "{offset} {message}");
    }

    #[test]
    fn commands_of_psql() {
        assert_eq!(
            texts("\\restrict it's\r\nSELECT 1;\n\\unrestrict it's"),
            [("SELECT 1", None)]
        );
        for (text, offset) in [
            ("SELECT 1;\n\\echo it's", 10),
            ("SELECT 1 \\gset", 9),
            ("SELECT\n\\restrict x\n1", 7),
            ("\\restricted", 0),
        ] {
            let error = split(text).unwrap_err();
            assert!(error.message.starts_with("a command of psql"), "{text}");
            assert_eq!(error.offset, offset, "{text}");
        }
    }
}
