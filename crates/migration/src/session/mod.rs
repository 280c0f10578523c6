//! One session of a migration: waiting for the server, connecting, telling poolers, and the mutex.

pub mod connect;
pub mod mutex;
pub mod password;
pub mod pooler;
pub mod read_only;

pub use connect::{Connector, Target};
