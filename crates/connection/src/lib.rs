//! What whoever connects to the database knows of the connection, the engine and the backend alike: the settings and
//! where they come from, TLS, and what an error is. It opens no connection itself.

mod conninfo;
mod error;
pub mod settings;
pub mod tls;
mod url;

/// What the drivers are told, the asynchronous one and, converted, the synchronous one.
pub use tokio_postgres::Config;

pub use error::{Error, Hint, Interrupted, Kind, Next, describe};
pub use settings::{Settings, SslMode};
pub use url::DRIVERS_KEEPALIVES_IDLE;
