//! Changes of the catalog as text.

use migration::journal::{Change, ChangedBy, Run};

use super::runs::{short, when};
use crate::out;

/// What a run changed.
pub fn print_of_run(run: &Run) {
    let changes = run.details.iter().flat_map(|details| &details.changes);
    let mut changes = changes.peekable();
    if changes.peek().is_none() {
        return;
    }
    out!("");
    out!(
        "{}:",
        if run.changes_seen {
            "changed"
        } else {
            "planned (nobody has looked what it changed)"
        }
    );
    for change in changes {
        let Change { kind, identity, .. } = change;
        let object = format!("{kind} {identity}");
        for line in lines(&object, change.before.as_deref(), change.after.as_deref()) {
            out!("{line}");
        }
    }
}

/// The runs that changed an object.
pub fn print_of_object(object: &str, runs: &[ChangedBy]) {
    for run in runs {
        out!(
            "run {}  {}  {}  version {}  commit {}{}",
            run.run,
            when(&run.started),
            run.outcome.name(),
            short(run.version.as_deref(), 8),
            short(run.git_commit.as_deref(), 7),
            if run.changes_seen { "" } else { "  (planned)" },
        );
        for line in lines(object, run.before.as_deref(), run.after.as_deref()) {
            out!("  {line}");
        }
    }
}

/// A change, in several lines if a definition has several.
pub fn lines(object: &str, before: Option<&str>, after: Option<&str>) -> Vec<String> {
    let indented = |text: &str| text.lines().map(|line| format!("    {line}")).collect::<Vec<_>>();
    let one = |sign: char, definition: &str| {
        if definition.contains('\n') {
            [vec![format!("{sign} {object}:")], indented(definition)].concat()
        } else if definition.is_empty() {
            vec![format!("{sign} {object}")]
        } else {
            vec![format!("{sign} {object}: {definition}")]
        }
    };
    match (before, after) {
        (Some(before), Some(after)) if before.contains('\n') || after.contains('\n') => [
            vec![format!("~ {object}:"), "  before:".to_owned()],
            indented(before),
            vec!["  after:".to_owned()],
            indented(after),
        ]
        .concat(),
        (Some(before), Some(after)) => vec![format!("~ {object}: {before} → {after}")],
        (None, Some(after)) => one('+', after),
        (Some(before), None) => one('-', before),
        (None, None) => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_have_signs_and_definitions_of_several_lines_are_indented() {
        let column = |before, after| lines("column public.t.a", before, after);
        assert_eq!(column(None, Some("text")), ["+ column public.t.a: text"]);
        assert_eq!(column(Some("text"), None), ["- column public.t.a: text"]);
        assert_eq!(
            column(Some("text"), Some("bigint")),
            ["~ column public.t.a: text → bigint"]
        );
        assert_eq!(lines("table public.t", None, Some("")), ["+ table public.t"]);
        let view = |before, after| lines("view public.v", before, after);
        assert_eq!(
            view(None, Some("SELECT\n 1")),
            ["+ view public.v:", "    SELECT", "     1"]
        );
        assert_eq!(
            view(Some("SELECT\n 1"), Some("SELECT 2")),
            [
                "~ view public.v:",
                "  before:",
                "    SELECT",
                "     1",
                "  after:",
                "    SELECT 2"
            ]
        );
    }
}
