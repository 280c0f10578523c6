//! Statements that run together or not at all, and which transactions they make up.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use super::{Actual, Planned, Reason};
use crate::catalog::ObjectId;
use crate::expected::{Effect, Expected, Meaning};

/// Binds statements to those that they cannot do without, and numbers the transactions.
pub fn bind(steps: &mut [Planned<'_>], expected: &Expected, actual: Actual<'_>, untouched: bool) {
    let mut spans = Vec::new();
    if !untouched {
        let replacements = replacements(steps);
        loop {
            let before = steps.iter().filter(|step| step.runs).count();
            spans.clear();
            for replacement in &replacements {
                spans.extend(replacement.bind(steps, actual));
            }
            spans.extend(rows_put_back(steps));
            spans.extend(needed_for_a_while(steps, expected, actual));
            if steps.iter().filter(|step| step.runs).count() == before {
                break;
            }
        }
    }
    sessions(steps);
    spans.extend(transactions(steps));
    number(steps, spans);
}

type Span = RangeInclusive<usize>;

/// A statement that takes objects away, and those that make them again.
struct Replacement {
    /// The statement.
    from: usize,
    /// Each object, and the next statement that makes it.
    made_by: Vec<(ObjectId, usize)>,
    /// Statements that put rows into tables that it takes away.
    fill: Vec<usize>,
}

fn replacements(steps: &[Planned<'_>]) -> Vec<Replacement> {
    let replaced: BTreeSet<&ObjectId> = steps
        .iter()
        .filter_map(|step| step.effect)
        .flat_map(|effect| &effect.replaces)
        .collect();
    let mut makers: BTreeMap<&ObjectId, Vec<usize>> = BTreeMap::new();
    for (n, effect) in steps.iter().enumerate().filter_map(|(n, step)| Some((n, step.effect?))) {
        let made = effect.objects.iter().filter(|(_, state)| state.is_some());
        for (id, _) in made.filter(|(id, _)| replaced.contains(id)) {
            makers.entry(id).or_default().push(n);
        }
    }
    let mut replacements = Vec::new();
    for (from, step) in steps.iter().enumerate() {
        let Some(effect) = step.effect.filter(|effect| !effect.replaces.is_empty()) else {
            continue;
        };
        let next = |id: &ObjectId| makers.get(id)?.iter().copied().find(|maker| *maker > from);
        let tables = effect.replaces.iter().filter(|id| id.kind == "table");
        let tables: BTreeSet<&str> = tables.map(|id| id.identity.as_str()).collect();
        let fills = |later: &usize| {
            let step = &steps[*later];
            let mut filled = step.effect.iter().flat_map(|effect| &effect.fills);
            step.once.is_some() && filled.any(|table| tables.contains(table.as_str()))
        };
        replacements.push(Replacement {
            from,
            made_by: effect
                .replaces
                .iter()
                .filter_map(|id| Some((id.clone(), next(id)?)))
                .collect(),
            fill: (from + 1..steps.len()).filter(fills).collect(),
        });
    }
    replacements
}

impl Replacement {
    /// It runs only if one of those that make its objects again must run while such an object is there: otherwise there
    /// is nothing that would be in the way. If it runs, all of them do.
    fn bind(&self, steps: &mut [Planned<'_>], actual: Actual<'_>) -> Option<Span> {
        let in_the_way = |(id, maker): &&(ObjectId, usize)| steps[*maker].runs && actual.get(id).is_some();
        let objects: Vec<ObjectId> = self
            .made_by
            .iter()
            .filter(in_the_way)
            .map(|(id, _)| id.clone())
            .collect();
        if objects.is_empty() && !steps[self.from].runs {
            return None;
        }
        let place = steps[self.from].statement.place();
        steps[self.from].start(Reason::Replaces { objects });
        let there = self.made_by.iter().filter(|(id, _)| actual.get(id).is_some());
        let mut last = self.from;
        for maker in there.map(|(_, maker)| *maker).chain(self.fill.iter().copied()) {
            steps[maker].start(Reason::MadeAgain { after: place.clone() });
            last = last.max(maker);
        }
        Some(self.from..=last)
    }
}

/// Rows that a statement takes out and later ones of its file put in again: all run, or none.
fn rows_put_back(steps: &mut [Planned<'_>]) -> Vec<Span> {
    let mut spans = Vec::new();
    for from in 0..steps.len() {
        let Some(effect) = steps[from].effect.filter(|effect| !effect.empties.is_empty()) else {
            continue;
        };
        if steps[from].once.is_none() {
            continue;
        }
        let file = &steps[from].statement.file;
        let in_file = (from + 1..steps.len()).take_while(|later| steps[*later].statement.file == *file);
        let of_rows = |later: &usize, fills: bool| {
            let step = &steps[*later];
            let tables = step
                .effect
                .map(|effect| if fills { &effect.fills } else { &effect.touches });
            step.once.is_some() && tables.is_some_and(|tables| !tables.is_disjoint(&effect.empties))
        };
        let Some(last) = in_file.filter(|later| of_rows(later, true)).last() else {
            continue;
        };
        let writes = |later: &usize| steps[*later].effect.is_some_and(|effect| effect.writes);
        let members: Vec<usize> = (from..=last)
            .filter(|later| *later == from || of_rows(later, false) && writes(later))
            .collect();
        let Some(new) = members.iter().find(|member| steps[**member].runs) else {
            continue;
        };
        let with = steps[*new].statement.place();
        for member in members {
            steps[member].start(Reason::RowsPutBack { with: with.clone() });
        }
        spans.push(from..=last);
    }
    spans
}

/// What a statement that runs once finds on an empty database for a while only, and its file takes back: a table to work
/// with that is dropped again, a trigger that is switched off. On a database that has converged it has to be made again
/// for it.
fn needed_for_a_while(steps: &mut [Planned<'_>], expected: &Expected, actual: Actual<'_>) -> Vec<Span> {
    let mut spans = Vec::new();
    for once in 0..steps.len() {
        if !(steps[once].runs && steps[once].once.is_some()) {
            continue;
        }
        let Some(effect) = steps[once].effect else { continue };
        let file = &steps[once].statement.file;
        let of_file = |n: &usize| steps[*n].statement.file == *file;
        let states = |n: usize| steps[n].effect.iter().flat_map(|effect| &effect.objects);
        let first = (0..once).rev().take_while(of_file).last().unwrap_or(once);
        let end = (once..steps.len()).take_while(of_file).last().unwrap_or(once);
        let mut span: Option<Span> = None;
        let mut tables = BTreeSet::new();
        for from in first..once {
            for (id, state) in states(from) {
                let finally = expected.objects.get(id).cloned().flatten();
                let passing = finally.is_none() || id.kind == "trigger";
                let table = id.table().filter(|table| effect.touches.contains(*table));
                if *state == finally || state.as_deref() == actual.get(id) || !passing {
                    continue;
                }
                let touches = |n: &usize| states(*n).any(|(other, _)| other == id);
                // The last one before it counts.
                if (from + 1..once).any(|n| touches(&n)) {
                    continue;
                }
                let (Some(table), Some(last)) = (table, (once + 1..=end).rfind(touches)) else {
                    continue;
                };
                tables.insert(table.to_owned());
                let (start, stop) = span.map_or((from, last), |span| (*span.start(), *span.end()));
                span = Some(start.min(from)..=stop.max(last));
            }
        }
        let Some(span) = span else { continue };
        let by = steps[once].statement.place();
        for n in span.clone() {
            let works_on = |effect: &&Effect| {
                let mut left = effect.objects.iter();
                left.any(|(id, _)| id.table().is_some_and(|table| tables.contains(table)))
                    || effect.meaning == Meaning::Once && !effect.touches.is_disjoint(&tables)
            };
            if steps[n].effect.as_ref().is_some_and(works_on) {
                steps[n].start(Reason::Needed { by: by.clone() });
            }
        }
        spans.push(span);
    }
    spans
}

/// What concerns the session runs for what runs after it in the same file.
fn sessions(steps: &mut [Planned<'_>]) {
    let mut file = "";
    let mut something_runs = false;
    for step in steps.iter_mut().rev() {
        if step.statement.file != file {
            file = &step.statement.file;
            something_runs = false;
        }
        if step.meaning() != Meaning::Session {
            something_runs |= step.runs;
        } else if something_runs {
            step.start(Reason::Session);
        }
    }
}

/// What stands between BEGIN and COMMIT.
fn transactions(steps: &[Planned<'_>]) -> Vec<Span> {
    let mut spans: Vec<(u32, Span)> = Vec::new();
    for (n, step) in steps.iter().enumerate() {
        let Some(number) = step.statement.transaction else {
            continue;
        };
        match spans.last_mut() {
            Some((last, span)) if *last == number => *span = *span.start()..=n,
            _ => spans.push((number, n..=n)),
        }
    }
    spans.into_iter().map(|(_, span)| span).collect()
}

/// Gives each transaction a number. Spans that overlap are one; one with a statement that runs outside of transactions
/// only is none.
fn number(steps: &mut [Planned<'_>], mut spans: Vec<Span>) {
    spans.sort_by_key(|span| *span.start());
    let mut merged: Vec<Span> = Vec::new();
    for span in spans {
        match merged.last_mut() {
            Some(last) if span.start() <= last.end() => *last = *last.start()..=*span.end().max(last.end()),
            _ => merged.push(span),
        }
    }
    for span in merged {
        let number = *span.start();
        let members = || span.clone();
        let unfit = |n: usize| {
            steps[n].runs && (steps[n].statement.is_concurrent() || !(steps[n].instead.is_empty() || steps[n].online))
        };
        if members().any(unfit) || members().filter(|n| steps[*n].runs).count() < 2 {
            continue;
        }
        for n in members().filter(|n| steps[*n].runs).collect::<Vec<_>>() {
            // One transaction is worth more: it runs as it is written.
            if std::mem::take(&mut steps[n].online) {
                steps[n].instead.clear();
            }
            steps[n].unit = Some(number);
        }
    }
}
