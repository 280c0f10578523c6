//! BEGIN and COMMIT: they are no statements of a phase, they say which statements belong together.

use super::tokens::{Sql, Token};

/// A border of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Control {
    /// BEGIN, START TRANSACTION.
    Begin,
    /// COMMIT, END.
    Commit,
}

/// Whether it is a border of a transaction, and which.
///
/// # Errors
/// What controls transactions in a way that a phase cannot: why, and what to do.
pub(crate) fn control(sql: &Sql) -> Result<Option<Control>, String> {
    let tokens: Vec<Token<'_>> = sql.tokens().take(5).collect();
    let is = |n: usize, words: &[&str]| tokens.get(n).is_some_and(|token| token.is_one_of(words));
    let impossible = |what: &str| {
        Err(format!(
            "{what} in a phase: the engine itself begins and ends transactions, and undoes what failed; \
             take it out (statements between BEGIN and COMMIT are one transaction)"
        ))
    };
    let first = tokens
        .first()
        .map(|token| token.text.to_uppercase())
        .unwrap_or_default();
    // The word that may follow, and changes nothing.
    let rest = if is(1, &["work", "transaction"]) { 2 } else { 1 };
    match first.as_str() {
        "BEGIN" | "START" => {
            if first == "START" && !is(1, &["transaction"]) {
                return Ok(None);
            }
            if tokens.len() > rest {
                return Err(format!(
                    "{first} with options: a phase cannot choose how its transactions are isolated; write BEGIN alone"
                ));
            }
            Ok(Some(Control::Begin))
        }
        "COMMIT" | "END" => {
            if is(1, &["prepared"]) {
                return impossible("COMMIT PREPARED");
            }
            let no_chain = is(rest, &["and"]) && is(rest + 1, &["no"]) && is(rest + 2, &["chain"]);
            if tokens.len() > rest && !no_chain {
                return Err(format!(
                    "{first} with options: write COMMIT alone, and BEGIN for what follows"
                ));
            }
            Ok(Some(Control::Commit))
        }
        "ROLLBACK" | "ABORT" | "SAVEPOINT" | "RELEASE" => impossible(&first),
        "PREPARE" if is(1, &["transaction"]) => impossible("PREPARE TRANSACTION"),
        "SET" if is(1, &["transaction"]) => impossible("SET TRANSACTION"),
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn borders_of_a_transaction() {
        for sql in ["BEGIN", "begin work", "BEGIN TRANSACTION", "Start /* a */ Transaction"] {
            assert_eq!(control(&Sql::new(sql)), Ok(Some(Control::Begin)), "{sql}");
        }
        for sql in [
            "COMMIT",
            "commit work",
            "END",
            "END TRANSACTION",
            "COMMIT AND NO CHAIN",
            "END WORK AND NO CHAIN",
        ] {
            assert_eq!(control(&Sql::new(sql)), Ok(Some(Control::Commit)), "{sql}");
        }
        for sql in ["SELECT 1", "PREPARE p AS SELECT 1", "SET ROLE x", "\"begin\""] {
            assert_eq!(control(&Sql::new(sql)), Ok(None), "{sql}");
        }
    }

    #[test]
    fn what_a_phase_cannot_do() {
        for (sql, says) in [
            ("BEGIN ISOLATION LEVEL SERIALIZABLE", "BEGIN with options"),
            ("START TRANSACTION READ ONLY", "START with options"),
            ("COMMIT AND CHAIN", "COMMIT with options"),
            ("COMMIT PREPARED 'x'", "COMMIT PREPARED in a phase"),
            ("ROLLBACK", "ROLLBACK in a phase"),
            ("ROLLBACK TO SAVEPOINT a", "ROLLBACK in a phase"),
            ("abort", "ABORT in a phase"),
            ("SAVEPOINT a", "SAVEPOINT in a phase"),
            ("RELEASE a", "RELEASE in a phase"),
            ("PREPARE TRANSACTION 'x'", "PREPARE TRANSACTION in a phase"),
            ("SET TRANSACTION READ ONLY", "SET TRANSACTION in a phase"),
        ] {
            let error = control(&Sql::new(sql)).unwrap_err();
            assert!(error.starts_with(says), "{sql}: {error}");
        }
    }
}
