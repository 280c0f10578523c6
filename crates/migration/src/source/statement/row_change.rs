//! A plain UPDATE or DELETE, taken apart: its table, its condition, what it sets.

use squawk_lexer::TokenKind;

use super::tokens::{Sql, Token};

/// A plain UPDATE or DELETE of one table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowChange {
    /// The table with its alias, as they are written.
    pub target: String,
    /// The table as it is written.
    pub table: String,
    /// What the statement calls its rows: the alias, or the table's name without its schema.
    pub name: String,
    /// What it sets; none: it deletes.
    pub set: Option<Set>,
    /// What the rows meet that it changes.
    pub condition: String,
    /// The condition on one line, without comments.
    pub condition_line: String,
}

/// What stands after SET.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Set {
    /// As it is written.
    pub text: String,
    /// On one line, without comments.
    pub line: String,
    /// The names of the columns, as the catalog has them.
    pub columns: Vec<String>,
}

const WRITE: &str = "write UPDATE … SET … WHERE …, or DELETE FROM … WHERE …";

impl RowChange {
    /// Takes a statement apart.
    ///
    /// # Errors
    /// It is another one, or has a part that batches cannot have: which, and what to write instead.
    pub fn of(sql: &Sql) -> Result<Self, String> {
        let mut depth = 0_i32;
        let mut tokens: Vec<(Token<'_>, i32)> = Vec::new();
        for token in sql.tokens() {
            depth -= i32::from(matches!(token.text, ")" | "]"));
            tokens.push((token, depth));
            depth += i32::from(matches!(token.text, "(" | "["));
        }
        let is = |n: usize, word: &str| {
            tokens
                .get(n)
                .is_some_and(|(token, depth)| *depth == 0 && token.is(word))
        };
        let find = |from: usize, word: &str| (from..tokens.len()).find(|n| is(*n, word));
        let updates = is(0, "update");
        if is(0, "with") {
            return Err(format!(
                "WITH before what it changes: {WRITE}, with what WITH says as (SELECT …) in its place"
            ));
        }
        if !(updates || is(0, "delete") && is(1, "from")) {
            return Err(format!("above what is neither UPDATE nor DELETE: {WRITE}"));
        }
        if find(0, "returning").is_some() {
            return Err("RETURNING, which nobody reads: leave it out".to_owned());
        }
        let start = if updates { 1 } else { 2 };
        let set = updates.then(|| find(start, "set")).flatten();
        // IS DISTINCT FROM is no clause.
        let other = if updates {
            let from = |n: &usize| is(*n, "from") && !is(n - 1, "distinct");
            let begin = set.unwrap_or(start);
            (begin..find(begin, "where").unwrap_or(tokens.len())).find(from)
        } else {
            find(start, "using")
        };
        if other.is_some() {
            return Err(format!(
                "{}, a join: say in the condition which rows are meant (EXISTS (SELECT …)), and take values from (SELECT …)",
                if updates { "FROM" } else { "USING" }
            ));
        }
        let Some(condition) = find(set.unwrap_or(start), "where") else {
            return Err("no WHERE: say which rows are meant, by what is wrong with them".to_owned());
        };
        if is(condition + 1, "current") && is(condition + 2, "of") {
            return Err("WHERE CURRENT OF: say which rows are meant by what is wrong with them".to_owned());
        }
        let piece = |from: usize, to: usize| -> &[(Token<'_>, i32)] { tokens.get(from..to).unwrap_or_default() };
        let target = piece(start, set.unwrap_or(condition));
        let (table, name) = names(target).ok_or_else(|| format!("no table that could be understood: {WRITE}"))?;
        let condition = piece(condition + 1, tokens.len());
        let set = match set {
            None if updates => return Err(format!("UPDATE without SET: {WRITE}")),
            None => None,
            Some(set) => {
                let assigned = piece(set + 1, tokens.len() - condition.len() - 1);
                Some(Set {
                    text: text(sql, assigned),
                    line: line(assigned),
                    columns: columns(assigned).ok_or("a column after SET that could not be understood")?,
                })
            }
        };
        if condition.is_empty() {
            return Err(format!("WHERE without a condition: {WRITE}"));
        }
        Ok(Self {
            target: text(sql, target),
            table,
            name,
            set,
            condition: text(sql, condition),
            condition_line: line(condition),
        })
    }

    /// SQL that tells whether there is any such row, by whether it returns one: it locks and writes nothing.
    pub fn look(&self) -> String {
        format!("SELECT FROM {} WHERE ({}) LIMIT 1", self.target, self.condition)
    }
}

/// As it stands in the statement.
fn text(sql: &Sql, tokens: &[(Token<'_>, i32)]) -> String {
    let ends = tokens.first().zip(tokens.last());
    let text = ends.and_then(|((first, _), (last, _))| sql.get(first.start..last.start + last.text.len()));
    text.unwrap_or_default().to_owned()
}

/// On one line, without comments.
fn line(tokens: &[(Token<'_>, i32)]) -> String {
    let mut line = String::new();
    let mut end = None;
    for (token, _) in tokens {
        if end.is_some_and(|end| end < token.start) {
            line.push(' ');
        }
        line.push_str(token.text);
        end = Some(token.start + token.text.len());
    }
    line
}

fn is_name(token: &Token<'_>) -> bool {
    token.kind == TokenKind::Ident || token.text.starts_with('"')
}

/// The table as it is written, and what its rows are called.
fn names(target: &[(Token<'_>, i32)]) -> Option<(String, String)> {
    let mut tokens = target.iter().map(|(token, _)| token).peekable();
    tokens.next_if(|token| token.is("only"));
    let first = tokens.next().filter(|token| is_name(token))?;
    let (mut table, mut name) = (first.text.to_owned(), first.text);
    while tokens.next_if(|token| token.text == ".").is_some() {
        name = tokens.next().filter(|token| is_name(token))?.text;
        table.push('.');
        table.push_str(name);
    }
    tokens.next_if(|token| token.text == "*");
    tokens.next_if(|token| token.is("as"));
    if let Some(alias) = tokens.next() {
        name = Some(alias).filter(|token| is_name(token))?.text;
    }
    tokens.next().is_none().then(|| (table, name.to_owned()))
}

/// The columns that are set: `a = …, (b, c) = …`.
fn columns(assigned: &[(Token<'_>, i32)]) -> Option<Vec<String>> {
    let mut columns = Vec::new();
    for part in assigned.split(|(token, depth)| *depth == 0 && token.text == ",") {
        let (first, _) = part.first()?;
        if first.text == "(" {
            let inside = part.iter().skip(1).take_while(|(_, depth)| *depth > 0);
            let names = inside.map(|(token, _)| token).filter(|token| token.text != ",");
            for token in names {
                columns.push(
                    Some(token)
                        .filter(|token| is_name(token))
                        .map(|token| unquoted(token.text))?,
                );
            }
        } else {
            columns.push(
                Some(first)
                    .filter(|token| is_name(token))
                    .map(|token| unquoted(token.text))?,
            );
        }
    }
    Some(columns)
}

/// A name as the catalog has it.
pub(crate) fn unquoted(name: &str) -> String {
    match name.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(inside) => inside.replace("\"\"", "\""),
        None => name.to_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(sql: &str) -> Result<RowChange, String> {
        RowChange::of(&Sql::new(sql))
    }

    #[test]
    fn update_and_delete_are_taken_apart() {
        let change = of(
            "UPDATE only public.\"T\" AS e SET a = b IS DISTINCT FROM c, (\"X\", D) = (SELECT 1, 2 FROM y)\n\
                         WHERE a IS NULL -- not yet\n  OR extract(year FROM b) = 1 -- old",
        )
        .unwrap();
        assert_eq!(change.target, "only public.\"T\" AS e");
        assert_eq!((change.table.as_str(), change.name.as_str()), ("public.\"T\"", "e"));
        let set = change.set.as_ref().unwrap();
        assert_eq!(set.columns, ["a", "X", "d"]);
        assert_eq!(set.text, "a = b IS DISTINCT FROM c, (\"X\", D) = (SELECT 1, 2 FROM y)");
        assert_eq!(change.condition_line, "a IS NULL OR extract(year FROM b) = 1");
        assert!(change.condition.ends_with("= 1"), "{}", change.condition);
        let change = of("delete from t where a = (select max(b) from u where true)").unwrap();
        assert_eq!((change.name.as_str(), &change.set), ("t", &None));
        assert_eq!(change.condition, "a = (select max(b) from u where true)");
        assert_eq!(
            change.look(),
            "SELECT FROM t WHERE (a = (select max(b) from u where true)) LIMIT 1"
        );
    }

    #[test]
    fn what_batches_cannot_have_is_named() {
        for (sql, says) in [
            ("UPDATE t SET a = u.a FROM u WHERE u.id = t.id", "FROM, a join"),
            ("DELETE FROM t USING u WHERE u.id = t.id", "USING, a join"),
            ("DELETE FROM t WHERE a IS NULL RETURNING *", "RETURNING"),
            ("UPDATE t SET a = 1", "no WHERE"),
            ("DELETE FROM t", "no WHERE"),
            ("WITH x AS (SELECT 1) DELETE FROM t WHERE a = 1", "WITH"),
            ("DELETE FROM t WHERE CURRENT OF c", "CURRENT OF"),
            ("INSERT INTO t VALUES (1)", "neither UPDATE nor DELETE"),
            ("TRUNCATE t", "neither UPDATE nor DELETE"),
        ] {
            let told = of(sql).unwrap_err();
            assert!(told.contains(says), "{sql}: {told}");
        }
    }
}
