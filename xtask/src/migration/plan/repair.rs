//! Making what is missing from its definition, where the statement that left it cannot run again.

use super::{Actual, Planned};
use crate::migration::catalog::ObjectId;
use crate::migration::expected::Effect;
use crate::migration::statement::Statement;

/// What to send instead of a statement of which `missing` is not there, though the rest of what it leaves is: one that
/// moved things (a rename) finds nothing to move any more. Empty where it should run as it stands.
pub fn instead(step: &Planned<'_>, effect: &Effect, missing: &[ObjectId], actual: Actual<'_>) -> Vec<Statement> {
    let moves = effect.objects.iter().any(|(_, state)| state.is_none());
    let mut others = effect.objects.iter().filter(|(id, state)| state.is_some() && !missing.contains(id));
    let is_done = others.any(|(id, state)| actual.get(id) == state.as_deref());
    if !(effect.fails_again && moves && is_done) {
        return Vec::new();
    }
    let left = effect.objects.iter().filter(|(id, _)| missing.contains(id));
    let statements = left.map(|(id, state)| {
        let text = from_definition(id, state.as_deref()?)?;
        Some(Statement::plain(&step.statement.file, step.statement.line, text))
    });
    statements.collect::<Option<Vec<_>>>().unwrap_or_default()
}

/// The statement that makes an object as its definition says, where that is all it takes.
fn from_definition(id: &ObjectId, definition: &str) -> Option<String> {
    Some(match id.kind.as_str() {
        "index" if definition.starts_with("CREATE UNIQUE INDEX ") => {
            definition.replacen("CREATE UNIQUE INDEX ", "CREATE UNIQUE INDEX CONCURRENTLY ", 1)
        }
        "index" => definition.replacen("CREATE INDEX ", "CREATE INDEX CONCURRENTLY ", 1),
        "trigger" => definition.to_owned(),
        "constraint" => {
            let (name, table) = id.identity.rsplit_once(" on ")?;
            format!("ALTER TABLE {table} ADD CONSTRAINT {name} {definition}")
        }
        _ => return None,
    })
}
