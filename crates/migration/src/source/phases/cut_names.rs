//! Names that PostgreSQL cannot tell apart, because it keeps 63 bytes of each.

use std::collections::BTreeMap;
use std::fmt;

use squawk_lexer::TokenKind;

use super::Phases;

/// The bytes of a name that PostgreSQL keeps.
const KEPT: usize = 63;

/// Different names that PostgreSQL takes for one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CutNames {
    /// What is left of each of them.
    pub cut: String,
    /// The names, each with the place where it stands first, as `file:line`. There are two at least.
    pub names: Vec<(String, String)>,
}

impl fmt::Display for CutNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, place) in &self.names {
            writeln!(f, "{place}: {name}")?;
        }
        write!(f, "to PostgreSQL each of them is {}", self.cut)
    }
}

/// See [`Phases::cut_names`].
pub(super) fn cut_names(phases: &Phases) -> Vec<CutNames> {
    let mut kept: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    for statement in phases.statements() {
        for token in statement.text.tokens() {
            let name = match token.kind {
                // Anything shorter is shorter than the shortest cut, too: a character has four bytes at most.
                _ if token.text.len() < KEPT - 3 => continue,
                TokenKind::Ident => token.text.to_ascii_lowercase(),
                TokenKind::QuotedIdent { uescape: false, .. } => token
                    .text
                    .strip_prefix('"')
                    .and_then(|text| text.strip_suffix('"'))
                    .unwrap_or_default()
                    .replace("\"\"", "\""),
                _ => continue,
            };
            let cut = name[..name.floor_char_boundary(KEPT)].to_owned();
            kept.entry(cut).or_default().entry(name).or_insert_with(|| {
                let line = statement.line as usize + statement.text[..token.start].matches('\n').count();
                format!("{}:{line}", statement.file)
            });
        }
    }
    kept.into_iter()
        .filter(|(_, names)| names.len() > 1)
        .map(|(cut, names)| CutNames {
            cut,
            names: names.into_iter().collect(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::read;

    #[test]
    fn names_that_are_one_to_postgresql() {
        let long = "A".repeat(60);
        let sql = |one: &str, other: &str| {
            let text =
                format!("CREATE TABLE t ();\n\nCREATE INDEX {one}\n  ON t (a); CREATE INDEX\n {other} ON t (b);");
            read(&[("01_a.sql", text.as_bytes())]).unwrap().cut_names()
        };
        // Folded to lower case, unless quoted.
        let cut = sql(&format!("{long}_by_a"), &format!("\"{}_by_b\"", long.to_lowercase()));
        assert_eq!(cut.len(), 1);
        assert_eq!(cut[0].cut, format!("{}_by", long.to_lowercase()));
        let places: Vec<_> = cut[0].names.iter().map(|(_, place)| place.as_str()).collect();
        assert_eq!(places, ["01_a.sql:3", "01_a.sql:5"]);
        assert!(sql(&format!("{long}_by_a"), &format!("\"{long}_by_b\"")).is_empty());
        assert!(sql(&format!("{long}_by_a"), &format!("{long}_by_a")).is_empty());
        assert!(sql(&format!("{long}_a"), &format!("{long}_b")).is_empty());
        // One of just 63 bytes.
        assert_eq!(sql(&format!("{long}_by"), &format!("{long}_by_a")).len(), 1);
        // A character is not cut in two: 61 bytes of either are kept.
        assert_eq!(sql(&format!("{long}x€"), &format!("{long}x€a")).len(), 1);
        assert_eq!(sql(&format!("{long}xé"), &format!("{long}xéa")).len(), 1);
        assert!(sql(&format!("{long}é"), &format!("{long}è")).is_empty());
    }
}
