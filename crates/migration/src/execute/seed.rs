//! Rows that an INSERT puts in and that are there in part.

use crate::source::statement::Statement;

/// `INSERT … VALUES` without ON CONFLICT as a statement that leaves alone the rows which are there, and the number of
/// rows that it names. None for any other statement.
pub fn leaving_rows_alone(statement: &Statement) -> Option<(String, u64)> {
    let text = &statement.text;
    if !text.begins_with(&["insert"]) {
        return None;
    }
    let mut depth = 0_u32;
    let mut values: Option<u64> = None;
    let mut end = text.len();
    for token in text.tokens() {
        match token.text {
            "(" => {
                if let (0, Some(rows)) = (depth, &mut values) {
                    *rows += 1;
                }
                depth += 1;
            }
            ")" => depth = depth.saturating_sub(1),
            _ if depth > 0 => {}
            _ if token.is("values") => values = Some(0),
            _ if token.is_one_of(&["conflict", "select"]) => return None,
            _ if token.is("returning") => {
                end = token.start;
                break;
            }
            _ => {}
        }
    }
    let rows = values.filter(|rows| *rows > 0)?;
    Some((
        format!("{} ON CONFLICT DO NOTHING {}", text[..end].trim_end(), &text[end..]),
        rows,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seed(text: &str) -> Option<(String, u64)> {
        leaving_rows_alone(&Statement::plain("01_a.sql", 1, text))
    }

    #[test]
    fn rows_are_counted_and_a_clause_is_added() {
        assert_eq!(
            seed("INSERT INTO t (a, b) VALUES (1, (SELECT 2)), (3, 4) RETURNING a"),
            Some((
                "INSERT INTO t (a, b) VALUES (1, (SELECT 2)), (3, 4) ON CONFLICT DO NOTHING RETURNING a".to_owned(),
                2
            ))
        );
        assert_eq!(seed("INSERT INTO t VALUES (1) ON CONFLICT DO NOTHING"), None);
        assert_eq!(seed("INSERT INTO t SELECT 1"), None);
        assert_eq!(seed("UPDATE t SET a = 1"), None);
    }
}
