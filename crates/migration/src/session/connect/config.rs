//! What the driver is told for one session: all that the settings say, and what the session is for.

use std::time::Duration;

use connection::{DRIVERS_KEEPALIVES_IDLE, SslMode};
use postgres::config::{Host, TargetSessionAttrs};

use super::{ATTEMPT, Connector, Session, Target};

impl Connector {
    /// The hosts to try, in order: all, until one has been found.
    pub(super) fn hosts(&self) -> &[usize] {
        match self.host.get() {
            Some(host) => std::slice::from_ref(host),
            None => &self.order,
        }
    }

    /// How long one attempt may take.
    pub(super) fn patience(&self) -> Duration {
        self.settings.config.get_connect_timeout().copied().unwrap_or(ATTEMPT)
    }

    /// The ways to use TLS, in the order in which they are tried.
    pub(super) fn ssl_modes(&self) -> &'static [postgres::config::SslMode] {
        use postgres::config::SslMode as Mode;
        match self.settings.ssl {
            SslMode::Disable => &[Mode::Disable],
            SslMode::Allow => &[Mode::Disable, Mode::Require],
            SslMode::Prefer => &[Mode::Prefer, Mode::Disable],
            SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => &[Mode::Require],
        }
    }

    /// For a session on one of the hosts.
    pub(super) fn config(&self, host: usize, target: Target, session: &Session<'_>) -> postgres::Config {
        let all = &self.settings.config;
        let mut config = postgres::Config::new();
        match all.get_hosts().get(host) {
            Some(Host::Tcp(name)) => config.host(name),
            Some(Host::Unix(path)) => config.host_path(path),
            None => &mut config,
        };
        if let Some(address) = all.get_hostaddrs().get(host) {
            config.hostaddr(*address);
        }
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
        // The last one counts: what a session needs stands behind what was asked for.
        let options: Vec<&str> = all.get_options().into_iter().chain(session.options).collect();
        if !options.is_empty() {
            config.options(&options.join(" "));
        }
        match (target, all.get_target_session_attrs()) {
            // Of several hosts one must be found; a single one tells by itself in the first answer that is needed
            // anyway.
            (Target::Writable, _) if all.get_hosts().len() > 1 => {
                config.target_session_attrs(TargetSessionAttrs::ReadWrite);
            }
            (Target::Writable, _) => {}
            (Target::Any, asked) => {
                config.target_session_attrs(asked);
            }
        }
        if let Some(notices) = &self.notices {
            let notices = notices.clone();
            config.notice_callback(move |notice| notices(&notice));
        }
        let name = session.name.unwrap_or("xtask");
        match all.get_application_name() {
            // Both: who asks for a name looks for it, and a session is told by what it is for.
            Some(asked) => config.application_name(&format!("{asked}: {name}")),
            None => config.application_name(name),
        };
        if let Some(interval) = all.get_keepalives_interval() {
            config.keepalives_interval(interval);
        }
        if let Some(retries) = all.get_keepalives_retries() {
            config.keepalives_retries(retries);
        }
        let idle = Some(all.get_keepalives_idle()).filter(|idle| *idle != DRIVERS_KEEPALIVES_IDLE);
        config
            .connect_timeout(self.patience())
            .keepalives(all.get_keepalives())
            .keepalives_idle(idle.unwrap_or(Duration::from_secs(20)))
            .tcp_user_timeout(all.get_tcp_user_timeout().copied().unwrap_or(Duration::from_secs(30)))
            .channel_binding(all.get_channel_binding());
        config
    }
}
