//! What the two tell each other: each message is a line of JSON.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::backend::launch::Launch;

/// Of these messages. The two may be built from different commits.
pub const PROTOCOL: u32 = 1;

/// The one message of who asks.
#[derive(Serialize, Deserialize)]
pub struct Request {
    pub protocol: u32,
    pub launch: Launch,
}

/// What is answered: how it goes, until one of the last two.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// It does not serve alone yet.
    Waiting { reason: String, since: Duration },
    /// It serves; its number.
    Done { process: u32 },
    /// It is gone.
    Failed { what: String, cause: String, next: String },
}
