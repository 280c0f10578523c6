//! Settings in one string, to hand them on to another process.

use std::fmt::Write as _;
use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use tokio_postgres::config::{ChannelBinding, Host, LoadBalanceHosts, TargetSessionAttrs};

use crate::settings::Settings;

/// The driver's own time before it asks a silent connection for a sign of life: too long for who waits.
pub(crate) const DRIVERS_KEEPALIVES_IDLE: Duration = Duration::from_secs(2 * 60 * 60);

/// What a URL says of itself in each of its parts.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

impl Settings {
    /// Everything as one `postgres://` URL with libpq's options. It holds the password: for the environment of a
    /// child, never for arguments or output.
    pub fn url(&self) -> String {
        let config = &self.config;
        let mut url = "postgres://".to_owned();
        if let Some(user) = config.get_user() {
            url += &encode(user);
            if let Some(password) = config.get_password() {
                url += ":";
                url += &encode(password);
            }
            url += "@";
        }
        let ports = config.get_ports();
        for (n, host) in config.get_hosts().iter().enumerate() {
            let host = match host {
                Host::Tcp(name) => encode(name),
                Host::Unix(path) => encode(path.as_os_str().as_encoded_bytes()),
            };
            let port = ports.get(n).or(ports.first()).copied().unwrap_or(5432);
            let comma = if n == 0 { "" } else { "," };
            // Writing to a string cannot fail.
            let _ = write!(url, "{comma}{host}:{port}");
        }
        url += "/";
        url += &encode(config.get_dbname().unwrap_or_default());
        let options = self.options();
        for (n, (name, value)) in options.iter().enumerate() {
            let _ = write!(url, "{}{name}={}", if n == 0 { '?' } else { '&' }, encode(value));
        }
        url
    }

    fn options(&self) -> Vec<(&'static str, String)> {
        let config = &self.config;
        let mut options = vec![("sslmode", self.ssl.name().to_owned())];
        let mut add = |name, value: Option<String>| options.extend(value.map(|value| (name, value)));
        add(
            "sslrootcert",
            self.ssl_ca.as_ref().map(|path| path.to_string_lossy().into_owned()),
        );
        add("application_name", config.get_application_name().map(ToOwned::to_owned));
        add("keepalives", (!config.get_keepalives()).then(|| "0".to_owned()));
        let idle = Some(config.get_keepalives_idle()).filter(|idle| *idle != DRIVERS_KEEPALIVES_IDLE);
        add("keepalives_idle", idle.map(|time| time.as_secs().to_string()));
        add(
            "keepalives_interval",
            config
                .get_keepalives_interval()
                .map(|time| time.as_secs().max(1).to_string()),
        );
        add(
            "keepalives_count",
            config.get_keepalives_retries().map(|count| count.to_string()),
        );
        add(
            "tcp_user_timeout",
            config.get_tcp_user_timeout().map(|time| time.as_millis().to_string()),
        );
        add("options", config.get_options().map(ToOwned::to_owned));
        add(
            "connect_timeout",
            config
                .get_connect_timeout()
                .map(|time| time.as_secs().max(1).to_string()),
        );
        let addresses = config
            .get_hostaddrs()
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>();
        add("hostaddr", (!addresses.is_empty()).then(|| addresses.join(",")));
        add(
            "target_session_attrs",
            match config.get_target_session_attrs() {
                TargetSessionAttrs::ReadWrite => Some("read-write".to_owned()),
                TargetSessionAttrs::ReadOnly => Some("read-only".to_owned()),
                _ => None,
            },
        );
        add(
            "channel_binding",
            match config.get_channel_binding() {
                ChannelBinding::Disable => Some("disable".to_owned()),
                ChannelBinding::Require => Some("require".to_owned()),
                _ => None,
            },
        );
        add(
            "load_balance_hosts",
            match config.get_load_balance_hosts() {
                LoadBalanceHosts::Random => Some("random".to_owned()),
                _ => None,
            },
        );
        options
    }
}

fn encode(text: impl AsRef<[u8]>) -> String {
    percent_encode(text.as_ref(), ENCODED).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{Defaults, Parameter, Parameters};

    fn settings(url: &str, host: &str) -> Settings {
        let given = |value: &str| Parameter {
            value: value.to_owned(),
            from_flag: false,
        };
        Settings::resolve(&Parameters {
            defaults: Defaults {
                database: "shop",
                user: "shop_owner",
            },
            url: Some(url.to_owned()),
            host: given(host),
            port: given("5432"),
            database: given(""),
            user: given(""),
            password: Some("p@ss/w:ö?&#%".to_owned()),
            ssl: given("false"),
            ssl_ca: given(""),
        })
        .unwrap()
    }

    #[test]
    fn what_is_read_back_is_the_same() {
        for (url, host) in [
            ("", "/run/postgresql"),
            ("", "a,b"),
            ("", "::1"),
            (
                "postgres://us%40er:s%20e@h1:1,h2:2/d%2Fb?sslmode=verify-ca&sslrootcert=%2Fca%20x.pem",
                "",
            ),
            (
                "postgres://u@h/d?options=-c%20work_mem%3D8MB&connect_timeout=3&target_session_attrs=read-write",
                "",
            ),
            (
                "postgres://u@h,i/d?application_name=a%20b&keepalives_count=4&tcp_user_timeout=7000&keepalives=0\
                 &keepalives_idle=9&keepalives_interval=8&hostaddr=10.0.0.1,10.0.0.2&channel_binding=require\
                 &load_balance_hosts=random",
                "",
            ),
        ] {
            let before = settings(url, host);
            let after = settings(&before.url(), "");
            let parts = |settings: &Settings| {
                let config = &settings.config;
                (
                    settings.to_string(),
                    settings.ssl,
                    settings.ssl_ca.clone(),
                    config.get_password().map(ToOwned::to_owned),
                    config.get_options().map(ToOwned::to_owned),
                    config.get_connect_timeout().copied(),
                    config.get_target_session_attrs(),
                    config.get_hostaddrs().to_vec(),
                    // The rest, as the driver shows it.
                    format!("{config:?}")
                        .split_once("connect_timeout")
                        .map(|(_, rest)| rest.to_owned()),
                )
            };
            assert_eq!(parts(&before), parts(&after), "{url} {host}");
        }
    }
}
