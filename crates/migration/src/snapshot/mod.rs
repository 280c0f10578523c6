//! What each statement does, as a server of our own shows it: runs the phases one statement at a
//! time on an empty database, and reads the catalog after each.

pub mod cache;
mod meaning;
mod record;
mod scratch;

use std::collections::BTreeMap;

use connection::{Error, Kind, describe};
use postgres::Client;
pub use record::Record;
use record::{Again, with};
use scratch::{Scratch, Seen};

use super::catalog::{Change, Definitions, ObjectId, changes};
use super::change;
use super::expected::{Expected, OnlineStep};
use super::failure::excerpt;
use super::locks::{Hazard, hazard};
use super::source::phases::Phases;
use super::source::statement::{Class, Statement};
use super::sqlstate::is_acceptable_where_optional;
use meaning::{Runs, locks};

/// What was observed.
#[derive(Debug)]
pub struct Observation {
    /// The content of `expected.json`.
    pub expected: Expected,
    /// What would hurt on a live database.
    pub hazards: Vec<Hazard>,
    /// Optional statements that could not be run here: place and reason.
    pub not_run: Vec<(String, String)>,
    /// Statements after whose second run the catalog is another one than after the first: place and objects.
    pub unstable: BTreeMap<String, Vec<ObjectId>>,
    /// Statements that shall run always, and changed rows when they ran again: place and number of rows.
    pub restless: Vec<(String, i64)>,
}

/// How observing ended.
#[derive(Debug)]
pub enum Completed {
    /// The record is complete.
    Done,
    /// What was known of the first files does not hold on this server.
    Outdated,
    /// This object changed without a statement that shows it: only reading everything after each statement tells.
    Unproven(ObjectId),
}

impl Record {
    /// Runs the phases twice in a row on the empty database that `client` is connected to, observes each statement from
    /// `observer`, another session there, which statements cannot change the settings of, and writes down what they do.
    /// Both are a superuser's. `progress` is told which statement of how many runs; the proof counts anew. Of the files that
    /// are on record already the first run is only done over, and not observed. If the record is not complete then, it begins
    /// anew, and needs another empty database. `another` makes one, with two sessions as well: there the online forms are
    /// proved.
    ///
    /// # Errors
    /// A statement fails in the first run; the message marks it. The files before it are on record.
    pub fn complete(
        &mut self,
        client: &mut Client,
        observer: Client,
        another: &dyn Fn() -> Result<[Client; 2], Error>,
        phases: &Phases,
        progress: &dyn Fn(usize, usize, &Statement),
    ) -> Result<Completed, Error> {
        let mut scratch = Scratch::new(client, observer, self.careful).map_err(failed)?;
        let completed = self.complete_with(&mut scratch, another, phases, progress);
        // What nobody has proved is not kept.
        if completed.is_err() && !scratch.prove().is_ok_and(|wrong| wrong.is_empty()) {
            *self = Self::default();
        }
        match &completed {
            Ok(Completed::Outdated) => *self = Self::default(),
            Ok(Completed::Unproven(_)) => *self = Self::careful(),
            _ => self.close(phases),
        }
        completed
    }

    fn complete_with(
        &mut self,
        scratch: &mut Scratch<'_>,
        another: &dyn Fn() -> Result<[Client; 2], Error>,
        phases: &Phases,
        progress: &dyn Fn(usize, usize, &Statement),
    ) -> Result<Completed, Error> {
        let statements: Vec<&Statement> = phases.statements().collect();
        let total = 2 * statements.len();
        let known = self.first.len();
        if known == 0 {
            self.begin(scratch.catalog());
        } else if !self
            .holds(scratch, &statements, &|n, statement| progress(n, total, statement))
            .map_err(failed)?
        {
            return Ok(Completed::Outdated);
        }
        for (n, statement) in statements.iter().enumerate().skip(known) {
            progress(n + 1, total, statement);
            let seen = match scratch.observe(statement).map_err(failed)? {
                Ok(seen) => Ok(seen),
                Err(error) if statement.directives.optional && is_acceptable_where_optional(&error) => {
                    Err(describe(&error))
                }
                Err(error) => return Err(fails(phases, statement, &error)),
            };
            self.first.push(seen);
        }
        if let Some(wrong) = self.is_wrong(scratch, &[])? {
            return Ok(Completed::Unproven(wrong));
        }
        scratch.end_file().map_err(failed)?;
        let mut second = Vec::new();
        for (n, statement) in statements.iter().enumerate() {
            progress(statements.len() + n + 1, total, statement);
            second.push(match self.first[n] {
                Ok(_) => scratch.observe(statement).map_err(failed)?.ok(),
                Err(_) => None,
            });
        }
        if let Some(wrong) = self.is_wrong(scratch, &second)? {
            return Ok(Completed::Unproven(wrong));
        }
        let restless = restless(scratch, &statements).map_err(failed)?;
        let proved = self.prove_online(&statements, another, &|n, statement| {
            progress(n + 1, statements.len(), statement);
        })?;
        self.online.extend(proved);
        self.again = Some(Again { second, restless });
        Ok(Completed::Done)
    }

    /// Runs the phases on another database, with the online form of each statement that needs one, and has none on record,
    /// in its place: it is one if it leaves the same objects and keeps nobody waiting.
    fn prove_online(
        &self,
        statements: &[&Statement],
        another: &dyn Fn() -> Result<[Client; 2], Error>,
        progress: &dyn Fn(usize, &Statement),
    ) -> Result<BTreeMap<usize, Result<Vec<OnlineStep>, String>>, Error> {
        let needs_one = |statement: &Statement, seen: &Seen| {
            statement.transaction.is_none()
                && statement.class == Class::Ddl
                && locks(&seen.tables).iter().any(|lock| hazard(statement, lock).is_some())
        };
        let seen = |n: usize| self.first[n].as_ref().ok();
        let mut forms: BTreeMap<usize, Vec<String>> = BTreeMap::new();
        let mut tables = Definitions::new();
        for (n, statement) in statements.iter().enumerate() {
            let Some(seen) = seen(n) else { continue };
            if !self.online.contains_key(&n)
                && needs_one(statement, seen)
                && let Some(form) = change::form(&seen.changes, &tables)
            {
                forms.insert(n, form);
            }
            for (id, _, after) in seen.changes.iter().filter(|(id, ..)| id.kind == "table") {
                match after {
                    Some(definition) => tables.insert(id.clone(), definition.clone()),
                    None => tables.remove(id),
                };
            }
        }
        let mut proved = BTreeMap::new();
        let Some((last, _)) = forms.last_key_value() else {
            return Ok(proved);
        };
        let [mut client, observer] = another()?;
        let mut scratch = Scratch::new(&mut client, observer, self.careful).map_err(failed)?;
        for (n, statement) in statements.iter().enumerate().take(*last + 1) {
            progress(n, statement);
            if let (Some(form), Some(seen)) = (forms.get(&n), seen(n)) {
                let result = prove(&mut scratch, statement, form, &seen.changes).map_err(failed)?;
                proved.insert(n, result);
            } else {
                // Roles, which the databases share, are there already; whatever depends on more fails to be proved.
                let _ = scratch.observe(statement).map_err(failed)?;
            }
        }
        Ok(proved)
    }

    /// An object that is otherwise than what was put together from statement to statement, or than what the statements
    /// on record, and those of the `second` run, sum up to.
    ///
    /// # Errors
    /// There is one although everything was read after each statement.
    fn is_wrong(&self, scratch: &mut Scratch<'_>, second: &[Option<Seen>]) -> Result<Option<ObjectId>, Error> {
        let mut wrong = scratch.prove().map_err(failed)?;
        let seen: Vec<Option<&Seen>> = self.first.iter().map(|seen| seen.as_ref().ok()).collect();
        let seen: Vec<Option<&Seen>> = seen.into_iter().chain(second.iter().map(Option::as_ref)).collect();
        wrong.extend(changes(&with(&self.fresh(), &seen), scratch.catalog()));
        match wrong.into_iter().next() {
            Some((id, ..)) if self.careful => Err(Error::new(
                Kind::Failed,
                "cannot tell what each statement changes",
                format!("{id} is another one in the end than after the statement that touched it last"),
            )
            .next("somebody else changed the scratch server, or something runs there by itself: run snapshot again")),
            wrong => Ok(wrong.map(|(id, ..)| id)),
        }
    }

    /// What a complete record tells of the phases that it was made from.
    pub fn observation(&self, phases: &Phases) -> Observation {
        let statements: Vec<&Statement> = phases.statements().collect();
        let place = |n: usize| statements.get(n).map(|statement| statement.place()).unwrap_or_default();
        let (mut first, mut not_run) = (Vec::new(), Vec::new());
        for (n, seen) in self.first.iter().enumerate() {
            first.push(seen.as_ref().ok());
            if let Err(reason) = seen {
                not_run.push((place(n), reason.clone()));
            }
        }
        let nothing = Again::default();
        let again = self.again.as_ref().unwrap_or(&nothing);
        let second: Vec<Option<&Seen>> = again.second.iter().map(Option::as_ref).collect();
        let fresh = self.fresh();
        let finished = with(&fresh, &first);
        let runs = Runs {
            statements: &statements,
            again: &with(&finished, &second),
            first: &first,
            second: &second,
            fresh: &fresh,
            finished: &finished,
        };
        let mut expected = runs.expected();
        expected.files.clone_from(&phases.hashes);
        let mut hazards = Vec::new();
        for (n, (statement, effect)) in statements.iter().zip(&mut expected.statements).enumerate() {
            let directives = &statement.directives;
            let mut found: Vec<Hazard> = effect.locks.iter().filter_map(|lock| hazard(statement, lock)).collect();
            match self.online.get(&n) {
                Some(Ok(steps)) if directives.accepts.is_none() && !directives.as_written => {
                    effect.online.clone_from(steps);
                    found.clear();
                }
                Some(Err(reason)) => {
                    for hazard in &mut found {
                        hazard.text = format!("{} (its online form is not used: {reason})", hazard.text);
                    }
                }
                _ => {}
            }
            hazards.extend(found);
        }
        let restless = again.restless.iter().map(|(n, rows)| (place(*n), *rows)).collect();
        Observation {
            hazards,
            not_run,
            unstable: runs.unstable(),
            restless,
            expected,
        }
    }
}

/// Runs the online form of a statement. The inner error says why it is none.
fn prove(
    scratch: &mut Scratch<'_>,
    statement: &Statement,
    form: &[String],
    given: &[Change],
) -> Result<Result<Vec<OnlineStep>, String>, postgres::Error> {
    let mut steps: Vec<OnlineStep> = Vec::new();
    let mut changes: Vec<Change> = Vec::new();
    for text in form {
        let sent = Statement::plain(&statement.file, statement.line, text);
        let seen = match scratch.observe(&sent)? {
            Ok(seen) => seen,
            Err(error) => {
                // What follows may build on it.
                let _ = scratch.observe(statement)?;
                return Ok(Err(format!("{text}: {}", describe(&error))));
            }
        };
        let locks = locks(&seen.tables);
        if locks.iter().any(|lock| hazard(&sent, lock).is_some()) {
            return Ok(Err(format!("{text} waits, and is waited for, as long")));
        }
        let left = seen.changes.iter().map(|(id, _, after)| (id.clone(), after.clone()));
        steps.push(OnlineStep {
            text: text.clone(),
            leaves: left.collect(),
            locks,
        });
        changes.extend(seen.changes);
    }
    let left = sum(changes.iter());
    let given = sum(given.iter());
    let differs = |id: &&&ObjectId| left.get(**id) != given.get(**id);
    let wrong = left
        .keys()
        .chain(given.keys())
        .find(differs)
        .map(|id| format!("it leaves {id} otherwise"));
    Ok(wrong.map_or(Ok(steps), Err))
}

/// What changes come to, one after the other: of each object the definition before all and after all.
fn sum<'a>(changes: impl Iterator<Item = &'a Change>) -> BTreeMap<&'a ObjectId, (Option<&'a str>, Option<&'a str>)> {
    let mut sum: BTreeMap<_, (Option<&str>, Option<&str>)> = BTreeMap::new();
    for (id, before, after) in changes {
        sum.entry(id).or_insert((before.as_deref(), None)).1 = after.as_deref();
    }
    sum.retain(|_, (before, after)| before != after);
    sum
}

fn failed(error: postgres::Error) -> Error {
    Error::new(Kind::Failed, "cannot observe the scratch server", describe(&error))
}

fn fails(phases: &Phases, statement: &Statement, error: &postgres::Error) -> Error {
    Error::new(
        Kind::Failed,
        format!(
            "{}:{}: the statement failed on the scratch server",
            phases.dir.join(&statement.file).display(),
            statement.line
        ),
        format!("{}\n{}", excerpt(statement, error), describe(error)),
    )
    .next("fix it and run snapshot again")
}

/// Statements that shall run always, and still find rows to change when nothing else runs, as from the second deploy on.
fn restless(scratch: &mut Scratch<'_>, statements: &[&Statement]) -> Result<Vec<(usize, i64)>, postgres::Error> {
    let mut found = Vec::new();
    // The first time they meet what ran twice and will not on a database in use.
    for round in 0..2 {
        scratch.end_file()?;
        for (n, statement) in statements.iter().enumerate() {
            if !(statement.directives.always || statement.class == Class::Session) {
                continue;
            }
            if let Ok(seen) = scratch.observe(statement)?
                && round > 0
                && statement.directives.always
                && seen.rows() > 0
            {
                found.push((n, seen.rows()));
            }
        }
    }
    Ok(found)
}
