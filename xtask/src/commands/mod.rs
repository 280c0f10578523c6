//! The commands: one file each, with its arguments, their help and its code. They print; `main` exits.

pub mod dev;
pub mod history;
pub mod migrate;
mod options;
pub mod plan;
mod reading;
pub mod snapshot;
pub mod verify;
