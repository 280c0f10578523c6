//! Waiting for a database and connecting to it.

mod config;

use std::cell::Cell;
use std::error::Error as _;
use std::io;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use connection::{Error, Hint, Interrupted, Kind, Next, Settings, SslMode, describe};
use postgres::config::{LoadBalanceHosts, TargetSessionAttrs};
use postgres::error::{DbError, SqlState};
use postgres::{CancelToken, Client, NoTls, SimpleQueryMessage, SimpleQueryRow};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::read_only::Why;

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

/// How long one attempt may take before the next is made, unless told otherwise.
const ATTEMPT: Duration = Duration::from_secs(10);

/// Makes connections by one group of settings.
#[derive(Clone)]
pub struct Connector {
    settings: Settings,
    tls: Option<MakeRustlsConnect>,
    notices: Option<NoticeHandler>,
    /// The hosts to try, in order.
    order: Arc<[usize]>,
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
            mode => Some(connection::tls::connector(mode, settings.ssl_ca.as_deref())?),
        };
        let mut order: Vec<usize> = (0..settings.config.get_hosts().len()).collect();
        if settings.config.get_load_balance_hosts() == LoadBalanceHosts::Random {
            fastrand::shuffle(&mut order);
        }
        Ok(Self {
            order: order.into(),
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
                        next: Next::from("is the server running, and are host and port right?").hint(Hint::WaitLonger),
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
        let mut config = self.config(self.hosts().first().copied().unwrap_or_default(), target, session);
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

    fn try_hosts(
        &self,
        target: Target,
        session: &Session<'_>,
        interrupted: Interrupted<'_>,
    ) -> Result<Client, Refusal> {
        if target == Target::Writable && self.settings.config.get_target_session_attrs() == TargetSessionAttrs::ReadOnly
        {
            let error = Error::new(
                Kind::Usage,
                "the setting DATABASE_URL makes no sense",
                "target_session_attrs=read-only is for who only reads",
            );
            return Err(Refusal { error, may_pass: false });
        }
        let mut refusals: Vec<Refusal> = Vec::new();
        for host in self.hosts().iter().copied() {
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
            match finish(&attempt, self.patience(), interrupted) {
                Ok(client) => return Ok(client),
                Err(Attempt::Interrupted(error)) => return Err(Refusal { error, may_pass: false }),
                Err(Attempt::Timeout) => {
                    let address = self.settings.addresses().get(host).cloned().unwrap_or_default();
                    let error = Error::new(
                        Kind::Connect,
                        format!("cannot connect to {}", self.settings),
                        format!(
                            "{address} accepts connections and does not answer (waited {} s)",
                            self.patience().as_secs()
                        ),
                    );
                    return Err(Refusal { error, may_pass: true });
                }
                Err(Attempt::Failed(error)) => {
                    // The other mode is only tried where the server refused this one.
                    let refused = error.code() == Some(&SqlState::INVALID_AUTHORIZATION_SPECIFICATION);
                    let error = first.get_or_insert(error);
                    if matches!(chain(error), Root::ReadOnly) {
                        return Err(self.why_read_only(host, *mode, session, interrupted));
                    }
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

    /// A host was asked to be writable and is not: asks it why, in a session that need not write.
    fn why_read_only(
        &self,
        host: usize,
        mode: postgres::config::SslMode,
        session: &Session<'_>,
        interrupted: Interrupted<'_>,
    ) -> Refusal {
        let mut config = self.config(host, Target::Any, session);
        config.ssl_mode(mode).target_session_attrs(TargetSessionAttrs::Any);
        let why = match finish(&self.start(config), self.patience(), interrupted) {
            Ok(mut client) => Why::ask(&mut client),
            Err(_) => Why::Unknown,
        };
        Refusal {
            error: why.error(&self.settings),
            may_pass: self.settings.config.get_hosts().len() > 1 && why.may_pass(),
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
            Root::ReadOnly => refusal("the server does not accept writes".into(), "", false),
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
    patience: Duration,
    interrupted: Interrupted<'_>,
) -> Result<Client, Attempt> {
    let deadline = Instant::now() + patience;
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
