//! Rows that are set aside or changed, in batches with a commit each, while the application goes on; as they were they are
//! kept in the same transaction.

use std::time::{Duration, Instant};

use postgres::types::{ToSql, Type};
use postgres::{Client, Row};
use postgres_protocol::escape::escape_literal;

use crate::execute::Pause;
use crate::source::statement::RowChange;
use crate::sqlstate::{self, Retry, retry};

/// How many rows go in one transaction, at most.
const BATCH: usize = 1000;
/// How long one may take: so long others wait for its rows. The next one is of half or twice as many rows.
const TAKES: Duration = Duration::from_millis(40);
/// How many rows are looked for at a time.
pub(super) const LOOK: usize = 100_000;
/// What stands in the message of an error that says that rows would be meant again.
const AGAIN: &str = "xtask again ";
/// How the batch and the rows that are meant are joined.
const MEANT: &str = "ROWS FROM (unnest($1::text[]::oid[]), unnest($2::text[]::tid[]), unnest($3::text[]::xid[]))
                     AS xtask_meant (xtask_table, xtask_ctid, xtask_xmin)";

/// How rows are found, and what is done about them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CleanUp {
    /// The table, as statements name it.
    pub table: String,
    /// What is wrong with the rows, and what becomes of them: for people, and for the record.
    pub reason: String,
    /// SELECT: table, place and version of each row, and its key as text.
    find: String,
    /// The same for the first round, of keys: it sorts only rows whose key another row has. It compares keys by `=`, which
    /// is another one where the type's own is not in the search path; so what it misses the next round finds.
    find_first: Option<String>,
    /// The same of rows whose keys are among `$1`: it sorts no others.
    find_again: Option<String>,
    /// What is done with a batch of them.
    act: String,
    /// What is done with all of them: a CTE.
    all: String,
    /// The columns that are set where rows stay.
    columns: Option<Vec<String>>,
}

/// Rows of one table, and what becomes of them.
pub(super) struct Rows<'a> {
    /// The table with its alias.
    pub target: &'a str,
    /// What the rows are called.
    pub name: &'a str,
    /// What they meet.
    pub condition: &'a str,
    /// If only the first row with a key is as it shall be: the columns of the key, and the order.
    pub key: Option<(Vec<&'a str>, String)>,
    /// If they stay: what is set, and in which columns.
    pub set: Option<(String, Vec<String>)>,
}

impl Rows<'_> {
    /// How they are found: each time, in the first round, and those that are left.
    fn finding(&self, table: &str) -> (String, Option<String>, Option<String>) {
        let Self {
            target,
            name,
            condition,
            ..
        } = self;
        let find = |key: &str, from: &str, condition: &str| {
            format!(
                "SELECT {name}.tableoid::text, {name}.ctid::text, {name}.xmin::text, {key} FROM {from} WHERE {condition}"
            )
        };
        let Some((columns, order)) = &self.key else {
            return (find("''", target, &format!("({condition})")), None, None);
        };
        let of_row: Vec<_> = columns.iter().map(|column| format!("{name}.{column}")).collect();
        let key = format!("({})::text", of_row.join(", "));
        let among = |further: &str| {
            let from = format!(
                "(SELECT {name}.tableoid, {name}.ctid, {name}.xmin, {key} AS xtask_key, pg_catalog.row_number() OVER \
                 (PARTITION BY {} ORDER BY {order}{name}.ctid) AS xtask_place FROM {target} WHERE {condition}{further}) \
                 AS {name}",
                of_row.join(", ")
            );
            find(
                &format!("coalesce({name}.xtask_key, '')"),
                &from,
                &format!("{name}.xtask_place > 1"),
            )
        };
        let same: Vec<_> = columns
            .iter()
            .map(|column| format!("xtask_o.{column} = {name}.{column}"))
            .collect();
        let has_another = format!(
            " AND EXISTS (SELECT FROM {table} AS xtask_o WHERE {} AND (xtask_o.ctid <> {name}.ctid OR xtask_o.tableoid <> \
             {name}.tableoid))",
            same.join(" AND ")
        );
        // Where NULLs are equal, no `=` finds them.
        let distinct = *condition != "true";
        (
            among(""),
            distinct.then(|| among(&has_another)),
            distinct.then(|| among(&format!(" AND {key} = ANY ($1)"))),
        )
    }

    pub fn clean_up(self, table: &str, reason: String) -> CleanUp {
        let Self {
            target,
            name,
            condition,
            ..
        } = self;
        let (find, find_first, find_again) = self.finding(table);
        let is_meant =
            format!("{name}.tableoid = xtask_table AND {name}.ctid = xtask_ctid AND {name}.xmin = xtask_xmin");
        // The name alone might be that of a column.
        let row = format!("pg_catalog.to_jsonb({name}.*)");
        let (batch, all) = match &self.set {
            None => {
                let kept = format!("RETURNING {row} AS xtask_row, NULL::jsonb AS xtask_after, false AS xtask_again");
                (
                    format!("xtask_changed AS (DELETE FROM {target} USING {MEANT} WHERE {is_meant} {kept})"),
                    format!("xtask_changed AS (DELETE FROM {target} WHERE ({condition}) {kept})"),
                )
            }
            Some((set, _)) => {
                let found = format!(
                    "xtask_found AS (SELECT {name}.tableoid AS xtask_table, {name}.ctid AS xtask_ctid, {row} AS xtask_row
                     FROM {target}"
                );
                let again = match &self.key {
                    None => format!("coalesce(({condition}), false)"),
                    Some(_) => "false".to_owned(),
                };
                let changed = format!(
                    "FOR UPDATE OF {name}), xtask_changed AS (UPDATE {target} SET {set} FROM xtask_found
                     WHERE {name}.tableoid = xtask_table AND {name}.ctid = xtask_ctid
                     RETURNING xtask_row, {row} AS xtask_after, {again} AS xtask_again)"
                );
                (
                    format!("{found} JOIN {MEANT} ON {is_meant} {changed}"),
                    format!("{found} WHERE ({condition}) {changed}"),
                )
            }
        };
        CleanUp {
            table: table.to_owned(),
            reason,
            find,
            find_first,
            find_again,
            act: format!(
                "WITH {batch}, xtask_kept AS ({} RETURNING 1)
                 SELECT (SELECT pg_catalog.count(*) FROM xtask_kept),
                     CASE WHEN c.again > 0 THEN ('{AGAIN}' || c.again)::pg_catalog.int4 END
                 FROM (SELECT pg_catalog.count(*) FILTER (WHERE xtask_again) AS again FROM xtask_changed) AS c",
                keep(["$4", "$5", "$6", "$7", "$8"])
            ),
            all,
            columns: self.set.map(|(_, columns)| columns),
        }
    }
}

/// Keeps the rows that were changed: the run, the place, the table, the reason, the columns that were set.
fn keep([run, place, table, reason, columns]: [&str; 5]) -> String {
    format!(
        "INSERT INTO migration.quarantine (run_id, place, table_name, reason, set_columns, row_data, row_after)
         SELECT {run}, {place}, {table}, {reason}, {columns}, xtask_row, xtask_after FROM xtask_changed"
    )
}

/// Whether an error says that rows would still meet their condition after they are changed, and would be changed for ever.
pub fn would_be_meant_again(error: &postgres::Error) -> bool {
    sqlstate::unreadable_value(error).is_some_and(|message| message.contains(AGAIN))
}

impl CleanUp {
    /// That of an UPDATE or DELETE.
    pub fn by(change: &RowChange) -> Self {
        let becomes = match &change.set {
            None => "set aside".to_owned(),
            Some(set) => format!("the row stays, with {}", set.line),
        };
        let rows = Rows {
            target: &change.target,
            name: &change.name,
            condition: &change.condition,
            key: None,
            set: change.set.as_ref().map(|set| (set.text.clone(), set.columns.clone())),
        };
        rows.clean_up(&change.table, format!("{}: {becomes}", change.condition_line))
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

    /// Makes the quarantine if it is not there, and tells the qualified name of the table.
    fn prepare(&self, client: &mut Client) -> Result<String, postgres::Error> {
        client.batch_execute(include_str!("quarantine.sql"))?;
        let sql = include_str!("qualified.sql");
        client.query_typed_one(sql, &[(&self.table, Type::TEXT)])?.try_get(0)
    }

    /// One statement that does all of it at once, for a transaction with others. Its number of rows is that of those it
    /// changed.
    ///
    /// # Errors
    /// The quarantine cannot be made; there is no such table.
    pub fn at_once(&self, client: &mut Client, run: i64, place: &str) -> Result<String, postgres::Error> {
        let table = self.prepare(client)?;
        let columns = self.columns.as_ref().map_or("NULL".to_owned(), |columns| {
            let names: Vec<_> = columns.iter().map(|column| escape_literal(column)).collect();
            format!("ARRAY[{}]", names.join(", "))
        });
        let [place, table, reason] = [place, &table, &self.reason].map(escape_literal);
        let keep = keep([&run.to_string(), &place, &table, &reason, &columns]);
        Ok(format!("WITH {} {keep}", self.all))
    }

    fn look(&self, client: &mut Client, first: bool) -> Result<Vec<Row>, postgres::Error> {
        if let Some(find) = self.find_first.as_ref().filter(|_| first) {
            match client.query_typed(&format!("{find} LIMIT {LOOK}"), &[]) {
                // The type may have no `=` in the search path.
                Err(error) if sqlstate::lacks_function(&error) => {}
                result => return result,
            }
        }
        client.query_typed(&format!("{} LIMIT {LOOK}", self.find), &[])
    }

    /// Does it. Returns how many rows were removed or changed. What somebody else changes meanwhile is looked for again,
    /// since the statement after it would fail, and that after half of its work. `first` says that this is the first round.
    /// `progress` is told how many there are so far, and says whether to go on.
    ///
    /// # Errors
    /// A batch is refused, or waits for locks for longer than `deadline`.
    pub fn run(
        &self,
        client: &mut Client,
        run: i64,
        place: &str,
        first: bool,
        deadline: Duration,
        progress: &dyn Fn(u64) -> bool,
    ) -> Result<u64, postgres::Error> {
        let start = Instant::now();
        let mut done = 0;
        let mut table = None;
        // Keys of rows that somebody changed between the look and the batch.
        let mut left: Vec<String> = Vec::new();
        // The last look has not ended at its limit.
        let mut all_seen = false;
        let mut size = BATCH / 4;
        loop {
            let rows = match &self.find_again {
                Some(find) if all_seen && !left.is_empty() => {
                    client.query_typed(&format!("{find} LIMIT {LOOK}"), &[(&left, Type::TEXT_ARRAY)])?
                }
                _ => self.look(client, first)?,
            };
            all_seen = rows.len() < LOOK;
            if rows.is_empty() {
                return Ok(done);
            }
            if table.is_none() {
                table = Some(self.prepare(client)?);
            }
            let mut of_round = 0;
            left.clear();
            let mut rest = &rows[..];
            while !rest.is_empty() {
                let batch;
                (batch, rest) = rest.split_at(size.min(rest.len()));
                let [tables, places, versions, keys] = columns(batch)?;
                let parameters: [(&(dyn ToSql + Sync), Type); 8] = [
                    (&tables, Type::TEXT_ARRAY),
                    (&places, Type::TEXT_ARRAY),
                    (&versions, Type::TEXT_ARRAY),
                    (&run, Type::INT8),
                    (&place, Type::TEXT),
                    (&table, Type::TEXT),
                    (&self.reason, Type::TEXT),
                    (&self.columns, Type::TEXT_ARRAY),
                ];
                let mut attempt = 1;
                let mut pause = Pause::default();
                let changed = loop {
                    let sent = Instant::now();
                    match client.query_typed(&self.act, &parameters) {
                        Ok(rows) => {
                            if sent.elapsed() > TAKES {
                                size = (size / 2).max(10);
                            } else if sent.elapsed() < TAKES / 2 {
                                size = (size * 2).min(BATCH);
                            }
                            break rows.first().map_or(Ok(0), |row| row.try_get::<_, i64>(0))?;
                        }
                        // Somebody holds one of the rows.
                        Err(error) if retry(&error, attempt) != Retry::Never && start.elapsed() < deadline => {
                            pause.wait(&|| progress(done + of_round));
                            attempt += 1;
                        }
                        Err(error) => return Err(error),
                    }
                };
                of_round += changed.unsigned_abs();
                if changed.unsigned_abs() < batch.len() as u64 {
                    left.extend(keys);
                }
                if !progress(done + of_round) {
                    return Ok(done + of_round);
                }
            }
            done += of_round;
            // What is found and cannot be changed would be found for ever.
            if of_round == 0 || all_seen && left.is_empty() {
                return Ok(done);
            }
        }
    }
}

/// What was found of a batch, column by column.
fn columns(rows: &[Row]) -> Result<[Vec<String>; 4], postgres::Error> {
    let mut columns: [Vec<String>; 4] = Default::default();
    for row in rows {
        for (n, values) in columns.iter_mut().enumerate() {
            values.push(row.try_get(n)?);
        }
    }
    Ok(columns)
}
