//! `fixtures/catalog_changes.txt`: schema changes of every kind, as data.

use std::fs;

use super::xtask::fixture;

/// One change of a schema and its inverse, SQL for psql.
#[derive(Debug, Default)]
pub struct Change {
    /// What it is about.
    pub name: String,
    /// Neither `pg_dump -s` nor the catalog may differ.
    pub same: bool,
    /// The first and the last major version of PostgreSQL that have it.
    pub versions: (u32, u32),
    /// Makes what is changed.
    pub setup: String,
    /// The change.
    pub forward: String,
    /// The way back.
    pub backward: String,
    /// Removes what the database does not take along when it is dropped.
    pub cleanup: String,
}

impl Change {
    /// Whether it touches what all databases of the server share.
    pub fn is_shared(&self) -> bool {
        [&self.setup, &self.forward]
            .iter()
            .any(|sql| sql.contains("ROLE ") || sql.contains("SUBSCRIPTION "))
    }
}

/// The SQL that makes the schema which the changes start from, and the changes.
pub fn read() -> (String, Vec<Change>) {
    let text = fs::read_to_string(fixture("catalog_changes.txt")).expect("the fixture can be read");
    let mut changes: Vec<Change> = Vec::new();
    let mut section = String::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        if let Some(title) = line.strip_prefix("== ") {
            changes.push(titled(title));
            continue;
        }
        if let Some(name @ ("setup" | "forward" | "backward" | "cleanup")) = line.strip_prefix("-- ") {
            name.clone_into(&mut section);
            continue;
        }
        let Some(change) = changes.last_mut() else { continue };
        let part = match section.as_str() {
            "setup" => &mut change.setup,
            "forward" => &mut change.forward,
            "backward" => &mut change.backward,
            _ => &mut change.cleanup,
        };
        part.push_str(line);
        part.push('\n');
    }
    assert!(changes.len() > 150, "the fixture holds changes of all kinds");
    (changes.remove(0).setup, changes)
}

fn titled(title: &str) -> Change {
    let (name, same) = title.strip_suffix(" same").map_or((title, false), |name| (name, true));
    let (name, until) = numbered(name, " until ", u32::MAX);
    let (name, from) = numbered(name, " from ", 0);
    Change {
        name: name.to_owned(),
        same,
        versions: (from, until),
        ..Change::default()
    }
}

fn numbered<'a>(title: &'a str, word: &str, otherwise: u32) -> (&'a str, u32) {
    title
        .rsplit_once(word)
        .and_then(|(name, number)| Some((name, number.parse().ok()?)))
        .unwrap_or((title, otherwise))
}
