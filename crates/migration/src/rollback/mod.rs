//! How runs are taken back: from what the journal knows of them to a script.

mod renames;

use std::collections::BTreeSet;
use std::path::Path;

use connection::{Error, Hint, Kind, Next};
use postgres::Client;

use crate::catalog::{Catalog, Definition, Definitions, ObjectId, Value};
use crate::change::{self, Impossible, Script, script};
use crate::journal::{self, Changed, Outcome, RanOnce, unreadable};
use crate::source::phases::Down;
use renames::Rename;

/// What shall be taken back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// The last run that changed something.
    Last,
    /// This run.
    Run(i64),
    /// All after this run, which stays.
    After(i64),
    /// All that brought the database towards this version; there may be none.
    Version(String),
}

/// How runs are taken back in a database.
#[derive(Debug)]
pub struct Way {
    /// The runs, the newest first.
    pub runs: Vec<Changed>,
    /// What undoes the files that the runs ran statements of, if that was asked for: it runs first.
    pub down: Vec<Down>,
    /// The statements, and what no statement takes back.
    pub script: Script,
    /// Objects that somebody has changed since.
    pub changed_since: Vec<ObjectId>,
    /// Objects that all databases of the cluster share: they stay, others may use them.
    pub shared: Vec<ObjectId>,
    /// Tables and columns that come back without what they held, but for what was set aside.
    pub emptied: Vec<ObjectId>,
    /// What ran once in these runs, and is not taken back: the changes of rows.
    pub once: Vec<RanOnce>,
    /// What ran once, and is taken back: it changed the catalog, or a file undoes it.
    pub gone: Vec<RanOnce>,
    /// What the catalog holds afterwards.
    pub target: Definitions,
}

/// The last run that can be taken back.
///
/// # Errors
/// There is none, or the journal may not be read.
pub fn last(client: &mut Client) -> Result<Wanted, Error> {
    let known = journal::changed(client, i64::MAX).map_err(unreadable)?;
    let last = choose(&known, &Wanted::Last)?;
    Ok(last.first().map_or(Wanted::Last, |run| Wanted::Run(*run)))
}

/// Finds out how runs are taken back. Changes nothing. `down_files`: the folder of the phases, whose own files that undo
/// others are to run first.
///
/// # Errors
/// There is no such run, it changed nothing or was taken back already, or a later one built on it. The journal, or a file,
/// may not be read.
pub fn way_back(
    client: &mut Client,
    actual: &Catalog,
    wanted: &Wanted,
    down_files: Option<&Path>,
) -> Result<Way, Error> {
    let known = journal::changed(client, i64::MAX).map_err(unreadable)?;
    let chosen = choose(&known, wanted)?;
    let oldest = chosen.iter().min().copied().unwrap_or_default();
    let known = journal::changed(client, oldest).map_err(unreadable)?;
    let is_chosen = |run: &&Changed| chosen.contains(&run.id);
    let later = known
        .iter()
        .filter(|run| is_standing(run, &known) && !chosen.contains(&run.id));
    if let Some((first, later, id)) = known.iter().filter(is_chosen).find_map(|run| {
        let mut later = later.clone().filter(|later| later.id > run.id);
        later.find_map(|later| Some((run, later, built_on(later, run)?)))
    }) {
        return Err(Error::new(
            Kind::Failed,
            format!(
                "run {} cannot be taken back alone: run {} built on it",
                first.id, later.id
            ),
            id.to_string(),
        )
        .next(
            Next::from("take back both, and what came between: ")
                .hint(Hint::RollBackTo)
                .then(format!(" {}", first.id - 1)),
        ));
    }
    let mut runs: Vec<Changed> = known.iter().filter(is_chosen).cloned().collect();
    runs.sort_by_key(|run| std::cmp::Reverse(run.id));

    let mut target = actual.definitions().clone();
    let (mut changed_since, mut shared, mut seen) = (Vec::new(), BTreeSet::new(), BTreeSet::new());
    for run in &runs {
        for (id, before, after) in &run.changes {
            if id.is_shared() {
                shared.insert(id.clone());
                continue;
            }
            let is = actual.definitions().get(id);
            // What a run that died had in mind may not have come to be.
            if seen.insert(id.clone())
                && run.outcome == Outcome::Succeeded
                && is != after.as_ref()
                && is != before.as_ref()
            {
                changed_since.push(id.clone());
            }
            // A run that expected another owner has told that one of the migrators was it.
            let is_owned = |owner: &&String| id.kind == "owner" && actual.is_migrator(owner);
            match before.as_ref().filter(|owner| !is_owned(owner)) {
                // What a build left that failed is not made again.
                Some(definition) => target.insert(id.clone(), without_invalid(definition).to_owned()),
                None => target.remove(id),
            };
        }
    }
    let orphans = take_orphans(actual.definitions(), &mut target);
    changed_since.extend(orphans.into_iter().filter(|id| actual.get(id).is_some()));
    let numbers: Vec<i64> = runs.iter().map(|run| run.id).collect();
    let mut current = actual.definitions().clone();
    let mut renamed = Vec::new();
    for summary in journal::renames(client, &numbers).map_err(unreadable)? {
        let rename = Rename::parse(&summary);
        renamed.extend(rename.and_then(|rename| rename.take_back(&mut current, &target)));
    }
    let is_whole = |id: &&ObjectId| {
        id.kind == "table"
            || id.kind == "column"
                && id
                    .table()
                    .is_some_and(|table| current.contains_key(&ObjectId::new("table", table)))
    };
    let emptied = target
        .keys()
        .filter(|id| !current.contains_key(*id))
        .filter(is_whole)
        .cloned()
        .collect();
    let valueless = without_values(client, &current, &mut target).map_err(unreadable)?;
    let mut script = script(&current, &target);
    script.steps.splice(0..0, renamed);
    script.impossible.extend(valueless);
    let mut down = Vec::new();
    if let Some(dir) = down_files {
        for file in journal::files(client, &numbers).map_err(unreadable)? {
            down.extend(Down::read(dir, &file)?);
        }
    }
    let once = journal::ran_once(client, &numbers).map_err(unreadable)?;
    let is_undone = |one: &RanOnce| one.is_of_the_catalog() || down.iter().any(|down| down.of == one.file);
    let (gone, once) = once.into_iter().partition(is_undone);
    Ok(Way {
        runs,
        down,
        script,
        changed_since,
        emptied,
        shared: shared.into_iter().filter(|id| actual.get(id).is_some()).collect(),
        once,
        gone,
        target,
    })
}

/// Takes out what somebody else has made of a table, or of something else, that goes: it goes along.
fn take_orphans(actual: &Definitions, target: &mut Definitions) -> Vec<ObjectId> {
    let mut orphans = Vec::new();
    loop {
        let is_orphan = |(id, definition): &(&ObjectId, &String)| {
            let owners = change::owners(id, definition);
            let goes = |owner: &&ObjectId| actual.contains_key(owner) && !target.contains_key(owner);
            let is_there = |owner: &ObjectId| target.contains_key(owner);
            // What belongs to an extension is not in the catalog, and may have comments and privileges.
            let is_part = !owners.is_empty() && id.table().is_some();
            let comes_to_nothing = is_part && !actual.contains_key(id) && !owners.iter().any(is_there);
            owners.iter().any(|owner| goes(&owner)) || comes_to_nothing
        };
        let found: Vec<ObjectId> = target
            .iter()
            .filter(|(id, _)| !id.is_shared())
            .filter(is_orphan)
            .map(|(id, _)| id.clone())
            .collect();
        if found.is_empty() {
            return orphans;
        }
        for id in &found {
            target.remove(id);
        }
        orphans.extend(found);
    }
}

/// Columns that are NOT NULL and come back to tables with rows, which have no values for them: they come without it.
fn without_values(
    client: &mut Client,
    current: &Definitions,
    target: &mut Definitions,
) -> Result<Vec<Impossible>, postgres::Error> {
    let mut found = Vec::new();
    for (id, definition) in target
        .iter_mut()
        .filter(|(id, _)| id.kind == "column" && !current.contains_key(*id))
    {
        let Some(table) = id
            .table()
            .filter(|table| current.contains_key(&ObjectId::new("table", *table)))
        else {
            continue;
        };
        let needs_value = Definition::parse(definition)
            .is_some_and(|column| column.not_null.is_some() && column.value == Value::None && !column.inherited);
        if !needs_value {
            continue;
        }
        let sql = format!("SELECT EXISTS (SELECT FROM {table})");
        if client.query_typed_one(&sql, &[])?.try_get::<_, bool>(0)? {
            *definition = definition.replacen(" not null", "", 1);
            let reason = "it comes back without NOT NULL: the rows have no values for it";
            found.push(Impossible { id: id.clone(), reason });
        }
    }
    Ok(found)
}

fn without_invalid(definition: &str) -> &str {
    let is_whole = |definition: &&str| !definition.contains(" ON ONLY ");
    definition
        .strip_suffix(" INVALID")
        .filter(is_whole)
        .unwrap_or(definition)
}

/// Whether a run changed something that has not been taken back.
fn is_standing(run: &Changed, known: &[Changed]) -> bool {
    let is_back = |other: &Changed| other.outcome == Outcome::Succeeded && other.undoes.contains(&run.id);
    run.undoes.is_empty() && !known.iter().any(is_back)
}

/// The numbers of the runs that are meant.
fn choose(known: &[Changed], wanted: &Wanted) -> Result<Vec<i64>, Error> {
    let mut standing = known.iter().filter(|run| is_standing(run, known));
    let refused = |what: String| Err(Error::new(Kind::Failed, what, "").next(Next::default().hint(Hint::ListRuns)));
    match wanted {
        Wanted::Last => match standing.next_back() {
            Some(last) => Ok(vec![last.id]),
            None => refused("there is no run to take back".to_owned()),
        },
        Wanted::Version(version) => Ok(standing
            .filter(|run| run.version.as_ref() == Some(version))
            .map(|run| run.id)
            .collect()),
        Wanted::After(run) => {
            let after: Vec<i64> = standing.map(|of| of.id).filter(|id| id > run).collect();
            match after.is_empty() {
                true => refused(format!("no run after {run} changed anything that stands")),
                false => Ok(after),
            }
        }
        Wanted::Run(run) => {
            let found = known.iter().find(|of| of.id == *run);
            match found {
                None => refused(format!("there is no run {run} that changed anything")),
                Some(of) if !of.undoes.is_empty() => refused(format!(
                    "run {run} took others back; to bring them again, migrate with their files"
                )),
                Some(of) if !is_standing(of, known) => refused(format!("run {run} was taken back already")),
                Some(of) => Ok(vec![of.id]),
            }
        }
    }
}

/// An object by which a later run builds on an earlier one.
fn built_on<'a>(later: &'a Changed, run: &Changed) -> Option<&'a ObjectId> {
    let ids: BTreeSet<&ObjectId> = run.changes.iter().map(|(id, ..)| id).collect();
    let made = run
        .changes
        .iter()
        .filter(|(_, before, after)| before.is_none() && after.is_some());
    let made: BTreeSet<String> = made
        .filter(|(id, ..)| id.kind != "column")
        .filter_map(|(id, ..)| change::key(id))
        .collect();
    let names_it = |text: &Option<String>| {
        let names = text.iter().flat_map(|text| change::mentions(text));
        names.into_iter().any(|name| made.contains(&name))
    };
    let builds = |(id, _, after): &&(ObjectId, Option<String>, Option<String>)| {
        ids.contains(id) || id.table().is_some_and(|table| made.contains(table)) || names_it(after)
    };
    later.changes.iter().find(builds).map(|(id, ..)| id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(id: i64, undoes: &[i64], changes: &[(&str, Option<&str>, Option<&str>)]) -> Changed {
        let text = |text: &Option<&str>| text.map(ToOwned::to_owned);
        Changed {
            id,
            outcome: Outcome::Succeeded,
            undoes: undoes.to_vec(),
            version: None,
            started: String::new(),
            who: String::new(),
            changes: changes
                .iter()
                .map(|(id, before, after)| (id.parse().unwrap(), text(before), text(after)))
                .collect(),
        }
    }

    #[test]
    fn what_was_taken_back_is_not_taken_back_again() {
        let known = [run(1, &[], &[]), run(2, &[], &[]), run(4, &[2], &[]), run(5, &[], &[])];
        let chosen = |wanted| choose(&known, &wanted).map_err(|error| error.to_string());
        assert_eq!(chosen(Wanted::Last), Ok(vec![5]));
        assert_eq!(chosen(Wanted::After(0)), Ok(vec![1, 5]));
        assert!(chosen(Wanted::After(5)).is_err());
        assert!(chosen(Wanted::Run(2)).unwrap_err().contains("taken back already"));
        assert!(chosen(Wanted::Run(4)).unwrap_err().contains("took others back"));
        assert!(chosen(Wanted::Run(3)).unwrap_err().contains("no run 3"));
        assert_eq!(chosen(Wanted::Version("v".to_owned())), Ok(Vec::new()));
        assert!(choose(&known[..0], &Wanted::Last).is_err());
    }

    #[test]
    fn a_later_run_that_builds_on_one() {
        let table = run(
            1,
            &[],
            &[
                ("table public.t", None, Some("")),
                ("column public.t.a", None, Some("integer")),
            ],
        );
        let other = run(2, &[], &[("table public.u", None, Some(""))]);
        assert_eq!(built_on(&other, &table), None);
        for (id, after) in [
            ("column public.t.b", "text"),
            ("column public.t.a", "bigint"),
            ("view public.v", "as SELECT a\n   FROM public.t"),
            ("index public.t_a", "CREATE INDEX t_a ON public.t USING btree (a)"),
        ] {
            let later = run(2, &[], &[(id, None, Some(after))]);
            assert_eq!(built_on(&later, &table).map(ToString::to_string).as_deref(), Some(id));
        }
    }
}
