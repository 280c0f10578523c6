//! What becomes of rows that a constraint refuses: a directive above it says so, and the engine does it, in batches with a
//! commit each, while the application goes on. Every row that is removed or changed is kept as it was, in
//! `migration.quarantine`, in the same transaction.

use std::time::{Duration, Instant};

use postgres::Client;
use postgres::types::{ToSql, Type};

use crate::catalog::{ObjectId, outside_quotes, split_at_last_dot, split_on};
use crate::execute::Pause;
use crate::expected::Effect;
use crate::source::statement::{Statement, Violations, divide};
use crate::sqlstate::{Retry, retry};

/// How many rows go in one transaction.
const BATCH: usize = 1000;
/// How many rows are looked for at a time.
const LOOK: usize = 100_000;
/// How often new violations, which arrive meanwhile, are met by another round.
pub const ROUNDS: u32 = 5;

/// How the rows that one constraint refuses are found, and what is done about them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CleanUp {
    /// The qualified table.
    pub table: String,
    /// What is wrong with the rows, and what becomes of them: for people, and for the record.
    pub reason: String,
    /// SELECT: table, place and version of each row.
    find: String,
    /// What is done with a batch of them.
    act: String,
}

impl CleanUp {
    /// That of a statement whose directive says what happens; none without a directive.
    ///
    /// # Errors
    /// What it says does not fit what the statement makes.
    pub fn of(statement: &Statement, effect: &Effect) -> Result<Option<Self>, String> {
        let Some(violations) = &statement.directives.violations else {
            return Ok(None);
        };
        let refused = Refused::by(effect).ok_or("a directive about rows above a statement that makes no constraint")?;
        refused.clean_up(violations).map(Some)
    }

    /// How many rows there are, counted to 100,000.
    ///
    /// # Errors
    /// The table may not be read, or is not there.
    pub fn count(&self, client: &mut Client) -> Result<i64, postgres::Error> {
        let sql = format!("SELECT pg_catalog.count(*) FROM ({} LIMIT {LOOK}) AS found", self.find);
        client
            .query_typed(&sql, &[])?
            .first()
            .map_or(Ok(0), |row| row.try_get(0))
    }

    /// Does it. Returns how many rows were removed or changed. What somebody else changes meanwhile is left for another
    /// round. `progress` is told how many there are so far, and says whether to go on.
    ///
    /// # Errors
    /// A batch is refused, or waits for locks for longer than `deadline`.
    pub fn run(
        &self,
        client: &mut Client,
        run: i64,
        place: &str,
        deadline: Duration,
        progress: &dyn Fn(u64) -> bool,
    ) -> Result<u64, postgres::Error> {
        let start = Instant::now();
        let mut done = 0;
        loop {
            let rows = client.query_typed(&format!("{} LIMIT {LOOK}", self.find), &[])?;
            if rows.is_empty() {
                return Ok(done);
            }
            if done == 0 {
                client.batch_execute(include_str!("quarantine.sql"))?;
            }
            let mut found: [Vec<String>; 3] = Default::default();
            for row in &rows {
                for (n, values) in found.iter_mut().enumerate() {
                    values.push(row.try_get(n)?);
                }
            }
            let mut of_round = 0;
            let [tables, places, versions] = &found;
            for ((tables, places), versions) in tables
                .chunks(BATCH)
                .zip(places.chunks(BATCH))
                .zip(versions.chunks(BATCH))
            {
                let parameters: [(&(dyn ToSql + Sync), Type); 7] = [
                    (&tables, Type::TEXT_ARRAY),
                    (&places, Type::TEXT_ARRAY),
                    (&versions, Type::TEXT_ARRAY),
                    (&run, Type::INT8),
                    (&place, Type::TEXT),
                    (&self.table, Type::TEXT),
                    (&self.reason, Type::TEXT),
                ];
                let mut attempt = 1;
                let mut pause = Pause::default();
                let changed = loop {
                    match client.query_typed(&self.act, &parameters) {
                        Ok(rows) => break rows.first().map_or(Ok(0), |row| row.try_get::<_, i64>(0))?,
                        // Somebody holds one of the rows.
                        Err(error) if retry(&error, attempt) != Retry::Never && start.elapsed() < deadline => {
                            pause.wait(&|| progress(done + of_round));
                            attempt += 1;
                        }
                        Err(error) => return Err(error),
                    }
                };
                of_round += changed.unsigned_abs();
                if !progress(done + of_round) {
                    return Ok(done + of_round);
                }
            }
            done += of_round;
            // What is found and cannot be changed would be found for ever.
            if of_round == 0 || rows.len() < LOOK {
                return Ok(done);
            }
        }
    }
}

/// Rows that a constraint refuses.
struct Refused<'a> {
    table: &'a str,
    /// Of keys: the columns.
    key: Option<Vec<&'a str>>,
    /// Of foreign keys: the columns.
    links: Vec<&'a str>,
    /// The condition that they meet, of the row `t`; of keys, that they have a key.
    condition: String,
    /// In words.
    what: String,
}

impl<'a> Refused<'a> {
    fn by(effect: &'a Effect) -> Option<Self> {
        let left = || {
            effect
                .objects
                .iter()
                .filter_map(|(id, state)| Some((id, state.as_deref()?)))
        };
        if let Some((id, definition)) = left().find(|(id, _)| id.kind == "constraint") {
            return Self::by_constraint(id, definition);
        }
        let (id, _) = left().find(|(id, definition)| id.kind == "column" && definition.contains(" not null"))?;
        let (table, column) = split_at_last_dot(&id.identity)?;
        Some(Self {
            table,
            key: None,
            links: Vec::new(),
            condition: format!("t.{column} IS NULL"),
            what: format!("{column} is missing"),
        })
    }

    fn by_constraint(id: &'a ObjectId, definition: &'a str) -> Option<Self> {
        let (_, table) = split_on(&id.identity)?;
        let (inside, after) = parenthesis(definition)?;
        let mut refused = Self {
            table,
            key: None,
            links: Vec::new(),
            condition: String::new(),
            what: String::new(),
        };
        if definition.starts_with("PRIMARY KEY") || definition.starts_with("UNIQUE") {
            let columns = divide(inside);
            refused.condition = if definition.contains("NULLS NOT DISTINCT") {
                "true".to_owned()
            } else {
                all_there(&columns)
            };
            refused.what = format!("duplicate {inside}");
            refused.key = Some(columns);
        } else if definition.starts_with("FOREIGN KEY") {
            let (to, rest) = after.trim_start().strip_prefix("REFERENCES ")?.split_once('(')?;
            let theirs = divide(rest.split_once(')')?.0);
            refused.links = divide(inside);
            let pairs = refused.links.iter().zip(&theirs);
            let same: Vec<_> = pairs.map(|(own, their)| format!("p.{their} = t.{own}")).collect();
            refused.condition = format!(
                "{} AND NOT EXISTS (SELECT FROM {to} AS p WHERE {})",
                all_there(&refused.links),
                same.join(" AND ")
            );
            refused.what = format!("{inside} refers to no row of {to}");
        } else if definition.starts_with("CHECK") {
            refused.condition = format!("({inside}) IS FALSE");
            refused.what = format!("not {inside}");
        } else {
            return None;
        }
        Some(refused)
    }

    fn clean_up(&self, violations: &Violations) -> Result<CleanUp, String> {
        let Self { table, condition, .. } = self;
        let find = |source: &str, condition: &str| {
            format!("SELECT t.tableoid::text, t.ctid::text, t.xmin::text FROM {source} AS t WHERE {condition}")
        };
        let find = match (&self.key, violations) {
            (Some(key), _) => {
                // Without a word on which is the latest the one that was there first stays.
                let order = match violations {
                    Violations::KeepLatest(by) => by
                        .iter()
                        .map(|by| format!("{by} DESC NULLS LAST, "))
                        .collect::<String>(),
                    _ => String::new(),
                };
                let source = format!(
                    "(SELECT t.tableoid, t.ctid, t.xmin, pg_catalog.row_number() OVER (PARTITION BY {} ORDER BY {order}t.ctid) \
                     AS xtask_place FROM {table} AS t WHERE {condition})",
                    key.join(", ")
                );
                find(&source, "t.xtask_place > 1")
            }
            (None, Violations::KeepLatest(_)) => {
                return Err("`duplicates keep latest` above what is no key: say `violations …`".to_owned());
            }
            (None, _) => find(table, condition),
        };
        let set = match violations {
            Violations::KeepLatest(_) | Violations::Quarantine => None,
            Violations::SetNull if self.links.is_empty() => {
                return Err("`violations set null` above what is no foreign key".to_owned());
            }
            Violations::SetNull => {
                let columns = self.links.iter().map(|column| format!("{column} = NULL"));
                Some(columns.collect::<Vec<_>>().join(", "))
            }
            Violations::Set { column, expression } => Some(format!("{column} = {expression}")),
        };
        let becomes = match (violations, &set) {
            (Violations::KeepLatest(by), _) => format!("the row with the latest {} is kept", by.join(", ")),
            (_, None) => "set aside".to_owned(),
            (_, Some(set)) => format!("the row stays, with {set}"),
        };
        let is_meant = "t.tableoid = b.tableoid AND t.ctid = b.ctid AND t.xmin = b.xmin";
        let meant = "ROWS FROM (unnest($1::text[]::oid[]), unnest($2::text[]::tid[]), unnest($3::text[]::xid[]))
                     AS b (tableoid, ctid, xmin)";
        let changed = match set {
            None => format!(
                "xtask_changed AS (DELETE FROM {table} AS t USING {meant} WHERE {is_meant}
                 RETURNING pg_catalog.to_jsonb(t) AS xtask_row)"
            ),
            Some(set) => format!(
                "xtask_found AS (SELECT t.tableoid AS xtask_table, t.ctid AS xtask_ctid, pg_catalog.to_jsonb(t) AS xtask_row
                 FROM {table} AS t JOIN {meant} ON {is_meant} FOR UPDATE OF t),
                 xtask_changed AS (UPDATE {table} AS t SET {set} FROM xtask_found
                 WHERE t.tableoid = xtask_table AND t.ctid = xtask_ctid RETURNING xtask_row)"
            ),
        };
        Ok(CleanUp {
            table: (*table).to_owned(),
            reason: format!("{}: {becomes}", self.what),
            find,
            act: format!(
                "WITH {changed}, xtask_kept AS (
                 INSERT INTO migration.quarantine (run_id, place, table_name, row_data, reason)
                 SELECT $4, $5, $6, xtask_row, $7 FROM xtask_changed RETURNING 1)
                 SELECT pg_catalog.count(*) FROM xtask_kept"
            ),
        })
    }
}

fn all_there(columns: &[&str]) -> String {
    let conditions: Vec<_> = columns.iter().map(|column| format!("t.{column} IS NOT NULL")).collect();
    conditions.join(" AND ")
}

/// What stands inside the first parentheses, and what comes after them.
fn parenthesis(text: &str) -> Option<(&str, &str)> {
    let start = text.find('(')?;
    let mut depth = 0;
    let mut literal = false;
    for (at, c) in outside_quotes(&text[start..]) {
        match c {
            '\'' => literal = !literal,
            '(' if !literal => depth += 1,
            ')' if !literal => {
                depth -= 1;
                if depth == 0 {
                    return Some((&text[start + 1..start + at], &text[start + at + 1..]));
                }
            }
            _ => {}
        }
    }
    None
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
    fn a_directive_that_does_not_fit() {
        let check = ("constraint c on public.t", "CHECK ((a > 0))");
        assert!(clean_up("violations set null", check).is_err());
        assert!(clean_up("duplicates keep latest by a", check).is_err());
        assert!(clean_up("violations quarantine", ("table public.t", "")).is_err());
    }
}
