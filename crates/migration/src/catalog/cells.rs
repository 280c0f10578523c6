//! Values as PostgreSQL prints them, and what they become here.

use postgres::SimpleQueryRow;

/// The number of an object; 0 is none.
pub type Oid = u32;

/// The values of a row, from left to right.
pub struct Cells<'a> {
    values: Values<'a>,
    at: usize,
}

enum Values<'a> {
    Row(&'a SimpleQueryRow),
    #[cfg(test)]
    Texts(&'a [Option<String>]),
}

impl<'a> Cells<'a> {
    /// All of a row.
    pub fn new(row: &'a SimpleQueryRow) -> Self {
        Self {
            values: Values::Row(row),
            at: 0,
        }
    }

    /// These values.
    #[cfg(test)]
    pub fn of_texts(texts: &'a [Option<String>]) -> Self {
        Self {
            values: Values::Texts(texts),
            at: 0,
        }
    }

    /// The next value. What is missing counts as NULL.
    pub fn next<T: Cell>(&mut self) -> T {
        let text = match self.values {
            Values::Row(row) => row.try_get(self.at).ok().flatten(),
            #[cfg(test)]
            Values::Texts(texts) => texts.get(self.at).and_then(Option::as_deref),
        };
        self.at += 1;
        T::parse(text)
    }
}

/// What a value of a column becomes. Rows come from queries of our own, so that a text which cannot be read is none that
/// a user could fix: it becomes the type's default.
pub trait Cell: Default {
    /// From the text of the value; `None` is NULL.
    fn parse(text: Option<&str>) -> Self;
}

macro_rules! numbers {
    ($($number:ty),*) => {
        $(impl Cell for $number {
            fn parse(text: Option<&str>) -> Self {
                text.and_then(|text| text.parse().ok()).unwrap_or_default()
            }
        })*
    };
}
numbers!(u32, i32, i64);

impl Cell for bool {
    fn parse(text: Option<&str>) -> Self {
        text == Some("t")
    }
}

/// PostgreSQL's `"char"`; an empty one is a blank.
impl Cell for char {
    fn parse(text: Option<&str>) -> Self {
        text.and_then(|text| text.chars().next()).unwrap_or(' ')
    }
}

impl Cell for String {
    fn parse(text: Option<&str>) -> Self {
        text.unwrap_or_default().to_owned()
    }
}

impl<T: Cell> Cell for Option<T> {
    fn parse(text: Option<&str>) -> Self {
        text.map(|text| T::parse(Some(text)))
    }
}

/// An array of one dimension.
impl<T: Cell> Cell for Vec<T> {
    fn parse(text: Option<&str>) -> Self {
        let text = text.and_then(|text| text.strip_prefix('{')?.strip_suffix('}'));
        elements(text.unwrap_or_default())
            .iter()
            .map(|element| T::parse(element.as_deref()))
            .collect()
    }
}

/// The elements of an array, by the rules of `array_out`.
fn elements(text: &str) -> Vec<Option<String>> {
    let mut found = Vec::new();
    let mut element = String::new();
    let (mut quoted, mut was_quoted) = (false, false);
    let mut characters = text.chars();
    let mut end = |element: &mut String, was_quoted: &mut bool| {
        let is_null = !*was_quoted && element == "NULL";
        found.push((!is_null).then(|| std::mem::take(element)));
        element.clear();
        *was_quoted = false;
    };
    while let Some(c) = characters.next() {
        match c {
            '\\' => element.extend(characters.next()),
            '"' => {
                quoted = !quoted;
                was_quoted = true;
            }
            ',' if !quoted => end(&mut element, &mut was_quoted),
            _ => element.push(c),
        }
    }
    if !text.is_empty() {
        end(&mut element, &mut was_quoted);
    }
    found
}

/// A text as a literal of SQL, as `quote_literal` writes it.
pub fn quote_literal(text: &str) -> String {
    let doubled = text.replace('\'', "''");
    if text.contains('\\') {
        format!("E'{}'", doubled.replace('\\', "\\\\"))
    } else {
        format!("'{doubled}'")
    }
}

/// The parts that are there, with blanks in between.
pub fn words(parts: impl IntoIterator<Item = Option<String>>) -> String {
    parts.into_iter().flatten().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrays() {
        let strings = |text| <Vec<Option<String>>>::parse(Some(text));
        assert!(strings("{}").is_empty());
        assert_eq!(
            strings(r#"{a,"b,\"c\\",NULL,"NULL",""}"#),
            [Some("a"), Some("b,\"c\\"), None, Some("NULL"), Some("")].map(|text| text.map(ToOwned::to_owned))
        );
        assert_eq!(<Vec<u32>>::parse(Some("{1,23}")), [1, 23]);
        assert!(<Vec<u32>>::parse(None).is_empty());
    }

    #[test]
    fn literals() {
        assert_eq!(quote_literal("it's"), "'it''s'");
        assert_eq!(quote_literal("a\\b"), "E'a\\\\b'");
    }
}
