//! What kind of statement it is, told from its words alone.

use squawk_lexer::TokenKind;

use super::refused::refused;
use super::tokens::{Sql, Token, tokens};

/// What kind of statement it is, by its first words alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Changes the catalog: CREATE, ALTER, DROP, COMMENT, GRANT, …
    Ddl,
    /// Reads or changes rows, or runs code that may: SELECT, INSERT, CALL, …
    Dml,
    /// Concerns only the session or its transaction: SET, `SELECT set_config(…)`, temporary tables, PREPARE, LISTEN,
    /// cursors, LOCK.
    Session,
    /// DO: code that may be anything; one that leaves nothing is taken for DDL that found nothing to do.
    Do,
}

impl Class {
    /// Tells the class of a statement.
    ///
    /// # Errors
    /// What cannot be a statement of a phase: why, and what to do.
    pub fn of(sql: &Sql) -> Result<Self, String> {
        if let Some(reason) = refused(sql) {
            return Err(reason);
        }
        let tokens: Vec<Token<'_>> = sql.tokens().take(5).collect();
        let word = |n: usize| {
            tokens
                .get(n)
                .filter(|token| token.kind == TokenKind::Ident)
                .map(|token| token.text.to_lowercase())
                .unwrap_or_default()
        };
        Ok(match word(0).as_str() {
            "set" | "reset" | "listen" | "unlisten" | "prepare" | "deallocate" | "discard" | "declare" | "close"
            | "fetch" | "move" | "lock" => Self::Session,
            "create" if is_temporary(&tokens) => Self::Session,
            "select" if word(1) == "set_config" || word(1) == "pg_catalog" && word(3) == "set_config" => Self::Session,
            "do" => Self::Do,
            "select" | "insert" | "update" | "delete" | "merge" | "with" | "values" | "table" | "call" | "copy"
            | "explain" | "show" | "notify" | "truncate" | "execute" | "analyze" | "vacuum" => Self::Dml,
            _ if sql.starts_with('(') => Self::Dml,
            _ => Self::Ddl,
        })
    }
}

/// `CREATE [OR REPLACE] [LOCAL | GLOBAL] TEMP …`.
fn is_temporary(tokens: &[Token<'_>]) -> bool {
    tokens
        .iter()
        .skip(1)
        .find(|token| !token.is_one_of(&["or", "replace", "local", "global"]))
        .is_some_and(|token| token.is_one_of(&["temp", "temporary"]))
}

/// What changes rows, and what runs a text that may.
const CHANGING: [&str; 7] = ["insert", "update", "delete", "merge", "truncate", "copy", "execute"];

/// See [`Statement::may_change_rows`](super::Statement::may_change_rows).
pub(super) fn may_change_rows(sql: &Sql) -> bool {
    let Some(first) = sql.tokens().next() else {
        return false;
    };
    if first.is_one_of(&CHANGING) || first.is("call") {
        true
    } else if first.is_one_of(&["select", "with", "explain"]) || first.text == "(" {
        sql.tokens().any(|token| token.is_one_of(&CHANGING))
    } else if first.is("do") {
        sql.tokens()
            .filter(Token::is_string)
            .any(|body| has_changing_word(body.text))
    } else {
        false
    }
}

/// Whether code in a literal has one of the words, outside of comments and of literals of its own.
fn has_changing_word(literal: &str) -> bool {
    let quoted;
    let code = match literal.strip_prefix('$').and_then(|rest| rest.split_once('$')) {
        Some((tag, rest)) => {
            let end = rest.len().saturating_sub(tag.len() + 2);
            rest.get(..end).unwrap_or(rest)
        }
        None => {
            quoted = literal.replace("''", "'");
            quoted.trim_start_matches(|c| c != '\'').trim_matches('\'')
        }
    };
    let tokens: Vec<Token<'_>> = tokens(code).collect();
    tokens.iter().enumerate().any(|(n, token)| {
        if !token.is("execute") {
            return token.is_one_of(&CHANGING);
        }
        // In a trigger's definition no text is run; else the text itself tells, where it stands right there.
        let next = |ahead: usize| tokens.get(n + ahead);
        let text = match next(1) {
            Some(word) if word.is_one_of(&["function", "procedure"]) => return false,
            Some(word) if word.is("format") => next(3),
            other => other,
        };
        match text.filter(|text| text.is_string()) {
            Some(text) => has_changing_word(text.text),
            None => true,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_block_executes_tells_by_its_text() {
        let may = |body: &str| may_change_rows(&Sql::new(format!("DO $$ BEGIN {body}; END $$")));
        assert!(may("EXECUTE 'UPDATE t SET a = 1'") && may("EXECUTE format('DELETE FROM %I', x)"));
        assert!(may("EXECUTE sql"));
        assert!(!may("EXECUTE format('REVOKE ALL ON TABLE %s FROM r', x)"));
        assert!(!may("ALTER TABLE t DISABLE TRIGGER g"));
    }

    #[test]
    fn what_concerns_only_the_session() {
        for sql in [
            "SET ROLE x",
            "RESET ALL",
            "SELECT set_config('a', 'b', false)",
            "SELECT pg_catalog.set_config('search_path', '', false)",
            "LISTEN a",
            "UNLISTEN *",
            "PREPARE p AS SELECT 1",
            "DEALLOCATE ALL",
            "DISCARD TEMP",
            "DECLARE c CURSOR FOR SELECT 1",
            "FETCH c",
            "MOVE c",
            "CLOSE c",
            "CREATE TEMP TABLE t ()",
            "create or replace temporary view v as select 1",
            "CREATE LOCAL TEMPORARY SEQUENCE s",
        ] {
            assert_eq!(Class::of(&Sql::new(sql)), Ok(Class::Session), "{sql}");
        }
        for (sql, class) in [
            ("CREATE TABLE temp ()", Class::Ddl),
            ("CREATE UNLOGGED TABLE t ()", Class::Ddl),
            ("SELECT 1", Class::Dml),
            ("(SELECT 1)", Class::Dml),
            ("DO $$ $$", Class::Do),
            ("GRANT SELECT ON t TO r", Class::Ddl),
        ] {
            assert_eq!(Class::of(&Sql::new(sql)), Ok(class), "{sql}");
        }
    }

    #[test]
    fn what_may_change_rows() {
        for sql in [
            "INSERT INTO t VALUES (1)",
            "TRUNCATE t",
            "COPY t FROM stdin",
            "CALL p()",
            "EXECUTE p",
            "WITH x AS (SELECT 1) DELETE FROM t",
            "WITH x AS (INSERT INTO t VALUES (1) RETURNING *) SELECT * FROM x",
            "EXPLAIN ANALYZE UPDATE t SET a = 1",
            "DO $body$ BEGIN UPDATE t SET a = 1; END $body$",
            "DO LANGUAGE plpgsql 'BEGIN EXECUTE ''DELETE FROM x''; END'",
        ] {
            assert!(may_change_rows(&Sql::new(sql)), "{sql}");
        }
        for sql in [
            "SELECT setval('s', 1), \"delete\", 'insert' FROM t",
            "WITH x AS (SELECT 1) SELECT * FROM x",
            "CREATE TRIGGER a BEFORE INSERT ON t EXECUTE FUNCTION f()",
            "GRANT INSERT ON t TO r",
            "DO $$ BEGIN -- no update here\n RAISE NOTICE 'delete'; END $$",
            "REFRESH MATERIALIZED VIEW v",
        ] {
            assert!(!may_change_rows(&Sql::new(sql)), "{sql}");
        }
    }
}
