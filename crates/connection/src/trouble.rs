//! Why a connection was not made, or is lost: in one place, so that all who connect tell it in the same words.

use std::error::Error as _;
use std::io;

use tokio_postgres::error::SqlState;

/// Why a connection was not made, or is lost, as far as what to do about it differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// The password is wrong.
    Password,
    /// The server asks for a password, and none is set.
    NoPassword,
    /// The server does not let this user in from here, or not in this way: `pg_hba.conf`.
    Refused,
    /// There is no such database.
    NoDatabase,
    /// The user may not connect to the database.
    NoPrivilege,
    /// All connections of the server are in use.
    NoneLeft,
    /// The server starts up or shuts down.
    Starting,
    /// The server answered with another error.
    Server,
    /// No encryption that both sides agree on: a certificate, for instance.
    Tls(String),
    /// The server has no TLS.
    NoTls,
    /// The server takes no writes.
    ReadOnly,
    /// The network, or the system.
    Network(io::ErrorKind),
    /// The server closed the connection.
    Closed,
    /// Anything else.
    Other,
}

impl Trouble {
    /// What an error of the driver comes from in the end.
    pub fn of(error: &tokio_postgres::Error) -> Self {
        if let Some(code) = error.code() {
            return match *code {
                SqlState::INVALID_PASSWORD => Self::Password,
                SqlState::INVALID_AUTHORIZATION_SPECIFICATION => Self::Refused,
                SqlState::INVALID_CATALOG_NAME => Self::NoDatabase,
                SqlState::INSUFFICIENT_PRIVILEGE => Self::NoPrivilege,
                SqlState::TOO_MANY_CONNECTIONS => Self::NoneLeft,
                SqlState::ADMIN_SHUTDOWN | SqlState::CRASH_SHUTDOWN | SqlState::CANNOT_CONNECT_NOW => Self::Starting,
                _ => Self::Server,
            };
        }
        let mut source = error.source();
        while let Some(cause) = source {
            if let Some(tls) = cause.downcast_ref::<rustls::Error>() {
                return Self::Tls(tls.to_string());
            }
            if let Some(io) = cause.downcast_ref::<io::Error>() {
                // `source` of an `io::Error` skips the error it carries.
                if let Some(tls) = io.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
                    return Self::Tls(tls.to_string());
                }
                return match io.to_string().as_str() {
                    "database does not allow writes" => Self::ReadOnly,
                    _ => Self::Network(io.kind()),
                };
            }
            source = cause.source();
        }
        // The driver has no other way to ask for these.
        let text = error.to_string();
        let root = error.source().map(ToString::to_string).unwrap_or_default();
        match () {
            () if error.is_closed() => Self::Closed,
            () if text.contains("password missing") || root.contains("password missing") => Self::NoPassword,
            () if text.contains("does not support TLS") || root.contains("does not support TLS") => Self::NoTls,
            () => Self::Other,
        }
    }

    /// In words that anybody may read: without host, user and password.
    pub fn words(&self) -> &'static str {
        use io::ErrorKind as Io;
        match self {
            Self::Password | Self::NoPassword | Self::Refused => "the database refuses the login",
            Self::NoDatabase => "the database does not exist",
            Self::NoPrivilege => "the database denies access",
            Self::NoneLeft => "the database has too many connections",
            Self::Starting => "the database is starting or shutting down",
            Self::Server => "the database cannot serve now",
            // Of a host's name that can stand in no certificate, the system says `InvalidInput`.
            Self::Tls(_) | Self::Network(Io::InvalidData | Io::InvalidInput) => {
                "the TLS connection to the database fails"
            }
            Self::NoTls => "the database has no TLS",
            Self::ReadOnly => "the database takes no writes",
            Self::Network(Io::ConnectionRefused) => "the database refuses the connection",
            Self::Network(Io::TimedOut) => "the database cannot be reached in time",
            Self::Closed | Self::Network(Io::UnexpectedEof | Io::ConnectionReset | Io::BrokenPipe) => {
                "the database closed the connection"
            }
            Self::Network(_) => "the database cannot be reached",
            Self::Other => "the database cannot be used",
        }
    }

    /// Whether it may be over in a moment.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::NoneLeft | Self::Starting | Self::Closed => true,
            Self::Network(kind) => *kind != io::ErrorKind::PermissionDenied,
            _ => false,
        }
    }

    /// What to do about it; empty where nothing can be said.
    pub fn next(&self, user: &str, database: &str) -> String {
        match self {
            Self::Password => format!("check POSTGRES_USER ({user}) and POSTGRES_PASSWORD"),
            Self::NoPassword => "the server asks for a password: set POSTGRES_PASSWORD".into(),
            Self::Refused => {
                "does the role exist, and does pg_hba.conf let it in from here (with or without TLS: POSTGRES_SSL)?"
                    .into()
            }
            Self::NoDatabase => format!("check POSTGRES_DB, or create it as a superuser: createdb -O {user} {database}"),
            Self::NoPrivilege => {
                format!("as the owner of the database: GRANT CONNECT ON DATABASE \"{database}\" TO \"{user}\"")
            }
            Self::NoneLeft => "the server has no connection left: end some, or raise max_connections".into(),
            Self::Tls(_) => {
                "the certificate must be signed by a root that POSTGRES_SSL_CA names, or else by one this machine knows, \
                 and name the host\nas POSTGRES_HOST does; weaker on purpose: POSTGRES_SSL=verify-ca or require"
                    .into()
            }
            Self::NoTls => {
                "the server has no TLS: without it POSTGRES_SSL=false, or switch on ssl in postgresql.conf".into()
            }
            Self::Network(_) => "is the server running, and are host and port right?".into(),
            Self::Closed => "is this a PostgreSQL server?".into(),
            Self::ReadOnly | Self::Starting | Self::Server | Self::Other => String::new(),
        }
    }
}
