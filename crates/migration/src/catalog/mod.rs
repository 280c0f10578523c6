//! What a database consists of: every object with its definition, as PostgreSQL prints it.
//!
//! `sources` lists the system catalogs; [`Catalog::read`] asks for their rows in one message, and each file of `kinds`
//! makes objects of them. The answer does not depend on oids, on the names of the owner and of the database, on the order
//! of columns, on `search_path`, nor on the server's version. [`changes`] compares two catalogs. [`Fingerprint::read`]
//! tells cheaply whether a database may have changed since it was last looked at; [`Follower`] tells what each of many
//! statements changed.

mod acl;
mod cells;
mod define;
mod diff;
mod fingerprint;
mod follow;
mod kinds;
mod lookup;
mod object;
mod query;
mod read;
mod rows;
mod sources;
#[cfg(test)]
mod testing;
mod to_sql;
mod words;

pub use diff::{Change, Difference, changes, changes_of};
pub use fingerprint::Fingerprint;
pub use follow::{Follower, RelationState, Written};
pub use kinds::attached::target;
pub use kinds::column::{Definition, Value};
pub use kinds::constraint::has_index;
pub use kinds::index::{attached_to, constraint_of, table_of};
pub use kinds::table::parents;
pub use kinds::to_sql;
pub use object::{ObjectId, ParseObjectIdError, kinds, outside_quotes, split_at_last_dot, split_on};
pub use read::{Catalog, Unmodelled, Unread};
pub use to_sql::{Definitions, Ends, Otherwise};
pub use words::words;
