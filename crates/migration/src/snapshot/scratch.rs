//! The session on the scratch server in which the phases run, and what it shows of each statement.

use std::collections::BTreeMap;

use postgres::types::Type;
use postgres::{Client, Row};
use serde::{Deserialize, Serialize};

use crate::catalog::{Catalog, Change, Follower};
use crate::execute::{is_unfit_for_a_transaction, send_text};
use crate::locks::strength;
use crate::source::statement::tokens::{Token, tokens};
use crate::source::statement::{Class, Statement};
use crate::text::rows;

/// What the phases may rely on in each file.
const SETTINGS: &str = "SET search_path = public; SET standard_conforming_strings = on; SET synchronous_commit = off";

/// What one run of a statement showed.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Seen {
    /// What became of objects.
    pub changes: Vec<Change>,
    /// The tables, sequences and views that it locked.
    pub tables: Vec<Table>,
    /// The session is not what it was before.
    pub session: bool,
}

/// What a statement did to a table, or another relation.
#[derive(Debug, Serialize, Deserialize)]
pub struct Table {
    /// Its qualified name.
    pub name: String,
    /// It was there before, and others see it: it is a table or a view, and not a temporary one.
    pub existed: bool,
    /// It belongs to the session.
    pub temporary: bool,
    /// The strongest lock on it, as `pg_locks` names it.
    pub mode: String,
    /// It was read from end to end.
    pub scans: bool,
    /// It was written anew.
    pub rewrites: bool,
    /// Rows that were put in.
    pub inserted: i64,
    /// Rows that were changed.
    pub updated: i64,
    /// Rows that were taken out.
    pub deleted: i64,
}

impl Seen {
    /// How many rows were put in, changed and taken out, of tables that stay.
    pub fn rows(&self) -> i64 {
        let tables = self.tables.iter().filter(|table| !table.temporary);
        tables.map(|table| table.inserted + table.updated + table.deleted).sum()
    }
}

impl Table {
    /// Whether rows of it may have been changed, or its numbers if it is a sequence.
    pub fn is_written(&self) -> bool {
        self.mode == "RowExclusiveLock" || self.inserted + self.updated + self.deleted > 0
    }
}

/// A session that runs statements, and a second one that looks at what they did.
pub struct Scratch<'a> {
    client: &'a mut Client,
    follower: Follower,
    /// The file whose statements run.
    file: String,
    /// What `session.sql` told last.
    session: String,
    /// Of the transaction whose statements run: those that concern it as a whole. Each statement is committed for itself,
    /// so that it can be seen, and these are sent before each.
    transaction: (Option<u32>, Vec<String>),
    /// The last statement may have changed the catalog.
    wrote: bool,
}

impl<'a> Scratch<'a> {
    /// Both sessions are a superuser's. The observer's settings cannot be changed by statements.
    pub fn new(client: &'a mut Client, observer: Client) -> Result<Self, postgres::Error> {
        let mut scratch = Self {
            client,
            follower: Follower::new(observer)?,
            file: String::new(),
            session: String::new(),
            transaction: (None, Vec::new()),
            wrote: true,
        };
        scratch.end_file()?;
        Ok(scratch)
    }

    /// The catalog as the last statement left it.
    pub fn catalog(&self) -> &Catalog {
        self.follower.catalog()
    }

    /// Whether what was put together from statement to statement is what the server holds.
    pub fn is_right(&mut self) -> Result<bool, postgres::Error> {
        self.follower.is_right()
    }

    /// Ends what the statements so far made for the session.
    pub fn end_file(&mut self) -> Result<(), postgres::Error> {
        self.file.clear();
        self.transaction = (None, Vec::new());
        self.client.batch_execute(include_str!("../session/end_of_file.sql"))?;
        self.client.batch_execute(SETTINGS)?;
        self.session = self.read_session()?;
        Ok(())
    }

    /// Runs a statement. The inner error is the statement's own: then it has changed nothing.
    pub fn run(&mut self, statement: &Statement) -> Result<Result<Seen, postgres::Error>, postgres::Error> {
        let tables = match self.execute_in_its_place(statement, true)? {
            Ok(tables) => tables,
            Err(error) => return Ok(Err(error)),
        };
        // Most statements change nothing in the second run.
        let changes = if self.wrote { self.follower.look()? } else { Vec::new() };
        // What changes the catalog by its nature does not change the session.
        let mut session = false;
        if changes.is_empty() || statement.class != Class::Ddl {
            let now = self.read_session()?;
            session = now != self.session;
            self.session = now;
        }
        Ok(Ok(Seen {
            changes,
            tables,
            session,
        }))
    }

    /// Runs a statement as [`run`](Self::run) does, without looking at what it does.
    pub fn run_unseen(&mut self, statement: &Statement) -> Result<Result<(), postgres::Error>, postgres::Error> {
        Ok(self.execute_in_its_place(statement, false)?.map(drop))
    }

    /// Looks at what statements that were run unseen have left. Their file has to be at its end.
    pub fn catch_up(&mut self) -> Result<(), postgres::Error> {
        self.follower.look().map(drop)
    }

    fn execute_in_its_place(
        &mut self,
        statement: &Statement,
        look: bool,
    ) -> Result<Result<Vec<Table>, postgres::Error>, postgres::Error> {
        if statement.file != self.file {
            self.end_file()?;
            self.file.clone_from(&statement.file);
        }
        if self.transaction.0 != statement.transaction {
            self.transaction = (statement.transaction, Vec::new());
        }
        let tables = match self.execute(statement, look)? {
            Ok(tables) => tables,
            Err(error) => return Ok(Err(error)),
        };
        let words = statement.first_words(2);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        if statement.transaction.is_some() && matches!(words[..], ["set", "local" | "constraints"] | ["lock", ..]) {
            self.transaction.1.push(statement.text.clone());
        }
        Ok(Ok(tables))
    }

    /// Runs a statement in a transaction, so that its locks can be seen at its end; outside of one if it must.
    fn execute(
        &mut self,
        statement: &Statement,
        look: bool,
    ) -> Result<Result<Vec<Table>, postgres::Error>, postgres::Error> {
        let begin = ["BEGIN"].into_iter();
        let begin: Vec<&str> = begin.chain(self.transaction.1.iter().map(String::as_str)).collect();
        let begin = begin.join(";\n");
        let text = if statement.transaction.is_some() {
            without_on_commit_drop(&statement.text)
        } else {
            statement.text.clone()
        };
        let result = if look || statement.copy_data.is_some() {
            // What is counted from here on is this statement's.
            self.client
                .batch_execute("SELECT pg_catalog.pg_stat_force_next_flush()")?;
            self.client.batch_execute(&begin)?;
            send_text(self.client, &text, statement.copy_data.as_deref()).and_then(|_| {
                let tables = self.tables(statement)?;
                self.wrote = self.commit()?;
                Ok(tables)
            })
        } else {
            // The text may end with a comment.
            let message = format!("{begin};\n{text}\n;COMMIT");
            self.client.batch_execute(&message).map(|()| Vec::new())
        };
        let error = match result {
            Ok(tables) => return Ok(Ok(tables)),
            Err(error) => error,
        };
        self.client.batch_execute("ROLLBACK")?;
        // Between BEGIN and COMMIT it could not run on any other server either.
        if !is_unfit_for_a_transaction(&error) || statement.transaction.is_some() {
            return Ok(Err(error));
        }
        self.wrote = true;
        // What runs outside of transactions does so in order to be in nobody's way.
        Ok(self.client.batch_execute(&statement.text).map(|()| Vec::new()))
    }

    /// Ends the transaction. Whether it may have changed the catalog.
    fn commit(&mut self) -> Result<bool, postgres::Error> {
        let mut answer = rows(self.client.simple_query(include_str!("wrote.sql"))?);
        Ok(answer.next().is_none_or(|row| row.get(0) != Some("f")))
    }

    /// What the transaction has done to relations. The observer still sees them as they were before.
    fn tables(&mut self, statement: &Statement) -> Result<Vec<Table>, postgres::Error> {
        let held = self.client.query_typed(include_str!("locks.sql"), &[])?;
        let mut unknown = Vec::new();
        let mut found: Vec<(u32, &Row, Table)> = Vec::new();
        for row in &held {
            let oid: u32 = row.try_get("oid")?;
            let modes: Vec<String> = row.try_get("modes")?;
            let mode = modes.into_iter().max_by_key(|mode| strength(mode)).unwrap_or_default();
            let name: Option<String> = row.try_get("name")?;
            if name.is_none() || strength(&mode) > strength("RowExclusiveLock") {
                unknown.push(oid);
            }
            let relkind: Option<i8> = row.try_get("relkind")?;
            // Indexes and what holds long values belong to their tables.
            if relkind.is_some_and(|kind| matches!(kind as u8, b'i' | b'I' | b't')) {
                continue;
            }
            let temporary = row.try_get::<_, Option<bool>>("temporary")?.unwrap_or_default();
            let table = Table {
                // The schema of temporary tables has another number from one server to the next.
                existed: !temporary && !unknown.contains(&oid),
                temporary,
                name: name.unwrap_or_default(),
                mode,
                scans: row.try_get::<_, i64>("scans")? > 0,
                rewrites: false,
                inserted: row.try_get("inserted")?,
                updated: row.try_get("updated")?,
                deleted: row.try_get("deleted")?,
            };
            found.push((oid, row, table));
        }
        if !unknown.is_empty() {
            let sql = include_str!("tables.sql");
            let before = self
                .follower
                .client()
                .query_typed(sql, &[(&unknown, Type::OID_ARRAY)])?;
            let before: BTreeMap<u32, &Row> = before
                .iter()
                .map(|row| Ok((row.try_get("oid")?, row)))
                .collect::<Result<_, postgres::Error>>()?;
            for (oid, after, table) in &mut found {
                let Some(before) = before.get(oid) else { continue };
                let file: Option<u32> = after.try_get("file")?;
                table.temporary = before.try_get("temporary")?;
                table.existed = !table.temporary;
                table.name = before.try_get("name")?;
                table.rewrites = file.is_some() && file != Some(before.try_get("file")?);
                // Of a table that was dropped nothing can be asked.
                table.scans &= file.is_some();
                if table.rewrites && statement.first_words(1) == ["truncate"] {
                    table.deleted = table.deleted.max(1);
                }
            }
        }
        Ok(found.into_iter().map(|(_, _, table)| table).collect())
    }

    fn read_session(&mut self) -> Result<String, postgres::Error> {
        let answer = self.client.simple_query(include_str!("session.sql"))?;
        let row = rows(answer).next();
        Ok(row
            .and_then(|row| row.try_get(0).ok().flatten().map(str::to_owned))
            .unwrap_or_default())
    }
}

/// A statement of a transaction, each of whose statements is committed for itself here: a temporary table has to outlive
/// its own.
fn without_on_commit_drop(text: &str) -> String {
    let tokens: Vec<Token<'_>> = tokens(text).collect();
    let found = tokens
        .windows(3)
        .find(|words| words[0].is("on") && words[1].is("commit") && words[2].is("drop"));
    match found {
        Some(words) => format!(
            "{}{}",
            &text[..words[0].start],
            &text[words[2].start + words[2].text.len()..]
        ),
        None => text.to_owned(),
    }
}
