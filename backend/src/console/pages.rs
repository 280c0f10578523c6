//! The pages.

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use engine::catalog::Difference;
use maud::{Markup, html};
use serde::Deserialize;

use super::chart::{Bar, bars};
use super::journal::{self, Change, Run, Step};
use super::page::{self, full, time};
use super::{Console, standing::Look};
use crate::database::Failure;
use crate::http;

/// Runs on a page.
const LISTED: i64 = 50;
/// There is one row a table, and few tables.
const MOST_TABLES: i64 = 100;
/// What is shown of what is there besides.
const MOST_EXTRA: usize = 100;

/// What the database could not be asked for.
pub(super) struct Unknown;

impl From<Failure> for Unknown {
    fn from(failure: Failure) -> Self {
        tracing::warn!(?failure, "the console cannot ask the database");
        Self
    }
}

impl IntoResponse for Unknown {
    fn into_response(self) -> Response {
        let text = "The database cannot be asked right now, or readonly_user may not read the journal: the log says \
                    more. A migration grants what is needed.";
        page::error(StatusCode::SERVICE_UNAVAILABLE, text)
    }
}

/// `GET /console`
pub(super) async fn overview(State(console): State<Console>) -> Result<Markup, Unknown> {
    let report = console.readiness.check().await;
    let look = console.standing.look().await;
    let (journal, _) = journal::there(&console.database).await?;
    let last = match journal {
        true => journal::runs(&console.database, i64::MAX, 1).await?.into_iter().next(),
        false => None,
    };
    let main = html! {
        div.cards {
            section.card {
                h2 { "Service" }
                @if report.is_ready() {
                    p.good { "Ready" }
                } @else {
                    p.bad { "Not ready: " (report.reason()) }
                }
                p.small { "Version " (crate::VERSION) @if let Some(commit) = crate::GIT_COMMIT { ", commit " (commit) } }
            }
            section.card {
                h2 { "Database" }
                (standing(&look))
            }
            section.card {
                h2 { "Last run" }
                @match &last {
                    None => p { "No migration has run yet." },
                    Some(run) => {
                        p class=(run.class()) { a href=(link(run)) { "Run " (run.id) } " " (run.outcome) }
                        p.small { (run.started) " UTC, by " (run.who) @if let Some(seconds) = run.seconds { ", " (time(seconds)) } }
                    }
                }
            }
        }
        @if let Ok(look) = &look { (differences(look)) }
    };
    Ok(full("/console", "Overview", &main))
}

fn standing(look: &Result<Look, String>) -> Markup {
    let look = match look {
        Ok(look) => look,
        Err(why) => return html! { p.bad { "Not known: " (why) } },
    };
    let wrong = look.wrong().count();
    html! {
        @if wrong == 0 {
            p.good { "Where it shall be" }
        } @else {
            p.bad { (wrong) " missing or different" }
        }
        p.small {
            (look.expected) " objects expected, " (look.differences.len() - wrong) " besides; version "
            code { (look.version.get(..8).unwrap_or(&look.version)) }
        }
    }
}

fn differences(look: &Look) -> Markup {
    let extra = || look.differences.iter().filter(|difference| difference.is_extra());
    html! {
        @if look.wrong().next().is_some() {
            h2 { "Missing or different" }
            @for difference in look.wrong() {
                @match difference {
                    Difference::Missing { id, expected } => (definitions(&id.to_string(), Some(expected), None, "shall be", "is")),
                    Difference::Different { id, expected, actual } => {
                        (definitions(&id.to_string(), Some(expected), Some(actual), "shall be", "is"))
                    }
                    Difference::Extra { .. } => {}
                }
            }
        }
        @if extra().next().is_some() {
            details {
                summary { "In no phase file (" (extra().count()) ")" }
                ul { @for difference in extra().take(MOST_EXTRA) { li { code { (difference.id()) } } } }
            }
        }
    }
}

fn definitions(object: &str, first: Option<&String>, second: Option<&String>, one: &str, other: &str) -> Markup {
    let state = |state: Option<&String>| {
        html! {
            @match state.map(String::as_str) {
                None => span.none { "not there" },
                Some("") => span.none { "there" },
                Some(definition) => pre { (definition) },
            }
        }
    };
    html! {
        section.difference {
            h3 { (object) }
            dl { dt { (one) } dd { (state(first)) } dt { (other) } dd { (state(second)) } }
        }
    }
}

#[derive(Deserialize)]
pub(super) struct Before {
    before: Option<i64>,
}

fn link(run: &Run) -> String {
    format!("/console/runs/{}", run.id)
}

/// `GET /console/runs`
pub(super) async fn runs(
    State(console): State<Console>,
    Query(Before { before }): Query<Before>,
) -> Result<Markup, Unknown> {
    let (journal, _) = journal::there(&console.database).await?;
    let before = before.unwrap_or(i64::MAX);
    let runs = match journal {
        true => journal::runs(&console.database, before, LISTED).await?,
        false => Vec::new(),
    };
    let bar = |run: &Run| Bar {
        seconds: run.seconds.unwrap_or_default(),
        class: run.class(),
        title: format!(
            "run {}, {}, {}",
            run.id,
            run.outcome,
            run.seconds.map_or("-".to_owned(), time)
        ),
        link: link(run),
    };
    let oldest = runs
        .last()
        .filter(|_| i64::try_from(runs.len()) == Ok(LISTED))
        .map(|run| run.id);
    let main = html! {
        @if runs.is_empty() {
            p { "No migration has run yet." }
        } @else {
            (bars("Durations, the newest run on the right", &runs.iter().rev().map(bar).collect::<Vec<_>>()))
            div.wide { table {
                thead { tr {
                    th scope="col" { "Run" } th scope="col" { "Started (UTC)" } th scope="col" { "Outcome" }
                    th.number scope="col" { "Duration" } th.number scope="col" { "Run / satisfied" }
                    th.number scope="col" { "Changed" } th.number scope="col" { "Stalled" }
                    th scope="col" { "Version" } th scope="col" { "Commit" } th scope="col" { "Who" }
                } }
                tbody { @for run in &runs { (line(run)) } }
            } }
            @if let Some(oldest) = oldest {
                p { a href={ "/console/runs?before=" (oldest) } rel="next" { "Older runs" } }
            }
        }
    };
    Ok(full("/console/runs", "Runs", &main))
}

fn short(text: &Option<String>) -> &str {
    text.as_deref().map_or("-", |text| text.get(..8).unwrap_or(text))
}

fn line(run: &Run) -> Markup {
    html! { tr {
        td { a href=(link(run)) { (run.id) } }
        td { (run.started) }
        td class=(run.class()) { (run.outcome) @if let Some(code) = &run.sqlstate { " (" (code) ")" } }
        td.number { @match run.seconds { Some(seconds) => (time(seconds)), None => "-" } }
        td.number { (run.run) " / " (run.satisfied) }
        td.number { (run.changes) }
        td.number { @if run.stalled > 0.0 { (time(run.stalled)) } @else { "-" } }
        td { code { (short(&run.version)) } }
        td { code { (short(&run.git_commit)) } }
        td { (run.who) }
    } }
}

#[derive(Deserialize)]
pub(super) struct Order {
    order: Option<String>,
}

/// `GET /console/runs/{id}`
pub(super) async fn run(
    State(console): State<Console>,
    Path(id): Path<i64>,
    Query(Order { order }): Query<Order>,
) -> Result<Response, Unknown> {
    let database = &console.database;
    let (journal, _) = journal::there(database).await?;
    let run = match journal {
        true => journal::run(database, id).await?,
        false => None,
    };
    let Some(run) = run else {
        return Ok(page::error(StatusCode::NOT_FOUND, "There is no such run."));
    };
    let mut steps = journal::steps(database, id).await?;
    let in_order = order.as_deref() == Some("in-order");
    if !in_order {
        steps.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
    }
    let changes = journal::changes(database, id).await?;
    let path = link(&run);
    let main = html! {
        p {
            span class=(run.class()) { (run.outcome) }
            @if let Some(code) = &run.sqlstate { " with SQLSTATE " code { (code) } }
            ", " (run.started) " UTC, by " (run.who)
            @if let Some(seconds) = run.seconds { ", " (time(seconds)) }
            ", version " code { (short(&run.version)) } ", commit " code { (short(&run.git_commit)) } "."
            @if !run.undoes.is_empty() { " It took back run " (list(&run.undoes)) "." }
        }
        @if run.failed { p.small { code { "cargo xtask history " (run.id) } " tells the error, which may quote values." } }
        h2 { "Steps" }
        @if steps.is_empty() {
            p { "No statement was sent." }
        } @else {
            p {
                @if in_order { a href=(path) { "Slowest first" } } @else { a href={ (path) "?order=in-order" } { "In order" } }
            }
            (steps_table(&steps))
        }
        h2 { "Changed" }
        @if changes.is_empty() { p { "Nothing in the catalog." } }
        @for Change { object, before, after } in &changes {
            (definitions(object, before.as_ref(), after.as_ref(), "was", "is"))
        }
    };
    Ok(full(&path, &format!("Run {id}"), &main).into_response())
}

fn list(numbers: &[i64]) -> String {
    numbers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn steps_table(steps: &[Step]) -> Markup {
    html! { div.wide { table {
        thead { tr {
            th scope="col" { "Statement" } th scope="col" { "Where" } th scope="col" { "Outcome" }
            th.number scope="col" { "Duration" } th.number scope="col" { "Lock wait" } th.number scope="col" { "Rows" }
        } }
        tbody { @for step in steps { tr {
            td { code { (step.summary) } }
            td { (step.place) }
            td class=[(step.outcome == "failed").then_some("bad")] {
                (step.outcome) @if let Some(code) = &step.sqlstate { " (" (code) ")" }
            }
            td.number { (time(step.seconds)) }
            td.number { @if step.lock_wait >= 0.001 { (time(step.lock_wait)) } @else { "-" } }
            td.number { (step.rows) }
        } } }
    } } }
}

/// `GET /console/quarantine`
pub(super) async fn quarantine(State(console): State<Console>) -> Result<Markup, Unknown> {
    let (_, quarantine) = journal::there(&console.database).await?;
    let groups = match quarantine {
        true => journal::set_aside(&console.database).await?,
        false => Vec::new(),
    };
    let main = html! {
        @if groups.is_empty() {
            p { "Nothing was set aside." }
        } @else {
            p { "The rows themselves are not shown here: " code { "cargo xtask quarantine show" } " does." }
            div.wide { table {
                thead { tr {
                    th scope="col" { "Run" } th scope="col" { "Table" } th.number scope="col" { "Rows" }
                    th.number scope="col" { "Put back" } th scope="col" { "Why" } th scope="col" { "Where" }
                } }
                tbody { @for group in &groups { tr {
                    td { a href={ "/console/runs/" (group.run) } { (group.run) } }
                    td { code { (group.table) } }
                    td.number { (group.rows) }
                    td.number { (group.restored) }
                    td.text { (group.reason) }
                    td { (group.place) }
                } } }
            } }
        }
    };
    Ok(full("/console/quarantine", "Quarantine", &main))
}

/// `GET /console/sync`
pub(super) async fn sync(State(console): State<Console>) -> Result<Markup, Unknown> {
    let tables = http::sync_state(&console.database, MOST_TABLES).await?;
    let main = html! {
        @if tables.is_empty() {
            p { "No table has been synchronised yet." }
        } @else {
            div.wide { table {
                thead { tr {
                    th scope="col" { "Table" } th scope="col" { "Last sync" } th scope="col" { "Status" }
                    th.number scope="col" { "Records" } th.number scope="col" { "Errors" }
                } }
                tbody { @for table in &tables { tr {
                    td { code { (table.table_name) } }
                    td { (table.last_sync_at.as_deref().unwrap_or("never")) }
                    td { (table.last_sync_status.as_deref().unwrap_or("-")) }
                    td.number { @if let Some(records) = table.records_synced { (records) } @else { "-" } }
                    td.number class=[table.errors_count.is_some_and(|count| count > 0).then_some("bad")] {
                        (table.errors_count.unwrap_or_default())
                    }
                } } }
            } }
            p.small { "What went wrong quotes records, with names and addresses in them: it stands in " code { "sync_metadata.error_details" } "." }
        }
    };
    Ok(full("/console/sync", "Sync", &main))
}
