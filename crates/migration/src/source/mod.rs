//! Files → phases → statements.

pub mod phases;
pub mod split;
pub mod statement;
