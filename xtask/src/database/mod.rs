//! Databases and the way to them: settings, TLS, waiting, connecting.

pub mod connect;
pub mod conninfo;
pub mod password;
pub mod pooler;
pub mod read_only;
pub mod server;
pub mod settings;
pub mod tls;
mod url;

pub use connect::{Connector, Target};
pub use server::{Server, ServerKind, ServerOptions, StartError};
pub use settings::{Settings, SslMode};
