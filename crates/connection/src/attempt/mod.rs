//! One attempt to connect: what the driver is told for a session on one of the hosts, and with or without TLS.

use std::time::Duration;

use tokio_postgres::config::{Host, LoadBalanceHosts, SslMode as Tls};

use crate::url::DRIVERS_KEEPALIVES_IDLE;
use crate::{Config, Settings, SslMode, Trouble};

/// After so long a silence a connection is asked for a sign of life, unless told otherwise.
const KEEPALIVES_IDLE: Duration = Duration::from_secs(20);
/// How often it is asked again.
const KEEPALIVES_INTERVAL: Duration = Duration::from_secs(10);
/// How often it may miss that.
const KEEPALIVES_RETRIES: u32 = 3;
/// How long what was sent may stay unacknowledged.
const USER_TIMEOUT: Duration = Duration::from_secs(30);

impl Settings {
    /// The numbers of the hosts, in the order in which one connection tries them.
    pub fn order(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.config.get_hosts().len()).collect();
        if self.config.get_load_balance_hosts() == LoadBalanceHosts::Random {
            fastrand::shuffle(&mut order);
        }
        order
    }

    /// What the driver is told for a session on one of the hosts: all that the settings say. `options` are the
    /// session's own, as for the startup message; `patience` is how long it may take if the settings do not say it.
    pub fn session(&self, host: usize, name: &str, options: Option<&str>, patience: Duration) -> Config {
        let all = &self.config;
        let mut config = Config::new();
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
        if let Some(database) = all.get_dbname() {
            config.dbname(database);
        }
        // The last one counts: what a session needs stands behind what was asked for.
        let options: Vec<&str> = all.get_options().into_iter().chain(options).collect();
        if !options.is_empty() {
            config.options(options.join(" "));
        }
        match all.get_application_name() {
            // Both: who asks for a name looks for it, and a session is told by what it is for.
            Some(asked) => config.application_name(format!("{asked}: {name}")),
            None => config.application_name(name),
        };
        let idle = Some(all.get_keepalives_idle()).filter(|idle| *idle != DRIVERS_KEEPALIVES_IDLE);
        config
            .connect_timeout(self.patience(patience))
            .keepalives(all.get_keepalives())
            .keepalives_idle(idle.unwrap_or(KEEPALIVES_IDLE))
            .keepalives_interval(all.get_keepalives_interval().unwrap_or(KEEPALIVES_INTERVAL))
            .keepalives_retries(all.get_keepalives_retries().unwrap_or(KEEPALIVES_RETRIES))
            .tcp_user_timeout(all.get_tcp_user_timeout().copied().unwrap_or(USER_TIMEOUT))
            .target_session_attrs(all.get_target_session_attrs())
            .channel_binding(all.get_channel_binding())
            .load_balance_hosts(all.get_load_balance_hosts())
            .ssl_mode(self.first_tls(host));
        config
    }

    /// How long one attempt may take: `otherwise` if the settings do not say it.
    pub fn patience(&self, otherwise: Duration) -> Duration {
        self.config.get_connect_timeout().copied().unwrap_or(otherwise)
    }

    /// How the first attempt on a host uses TLS.
    pub fn first_tls(&self, host: usize) -> Tls {
        match (self.ssl, self.config.get_hosts().get(host)) {
            // There is nobody in between.
            (_, Some(Host::Unix(_))) | (SslMode::Disable | SslMode::Allow, _) => Tls::Disable,
            (SslMode::Prefer, _) => Tls::Prefer,
            (SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull, _) => Tls::Require,
        }
    }

    /// How another attempt on the host is to use TLS after `failed` ended with this error; none if it would not help.
    ///
    /// Only a server that lets nobody in *so* is asked the other way round, and one that cannot agree with us on how
    /// to encrypt. libpq does so after each error; but a wrong password that is sent twice counts twice.
    pub fn other_tls(&self, host: usize, failed: Tls, error: &tokio_postgres::Error) -> Option<Tls> {
        if matches!(self.config.get_hosts().get(host), Some(Host::Unix(_))) {
            return None;
        }
        match (self.ssl, failed, Trouble::of(error)) {
            (SslMode::Prefer, Tls::Prefer, Trouble::Refused | Trouble::Tls(_)) => Some(Tls::Disable),
            (SslMode::Allow, Tls::Disable, Trouble::Refused) => Some(Tls::Require),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
