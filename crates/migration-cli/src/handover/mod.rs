//! A deploy that meets another one, which stands in front of the backend already.
//!
//! The first deploy for an address holds the socket that clients come to, and stays. A later one migrates and builds, and
//! then asks the first to [launch](crate::backend::front::Front::hand_over) what it has built, with its own settings; it
//! ends when that serves, or with the reason why it does not. So whoever started the first one (a terminal, systemd) keeps
//! its process, and a later one may come from anywhere.
//!
//! They meet in a folder ([`Place`]): a lock, which the one whose turn it is holds until the backend serves, and a socket
//! on which the first one listens ([`ask()`], [`stay()`]).

mod ask;
mod message;
mod place;
mod stay;

pub use ask::ask;
pub use place::{Meeting, Place};
pub use stay::{Orders, stay};
