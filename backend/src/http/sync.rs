//! How far the tables are synchronised with Airtable.
//!
//! `error_details` is left out: it quotes records that could not be stored, with the names and
//! addresses in them. `errors_count` tells that there is something to look up in the database.

use axum::Json;
use axum::extract::{RawQuery, State};
use serde::Serialize;
use tokio_postgres::{Error, Row};

use super::{ApiError, App, parameters};
use crate::database::{Database, Failure};

const LIST: &str = include_str!("sync.sql");
/// There is one row a table, and few tables.
const MOST_TABLES: i64 = 100;

/// The state of one table.
#[derive(Debug, Serialize)]
pub(crate) struct TableSync {
    pub table_name: String,
    pub last_sync_at: Option<String>,
    pub last_sync_status: Option<String>,
    pub records_synced: Option<i32>,
    pub errors_count: Option<i32>,
}

impl TableSync {
    fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            table_name: row.try_get(0)?,
            last_sync_at: row.try_get(1)?,
            last_sync_status: row.try_get(2)?,
            records_synced: row.try_get(3)?,
            errors_count: row.try_get(4)?,
        })
    }
}

/// The state of all tables.
#[derive(Debug, Serialize)]
pub(super) struct Sync {
    tables: Vec<TableSync>,
}

/// `GET /api/sync`
pub(super) async fn list(State(app): State<App>, RawQuery(query): RawQuery) -> Result<Json<Sync>, ApiError> {
    parameters::none(query.as_deref())?;
    Ok(Json(Sync {
        tables: read(&app.database, MOST_TABLES).await?,
    }))
}

/// The state of at most `limit` tables.
pub(crate) async fn read(database: &Database, limit: i64) -> Result<Vec<TableSync>, Failure> {
    let rows = database.query(LIST, &[&limit]).await?;
    Ok(rows.iter().map(TableSync::from_row).collect::<Result<_, _>>()?)
}
