//! The definition of a column, taken apart.

use crate::catalog::words::words;

/// A column's definition, as the catalog's query puts it together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Definition<'a> {
    /// The type with its modifiers.
    pub kind: &'a str,
    /// A collation that is not the type's.
    pub collation: Option<&'a str>,
    /// `not null`, with what stands behind it.
    pub not_null: Option<&'a str>,
    /// Where a value comes from that INSERT leaves out.
    pub value: Value<'a>,
    /// Storage that is not the type's.
    pub storage: Option<&'a str>,
    /// How values are compressed, if not as usual.
    pub compression: Option<&'a str>,
    /// The statistics target.
    pub statistics: Option<&'a str>,
    /// Options in parentheses.
    pub options: Option<&'a str>,
    /// Options of a foreign table's column, in parentheses.
    pub foreign_options: Option<&'a str>,
    /// It comes from the parent alone.
    pub inherited: bool,
}

/// Where a value comes from that INSERT leaves out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Value<'a> {
    /// It is null.
    #[default]
    None,
    /// `default`: the expression.
    Default(&'a str),
    /// `generated always as (…) stored`, whole.
    Generated(&'a str),
    /// `generated … as identity`.
    Identity {
        /// `always` or `by default`.
        when: &'a str,
        /// In parentheses.
        sequence: &'a str,
    },
}

/// Reads a definition from left to right.
struct Cursor<'a> {
    text: &'a str,
    words: Vec<(usize, &'a str)>,
    next: usize,
}

impl<'a> Cursor<'a> {
    fn word(&self, ahead: usize) -> &'a str {
        self.words.get(self.next + ahead).map_or("", |(_, word)| *word)
    }

    /// Passes these words if they are next.
    fn passes(&mut self, expected: &[&str]) -> bool {
        let found = expected.iter().enumerate().all(|(n, word)| self.word(n) == *word);
        if found {
            self.next += expected.len();
        }
        found
    }

    fn take(&mut self) -> Option<&'a str> {
        let (_, word) = self.words.get(self.next)?;
        self.next += 1;
        Some(word)
    }

    /// The text up to where a further part begins.
    fn take_until(&mut self, begins: impl Fn(&Self) -> bool) -> Option<&'a str> {
        let (start, _) = *self.words.get(self.next)?;
        self.next += 1;
        while self.next < self.words.len() && !begins(self) {
            self.next += 1;
        }
        let (last, word) = *self.words.get(self.next - 1)?;
        Some(&self.text[start..last + word.len()])
    }

    /// Whether what stands after the default begins here. No default has such words outside of quotes and parentheses:
    /// all that it may name is qualified, but types of several words.
    fn at_setting(&self) -> bool {
        match self.word(0) {
            "storage" | "compression" | "statistics" | "inherited" => true,
            "with" | "options" => self.word(1).starts_with('('),
            _ => false,
        }
    }

    fn at_any_part(&self) -> bool {
        match self.word(0) {
            "collate" | "default" | "generated" => true,
            "not" => self.word(1) == "null",
            _ => self.at_setting(),
        }
    }
}

impl<'a> Definition<'a> {
    /// Takes a definition apart; none where it is not one that the catalog's query makes.
    pub fn parse(text: &'a str) -> Option<Self> {
        let mut cursor = Cursor {
            text,
            words: words(text),
            next: 0,
        };
        let mut column = Self {
            kind: cursor.take_until(Cursor::at_any_part)?,
            ..Self::default()
        };
        if cursor.passes(&["collate"]) {
            column.collation = Some(cursor.take()?);
        }
        if cursor.word(0) == "not" {
            let begins = |cursor: &Cursor| matches!(cursor.word(0), "default" | "generated") || cursor.at_setting();
            column.not_null = Some(cursor.take_until(begins)?);
        }
        let start = cursor.words.get(cursor.next).map_or(text.len(), |(start, _)| *start);
        if cursor.passes(&["default"]) {
            column.value = Value::Default(cursor.take_until(Cursor::at_setting)?);
        } else if cursor.passes(&["generated", "by", "default", "as", "identity"]) {
            column.value = Value::Identity {
                when: "by default",
                sequence: cursor.take()?,
            };
        } else if cursor.passes(&["generated", "always", "as", "identity"]) {
            column.value = Value::Identity {
                when: "always",
                sequence: cursor.take()?,
            };
        } else if cursor.passes(&["generated", "always", "as"]) {
            cursor.take()?;
            // STORED or VIRTUAL.
            cursor.take()?;
            let end = cursor.words.get(cursor.next - 1).map(|(at, word)| at + word.len())?;
            column.value = Value::Generated(&text[start..end]);
        }
        while let Some(word) = cursor.take() {
            match word {
                "storage" => column.storage = Some(cursor.take()?),
                "compression" => column.compression = Some(cursor.take()?),
                "statistics" => column.statistics = Some(cursor.take()?),
                "with" => column.options = Some(cursor.take()?),
                "options" => column.foreign_options = Some(cursor.take()?),
                "inherited" => column.inherited = true,
                _ => return None,
            }
        }
        Some(column)
    }

    /// The type, with a collation that is not its own.
    pub fn kind_and_collation(&self) -> String {
        match self.collation {
            Some(collation) => format!("{} collate {collation}", self.kind),
            None => self.kind.to_owned(),
        }
    }
}
