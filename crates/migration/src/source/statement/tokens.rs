//! SQL text with its tokens, as PostgreSQL's scanner would find them.

use std::fmt;
use std::ops::{Deref, Range};

use squawk_lexer::{LiteralKind, TokenKind};

/// A token that is neither white space nor a comment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Token<'a> {
    /// What it is.
    pub kind: TokenKind,
    /// Where it begins, in bytes.
    pub start: usize,
    /// Its text.
    pub text: &'a str,
}

impl Token<'_> {
    /// Whether it is this keyword; quoted identifiers are none.
    pub fn is(&self, word: &str) -> bool {
        self.kind == TokenKind::Ident && self.text.eq_ignore_ascii_case(word)
    }

    /// Whether it is one of these keywords.
    pub fn is_one_of(&self, words: &[&str]) -> bool {
        words.iter().any(|word| self.is(word))
    }

    /// Whether it is a quoted string of any kind.
    pub fn is_string(&self) -> bool {
        matches!(
            self.kind,
            TokenKind::Literal {
                kind: LiteralKind::Str { .. }
                    | LiteralKind::EscStr { .. }
                    | LiteralKind::UnicodeEscStr { .. }
                    | LiteralKind::NationalStr { .. }
                    | LiteralKind::DollarQuotedString { .. }
            }
        )
    }

    /// Whether it is one character of an operator: the lexer does not put them together.
    fn is_of_operator(&self) -> bool {
        self.text.len() == 1 && self.text.contains(|c| "+-*/<>=~!@#%^&|`?".contains(c))
    }
}

/// The tokens that are neither white space nor comments.
pub(crate) fn tokens(text: &str) -> impl Iterator<Item = Token<'_>> {
    let mut position = 0;
    squawk_lexer::tokenize(text).filter_map(move |token| {
        let start = position;
        position += token.len as usize;
        (!is_trivia(token.kind)).then(|| Token {
            kind: token.kind,
            start,
            text: &text[start..position],
        })
    })
}

/// Whether PostgreSQL's parser never sees it: white space and comments.
pub(crate) fn is_trivia(kind: TokenKind) -> bool {
    matches!(
        kind,
        TokenKind::Whitespace | TokenKind::LineComment | TokenKind::BlockComment { .. } | TokenKind::Eof
    )
}

/// The text of a statement, which is tokenised once.
#[derive(Clone)]
pub struct Sql {
    text: String,
    tokens: Vec<(TokenKind, Range<usize>)>,
}

impl Sql {
    /// Tokenises a text.
    pub fn new(text: impl Into<String>) -> Self {
        let text = text.into();
        let tokens = tokens(&text).map(|token| (token.kind, token.start..token.start + token.text.len()));
        Self {
            tokens: tokens.collect(),
            text,
        }
    }

    /// A piece of a text whose tokens are known, with where they stand in the whole text.
    pub(crate) fn of_piece(whole: &str, range: Range<usize>, mut tokens: Vec<(TokenKind, Range<usize>)>) -> Self {
        for (_, token) in &mut tokens {
            *token = token.start - range.start..token.end - range.start;
        }
        Self {
            text: whole[range].to_owned(),
            tokens,
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The tokens that are neither white space nor comments.
    pub(crate) fn tokens(&self) -> impl Iterator<Item = Token<'_>> + Clone {
        self.tokens.iter().map(|(kind, range)| Token {
            kind: *kind,
            start: range.start,
            text: &self.text[range.clone()],
        })
    }

    /// The keywords and unquoted identifiers, in lower case.
    pub(crate) fn words(&self) -> impl Iterator<Item = String> {
        self.tokens()
            .filter(|token| token.kind == TokenKind::Ident)
            .map(|token| token.text.to_lowercase())
    }

    /// Whether the first token is one of these keywords.
    pub(crate) fn begins_with(&self, words: &[&str]) -> bool {
        self.tokens().next().is_some_and(|token| token.is_one_of(words))
    }

    /// Gives the tokens to `take`, with a separator between them that no text holds. So texts that differ in white
    /// space and comments alone give the same; `@-1` and `@ -1`, an operator and two of them, do not.
    pub(crate) fn canonical(&self, mut take: impl FnMut(&str)) {
        let mut before: Option<Token<'_>> = None;
        for token in self.tokens() {
            if let Some(before) = before {
                let touches = before.start + before.text.len() == token.start;
                if !(touches && before.is_of_operator() && token.is_of_operator()) {
                    take("\0");
                }
            }
            take(token.text);
            before = Some(token);
        }
    }
}

impl Deref for Sql {
    type Target = str;

    fn deref(&self) -> &str {
        &self.text
    }
}

impl fmt::Debug for Sql {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text.fmt(f)
    }
}

impl PartialEq for Sql {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Sql {}

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical_of(text: &str) -> String {
        let mut all = String::new();
        Sql::new(text).canonical(|piece| all.push_str(piece));
        all
    }

    #[test]
    fn white_space_and_comments_do_not_count() {
        let same = |a: &str, b: &str| canonical_of(a) == canonical_of(b);
        assert!(same("SELECT 1", "  SELECT /* one */\r\n 1 -- done"));
        assert!(same("SELECT a<=b", "SELECT a <= b"));
        assert!(same("f(a,b)", "f( a , b )"));
        assert!(!same("SELECT ab", "SELECT a b"));
        assert!(!same("SELECT a", "select a"));
        assert!(!same("SELECT a @-1", "SELECT a @ -1"));
        assert!(!same("SELECT '1  2'", "SELECT '1 2'"));
    }
}
