//! What becomes of rows that a constraint refuses, or that a statement changes for good: a directive above it says so, and
//! the engine does it, in batches with a commit each, while the application goes on. Every row that is removed or changed is
//! kept as it was, in `migration.quarantine`, in the same transaction.

mod lost;
mod refused;
mod rows;

pub use lost::{Lost, lost_rows_text};
pub use refused::refused_rows;
pub use rows::{CleanUp, would_be_meant_again};

use crate::expected::Effect;
use crate::source::statement::Statement;
use refused::Refused;

/// How often new violations, which arrive meanwhile, are met by another round.
pub const ROUNDS: u32 = 5;

impl CleanUp {
    /// That of a statement whose directive says what happens; none without a directive.
    ///
    /// # Errors
    /// What it says does not fit what the statement makes.
    pub fn of(statement: &Statement, effect: &Effect) -> Result<Option<Self>, String> {
        if let Some(change) = statement.quarantines() {
            return Ok(Some(Self::by(&change)));
        }
        let Some(violations) = &statement.directives.violations else {
            return Ok(None);
        };
        let refused = Refused::by(effect).ok_or("a directive about rows above a statement that makes no constraint")?;
        refused.clean_up(violations).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clean_up(directive: &str, object: (&str, &str)) -> Result<Option<CleanUp>, String> {
        let mut statement = Statement::plain("01_a.sql", 1, "ALTER TABLE t");
        statement.directives.add(directive)?;
        let effect = Effect {
            objects: vec![(object.0.parse().unwrap(), Some(object.1.to_owned()))],
            ..Effect::default()
        };
        CleanUp::of(&statement, &effect)
    }

    #[test]
    fn what_is_wrong_comes_from_the_definition() {
        let reason = |directive, object| clean_up(directive, object).unwrap().unwrap().reason;
        let key = ("constraint k on public.t", "UNIQUE (a, \"b c\")");
        assert_eq!(
            reason("duplicates keep latest by coalesce(x, y), z", key),
            "duplicate a, \"b c\": the row with the latest coalesce(x, y), z is kept"
        );
        let link = (
            "constraint f on public.t",
            "FOREIGN KEY (a) REFERENCES public.p(id) ON DELETE CASCADE",
        );
        assert_eq!(
            reason("violations set null", link),
            "a refers to no row of public.p: the row stays, with a = NULL"
        );
        let check = ("constraint c on public.t", "CHECK (((a > 0) AND (b <> ')'::text)))");
        assert!(reason("violations quarantine", check).ends_with("(b <> ')'::text)): set aside"));
        let column = ("column public.t.a", "text not null");
        assert_eq!(
            reason("violations set a = 'x' || b", column),
            "a is missing: the row stays, with a = 'x' || b"
        );
    }

    #[test]
    fn a_unique_index_refuses_duplicates() {
        let definition = "CREATE UNIQUE INDEX i ON public.t USING btree (lower((a)::text) DESC, b COLLATE \"C\" text_ops) \
                          WHERE (c IS NULL)";
        let index = clean_up("duplicates keep latest by d", ("index public.i", definition))
            .unwrap()
            .unwrap();
        assert_eq!(index.table, "public.t");
        assert!(
            index.reason.starts_with("duplicate lower((a)::text) DESC, b"),
            "{}",
            index.reason
        );
        let plain = ("index public.i", "CREATE INDEX i ON public.t USING btree (a)");
        assert!(clean_up("violations quarantine", plain).is_err());
    }

    #[test]
    fn a_directive_that_does_not_fit() {
        let check = ("constraint c on public.t", "CHECK ((a > 0))");
        assert!(clean_up("violations set null", check).is_err());
        assert!(clean_up("duplicates keep latest by a", check).is_err());
        assert!(clean_up("violations quarantine", ("table public.t", "")).is_err());
    }
}
