//! The tokens of a statement, as PostgreSQL's scanner would find them.

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

/// The keywords and unquoted identifiers, in lower case, up to `count`.
pub(crate) fn first_words(text: &str, count: usize) -> Vec<String> {
    tokens(text)
        .filter(|token| token.kind == TokenKind::Ident)
        .take(count)
        .map(|token| token.text.to_lowercase())
        .collect()
}

/// Gives the tokens to `take`, with a separator between them that no text holds. So texts that differ in white space
/// and comments alone give the same; `@-1` and `@ -1`, an operator and two of them, do not.
pub(crate) fn canonical(text: &str, mut take: impl FnMut(&str)) {
    let mut before: Option<Token<'_>> = None;
    for token in tokens(text) {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical_of(text: &str) -> String {
        let mut all = String::new();
        canonical(text, |piece| all.push_str(piece));
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
