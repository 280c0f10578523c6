//! What whoever connects to the database knows of the connection, the engine and the backend alike: the settings and
//! where they come from, what the driver is told, TLS, and what an error is. It opens no connection itself.

mod attempt;
mod conninfo;
mod error;
pub mod settings;
mod tls;
mod trouble;
mod url;

/// What the drivers are told, the asynchronous one and, converted, the synchronous one.
pub use tokio_postgres::Config;
/// What makes TLS connections for either driver.
pub use tokio_postgres_rustls::MakeRustlsConnect;

pub use error::{Error, Hint, Interrupted, Kind, Next, describe};
pub use settings::{Settings, SslMode};
pub use trouble::Trouble;
