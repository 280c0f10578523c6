//! Where the rows of a COPY come from, or go to.

use super::tokens::Sql;

/// The other end of a COPY.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CopyEnd {
    /// The rows follow the statement in its file.
    FromStdin,
    /// They go to the client.
    ToStdout,
    /// A program that the server starts.
    Program,
    /// A file of the server's.
    File,
}

/// The other end of the COPY that it is; none if it is none, or cannot be read.
pub(crate) fn copy_end(sql: &Sql) -> Option<CopyEnd> {
    let mut tokens = sql.tokens();
    if !tokens.next()?.is("copy") {
        return None;
    }
    let mut depth = 0_u32;
    let mut before = "";
    // The first FROM or TO outside of parentheses: a later one may stand in the condition.
    while let Some(token) = tokens.next() {
        match token.text {
            "(" => depth += 1,
            ")" => depth = depth.saturating_sub(1),
            // After a dot it is a name.
            _ if depth == 0 && before != "." && token.is_one_of(&["from", "to"]) => {
                let end = tokens.next()?;
                return if end.is_string() {
                    Some(CopyEnd::File)
                } else if end.is("program") {
                    Some(CopyEnd::Program)
                } else if !end.is_one_of(&["stdin", "stdout"]) {
                    None
                } else if token.is("from") {
                    Some(CopyEnd::FromStdin)
                } else {
                    Some(CopyEnd::ToStdout)
                };
            }
            _ => {}
        }
        before = token.text;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_other_end() {
        for (sql, end) in [
            ("COPY t FROM stdin", Some(CopyEnd::FromStdin)),
            (
                "copy s.from (a, \"to\") from STDIN with (format csv, null '')",
                Some(CopyEnd::FromStdin),
            ),
            (
                "COPY t FROM stdin WHERE a IS DISTINCT FROM 'x'",
                Some(CopyEnd::FromStdin),
            ),
            ("COPY (SELECT a FROM t) TO STDOUT", Some(CopyEnd::ToStdout)),
            ("COPY t FROM /* a file */ '/tmp/x'", Some(CopyEnd::File)),
            ("COPY t TO PROGRAM 'cat'", Some(CopyEnd::Program)),
            ("COPY t", None),
            ("SELECT a FROM stdin", None),
        ] {
            assert_eq!(copy_end(&Sql::new(sql)), end, "{sql}");
        }
    }
}
