//! The engine: brings a database to the state that phase files describe.
//!
//! It never prints and never exits, and it knows no table of any application.

pub mod baseline;
pub mod catalog;
pub mod change;
pub mod context;
pub mod execute;
pub mod expected;
pub mod failure;
pub mod journal;
#[cfg(test)]
mod layers;
pub mod locks;
pub mod plan;
#[cfg(test)]
mod qualified;
pub mod quarantine;
pub mod rollback;
pub mod run;
pub mod session;
pub mod snapshot;
pub mod source;
pub mod sqlstate;
pub mod takeover;
pub mod text;
pub mod violations;

pub use context::{Context, Event};
pub use expected::Expected;
pub use locks::Blocker;
pub use run::{Goal, Summary, migrate};
pub use source::phases::Phases;
