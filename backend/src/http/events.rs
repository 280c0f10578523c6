//! Approved events, as anyone may see them.
//!
//! Organisers are mostly minors and attendees too, so only what the public page of an event shows
//! is sent. Left out: everything of the organiser (`poc_*`, `email`, `sub_organizers`), `notes` and
//! the `action_trigger_*` addresses; `location`, `street_address*` and `zipcode`, because before a
//! venue is confirmed the address is often a home (`city`, `state` and `country` stay, `lat` and
//! `long` are rounded to about a kilometre); `project_url` and `project_description`, free text
//! about the organiser's own work. Columns are named one by one in the SQL: a new one is private
//! until somebody decides.

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State};
use serde::Serialize;
use tokio_postgres::{Error, Row};

use super::parameters::{self, Page};
use super::{ApiError, App};
use crate::database::{Database, Failure};

const LIST: &str = include_str!("events.sql");
const ONE: &str = include_str!("event.sql");

/// An approved event.
#[derive(Debug, Serialize)]
pub(super) struct Event {
    airtable_id: String,
    event_name: String,
    slug: Option<String>,
    city: Option<String>,
    state: Option<String>,
    country: Option<String>,
    lat: Option<f64>,
    long: Option<f64>,
    event_format: Option<String>,
    start_date: Option<String>,
    end_date: Option<String>,
    registration_deadline: Option<String>,
    estimated_attendee_count: Option<i32>,
    max_attendees: Option<i32>,
    has_confirmed_venue: Option<bool>,
    updated_at: Option<String>,
}

impl Event {
    fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            airtable_id: row.try_get(0)?,
            event_name: row.try_get(1)?,
            slug: row.try_get(2)?,
            city: row.try_get(3)?,
            state: row.try_get(4)?,
            country: row.try_get(5)?,
            lat: row.try_get(6)?,
            long: row.try_get(7)?,
            event_format: row.try_get(8)?,
            start_date: row.try_get(9)?,
            end_date: row.try_get(10)?,
            registration_deadline: row.try_get(11)?,
            estimated_attendee_count: row.try_get(12)?,
            max_attendees: row.try_get(13)?,
            has_confirmed_venue: row.try_get(14)?,
            updated_at: row.try_get(15)?,
        })
    }
}

/// A page of events.
#[derive(Debug, Serialize)]
pub(super) struct Events {
    events: Vec<Event>,
    /// What to send as `after` for the next page; none on the last one.
    next: Option<String>,
}

/// `GET /api/events?limit=…&after=…`
pub(super) async fn list(State(app): State<App>, RawQuery(query): RawQuery) -> Result<Json<Events>, ApiError> {
    let page = Page::parse(query.as_deref())?;
    // One more than asked for tells whether there is a next page.
    let mut events = read(&app.database, &page.after, page.limit + 1).await?;
    let limit = usize::try_from(page.limit).unwrap_or(usize::MAX);
    let more = events.len() > limit;
    events.truncate(limit);
    let next = events.last().filter(|_| more).map(|event| event.airtable_id.clone());
    Ok(Json(Events { events, next }))
}

/// `GET /api/events/{airtable_id}`
pub(super) async fn one(
    State(app): State<App>,
    path: Result<Path<String>, PathRejection>,
    RawQuery(query): RawQuery,
) -> Result<Json<Event>, ApiError> {
    let id = parameters::path_id(path)?;
    parameters::none(query.as_deref())?;
    let rows = app.database.query(ONE, &[&id]).await?;
    match converted(&rows)?.pop() {
        Some(event) => Ok(Json(event)),
        // The same for one that is not approved: that it exists is nobody's business.
        None => Err(ApiError::not_found("there is no such event")),
    }
}

/// At most `limit` events whose `airtable_id` comes after `after`.
pub(super) async fn read(database: &Database, after: &str, limit: i64) -> Result<Vec<Event>, Failure> {
    converted(&database.query(LIST, &[&after, &limit]).await?)
}

fn converted(rows: &[Row]) -> Result<Vec<Event>, Failure> {
    Ok(rows.iter().map(Event::from_row).collect::<Result<_, _>>()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_personal_column_is_read() {
        for column in [
            "poc_",
            "email",
            "sub_organizers",
            "notes",
            "street",
            "zipcode",
            "location",
            "project_",
            "*",
        ] {
            assert!(!LIST.contains(column) && !ONE.contains(column), "{column}");
        }
    }

    #[test]
    fn both_queries_read_the_same_columns() {
        let columns = |sql: &str| sql.split_once("FROM").map(|(columns, _)| columns.to_owned());
        assert_eq!(columns(LIST), columns(ONE));
    }
}
