//! What `cargo xtask` is made of: the migration engine and the way to a database.
//!
//! Nothing in here prints or exits; the commands (beside `main.rs`) do.

pub mod database;
pub mod error;
pub mod migration;

pub use error::{Error, Hint, Kind, Next};
