//! Following a catalog from statement to statement, on a server of our own.

use std::collections::HashSet;
use std::time::Duration;

use postgres::types::Type;
use postgres::{Client, Statement};

use super::read::{execute, settings};
use super::{Catalog, Change, Reader, changes, query};

/// How long a definition may wait for a lock: nobody else is on the server.
const LOCK_TIMEOUT: Duration = Duration::from_secs(10);

/// Knows the catalog of a database, and tells what changed since it last looked.
///
/// Each look asks which rows of the system catalogs are new. If all that happened is that relations were made, their
/// objects alone are read; in a database of thousands of tables anything else takes a hundred times as long.
pub struct Follower {
    client: Client,
    all: Reader,
    of_relations: Statement,
    news: Statement,
    catalog: Catalog,
    /// The rows of the system catalogs, and the number of the transaction that was next, at the last look.
    rows: i64,
    next: String,
    /// The rows of the system catalogs when the queries were planned.
    planned_for: i64,
}

/// What `sql/news.sql` answers.
struct News {
    /// How many rows the system catalogs have.
    rows: i64,
    next: String,
    new: Vec<Row>,
}

/// A new row of a system catalog.
struct Row {
    catalog: String,
    own: u32,
    belongs: u32,
}

impl Row {
    fn parse(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        Some(Self {
            catalog: words.next()?.to_owned(),
            own: words.next()?.parse().ok()?,
            belongs: words.next()?.parse().ok()?,
        })
    }
}

impl Follower {
    /// Begins with the catalog as it is now. The session is one of its own, of a superuser.
    ///
    /// # Errors
    /// Whatever the server or the connection reports.
    pub fn new(mut client: Client) -> Result<Self, postgres::Error> {
        // A plan for the very parameters takes longer than it saves.
        client.batch_execute("SET plan_cache_mode = force_generic_plan")?;
        let all = Reader::prepare(&mut client)?;
        let of_relations = client.prepare_typed(&query::of_relations(), &[Type::OID_ARRAY])?;
        let news = client.prepare_typed(include_str!("sql/news.sql"), &[Type::TEXT])?;
        let now = client.query_one(
            "SELECT pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot())::text",
            &[],
        )?;
        let catalog = all.read(&mut client, LOCK_TIMEOUT)?;
        let mut follower = Self {
            client,
            all,
            of_relations,
            news,
            catalog,
            rows: 0,
            planned_for: 0,
            next: now.try_get(0)?,
        };
        let news = follower.news()?;
        follower.rows = news.rows;
        follower.planned_for = news.rows;
        follower.next = news.next;
        Ok(follower)
    }

    /// The catalog at the last look.
    pub fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// The session, for other questions between two looks.
    pub fn client(&mut self) -> &mut Client {
        &mut self.client
    }

    /// What changed since the last look.
    ///
    /// # Errors
    /// Whatever the server or the connection reports.
    pub fn look(&mut self) -> Result<Vec<Change>, postgres::Error> {
        let news = self.news()?;
        // A row that is changed is written anew, and the old one no longer seen.
        let untouched = news.rows - news.new.len() as i64 == self.rows;
        self.rows = news.rows;
        self.next.clone_from(&news.next);
        // What is best for a small catalog is not for a large one.
        if self.rows > self.planned_for + self.planned_for / 4 {
            self.client.batch_execute("DISCARD PLANS")?;
            self.planned_for = self.rows;
        }
        if untouched && news.new.is_empty() {
            return Ok(Vec::new());
        }
        if let Some(relations) = news.new_relations().filter(|_| untouched) {
            return self.add(&relations);
        }
        let after = self.all.read(&mut self.client, LOCK_TIMEOUT)?;
        let changes = changes(&self.catalog, &after);
        self.catalog = after;
        Ok(changes)
    }

    /// Whether what was put together from looks is what the database holds.
    ///
    /// # Errors
    /// Whatever the server or the connection reports.
    pub fn is_right(&mut self) -> Result<bool, postgres::Error> {
        Ok(self.all.read(&mut self.client, LOCK_TIMEOUT)? == self.catalog)
    }

    fn news(&mut self) -> Result<News, postgres::Error> {
        let row = self.client.query_one(&self.news, &[&self.next])?;
        let new: Vec<String> = row.try_get("new")?;
        Ok(News {
            rows: row.try_get("rows")?,
            next: row.try_get("next")?,
            new: new.iter().filter_map(|row| Row::parse(row)).collect(),
        })
    }

    /// Reads the objects of new relations; nothing else changed.
    fn add(&mut self, relations: &[u32]) -> Result<Vec<Change>, postgres::Error> {
        // Few rows, looked up one by one: the planner's own joins are the best.
        let settings = settings(LOCK_TIMEOUT, "");
        let added = execute(&mut self.client, &self.of_relations, &[&relations], &settings)?;
        let mut changes = Vec::new();
        for (id, definition) in added.into_objects() {
            // What was there before is not described otherwise now, and here not in full.
            if self.catalog.get(&id).is_none() {
                self.catalog.insert(id.clone(), definition.clone());
                changes.push((id, None, Some(definition)));
            }
        }
        Ok(changes)
    }
}

impl News {
    /// The relations that are new, if all that is new belongs to them: so nothing that was there before is described
    /// otherwise now.
    fn new_relations(&self) -> Option<Vec<u32>> {
        let of = |catalog: &str| -> HashSet<u32> {
            let rows = self.new.iter().filter(|row| row.catalog == catalog);
            rows.map(|row| row.own).collect()
        };
        let (relations, types, constraints, defaults) =
            (of("pg_class"), of("pg_type"), of("pg_constraint"), of("pg_attrdef"));
        let belongs = |row: &Row| match row.catalog.as_str() {
            "pg_class" => true,
            "pg_attribute" | "pg_attrdef" | "pg_constraint" | "pg_index" | "pg_sequence" => {
                relations.contains(&row.belongs)
            }
            "pg_type" => relations.contains(&row.belongs) || types.contains(&row.belongs),
            // These catalogs have the same oids everywhere (PostgreSQL's src/include/catalog).
            "pg_depend" => match row.belongs {
                1259 => relations.contains(&row.own),
                1247 => types.contains(&row.own),
                2606 => constraints.contains(&row.own),
                2604 => defaults.contains(&row.own),
                _ => false,
            },
            _ => false,
        };
        (!relations.is_empty() && self.new.iter().all(belongs)).then(|| relations.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new_relations(rows: &[&str]) -> Option<Vec<u32>> {
        let news = News {
            rows: 0,
            next: String::new(),
            new: rows.iter().filter_map(|row| Row::parse(row)).collect(),
        };
        news.new_relations()
    }

    #[test]
    fn a_new_table_alone_is_a_new_relation_and_a_composite_type_is_none() {
        let table = [
            "pg_class 20000 0",
            "pg_type 20001 20000",
            "pg_type 20002 20001",
            "pg_depend 20000 1259",
        ];
        assert_eq!(new_relations(&table), Some(vec![20000]));
        let composite = [
            "composite 20010 0",
            "pg_attribute 0 20010",
            "pg_type 20011 20010",
            "pg_depend 20011 1247",
        ];
        assert_eq!(new_relations(&composite), None);
        assert_eq!(new_relations(&[table, composite].concat()), None);
    }
}
