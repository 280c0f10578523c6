//! Waiting for a database and connecting to it.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use connection::{Error, Hint, Interrupted, Kind, MakeRustlsConnect, Next, Settings, Trouble, describe};
use postgres::config::TargetSessionAttrs;
use postgres::error::DbError;
use postgres::{CancelToken, Client, Config, NoTls};

use super::Waiting;
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

/// `options` of a session that is told no others: whatever the role is set to, it ends neither while it waits nor
/// before it can say so itself.
const UNLIMITED: &str = "-c statement_timeout=0 -c idle_session_timeout=0";

/// Makes connections by one group of settings.
#[derive(Clone)]
pub struct Connector {
    settings: Settings,
    tls: Option<MakeRustlsConnect>,
    notices: Option<NoticeHandler>,
    /// The hosts to try, in order.
    order: Arc<[usize]>,
    /// The host that was found: further connections go to the same one.
    host: Arc<Mutex<Option<usize>>>,
    /// A pooler has refused `options` in the startup message: further connections go without.
    without_options: Arc<AtomicBool>,
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
    /// `options` of the startup message, for instance `-c name=value`. Poolers refuse them: then it goes without.
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
        Ok(Self {
            order: settings.order().into(),
            tls: settings.tls()?,
            settings,
            notices,
            host: Arc::default(),
            without_options: Arc::default(),
        })
    }

    /// The settings it was made from.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Connects, and as long as waiting may help, tries again for up to `wait`. Each new reason to
    /// wait is told to `tell`.
    ///
    /// # Errors
    /// Of kind [`Kind::Connect`]: the deadline has passed, or the database was reached and refused in
    /// a way that waiting does not change. Of kind [`Kind::Interrupted`].
    pub fn wait(
        &self,
        target: Target,
        session: &Session<'_>,
        wait: Duration,
        interrupted: Interrupted<'_>,
        tell: &dyn Fn(Waiting<'_>),
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
            tell(Waiting::ForDatabase {
                reason: &format!("{}: {reason}", self.settings.addresses().join(", ")),
                since: start.elapsed(),
            });
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
        let host = self.hosts().first().copied().unwrap_or_default();
        Begun {
            attempt: Cell::new(Some(self.start(self.config(host, target, session)))),
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

    /// The error of a session that no longer answers.
    pub fn lost(&self, error: &postgres::Error) -> Error {
        Error::new(Kind::Connect, format!("cannot use {}", self.settings), describe(error))
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
        for host in self.hosts() {
            match self.try_host(host, target, session, interrupted) {
                Ok(client) => {
                    // Another thread may have been first: then the host is known, which is what counts.
                    self.found().get_or_insert(host);
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
        let mut first = None;
        let mut tls = self.settings.first_tls(host);
        loop {
            let attempt = match session.begun.and_then(|begun| begun.attempt.take()) {
                Some(begun) => begun,
                None => {
                    let mut config = self.config(host, target, session);
                    config.ssl_mode(tls);
                    self.start(config)
                }
            };
            let error = match finish(&attempt, self.patience(), interrupted) {
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
                Err(Attempt::Failed(error)) => error,
            };
            // PgBouncer's words for what it does not pass on (SQLSTATE 08P01).
            if describe(&error).contains("unsupported startup parameter")
                && !self.without_options.swap(true, Ordering::Relaxed)
            {
                continue;
            }
            if Trouble::of(&error) == Trouble::ReadOnly {
                return Err(self.why_read_only(host, tls, session, interrupted));
            }
            let other = self.settings.other_tls(host, tls, &error);
            // What the settings ask for first is what they are about.
            let first = first.get_or_insert(error);
            match other {
                Some(other) => tls = other,
                None => return Err(self.refusal(first, session)),
            }
        }
    }

    /// A host was asked to be writable and is not: asks it why, in a session that need not write.
    fn why_read_only(
        &self,
        host: usize,
        tls: postgres::config::SslMode,
        session: &Session<'_>,
        interrupted: Interrupted<'_>,
    ) -> Refusal {
        let mut config = self.config(host, Target::Any, session);
        config.ssl_mode(tls).target_session_attrs(TargetSessionAttrs::Any);
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
        let config = &self.settings.config;
        let user = session.login.map(|(user, _)| user).or(config.get_user());
        let database = session.database.or(config.get_dbname());
        let trouble = Trouble::of(error);
        let cause = match &trouble {
            Trouble::Tls(cause) => format!("TLS: {cause}"),
            _ => describe(error),
        };
        let next = trouble.next(user.unwrap_or_default(), database.unwrap_or_default());
        Refusal {
            error: Error::new(Kind::Connect, format!("cannot connect to {}", self.settings), cause).next(next),
            may_pass: trouble.may_pass(),
        }
    }

    /// The hosts to try, in order: all, until one has been found.
    fn hosts(&self) -> Vec<usize> {
        match *self.found() {
            Some(host) => vec![host],
            None => self.order.to_vec(),
        }
    }

    fn found(&self) -> MutexGuard<'_, Option<usize>> {
        self.host.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The host that was found may be the writable one no more: the next connection tries all again.
    pub fn forget_host(&self) {
        *self.found() = None;
    }

    fn patience(&self) -> Duration {
        self.settings.patience(ATTEMPT)
    }

    /// What the driver is told for a session on one of the hosts.
    fn config(&self, host: usize, target: Target, session: &Session<'_>) -> Config {
        let name = session.name.unwrap_or("xtask");
        let options = session.options.unwrap_or(UNLIMITED);
        let options = Some(options).filter(|_| !self.without_options.load(Ordering::Relaxed));
        let mut config = Config::from(self.settings.session(host, name, options, ATTEMPT));
        if let Some((user, password)) = session.login {
            config.user(user).password(password);
        }
        if let Some(database) = session.database {
            config.dbname(database);
        }
        if target == Target::Writable {
            // Of several hosts one must be found; a single one tells by itself in the first answer that is needed
            // anyway.
            config.target_session_attrs(match self.settings.config.get_hosts().len() {
                0 | 1 => TargetSessionAttrs::Any,
                _ => TargetSessionAttrs::ReadWrite,
            });
        }
        if let Some(notices) = &self.notices {
            let notices = notices.clone();
            config.notice_callback(move |notice| notices(&notice));
        }
        config
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
