//! Waiting for a database and connecting to it.

use std::cell::Cell;
use std::error::Error as _;
use std::io;
use std::ops::Range;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use postgres::config::{Host, TargetSessionAttrs};
use postgres::error::{DbError, SqlState};
use postgres::{CancelToken, Client, NoTls, SimpleQueryMessage, SimpleQueryRow};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::settings::{Settings, SslMode};
use super::tls;
use crate::error::{Error, Kind, describe};

/// Asks whether the process was told to end, and by which signal.
pub type Interrupted<'a> = &'a (dyn Fn() -> Option<i32> + Sync);

/// Receives what the server says besides results: NOTICE, WARNING.
pub type NoticeHandler = Arc<dyn Fn(&DbError) + Send + Sync>;

/// What the session will be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// Writes: of several hosts the writable one. A single one is not asked: it says so with the first write.
    Writable,
    /// Reads only: any server will do.
    Any,
}

/// How long one attempt may take before the next is made.
const ATTEMPT: Duration = Duration::from_secs(10);

/// Makes connections by one group of settings.
#[derive(Clone)]
pub struct Connector {
    settings: Settings,
    tls: Option<MakeRustlsConnect>,
    notices: Option<NoticeHandler>,
    /// The host that was found: further connections go to the same one.
    host: Arc<OnceLock<usize>>,
}

/// Why one host did not do, and whether waiting may help.
struct Refusal {
    error: Error,
    may_pass: bool,
}

/// A first attempt to connect that is under way: the next one to be made with it is not made but waited for.
pub struct Begun {
    attempt: Cell<Option<Receiver<Result<Client, postgres::Error>>>>,
}

/// What one session is to be, besides the settings that all share.
#[derive(Clone, Default)]
pub struct Session<'a> {
    /// Its `application_name`; by default `xtask`.
    pub name: Option<&'a str>,
    /// Instead of the settings' database.
    pub database: Option<&'a str>,
    /// Instead of the settings' user and password.
    pub login: Option<(&'a str, &'a str)>,
    /// `options` of the startup message, for instance `-c name=value`.
    pub options: Option<&'a str>,
    /// What [`Connector::begin`] has begun for such a session.
    pub begun: Option<&'a Begun>,
}

impl<'a> Session<'a> {
    /// An ordinary session of this `application_name`.
    pub fn named(name: &'a str) -> Self {
        Self {
            name: Some(name),
            ..Self::default()
        }
    }
}

impl Connector {
    /// Prepares connecting; TLS is set up here, if it is asked for.
    ///
    /// # Errors
    /// A root certificate that cannot be read.
    pub fn new(settings: Settings, notices: Option<NoticeHandler>) -> Result<Self, Error> {
        let tls = match settings.ssl {
            SslMode::Disable => None,
            mode => Some(tls::connector(mode, settings.ssl_ca.as_deref())?),
        };
        Ok(Self {
            settings,
            tls,
            notices,
            host: Arc::default(),
        })
    }

    /// The settings it was made from.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Connects, and as long as waiting may help, tries again for up to `wait`. Each new reason to
    /// wait is told to `waiting`, with the time spent so far.
    ///
    /// # Errors
    /// Of kind [`Kind::Connect`]: the deadline has passed, or the database was reached and refused in
    /// a way that waiting does not mend. Of kind [`Kind::Interrupted`].
    pub fn wait(
        &self,
        target: Target,
        session: &Session<'_>,
        wait: Duration,
        interrupted: Interrupted<'_>,
        waiting: &dyn Fn(&str, Duration),
    ) -> Result<Client, Error> {
        let start = Instant::now();
        let mut pause = Duration::from_millis(25);
        loop {
            let refusal = match self.try_hosts(target, session, interrupted) {
                Ok(client) => return Ok(client),
                Err(refusal) => refusal,
            };
            let left = wait.saturating_sub(start.elapsed());
            if !refusal.may_pass {
                return Err(refusal.error);
            }
            if left.is_zero() {
                return Err(if wait.is_zero() {
                    refusal.error
                } else {
                    Error {
                        what: format!("{} (waited {})", refusal.error.what, humantime::format_duration(wait)),
                        next: "is the server running, and are host and port right? a longer wait: --wait 2min".into(),
                        ..refusal.error
                    }
                });
            }
            let reason = refusal.error.cause.lines().next().unwrap_or_default();
            waiting(
                &format!("{}: {reason}", self.settings.addresses().join(", ")),
                start.elapsed(),
            );
            let until = Instant::now() + pause.min(left);
            while Instant::now() < until {
                check(interrupted, "waiting for the database")?;
                std::thread::sleep(Duration::from_millis(20).min(until.saturating_duration_since(Instant::now())));
            }
            pause = (pause * 2).min(Duration::from_millis(500));
        }
    }

    /// Begins to connect, for [`wait`](Self::wait) with the same target and session: whoever has something else to do
    /// first need not wait for the server meanwhile.
    pub fn begin(&self, target: Target, session: &Session<'_>) -> Begun {
        let mut config = self.config(self.hosts().start, target, session);
        config.ssl_mode(self.ssl_modes()[0]);
        Begun {
            attempt: Cell::new(Some(self.start(config))),
        }
    }

    /// Connects at once, without waiting for a server that is not ready.
    ///
    /// # Errors
    /// Of kind [`Kind::Connect`].
    pub fn connect(&self, session: &Session<'_>) -> Result<Client, Error> {
        self.try_hosts(Target::Any, session, &|| None)
            .map_err(|refusal| refusal.error)
    }

    /// The error of a server that was reached, and does not accept writes.
    pub fn read_only(&self) -> Error {
        Error::new(
            Kind::Connect,
            format!("cannot connect to {}", self.settings),
            "the server is a standby, or read-only: it does not accept writes",
        )
        .next("connect to the primary; POSTGRES_HOST takes several hosts (a,b): the writable one is used")
    }

    /// Asks the server to cancel what the session is doing.
    ///
    /// # Errors
    /// The server could not be reached.
    pub fn cancel(&self, token: &CancelToken) -> Result<(), postgres::Error> {
        match &self.tls {
            Some(tls) => token.cancel_query(tls.clone()),
            None => token.cancel_query(NoTls),
        }
    }

    /// The hosts to try, in order: all, until one has been found.
    fn hosts(&self) -> Range<usize> {
        match self.host.get() {
            Some(host) => *host..*host + 1,
            None => 0..self.settings.config.get_hosts().len(),
        }
    }

    fn try_hosts(
        &self,
        target: Target,
        session: &Session<'_>,
        interrupted: Interrupted<'_>,
    ) -> Result<Client, Refusal> {
        let mut refusals: Vec<Refusal> = Vec::new();
        for host in self.hosts() {
            match self.try_host(host, target, session, interrupted) {
                Ok(client) => {
                    // Another thread may have been first: then the host is known, which is what counts.
                    let _ = self.host.set(host);
                    return Ok(client);
                }
                Err(refusal) if matches!(refusal.error.kind, Kind::Interrupted(_)) => return Err(refusal),
                Err(refusal) => refusals.push(refusal),
            }
        }
        let may_pass = refusals.iter().any(|refusal| refusal.may_pass);
        let many = refusals.len() > 1;
        let mut refusals = refusals.into_iter();
        let Some(mut first) = refusals.next() else {
            let error = Error::new(Kind::Usage, "no host to connect to", "POSTGRES_HOST is empty");
            return Err(Refusal { error, may_pass: false });
        };
        if many {
            first.error.cause = format!("{}: {}", self.settings.addresses().join(", "), first.error.cause);
        }
        for other in refusals {
            first.error.cause.push_str(&format!("\n{}", other.error.cause));
        }
        Err(Refusal { may_pass, ..first })
    }

    fn try_host(
        &self,
        host: usize,
        target: Target,
        session: &Session<'_>,
        interrupted: Interrupted<'_>,
    ) -> Result<Client, Refusal> {
        let config = self.config(host, target, session);
        let mut first = None;
        for mode in self.ssl_modes() {
            let mut config = config.clone();
            config.ssl_mode(*mode);
            let attempt = match session.begun.and_then(|begun| begun.attempt.take()) {
                Some(begun) => begun,
                None => self.start(config),
            };
            match finish(&attempt, interrupted) {
                Ok(client) => return Ok(client),
                Err(Attempt::Interrupted(error)) => return Err(Refusal { error, may_pass: false }),
                Err(Attempt::Timeout) => {
                    let address = self.settings.addresses().get(host).cloned().unwrap_or_default();
                    let error = Error::new(
                        Kind::Connect,
                        format!("cannot connect to {}", self.settings),
                        format!(
                            "{address} accepts connections and does not answer (waited {} s)",
                            ATTEMPT.as_secs()
                        ),
                    );
                    return Err(Refusal { error, may_pass: true });
                }
                Err(Attempt::Failed(error)) => {
                    // The other mode is only tried where the server refused this one.
                    let refused = error.code() == Some(&SqlState::INVALID_AUTHORIZATION_SPECIFICATION);
                    let error = first.get_or_insert(error);
                    if !refused {
                        return Err(self.refusal(error, session));
                    }
                }
            }
        }
        match first {
            Some(error) => Err(self.refusal(&error, session)),
            None => Err(Refusal {
                error: Error::new(Kind::Connect, "cannot connect", "no TLS mode left to try"),
                may_pass: false,
            }),
        }
    }

    /// The ways to use TLS, in the order in which they are tried.
    fn ssl_modes(&self) -> &'static [postgres::config::SslMode] {
        use postgres::config::SslMode as Mode;
        match self.settings.ssl {
            SslMode::Disable => &[Mode::Disable],
            SslMode::Allow => &[Mode::Disable, Mode::Require],
            SslMode::Prefer => &[Mode::Prefer, Mode::Disable],
            SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => &[Mode::Require],
        }
    }

    /// One attempt in a thread of its own: a server that accepts and then says nothing must not
    /// keep us, nor keep Ctrl-C waiting.
    fn start(&self, config: postgres::Config) -> Receiver<Result<Client, postgres::Error>> {
        let (sender, receiver) = mpsc::channel();
        let tls = self.tls.clone();
        std::thread::spawn(move || {
            let result = match tls {
                Some(tls) => config.connect(tls),
                None => config.connect(NoTls),
            };
            // Nobody listens any more after a time-out.
            let _ = sender.send(result);
        });
        receiver
    }

    fn config(&self, host: usize, target: Target, session: &Session<'_>) -> postgres::Config {
        let all = &self.settings.config;
        let mut config = postgres::Config::new();
        match all.get_hosts().get(host) {
            Some(Host::Tcp(name)) => config.host(name),
            Some(Host::Unix(path)) => config.host_path(path),
            None => &mut config,
        };
        let ports = all.get_ports();
        config.port(ports.get(host).or(ports.first()).copied().unwrap_or(5432));
        if let Some(user) = all.get_user() {
            config.user(user);
        }
        if let Some(password) = all.get_password() {
            config.password(password);
        }
        if let Some((user, password)) = session.login {
            config.user(user).password(password);
        }
        if let Some(database) = session.database.or(all.get_dbname()) {
            config.dbname(database);
        }
        let options: Vec<&str> = all.get_options().into_iter().chain(session.options).collect();
        if !options.is_empty() {
            config.options(&options.join(" "));
        }
        // Of several hosts one must be found; a single one tells by itself in the first answer that is needed anyway.
        if target == Target::Writable && all.get_hosts().len() > 1 {
            config.target_session_attrs(TargetSessionAttrs::ReadWrite);
        }
        if let Some(notices) = &self.notices {
            let notices = notices.clone();
            config.notice_callback(move |notice| notices(&notice));
        }
        config
            .application_name(session.name.unwrap_or("xtask"))
            .connect_timeout(all.get_connect_timeout().copied().unwrap_or(ATTEMPT))
            .keepalives_idle(Duration::from_secs(20))
            .tcp_user_timeout(Duration::from_secs(30));
        config
    }

    fn refusal(&self, error: &postgres::Error, session: &Session<'_>) -> Refusal {
        let what = format!("cannot connect to {}", self.settings);
        let refusal = |cause: String, next: &str, may_pass| Refusal {
            error: Error::new(Kind::Connect, what.clone(), cause).next(next),
            may_pass,
        };
        let user = session
            .login
            .map(|(user, _)| user)
            .or(self.settings.config.get_user())
            .unwrap_or_default();
        if let Some(code) = error.code() {
            let database = session
                .database
                .or(self.settings.config.get_dbname())
                .unwrap_or_default();
            let next = match code.code() {
                "28P01" => format!("check POSTGRES_USER ({user}) and POSTGRES_PASSWORD"),
                "28000" => {
                    "does the role exist, and does pg_hba.conf let it in from here (with or without TLS: POSTGRES_SSL)?"
                        .into()
                }
                "3D000" => format!("check POSTGRES_DB, or create it as a superuser: createdb -O {user} {database}"),
                "42501" => {
                    format!("as the owner of the database: GRANT CONNECT ON DATABASE \"{database}\" TO \"{user}\"")
                }
                "53300" => "the server has no connection left: end some, or raise max_connections".into(),
                _ => String::new(),
            };
            return refusal(describe(error), &next, matches!(code.code(), "57P03" | "53300"));
        }
        match chain(error) {
            Root::Tls(cause) => refusal(
                format!("TLS: {cause}"),
                "the certificate must be signed by a root this machine knows, or by POSTGRES_SSL_CA, and name the host\n\
                 as POSTGRES_HOST does; weaker on purpose: POSTGRES_SSL=verify-ca or require",
                false,
            ),
            Root::ReadOnly => Refusal {
                error: self.read_only(),
                may_pass: self.settings.config.get_hosts().len() > 1,
            },
            Root::Io(kind, cause) => refusal(
                cause,
                "is the server running, and are host and port right?",
                kind != io::ErrorKind::PermissionDenied,
            ),
            Root::Other if error.is_closed() => refusal(describe(error), "is this a PostgreSQL server?", true),
            Root::Other => {
                let cause = describe(error);
                let next = if cause.contains("password missing") {
                    "the server asks for a password: set POSTGRES_PASSWORD"
                } else if cause.contains("does not support TLS") {
                    "the server has no TLS: without it POSTGRES_SSL=false, or switch on ssl in postgresql.conf"
                } else {
                    ""
                };
                refusal(cause, next, false)
            }
        }
    }
}

/// Waits for an attempt to end.
fn finish(
    attempt: &Receiver<Result<Client, postgres::Error>>,
    interrupted: Interrupted<'_>,
) -> Result<Client, Attempt> {
    let deadline = Instant::now() + ATTEMPT;
    loop {
        match attempt.recv_timeout(Duration::from_millis(50)) {
            Ok(result) => return result.map_err(Attempt::Failed),
            Err(RecvTimeoutError::Timeout) if Instant::now() < deadline => {
                check(interrupted, "connecting to the database").map_err(Attempt::Interrupted)?;
            }
            Err(_) => return Err(Attempt::Timeout),
        }
    }
}

enum Attempt {
    Failed(postgres::Error),
    Timeout,
    Interrupted(Error),
}

/// What an error of the driver comes from in the end.
enum Root {
    Tls(String),
    ReadOnly,
    Io(io::ErrorKind, String),
    Other,
}

fn chain(error: &postgres::Error) -> Root {
    let mut source = error.source();
    while let Some(cause) = source {
        if let Some(tls) = cause.downcast_ref::<rustls::Error>() {
            return Root::Tls(tls.to_string());
        }
        if let Some(io) = cause.downcast_ref::<io::Error>() {
            // `source` of an `io::Error` skips the error it carries.
            if let Some(tls) = io.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
                return Root::Tls(tls.to_string());
            }
            if io.to_string() == "database does not allow writes" {
                return Root::ReadOnly;
            }
            return Root::Io(io.kind(), describe(error));
        }
        source = cause.source();
    }
    Root::Other
}

/// The rows of what the server answered to a simple query.
pub fn rows(messages: Vec<SimpleQueryMessage>) -> impl Iterator<Item = SimpleQueryRow> {
    messages.into_iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    })
}

/// An error of kind [`Kind::Interrupted`] if the process was told to end.
///
/// # Errors
/// See above.
pub fn check(interrupted: Interrupted<'_>, doing: &str) -> Result<(), Error> {
    match interrupted() {
        None => Ok(()),
        Some(signal) => Err(Error::new(
            Kind::Interrupted(signal),
            format!("interrupted while {doing}"),
            "",
        )),
    }
}
