//! The rows below a `COPY … FROM stdin;`, as `psql` finds them.

use std::ops::Range;

use squawk_lexer::{TokenKind, tokenize};

use super::SplitError;
use crate::source::statement::tokens::is_trivia;

/// Where the rows are.
pub(super) struct Rows {
    /// The rows, without the line that ends them.
    pub data: Range<usize>,
    /// Where SQL goes on, after the line that ends them.
    pub end: usize,
    /// Line comments behind the semicolon: they belong to what follows.
    pub comments: Vec<Range<usize>>,
}

/// Finds the rows of the COPY that begins at `copy`, and whose semicolon ends at `position`. They begin on the next line.
///
/// # Errors
/// Something else than a comment follows on the same line, or no line `\.` ends the rows.
pub(super) fn find(text: &str, position: usize, copy: usize) -> Result<Rows, SplitError> {
    let line = text[position..].split('\n').next().unwrap_or_default();
    let mut comments = Vec::new();
    let mut start = position;
    for token in tokenize(line) {
        let range = start..start + token.len as usize;
        start = range.end;
        if !is_trivia(token.kind) || token.kind == (TokenKind::BlockComment { terminated: false }) {
            return Err(SplitError {
                offset: range.start,
                message: "the rows of COPY ... FROM stdin begin on the next line: nothing but a comment may stand here",
            });
        }
        if token.kind == TokenKind::LineComment {
            comments.push(range);
        }
    }
    let data = position + line.len() + 1;
    let mut start = data;
    for line in text.get(data..).unwrap_or_default().split_inclusive('\n') {
        let end = start + line.len();
        if line.trim_end_matches(['\n', '\r']) == r"\." {
            return Ok(Rows {
                data: data..start,
                end,
                comments,
            });
        }
        start = end;
    }
    Err(missing(copy))
}

/// The error of rows that are not there, or do not end.
pub(super) fn missing(copy: usize) -> SplitError {
    SplitError {
        offset: copy,
        message: "the rows of this COPY ... FROM stdin do not end (a line with \\. alone is missing below them)",
    }
}
