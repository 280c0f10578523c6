//! What a database consists of: every object with its definition, as PostgreSQL prints it.
//!
//! [`Catalog::read`] asks one query; the answer does not depend on oids, on the names of the owner
//! and of the database, on the order of columns, on `search_path`, nor on the server's version.
//! [`changes`] compares two catalogs. [`Fingerprint::read`] tells cheaply whether a database may have
//! changed since it was last looked at; [`Follower`] tells what each of many statements changed.

mod diff;
mod fingerprint;
mod follow;
mod object;
mod query;
mod read;

pub use diff::{Change, Difference, changes};
pub use fingerprint::Fingerprint;
pub use follow::Follower;
pub use object::{KINDS, ObjectId, ParseObjectIdError, outside_quotes, split_at_last_dot, split_on};
pub use read::{Catalog, Reader, Unmodelled, Unread};
