//! The session on the scratch server in which the phases run, and what it shows of each statement.

use postgres::{Client, SimpleQueryMessage, SimpleQueryRow};
use serde::{Deserialize, Serialize};

use crate::catalog::{Catalog, Change, Follower, RelationState, Written};
use crate::execute::send_text;
use crate::locks::strength;
use crate::source::statement::{Class, Sql, Statement};
use crate::sqlstate::is_unfit_for_a_transaction;
use crate::text::rows;

/// What the phases may rely on in each file.
const SETTINGS: &str = "SET search_path = public; SET standard_conforming_strings = on; SET synchronous_commit = off";

/// Makes the session give what it has counted to the server.
const HAND_OVER: &str = "SELECT pg_catalog.pg_stat_force_next_flush()";

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
    /// Nothing is counted yet that the next statement has not done.
    handed_over: bool,
}

/// What a transaction did, as it was asked before its end.
struct Done {
    locks: Vec<Lock>,
    /// `None`: it was none, or nobody asked.
    written: Option<Written>,
}

/// A relation on which the transaction held locks.
struct Lock {
    oid: u32,
    mode: String,
    scans: bool,
    inserted: i64,
    updated: i64,
    deleted: i64,
}

impl<'a> Scratch<'a> {
    /// Both sessions are a superuser's. The observer's settings cannot be changed by statements.
    /// A careful one reads everything after each statement that has written something.
    pub fn new(client: &'a mut Client, observer: Client, careful: bool) -> Result<Self, postgres::Error> {
        let mut scratch = Self {
            client,
            follower: Follower::new(observer, careful)?,
            file: String::new(),
            session: String::new(),
            transaction: (None, Vec::new()),
            handed_over: false,
        };
        scratch.end_file()?;
        Ok(scratch)
    }

    /// The catalog as the last statement left it.
    pub fn catalog(&self) -> &Catalog {
        self.follower.catalog()
    }

    /// What the server holds otherwise than what was put together from statement to statement.
    pub fn prove(&mut self) -> Result<Vec<Change>, postgres::Error> {
        self.follower.prove()
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
    pub fn observe(&mut self, statement: &Statement) -> Result<Result<Seen, postgres::Error>, postgres::Error> {
        let done = match self.execute_in_its_place(statement, true)? {
            Ok(done) => done,
            Err(error) => return Ok(Err(error)),
        };
        let before: Vec<_> = done.locks.iter().map(|lock| self.follower.relation(lock.oid)).collect();
        let wrote = done.written.as_ref().is_none_or(Written::is_something);
        let changes = match done.written {
            Some(written) => self.follower.look(written)?,
            None => self.follower.look_at_all()?,
        };
        let tables = done.locks.into_iter().zip(before);
        let tables = tables
            .filter_map(|(lock, before)| self.table(statement, lock, before))
            .collect();
        // What changes the catalog by its nature does not change the session; what it makes for the session is no object.
        let mut session = false;
        if statement.class != Class::Ddl || wrote && changes.is_empty() {
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

    /// Runs a statement as [`observe`](Self::observe) does, without looking at what it does.
    pub fn run_unseen(&mut self, statement: &Statement) -> Result<Result<(), postgres::Error>, postgres::Error> {
        Ok(self.execute_in_its_place(statement, false)?.map(drop))
    }

    /// Looks at what statements that were run unseen have left. Their file has to be at its end.
    pub fn catch_up(&mut self) -> Result<(), postgres::Error> {
        self.follower.look_at_all().map(drop)
    }

    fn execute_in_its_place(
        &mut self,
        statement: &Statement,
        look: bool,
    ) -> Result<Result<Done, postgres::Error>, postgres::Error> {
        if statement.file != self.file {
            self.end_file()?;
            self.file.clone_from(&statement.file);
        }
        if self.transaction.0 != statement.transaction {
            self.transaction = (statement.transaction, Vec::new());
        }
        let done = match self.execute(statement, look)? {
            Ok(done) => done,
            Err(error) => return Ok(Err(error)),
        };
        let words = statement.first_words(2);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        if statement.transaction.is_some() && matches!(words[..], ["set", "local" | "constraints"] | ["lock", ..]) {
            self.transaction.1.push(statement.text.as_str().to_owned());
        }
        Ok(Ok(done))
    }

    /// Runs a statement in a transaction, so that its locks can be seen at its end; outside of one if it must.
    fn execute(&mut self, statement: &Statement, look: bool) -> Result<Result<Done, postgres::Error>, postgres::Error> {
        let begin = ["BEGIN"].into_iter();
        let begin: Vec<&str> = begin.chain(self.transaction.1.iter().map(String::as_str)).collect();
        let begin = begin.join(";\n");
        let text = if statement.transaction.is_some() {
            without_on_commit_drop(&statement.text)
        } else {
            statement.text.as_str().to_owned()
        };
        let result = if look || statement.copy_data.is_some() {
            // What is counted from here on is this statement's: the session hands over when it is idle.
            if !self.handed_over {
                self.client.batch_execute(HAND_OVER)?;
            }
            self.handed_over = false;
            self.client.batch_execute(&begin)?;
            send_text(self.client, statement, &text).and_then(|_| {
                let done = self.ask(statement)?;
                self.client.batch_execute(&format!("{HAND_OVER}; COMMIT"))?;
                self.handed_over = true;
                Ok(done)
            })
        } else {
            self.handed_over = false;
            // The text may end with a comment.
            let message = format!("{begin};\n{text}\n;COMMIT");
            self.client.batch_execute(&message).map(|()| Done::unknown())
        };
        let error = match result {
            Ok(done) => return Ok(Ok(done)),
            Err(error) => error,
        };
        self.client.batch_execute("ROLLBACK")?;
        // Between BEGIN and COMMIT it could not run on any other server either.
        if !is_unfit_for_a_transaction(&error) || statement.transaction.is_some() {
            return Ok(Err(error));
        }
        // What runs outside of transactions does so in order to be in nobody's way.
        if !look {
            return Ok(self.client.batch_execute(&statement.text).map(|()| Done::unknown()));
        }
        self.client.batch_execute(HAND_OVER)?;
        let before = self.follower.counts()?;
        if let Err(error) = self.client.batch_execute(&statement.text) {
            return Ok(Err(error));
        }
        self.client.batch_execute(HAND_OVER)?;
        self.handed_over = true;
        Ok(Ok(Done {
            locks: Vec::new(),
            written: Some(self.follower.written_since(before, !statement.is_concurrent())?),
        }))
    }

    /// What the transaction has done so far.
    fn ask(&mut self, statement: &Statement) -> Result<Done, postgres::Error> {
        // What was put off until the end is done first.
        let locks = include_str!("locks.sql");
        let message = format!("SET CONSTRAINTS ALL IMMEDIATE;\n{locks};\n{}", self.follower.asks());
        let mut answers = [const { Vec::new() }; 3];
        let mut at = 0;
        for message in self.client.simple_query(&message)? {
            match (message, answers.get_mut(at)) {
                (SimpleQueryMessage::Row(row), Some(rows)) => rows.push(row),
                (SimpleQueryMessage::CommandComplete(_), _) => at += 1,
                _ => {}
            }
        }
        let [_, locks, written] = answers;
        let locks: Vec<Lock> = locks.iter().map(Lock::from_row).collect();
        let relations = locks.iter().map(|lock| lock.oid).collect();
        let text = statement.text.to_lowercase();
        let may_grant = statement.class != Class::Ddl || text.contains("grant") || text.contains("revoke");
        Ok(Done {
            locks,
            written: Some(self.follower.written(&written, relations, may_grant)),
        })
    }

    /// What became of a relation on which the statement held locks.
    fn table(&self, statement: &Statement, lock: Lock, before: Option<RelationState>) -> Option<Table> {
        let after = self.follower.relation(lock.oid);
        // Of what holds long values nothing is known; that and indexes belong to their tables.
        let known = before
            .as_ref()
            .or(after.as_ref())
            .filter(|known| !"iIt".contains(known.kind))?;
        let is_strong = strength(&lock.mode) > strength("RowExclusiveLock");
        let existed = before
            .as_ref()
            .is_some_and(|before| !is_strong || "rpmvf".contains(before.kind));
        let mut table = Table {
            name: known.name.clone(),
            existed: existed && !known.temporary,
            temporary: known.temporary,
            mode: lock.mode,
            scans: lock.scans,
            rewrites: false,
            inserted: lock.inserted,
            updated: lock.updated,
            deleted: lock.deleted,
        };
        if let Some(before) = before.filter(|_| is_strong && existed) {
            table.rewrites = after.as_ref().is_some_and(|after| after.file != before.file);
            // Of a table that was dropped nothing can be asked.
            table.scans &= after.is_some();
            if table.rewrites && statement.text.begins_with(&["truncate"]) {
                table.deleted = table.deleted.max(1);
            }
        }
        Some(table)
    }

    fn read_session(&mut self) -> Result<String, postgres::Error> {
        // What this reads is counted, too.
        let message = format!("{};\n{HAND_OVER}", include_str!("session.sql"));
        let answer = self.client.simple_query(&message)?;
        self.handed_over = true;
        let row = rows(answer).next();
        Ok(row
            .and_then(|row| row.try_get(0).ok().flatten().map(str::to_owned))
            .unwrap_or_default())
    }
}

impl Done {
    fn unknown() -> Self {
        Self {
            locks: Vec::new(),
            written: None,
        }
    }
}

impl Lock {
    fn from_row(row: &SimpleQueryRow) -> Self {
        let text = |n: usize| row.try_get(n).ok().flatten().unwrap_or_default();
        let number = |n: usize| text(n).parse::<i64>().unwrap_or_default();
        let modes = text(1).trim_matches(['{', '}']).split(',');
        Self {
            oid: text(0).parse().unwrap_or_default(),
            mode: modes.max_by_key(|mode| strength(mode)).unwrap_or_default().to_owned(),
            scans: number(2) > 0,
            inserted: number(3),
            updated: number(4),
            deleted: number(5),
        }
    }
}

/// A statement of a transaction, each of whose statements is committed for itself here: a temporary table has to outlive
/// its own.
fn without_on_commit_drop(text: &Sql) -> String {
    let tokens: Vec<_> = text.tokens().collect();
    let found = tokens
        .windows(3)
        .find(|words| words[0].is("on") && words[1].is("commit") && words[2].is("drop"));
    match found {
        Some(words) => format!(
            "{}{}",
            &text[..words[0].start],
            &text[words[2].start + words[2].text.len()..]
        ),
        None => text.as_str().to_owned(),
    }
}
