//! Taking runs back, under the same rules as the statements of phases.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use connection::{Error, Hint, Kind, Next, describe};
use postgres::Client;

use super::read::read_catalog;
use super::script::losing;
use super::{Goal, Migration, Summary, open};
use crate::catalog::{Catalog, ObjectId, changes, changes_of};
use crate::change::script;
use crate::context::{Context, Event};
use crate::failure::one_line;
use crate::journal::{self, Author, Changed, Keep, RanOnce, Texts};
use crate::plan::Plan;
use crate::quarantine::Filter;
use crate::rollback::{Wanted, Way, last, way_back};
use crate::session::connect::Session;
use crate::session::{Target, Waiting};
use crate::source::phases::Phases;
use crate::violations::Lost;

/// How it shall be taken back.
pub struct Undo {
    /// What.
    pub wanted: Wanted,
    /// Go on though some of it cannot be taken back.
    pub partly: bool,
    /// Drop what holds values, after they are kept in the quarantine.
    pub allow_data_loss: bool,
    /// Write tables anew.
    pub allow_rewrite: bool,
    /// The folder of the phases, if its own files that undo others are to run first.
    pub down_files: Option<PathBuf>,
    /// For whom, for the record.
    pub author: Author,
}

/// Takes runs back, proves that the catalog is as it was before them, and hands over the session. Where there is none of
/// the wanted version, nothing is done, and the summary is an empty one.
///
/// # Errors
/// See [`Kind`]; the run is recorded with its error, as far as the connection allows.
pub fn rollback(undo: &Undo, context: &Context<'_>) -> Result<(Summary, Client), Error> {
    let goal = Goal {
        phases: Phases::of_statements("rollback", Vec::new()),
        expected: None,
        force: false,
        run_once: false,
        allow_older: true,
        again: false,
        repair: false,
        prune: false,
        allow_data_loss: undo.allow_data_loss,
        allow_rewrite: undo.allow_rewrite,
        author: undo.author.clone(),
        keep: Keep::default(),
    };
    // Whoever waits for another rollback does not mean the run before.
    let wanted = meant(&undo.wanted, context)?;
    open(
        || Ok(goal),
        context,
        |goal, mut executor, server, _| {
            let before = read_catalog(&mut executor.client, context, None)?;
            let way = way_back(&mut executor.client, &before, &wanted, undo.down_files.as_deref())?;
            if way.runs.is_empty() {
                return Ok((Summary::default(), executor.client));
            }
            context.tell(Event::WayBack(&way));
            if let (Some(_), false) = (way.script.impossible.first(), undo.partly) {
                let impossible = way.script.impossible.iter();
                let lines: Vec<String> = impossible.map(|of| format!("{}: {}", of.id, of.reason)).collect();
                let error = Error::new(
                    Kind::Failed,
                    "some of it cannot be taken back; nothing was done",
                    lines.join("\n"),
                );
                return Err(
                    error.next(Next::from("to leave that as it is, and take back the rest, add ").hint(Hint::Partly))
                );
            }
            let losing = losing(&mut executor.client, &way.script.steps, goal)?;
            let planned = changes_of(before.definitions(), &way.target);
            let planned: Vec<journal::Change> = planned.iter().map(Into::into).collect();
            let (recorder, died) = journal::begin(
                &mut executor.client,
                server.journal,
                &goal.author,
                None,
                false,
                &planned,
                Texts::of(&server.encoding),
            )?;
            let numbers: Vec<i64> = way.runs.iter().map(|run| run.id).collect();
            let failed =
                |error: postgres::Error| Error::new(Kind::Failed, "cannot write the journal", describe(&error));
            journal::takes_back(&mut executor.client, recorder.run, &numbers).map_err(failed)?;
            executor.is_named_after(recorder.run);
            context.tell(Event::Started {
                run: recorder.run,
                died: &died,
                server_version: &server.version,
            });
            let mut migration = Migration {
                summary: Summary {
                    run: recorder.run,
                    undone: numbers,
                    left: way.script.impossible.len(),
                    ..Summary::default()
                },
                goal,
                executor,
                context,
                satisfied: Vec::new(),
                converged: None,
                kept: false,
                made: BTreeSet::new(),
                recorder,
            };
            let result = migration.take_back(&way, &losing, &before);
            migration.finish(result, &before)
        },
    )
}

/// Which run is the last one now, before the mutex is waited for.
fn meant(wanted: &Wanted, context: &Context<'_>) -> Result<Wanted, Error> {
    if *wanted != Wanted::Last {
        return Ok(wanted.clone());
    }
    let tell = |waiting: Waiting<'_>| context.tell(Event::Waiting(waiting));
    let session = Session::named("xtask (reading)");
    let mut client = context
        .connector
        .wait(Target::Any, &session, context.wait, &context.interrupted, &tell)?;
    last(&mut client)
}

impl Migration<'_> {
    /// Runs what undoes the files, those that lose values in one transaction with what keeps these.
    fn run_down(&mut self, way: &Way, losing: &BTreeMap<usize, i64>, before: &Catalog) -> Result<(), Error> {
        let steps = losing.keys().filter_map(|n| way.script.steps.get(*n));
        let lost: Vec<Lost> = steps
            .filter_map(|step| Lost::with(&step.id, "dropped by rollback".to_owned()))
            .collect();
        let statements = way
            .down
            .iter()
            .flat_map(|down| &down.statements)
            .cloned()
            .map(|mut statement| {
                statement.directives.drops_rows = self.goal.allow_data_loss.then(|| "asked for".to_owned());
                statement
            });
        let mut phases = Phases::of_statements("down files", statements.collect());
        let mut late = Vec::new();
        for lost in &lost {
            late.extend(self.keep(lost, &phases, 0)?);
        }
        phases.precede(late);
        let plan = Plan::of_script(&phases, &[]);
        let of_phases = std::mem::replace(&mut self.satisfied, vec![None; plan.steps.len()]);
        let result = self.pass(&plan, &phases, before);
        self.satisfied = of_phases;
        result?;
        let failed = |error: postgres::Error| Error::new(Kind::Failed, "cannot roll back", describe(&error));
        self.executor.end_file().map_err(failed)
    }

    fn take_back(&mut self, way: &Way, losing: &BTreeMap<usize, i64>, before: &Catalog) -> Result<(), Error> {
        if way.down.is_empty() {
            self.run_allowed("rollback", &way.script.steps, losing, before)?;
        } else {
            self.run_down(way, losing, before)?;
            let left = read_catalog(&mut self.executor.client, self.context, None)?;
            let rest = script(left.definitions(), &way.target);
            self.run_script("rollback", &rest.steps, &left)?;
        }
        let failed = |error: postgres::Error| Error::new(Kind::Failed, "cannot write the journal", describe(&error));
        let of_run = |run: &Changed| Filter {
            run: Some(run.id),
            ..Filter::default()
        };
        let filters: Vec<Filter> = way.runs.iter().map(of_run).collect();
        self.give_back(&filters)?;
        let gone: Vec<&RanOnce> = way.gone.iter().collect();
        journal::forget(&mut self.executor.client, &gone).map_err(failed)?;
        let after = read_catalog(&mut self.executor.client, self.context, None)?;
        self.summary.changes = changes(before, &after);
        self.summary.changes.retain(|(id, ..)| !id.is_shared());
        let is_left = |id: &ObjectId| way.script.impossible.iter().any(|of| of.id == *id);
        let mut wrong = changes_of(&way.target, after.definitions());
        wrong.retain(|(id, ..)| !(id.is_shared() || is_left(id)));
        if wrong.is_empty() {
            return Ok(());
        }
        let state = |state: &Option<String>| state.as_deref().map_or("(absent)".to_owned(), one_line);
        let lines: Vec<String> = wrong
            .iter()
            .map(|(id, was, is)| format!("{id}\n    was: {}\n    is:  {}", state(was), state(is)))
            .collect();
        Err(Error::new(
            Kind::NotConverged,
            "everything was run, and the catalog is not as it was before",
            lines.join("\n"),
        )
        .next("did somebody change it meanwhile? roll back again, or change it by hand"))
    }
}
