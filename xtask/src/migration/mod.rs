//! The engine: brings a database to the state that phase files describe.
//!
//! It never prints and never exits, and it knows no table of any application.

pub mod advice;
pub mod baseline;
pub mod catalog;
pub mod context;
pub mod executor;
pub mod expected;
pub mod failure;
pub mod journal;
pub mod locks;
pub mod mutex;
pub mod phases;
pub mod plan;
pub mod run;
pub mod snapshot;
pub mod split;
pub mod statement;
pub mod takeover;

pub use context::{Context, Event};
pub use executor::Blocker;
pub use expected::Expected;
pub use phases::Phases;
pub use run::{Goal, Summary, migrate};
