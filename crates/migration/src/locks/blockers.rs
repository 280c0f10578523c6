//! Who is in the way of a session, as a second session sees it.

use std::fmt;
use std::time::Duration;

use postgres::types::{ToSql, Type};
use postgres::{Client, Row};

use super::{LockMode, TableLock};

/// A session that holds what another one waits for.
#[derive(Debug, Clone)]
pub struct Blocker {
    /// Its process on the server; 0 for a prepared transaction.
    pub pid: i32,
    /// Its role; none where PostgreSQL does not tell.
    pub user: Option<String>,
    /// Its `application_name`.
    pub application: Option<String>,
    /// For instance `idle in transaction`.
    pub state: Option<String>,
    /// The age of its transaction in seconds.
    pub seconds: Option<f64>,
    /// What it is doing or did last.
    pub query: Option<String>,
    /// Names its transaction in `pg_locks`.
    pub transaction: Option<String>,
    /// What `PREPARE TRANSACTION` made of it, where it is no session any more.
    pub prepared: Option<Prepared>,
}

/// A transaction that waits for `COMMIT PREPARED` or `ROLLBACK PREPARED`, in no session.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// Its name.
    pub gid: String,
    /// The database that it must be ended in.
    pub database: String,
}

impl fmt::Display for Blocker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(prepared) = &self.prepared {
            return prepared.fmt_of(self, f);
        }
        if self.pid == 0 {
            return f.write_str("a prepared transaction (see pg_prepared_xacts)");
        }
        write!(f, "pid {}", self.pid)?;
        if let Some(user) = &self.user {
            write!(f, ", user {user}")?;
        }
        if let Some(application) = self.application.as_deref().filter(|name| !name.is_empty()) {
            write!(f, ", application “{application}”")?;
        }
        if let Some(state) = &self.state {
            write!(f, ", {state}")?;
        }
        if let Some(seconds) = self.seconds {
            write!(f, ", transaction open for {seconds:.1} s")?;
        }
        let told = |query: &&str| !query.is_empty() && *query != "<insufficient privilege>";
        if let Some(query) = self.query.as_deref().filter(told) {
            // Somebody else's statement may carry a password.
            if query.to_ascii_lowercase().contains("password") {
                f.write_str(", its query mentions a password and is not shown")?;
            } else {
                write!(f, ": {}", shortened(query, 80))?;
            }
        }
        Ok(())
    }
}

impl Prepared {
    fn fmt_of(&self, blocker: &Blocker, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "prepared transaction “{}”", self.gid)?;
        if let Some(user) = &blocker.user {
            write!(f, " of user {user}")?;
        }
        write!(f, " in database {}", self.database)?;
        if let Some(seconds) = blocker.seconds {
            write!(f, ", open for {seconds:.0} s")?;
        }
        let gid = self.gid.replace('\'', "''");
        write!(f, ": COMMIT PREPARED '{gid}' or ROLLBACK PREPARED '{gid}'")
    }
}

fn shortened(text: &str, characters: usize) -> String {
    match text.char_indices().nth(characters) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

impl Blocker {
    /// One for each row of one of the queries on locks: all of them have these columns.
    ///
    /// # Errors
    /// A column is missing, or the connection is gone.
    pub fn from_rows(client: &mut Client, rows: &[Row]) -> Result<Vec<Self>, postgres::Error> {
        let mut blockers = rows
            .iter()
            .map(|row| {
                Ok(Self {
                    pid: row.try_get("pid")?,
                    user: row.try_get("user_name")?,
                    application: row.try_get("application")?,
                    state: row.try_get("state")?,
                    seconds: row.try_get("seconds")?,
                    query: row.try_get("query")?,
                    transaction: row.try_get("transaction")?,
                    prepared: None,
                })
            })
            .collect::<Result<Vec<_>, postgres::Error>>()?;
        name_prepared(client, &mut blockers)?;
        Ok(blockers)
    }

    /// Whether its transaction is older than `duration`, or of an age that PostgreSQL does not tell. Nobody is at work on
    /// a prepared one: it lasts until somebody ends it.
    pub fn lasts_longer_than(&self, duration: Duration) -> bool {
        self.prepared.is_some() || self.seconds.is_none_or(|seconds| seconds > duration.as_secs_f64())
    }
}

/// Who keeps the session `pid` waiting; empty where nobody does.
///
/// # Errors
/// The monitor's connection is gone.
pub fn find(monitor: &mut Client, pid: i32) -> Result<Vec<Blocker>, postgres::Error> {
    let rows = monitor.query_typed(include_str!("blockers.sql"), &[(&pid, Type::INT4)])?;
    Blocker::from_rows(monitor, &rows)
}

/// Who holds a lock that conflicts with one of these.
///
/// # Errors
/// The connection is gone.
pub fn holding(client: &mut Client, locks: &[TableLock]) -> Result<Vec<Blocker>, postgres::Error> {
    if locks.is_empty() {
        return Ok(Vec::new());
    }
    let tables: Vec<&str> = locks.iter().map(|lock| lock.table.as_str()).collect();
    let conflicting = |lock: &TableLock| {
        let modes = LockMode::ALL.into_iter().filter(|mode| mode.conflicts_with(lock.mode));
        modes.map(LockMode::name).collect::<Vec<_>>().join(" ")
    };
    let modes: Vec<String> = locks.iter().map(conflicting).collect();
    let rows = client.query_typed(
        include_str!("conflicts.sql"),
        &[(&tables, Type::TEXT_ARRAY), (&modes, Type::TEXT_ARRAY)],
    )?;
    Blocker::from_rows(client, &rows)
}

/// Ends those of the sessions that are in the way and have been idle in a transaction for longer than `age`. Returns them,
/// with how long they were idle.
///
/// # Errors
/// The role may not end them, or the connection is gone.
pub fn end_idle(client: &mut Client, blockers: &[Blocker], age: Duration) -> Result<Vec<String>, postgres::Error> {
    let is_idle = |blocker: &&Blocker| {
        blocker.pid != 0
            && blocker
                .state
                .as_deref()
                .is_some_and(|state| state.starts_with("idle in"))
    };
    let pids: Vec<i32> = blockers.iter().filter(is_idle).map(|blocker| blocker.pid).collect();
    if pids.is_empty() {
        return Ok(Vec::new());
    }
    let parameters: [(&(dyn ToSql + Sync), Type); 2] = [(&pids, Type::INT4_ARRAY), (&age.as_secs_f64(), Type::FLOAT8)];
    let rows = client.query_typed(include_str!("end_idle.sql"), &parameters)?;
    let ended = Blocker::from_rows(client, &rows)?;
    Ok(ended
        .iter()
        .map(|session| session.to_string().replace("transaction open for", "for"))
        .collect())
}

/// The tables that autovacuum is at, of those that keep others waiting, each with its process.
///
/// # Errors
/// As [`find`].
pub fn vacuumed(client: &mut Client, blockers: &[Blocker]) -> Result<Vec<(i32, String)>, postgres::Error> {
    let nobodys = |blocker: &&Blocker| blocker.pid != 0 && blocker.user.is_none();
    let pids: Vec<i32> = blockers.iter().filter(nobodys).map(|blocker| blocker.pid).collect();
    if pids.is_empty() {
        return Ok(Vec::new());
    }
    let rows = client.query_typed(include_str!("vacuumed.sql"), &[(&pids, Type::INT4_ARRAY)])?;
    rows.iter()
        .map(|row| Ok((row.try_get("pid")?, row.try_get("relation")?)))
        .collect()
}

/// Asks for the names of prepared transactions, where there are any among these: few servers have them at all, and the
/// queries on locks are asked often.
fn name_prepared(client: &mut Client, blockers: &mut [Blocker]) -> Result<(), postgres::Error> {
    let nameless: Vec<String> = blockers
        .iter()
        .filter(|blocker| blocker.pid == 0)
        .filter_map(|blocker| blocker.transaction.clone())
        .collect();
    if nameless.is_empty() {
        return Ok(());
    }
    for row in client.query_typed(include_str!("prepared.sql"), &[(&nameless, Type::TEXT_ARRAY)])? {
        let transaction: String = row.try_get("transaction")?;
        for blocker in blockers
            .iter_mut()
            .filter(|blocker| blocker.pid == 0 && blocker.transaction.as_ref() == Some(&transaction))
        {
            blocker.user = row.try_get("user_name")?;
            blocker.seconds = row.try_get("seconds")?;
            blocker.prepared = Some(Prepared {
                gid: row.try_get("gid")?,
                database: row.try_get("database")?,
            });
        }
    }
    Ok(())
}

/// Whether all these transactions (as `pg_locks` names them) have ended.
///
/// # Errors
/// As [`find`].
pub fn all_gone(monitor: &mut Client, transactions: &[&str]) -> Result<bool, postgres::Error> {
    let rows = monitor.query_typed(
        "SELECT NOT EXISTS (SELECT FROM pg_catalog.pg_locks AS l WHERE l.virtualtransaction = ANY ($1))",
        &[(&transactions, Type::TEXT_ARRAY)],
    )?;
    rows.first().map_or(Ok(true), |row| row.try_get(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prepared_transaction_is_told_by_its_name_with_what_ends_it() {
        let blocker = Blocker {
            pid: 0,
            user: Some("app".into()),
            application: None,
            state: None,
            seconds: Some(12.3),
            query: None,
            transaction: Some("-1/740".into()),
            prepared: Some(Prepared {
                gid: "it's".into(),
                database: "shop".into(),
            }),
        };
        assert_eq!(
            blocker.to_string(),
            "prepared transaction “it's” of user app in database shop, open for 12 s: COMMIT PREPARED 'it''s' or \
             ROLLBACK PREPARED 'it''s'"
        );
        assert!(blocker.lasts_longer_than(Duration::from_secs(60)));
    }
}
