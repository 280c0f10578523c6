//! The engine's own SQL, and the application's, names PostgreSQL's functions with their schema: what somebody else has put
//! into a schema of the search path is never called in their place.

use std::fs;
use std::path::{Path, PathBuf};

/// What stands before a parenthesis and is no function.
const WORDS: &str = "all and any array as by cast check coalesce conflict distinct else except exists extract filter from \
                     greatest group in intersect into join key lateral least materialized not nullif on or order over \
                     partition primary references returning row rows select set then unique using values when where with";
/// Types that the grammar knows.
const TYPES: &str = "bigint boolean double int integer numeric smallint text timestamptz jsonb name oid xid int8 bool \
                     float8 varchar char interval";

#[test]
fn all_of_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut wrong = Vec::new();
    let mut files = Vec::new();
    for folder in ["backend/src", "crates", "xtask/src"] {
        collect(&root.join(folder), &mut files);
    }
    assert!(files.len() > 40, "where is the SQL? {files:?}");
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        for (line, what) in unqualified(&text) {
            wrong.push(format!("{}:{line}: {what}", file.display()));
        }
    }
    assert!(wrong.is_empty(), "without pg_catalog.: {wrong:#?}");
}

#[test]
fn what_is_found() {
    let found = |text: &str| -> Vec<String> { unqualified(text).into_iter().map(|(_, what)| what).collect() };
    assert_eq!(found("SELECT now(), pg_catalog.now() -- lower(x)"), ["now"]);
    assert_eq!(found("SELECT 'lower(x)', coalesce(a, 1) FROM pg_class"), ["pg_class"]);
    assert_eq!(
        found("SELECT x::regclass, y::pg_catalog.regclass, z::text"),
        ["regclass"]
    );
    assert!(found("FROM pg_catalog.unnest($1) AS t (name) WHERE a IN (1)").is_empty());
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|ending| ending == "sql") {
            files.push(path);
        }
    }
}

/// Functions, system catalogs and casts without a schema, with their lines.
fn unqualified(text: &str) -> Vec<(usize, String)> {
    let code = without_texts(text);
    let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == '.' || c == '$';
    let mut found = Vec::new();
    let mut before = String::new();
    let mut at = 0;
    while let Some(start) = code[at..].find(is_part).map(|start| at + start) {
        let between = code[at..start].trim_end();
        let end = code[start..]
            .find(|c| !is_part(c))
            .map_or(code.len(), |end| start + end);
        let word = &code[start..end];
        let lower = word.to_ascii_lowercase();
        let is_called = code[end..].trim_start().starts_with('(');
        let is_named = before == "as" || before == "with" || code[end..].trim_start().starts_with("(name)");
        let is_known = |list: &str| list.split(' ').any(|known| known == lower);
        let is_word = word.starts_with(|c: char| c.is_alphabetic());
        let is_cast = between.ends_with("::") && !is_known(TYPES);
        let is_function = is_called && !is_known(WORDS) && !is_known(TYPES) && !is_named;
        if is_word && !word.contains('.') && (is_cast || is_function || lower.starts_with("pg_") && before != "as") {
            found.push((code[..start].matches('\n').count() + 1, word.to_owned()));
        }
        before = lower;
        at = end;
    }
    found
}

/// Without comments and what stands between quotes.
fn without_texts(text: &str) -> String {
    let lines = text.lines().map(|line| line.split("--").next().unwrap_or_default());
    let code = lines.collect::<Vec<_>>().join("\n");
    let blank = |(n, part): (usize, &str)| match n % 2 {
        0 => part.to_owned(),
        _ => part.chars().map(|c| if c == '\n' { c } else { ' ' }).collect(),
    };
    code.split('\'').enumerate().map(blank).collect::<Vec<_>>().join("'")
}
