//! Following a catalog from statement to statement, on a server of our own.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use postgres::{Client, SimpleQueryMessage, SimpleQueryRow};

use super::cells::{Cells, Oid};
use super::define::Objects;
use super::query::{Of, Scope, Source};
use super::read::{SETTINGS, read_rows};
use super::sources::{Rows, sources};
use super::{Catalog, Change, changes};
use crate::text::rows;

/// How long a definition may wait for a lock: nobody else is on the server.
const LOCK_TIMEOUT: Duration = Duration::from_secs(10);

/// Knows the catalog of a database, and tells what changed since it last looked.
///
/// The server counts what a transaction writes into each system catalog. Of those that were written, the rows are read
/// again that belong to relations on which the transaction holds a lock, and else those that bear its number; the objects
/// that they define are compared with what the rows before defined. What prints the names of others is read anew, with
/// everything else, when something is renamed.
pub struct Follower {
    client: Client,
    rows: Rows,
    /// The indexes of each table; some may be gone.
    indexes: BTreeMap<Oid, BTreeSet<Oid>>,
    catalog: Catalog,
    /// The query that tells what a transaction has written.
    asks: String,
    /// The query that tells what all transactions have written so far.
    counts: String,
    /// The system catalogs by their numbers.
    catalogs: BTreeMap<Oid, &'static str>,
    /// Queries that are prepared.
    prepared: BTreeSet<String>,
    /// How many rows there were when they were planned.
    planned_for: usize,
    /// Every look is at everything.
    careful: bool,
}

/// What a transaction has written into system catalogs.
#[derive(Debug, Default)]
pub struct Written {
    /// Its number; `None`: it has written nothing.
    transaction: Option<String>,
    /// The system catalogs, and whether rows of them were taken out.
    catalogs: BTreeMap<&'static str, bool>,
    relations: BTreeSet<Oid>,
    /// Relations may be among them on which it held no lock, or nobody has seen one.
    beside_locks: bool,
    may_grant: bool,
}

/// What all transactions had written into system catalogs at some time.
pub struct Counts {
    /// The number of the next transaction.
    next: String,
    /// By catalog: rows put in or changed, and rows taken out.
    rows: BTreeMap<&'static str, (i64, i64)>,
}

impl Written {
    /// Whether it has written any row of a system catalog.
    pub fn is_something(&self) -> bool {
        !self.catalogs.is_empty()
    }
}

/// A table, view, sequence or index at some time.
#[derive(Debug)]
pub struct RelationState {
    /// Its qualified name.
    pub name: String,
    /// As in `pg_class.relkind`.
    pub kind: char,
    /// It belongs to a session.
    pub temporary: bool,
    /// The number of the file that it is in: another one, and it was written anew.
    pub file: Oid,
}

/// Rows of a source that were read again.
struct Again {
    source: &'static Source,
    /// The objects that have no rows any more, unless some were read.
    gone: BTreeSet<Oid>,
    rows: Rows,
}

impl Follower {
    /// Begins with the catalog as it is now. The session is one of its own, of a superuser. A careful one takes longer,
    /// and relies on nothing but that everything is read.
    ///
    /// # Errors
    /// Whatever the server or the connection reports.
    pub fn new(mut client: Client, careful: bool) -> Result<Self, postgres::Error> {
        for (name, value) in SETTINGS {
            client.batch_execute(&format!("SET {name} = {value}"))?;
        }
        // A plan for the very parameters takes longer than it saves; and a plan for small catalogs is one for large ones,
        // too, if it uses indexes.
        client.batch_execute("SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off")?;
        let names: BTreeSet<&str> = sources().iter().flat_map(Source::catalogs).collect();
        let list: Vec<String> = names
            .iter()
            .map(|name| format!("'pg_catalog.{name}'::regclass"))
            .collect();
        let mut catalogs = BTreeMap::new();
        for row in rows(client.simple_query(&format!(
            "SELECT c::oid, (SELECT p.relname FROM pg_catalog.pg_class p WHERE p.oid = c) FROM unnest(ARRAY[{}]) c",
            list.join(", ")
        ))?) {
            let mut cells = Cells::new(&row);
            let (oid, name): (Oid, String) = (cells.next(), cells.next());
            catalogs.extend(names.get(name.as_str()).map(|name| (oid, *name)));
        }
        // One row in any case, for the transaction's number.
        let oids: Vec<String> = [0].iter().chain(catalogs.keys()).map(ToString::to_string).collect();
        let oids = format!("{{{}}}", oids.join(","));
        let asks = include_str!("sql/written.sql").replace("{}", &oids);
        let counts = include_str!("sql/counts.sql").replace("{}", &oids);
        let mut follower = Self {
            client,
            rows: Rows::default(),
            indexes: BTreeMap::new(),
            catalog: Catalog::default(),
            asks,
            counts,
            catalogs,
            prepared: BTreeSet::new(),
            planned_for: 0,
            careful,
        };
        follower.look_at_all()?;
        Ok(follower)
    }

    /// The catalog at the last look.
    pub fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// The query that tells a session, before the end of its transaction, what this has written.
    pub fn asks(&self) -> &str {
        &self.asks
    }

    /// What a transaction has written, by the answer to [`asks`](Self::asks), the relations on which it holds locks, and
    /// whether it may have granted something, which takes no lock.
    pub fn written(&self, answer: &[SimpleQueryRow], relations: BTreeSet<Oid>, may_grant: bool) -> Written {
        let mut written = Written {
            relations,
            beside_locks: may_grant,
            may_grant,
            ..Written::default()
        };
        for row in answer {
            let mut cells = Cells::new(row);
            written.transaction = cells.next();
            let (catalog, deleted): (Oid, bool) = (cells.next(), cells.next());
            written
                .catalogs
                .extend(self.catalogs.get(&catalog).map(|name| (*name, deleted)));
        }
        written
    }

    /// What all transactions have written so far, as far as their sessions have handed over what they count.
    ///
    /// # Errors
    /// Whatever the server or the connection reports.
    pub fn counts(&mut self) -> Result<Counts, postgres::Error> {
        let mut counts = Counts {
            next: String::new(),
            rows: BTreeMap::new(),
        };
        for row in rows(self.client.simple_query(&self.counts)?) {
            let mut cells = Cells::new(&row);
            counts.next = cells.next();
            let (catalog, written, deleted): (Oid, i64, i64) = (cells.next(), cells.next(), cells.next());
            let name = self.catalogs.get(&catalog);
            counts.rows.extend(name.map(|name| (*name, (written, deleted))));
        }
        Ok(counts)
    }

    /// What was written since, by transactions of a statement that makes its own; and whether it may have granted
    /// something.
    ///
    /// # Errors
    /// Whatever the server or the connection reports.
    pub fn written_since(&mut self, before: Counts, may_grant: bool) -> Result<Written, postgres::Error> {
        let after = self.counts()?;
        let mut written = Written {
            transaction: Some(before.next),
            // Which relations it locked nobody knows any more.
            beside_locks: true,
            may_grant,
            ..Written::default()
        };
        for (name, (rows, deleted)) in after.rows {
            let (rows_before, deleted_before) = before.rows.get(name).copied().unwrap_or_default();
            if rows > rows_before || deleted > deleted_before {
                written.catalogs.insert(name, deleted > deleted_before);
            }
        }
        Ok(written)
    }

    /// A relation as it was at the last look.
    pub fn relation(&self, oid: Oid) -> Option<RelationState> {
        let relation = self.rows.relations.get(oid)?;
        let schema = self
            .rows
            .schemas
            .get(relation.namespace)
            .map(|schema| schema.name.as_str());
        Some(RelationState {
            name: format!("{}.{}", schema.unwrap_or_default(), relation.name),
            kind: relation.kind,
            temporary: relation.persistence == 't',
            file: relation.file,
        })
    }

    /// What a transaction changed that was committed since the last look, and was the only one.
    ///
    /// # Errors
    /// Whatever the server or the connection reports.
    pub fn look(&mut self, mut written: Written) -> Result<Vec<Change>, postgres::Error> {
        let Some(transaction) = written.transaction.take().filter(|_| written.is_something()) else {
            return Ok(Vec::new());
        };
        // Of a relation that was dropped without a lock held at the end no row tells.
        let dropped_unseen = written.relations.is_empty() && written.catalogs.get("pg_class") == Some(&true);
        if self.careful || written.catalogs.contains_key("pg_extension") || dropped_unseen {
            return self.look_at_all();
        }
        // What is best for a small catalog is not for a large one.
        if self.rows.len() > self.planned_for + self.planned_for / 2 {
            self.client.batch_execute("DISCARD PLANS")?;
            self.planned_for = self.rows.len();
        }
        if written.beside_locks {
            let others = self.written_relations(&transaction)?;
            written.relations.extend(others);
        }
        self.add_by_index(&mut written);
        let asked: Vec<_> = sources()
            .iter()
            .flat_map(|source| scopes(source, &written).iter().map(move |scope| (source, *scope)))
            .collect();
        let again = self.read_again(&asked, &written.relations, &transaction)?;
        let Some((mut changed, reshaped)) = self.take(again, &written.relations) else {
            return self.look_at_all();
        };
        let Some(dependents) = self.dependents(&reshaped)? else {
            return Ok(one_after_the_other(changed, self.look_at_all()?));
        };
        let others: BTreeSet<Oid> = dependents.difference(&written.relations).copied().collect();
        if !others.is_empty() {
            let prints = |source: &&Source| ["views", "rules", "policies"].contains(&source.name);
            let asked: Vec<_> = sources()
                .iter()
                .filter(prints)
                .map(|source| (source, Scope::Relations))
                .collect();
            let again = self.read_again(&asked, &others, &transaction)?;
            let more = match self.take(again, &others) {
                Some((more, _)) => more,
                None => self.look_at_all()?,
            };
            changed = one_after_the_other(changed, more);
        }
        Ok(changed)
    }

    /// Reads everything, and tells what changed since the last look.
    ///
    /// # Errors
    /// Whatever the server or the connection reports.
    pub fn look_at_all(&mut self) -> Result<Vec<Change>, postgres::Error> {
        let (rows, catalog) = self.read()?;
        let changed = changes(&self.catalog, &catalog);
        self.rows = rows;
        self.indexes = BTreeMap::new();
        let indexes: Vec<Oid> = self.rows.indexes.keys().collect();
        self.know_indexes(indexes);
        self.catalog = catalog;
        Ok(changed)
    }

    /// What the database holds otherwise than what was put together from looks: nothing, if that is right.
    ///
    /// # Errors
    /// Whatever the server or the connection reports.
    pub fn prove(&mut self) -> Result<Vec<Change>, postgres::Error> {
        let (_, catalog) = self.read()?;
        Ok(changes(&self.catalog, &catalog))
    }

    fn read(&mut self) -> Result<(Rows, Catalog), postgres::Error> {
        let mut transaction = self.client.transaction()?;
        transaction.batch_execute("SET LOCAL enable_seqscan = on")?;
        let (rows, unmodelled) = read_rows(&mut transaction, LOCK_TIMEOUT, &[])?;
        transaction.rollback()?;
        let catalog = Catalog::of(&rows, unmodelled);
        Ok((rows, catalog))
    }

    /// A constraint prints options of its index; and a table marks one of its indexes, and no other, without a lock on it.
    fn add_by_index(&self, written: &mut Written) {
        let indexes = &self.rows.indexes;
        let tables = written
            .relations
            .iter()
            .filter_map(|oid| Some(indexes.get(*oid)?.table));
        let tables: Vec<Oid> = tables.collect();
        if written.catalogs.contains_key("pg_index") {
            let of_tables = written.relations.iter().filter_map(|oid| self.indexes.get(oid));
            let of_tables: Vec<Oid> = of_tables.flatten().copied().collect();
            written.relations.extend(of_tables);
        }
        written.relations.extend(tables);
    }

    fn know_indexes(&mut self, keys: impl IntoIterator<Item = Oid>) {
        for key in keys {
            if let Some(index) = self.rows.indexes.get(key) {
                self.indexes.entry(index.table).or_default().insert(key);
            }
        }
    }

    /// The relations whose rows the transaction has written, with a lock or without.
    fn written_relations(&mut self, transaction: &str) -> Result<Vec<Oid>, postgres::Error> {
        let query = format!(
            "SELECT oid FROM pg_catalog.pg_class WHERE oid >= 16384 AND age(xmin) <= age('{transaction}'::xid)
             UNION SELECT attrelid FROM pg_catalog.pg_attribute
             WHERE attrelid >= 16384 AND age(xmin) <= age('{transaction}'::xid)"
        );
        let answer = rows(self.client.simple_query(&query)?);
        Ok(answer.map(|row| Cells::new(&row).next()).collect())
    }

    /// The relations that print columns of these, and may do so otherwise now; `None` if functions do.
    fn dependents(&mut self, reshaped: &BTreeSet<Oid>) -> Result<Option<BTreeSet<Oid>>, postgres::Error> {
        let mut found = BTreeSet::new();
        if reshaped.is_empty() {
            return Ok(Some(found));
        }
        let list: Vec<String> = reshaped.iter().map(ToString::to_string).collect();
        let query = include_str!("sql/dependents.sql").replace("{}", &format!("{{{}}}", list.join(",")));
        for row in rows(self.client.simple_query(&query)?) {
            match Cells::new(&row).next::<Option<Oid>>() {
                Some(relation) => found.extend([relation]),
                None => return Ok(None),
            }
        }
        Ok(Some(found))
    }

    fn read_again(
        &mut self,
        asked: &[(&'static Source, Scope<'static>)],
        relations: &BTreeSet<Oid>,
        transaction: &str,
    ) -> Result<Vec<Again>, postgres::Error> {
        let list: Vec<String> = relations.iter().map(ToString::to_string).collect();
        let list = format!("('{{{}}}')", list.join(","));
        let mut prepare = String::new();
        let mut execute = String::new();
        for (source, scope) in asked {
            let (kind, parameter, argument) = match scope {
                Scope::Without(_) => ("all", "", String::new()),
                Scope::Keys => ("keys", "", String::new()),
                Scope::Relations => ("relations", "(oid[])", list.clone()),
                Scope::Since => ("since", "(xid)", format!("('{transaction}')")),
            };
            let name = format!("{}_{kind}", source.name);
            if !self.prepared.contains(&name) {
                prepare += &format!("PREPARE {name}{parameter} AS {};\n", source.query(*scope));
                self.prepared.insert(name.clone());
            }
            execute += &format!("EXECUTE {name}{argument};\n");
        }
        if !prepare.is_empty() {
            self.client.batch_execute(&prepare)?;
        }
        let mut again: Vec<Again> = Vec::new();
        let mut keys: Vec<BTreeSet<Oid>> = Vec::new();
        for (source, scope) in asked {
            keys.push(BTreeSet::new());
            again.push(Again {
                source,
                gone: match scope {
                    Scope::Since => BTreeSet::new(),
                    Scope::Relations => relations.clone(),
                    Scope::Keys | Scope::Without(_) => self.rows.keys(source.name).into_iter().collect(),
                },
                rows: Rows::default(),
            });
        }
        let mut at = 0;
        for message in self.client.simple_query(&execute)? {
            match message {
                SimpleQueryMessage::CommandComplete(_) => at += 1,
                SimpleQueryMessage::Row(row) => {
                    let mut cells = Cells::new(&row);
                    match (again.get_mut(at), asked.get(at)) {
                        (Some(again), Some((_, Scope::Keys))) => {
                            again.gone.remove(&cells.next());
                        }
                        (Some(again), _) => again.rows.add(again.source.name, &mut cells),
                        _ => {}
                    }
                }
                _ => {}
            }
        }
        Ok(again)
    }

    /// Puts rows in the place of the old ones, and tells which objects changed by it and which relations that were there
    /// before have columns more or less. `None`: more may have changed than these rows tell.
    fn take(&mut self, again: Vec<Again>, relations: &BTreeSet<Oid>) -> Option<(Vec<Change>, BTreeSet<Oid>)> {
        // Comments on parts of relations have numbers of their own, and whoever writes them locks the relation.
        let mut roots: BTreeSet<_> = relations.iter().map(|oid| ("relations", *oid)).collect();
        for again in &again {
            for key in again.gone.iter().copied().chain(again.rows.keys(again.source.name)) {
                add_roots(&mut roots, again.source, key, [&self.rows, &again.rows]);
            }
        }
        let before = Objects::of_roots(&self.rows, &roots).found;
        let migrators = self.rows.migrators.clone();
        let mut reshaped = BTreeSet::new();
        let mut everything = false;
        for mut again in again {
            let name = again.source.name;
            let replaced = self.rows.replace(name, &again.gone, &mut again.rows);
            everything |= replaced.renamed || name == "members" && !replaced.keys.is_empty();
            match name {
                "columns" => reshaped = replaced.reshaped,
                "indexes" => self.know_indexes(replaced.keys),
                _ => {}
            }
        }
        self.rows.settle();
        if everything || migrators != self.rows.migrators {
            return None;
        }
        let after = Objects::of_roots(&self.rows, &roots).found;
        Some((self.catalog.exchange(before, after), reshaped))
    }
}

/// What two groups of changes, the second made after the first, change together.
fn one_after_the_other(first: Vec<Change>, second: Vec<Change>) -> Vec<Change> {
    let mut both: BTreeMap<_, _> = first
        .into_iter()
        .map(|(id, before, after)| (id, (before, after)))
        .collect();
    for (id, before, after) in second {
        both.entry(id).or_insert((before, None)).1 = after;
    }
    both.into_iter()
        .filter(|(_, (before, after))| before != after)
        .map(|(id, (before, after))| (id, before, after))
        .collect()
}

/// Which rows of a source a transaction may have changed.
fn scopes(source: &Source, written: &Written) -> &'static [Scope<'static>] {
    let told = source
        .catalogs()
        .filter_map(|catalog| written.catalogs.get(catalog).copied());
    match (told.max(), source.of) {
        (None, _) => &[],
        _ if source.only_by_grant && !written.may_grant => &[],
        (_, Of::Relations(_)) if written.relations.is_empty() => &[],
        (_, Of::Relations(_)) => &[Scope::Relations],
        (Some(false), Of::Itself | Of::Object) => &[Scope::Since],
        (Some(true), Of::Itself) => &[Scope::Since, Scope::Keys],
        (Some(true), Of::Object) | (_, Of::All) => &[Scope::Without(&[])],
    }
}

/// The objects that rows define which belong to `key`, as the old rows have it and the new ones.
fn add_roots(roots: &mut BTreeSet<(&'static str, Oid)>, source: &Source, key: Oid, old_and_new: [&Rows; 2]) {
    match source.part_of {
        None => roots.extend([(source.name, key)]),
        Some("") => {
            // Comments and labels: numbers are unique within a catalog only.
            for rows in old_and_new {
                roots.extend(rows.roots_with(key));
            }
        }
        Some(root) => roots.extend([(root, key)]),
    }
    for rows in old_and_new {
        if source.name == "roles" {
            roots.extend([("role_memberships", key)]);
        }
        if source.part_of == Some("relations") || source.name == "relations" {
            roots.extend(rows.relations.get(key).map(|relation| ("types", relation.row_type)));
            roots.extend(rows.owned_sequences.get(key).map(|owned| ("relations", owned.relation)));
        }
    }
}
