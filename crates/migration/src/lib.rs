//! The engine: brings a database to the state that phase files describe.
//!
//! It never prints and never exits, and it knows no table of any application.

pub mod advice;
pub mod baseline;
pub mod catalog;
pub mod context;
pub mod execute;
pub mod expected;
pub mod failure;
pub mod journal;
pub mod locks;
pub mod plan;
pub mod run;
pub mod session;
pub mod snapshot;
pub mod source;
pub mod takeover;

pub use context::{Context, Event};
pub use execute::Blocker;
pub use expected::Expected;
pub use run::{Goal, Summary, migrate};
pub use source::phases::Phases;
