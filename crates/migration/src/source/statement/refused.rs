//! Statements that no phase may hold: they reach beyond the database that is migrated.

use super::copy::{CopyEnd, copy_end};
use super::tokens::{Sql, Token};

/// Why a phase cannot hold this statement, and what to do; none where it can. First words tell: PostgreSQL allows none
/// of these inside a function.
pub(crate) fn refused(sql: &Sql) -> Option<String> {
    let tokens: Vec<Token<'_>> = sql.tokens().take(5).collect();
    let is = |n: usize, words: &[&str]| tokens.get(n).is_some_and(|token| token.is_one_of(words));
    let first = tokens.first()?.text.to_uppercase();
    let beyond = |what: &str, instead: &str| {
        Some(format!(
            "{what} in a phase: it reaches beyond the database that is migrated; {instead}"
        ))
    };
    const OUT: &str = "take it out, and run it once by hand";
    match first.as_str() {
        "CREATE" | "DROP" if is(1, &["database"]) => beyond(&format!("{first} DATABASE"), OUT),
        "CREATE" | "DROP" | "ALTER" if is(1, &["tablespace"]) => beyond(&format!("{first} TABLESPACE"), OUT),
        "ALTER" if is(1, &["system"]) => beyond(
            "ALTER SYSTEM",
            "take it out, and run it once by hand; for this database alone: ALTER DATABASE ... SET",
        ),
        // The third token is the database's name, whatever it looks like.
        "ALTER" if is(1, &["database"]) && is(3, &["rename"]) => beyond("ALTER DATABASE ... RENAME TO", OUT),
        "ALTER" if is(1, &["database"]) && is(3, &["owner"]) => beyond("ALTER DATABASE ... OWNER TO", OUT),
        "ALTER" if is(1, &["database"]) && is(3, &["set"]) && is(4, &["tablespace"]) => {
            beyond("ALTER DATABASE ... SET TABLESPACE", OUT)
        }
        "DISCARD" if is(1, &["all"]) => Some(
            "DISCARD ALL in a phase: it would free the lock that keeps other migrations away; \
             use DISCARD TEMP, or RESET ALL"
                .to_owned(),
        ),
        "LOAD" => beyond(
            "LOAD",
            "take it out: the library is loaded by the function that it has, or by the server's configuration",
        ),
        "COPY" => match copy_end(sql)? {
            CopyEnd::FromStdin => None,
            CopyEnd::Program => beyond("COPY with PROGRAM", "use COPY ... FROM stdin with the rows below it"),
            CopyEnd::File => beyond(
                "COPY with a file of the server's",
                "use COPY ... FROM stdin with the rows below it",
            ),
            CopyEnd::ToStdout => Some("COPY ... TO STDOUT in a phase: nobody reads these rows; take it out".to_owned()),
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_reaches_beyond_the_database() {
        for (sql, says) in [
            ("create database x", "CREATE DATABASE in a phase"),
            ("DROP DATABASE IF EXISTS x", "DROP DATABASE in a phase"),
            ("ALTER DATABASE x RENAME TO y", "ALTER DATABASE ... RENAME TO"),
            (
                "ALTER DATABASE \"x y\" SET TABLESPACE z",
                "ALTER DATABASE ... SET TABLESPACE",
            ),
            ("ALTER DATABASE x OWNER TO y", "ALTER DATABASE ... OWNER TO"),
            ("ALTER SYSTEM SET a = 1", "ALTER SYSTEM"),
            ("CREATE TABLESPACE x LOCATION '/x'", "CREATE TABLESPACE"),
            ("ALTER TABLESPACE x OWNER TO y", "ALTER TABLESPACE"),
            ("DROP TABLESPACE x", "DROP TABLESPACE"),
            ("DISCARD ALL", "DISCARD ALL in a phase: it would free the lock"),
            ("LOAD 'plpgsql'", "LOAD in a phase"),
            ("COPY t FROM '/etc/passwd'", "COPY with a file"),
            ("COPY t FROM PROGRAM 'id'", "COPY with PROGRAM"),
            ("COPY t TO STDOUT", "COPY ... TO STDOUT"),
        ] {
            let reason = refused(&Sql::new(sql)).unwrap_or_else(|| panic!("{sql} is allowed"));
            assert!(reason.starts_with(says), "{sql}: {reason}");
        }
        for sql in [
            "ALTER DATABASE owner SET search_path = a",
            "ALTER DATABASE x RESET ALL",
            "ALTER TABLE ALL IN TABLESPACE a SET TABLESPACE b",
            "CREATE TABLE database ()",
            "DISCARD TEMP",
            "COPY t FROM stdin",
        ] {
            assert_eq!(refused(&Sql::new(sql)), None, "{sql}");
        }
    }
}
