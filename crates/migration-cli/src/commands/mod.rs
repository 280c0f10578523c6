//! The commands: one file each, with its arguments, their help and its code. They print; `main` exits.

pub mod baseline;
pub mod completions;
pub mod deploy;
pub mod dev;
pub mod history;
pub mod init;
pub mod migrate;
pub mod new;
pub mod options;
pub mod plan;
pub mod pre_deploy;
pub mod quarantine;
mod reading;
pub mod rollback;
pub mod snapshot;
pub mod verify;
