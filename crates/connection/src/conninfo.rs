//! `DATABASE_URL` as libpq reads it: a URL, or `name=value` pairs. Each part is obeyed or refused, never dropped.
//!
//! No message quotes a value that may be a password, or a part of one.

use percent_encoding::percent_decode_str;

/// The parts of a connection string, by the driver's names where libpq's are others.
#[derive(Default)]
pub struct ConnInfo {
    parts: Vec<(String, String)>,
}

/// What becomes of a part.
enum Fate {
    /// It is obeyed under this name with this value.
    Obeyed(&'static str, String),
    /// It says what is done anyway.
    Granted,
}

impl ConnInfo {
    /// Reads a connection string.
    ///
    /// # Errors
    /// Why it makes no sense, or which part cannot be obeyed.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut info = Self::default();
        // The other form has no scheme.
        let scheme = text.split_once("://").filter(|(scheme, _)| !scheme.contains('='));
        let pairs = match scheme {
            Some(("postgres" | "postgresql", rest)) => url_pairs(rest)?,
            Some(_) => return Err("it does not begin with postgres://".into()),
            None => plain_pairs(text)?,
        };
        for (name, value) in pairs {
            // As in libpq the last one counts, and an empty one is not given; a port is more often a variable that is
            // not set.
            if value.is_empty() && name != "port" {
                info.take(&name);
                continue;
            }
            if let Fate::Obeyed(name, value) = fate(&name, value)? {
                info.set(name, value);
            }
        }
        let count = |name| info.get(name).map_or(0, |list: &str| list.split(',').count());
        if info
            .get("host")
            .is_some_and(|hosts| hosts.split(',').any(str::is_empty))
        {
            return Err("an empty host between commas".into());
        }
        if count("host") > 0 && count("hostaddr") > 0 && count("host") != count("hostaddr") {
            return Err(format!("{} hosts and {} hostaddr", count("host"), count("hostaddr")));
        }
        // An address alone is a host that needs no name.
        if count("host") == 0
            && let Some(addresses) = info.take("hostaddr")
        {
            info.set("host", addresses);
        }
        if count_differs(info.get("port"), info.get("host")) {
            return Err("as many ports as hosts, or one".into());
        }
        Ok(info)
    }

    /// The value of a part.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.parts
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// Takes a part out.
    pub fn take(&mut self, name: &str) -> Option<String> {
        let at = self.parts.iter().position(|(known, _)| known == name)?;
        Some(self.parts.remove(at).1)
    }

    /// Adds a part, or replaces it.
    pub fn set(&mut self, name: &str, value: impl Into<String>) {
        self.take(name);
        self.parts.push((name.to_owned(), value.into()));
    }

    /// All parts in the form that the driver reads.
    pub fn text(&self) -> String {
        let quoted = |value: &str| value.replace('\\', "\\\\").replace('\'', "\\'");
        self.parts
            .iter()
            .map(|(name, value)| format!("{name}='{}' ", quoted(value)))
            .collect()
    }
}

fn count_differs(ports: Option<&str>, hosts: Option<&str>) -> bool {
    let count = |list: &str| list.split(',').count();
    ports
        .map(count)
        .zip(hosts.map(count))
        .is_some_and(|(ports, hosts)| ports > 1 && ports != hosts)
}

/// One port, or several with commas between them.
///
/// # Errors
/// One of them is none.
pub fn ports(list: &str) -> Result<Vec<u16>, String> {
    list.split(',')
        .map(|port| match port.trim().parse() {
            Ok(port @ 1..) => Ok(port),
            _ if port.trim().is_empty() => Err("an empty port: it is a number from 1 to 65535".into()),
            _ => Err(format!("“{}” is not a port (1 to 65535)", shown(port.trim()))),
        })
        .collect()
}

/// A value for a message. Where none stands behind the =, the next part is taken for it, which may be the password.
pub fn shown(value: &str) -> &str {
    if value.contains('=') { "…" } else { value }
}

/// What becomes of a part that is not empty.
fn fate(name: &str, value: String) -> Result<Fate, String> {
    let obeyed = |name| Ok(Fate::Obeyed(name, value.clone()));
    let one_of = |name, values: &[&str]| match values.contains(&value.as_str()) {
        true => obeyed(name),
        false => Err(format!(
            "{name}={} cannot be obeyed: {name} is one of {}",
            shown(&value),
            values.join(", ")
        )),
    };
    let granted = |values: &[&str], next: &str| match values.contains(&value.to_ascii_lowercase().as_str()) {
        true => Ok(Fate::Granted),
        false => Err(format!("{name}={} cannot be obeyed: {next}", shown(&value))),
    };
    let refused = |next: &str| Err(format!("{name} cannot be obeyed: {next}"));
    let number = || {
        let number = value.trim().parse::<i64>();
        number.map_err(|_| format!("{name}={}: it is a number", shown(&value)))
    };
    let counted = |name, number: i64| match number {
        ..=0 => Ok(Fate::Granted),
        number => Ok(Fate::Obeyed(name, number.to_string())),
    };
    match name {
        "host" => obeyed("host"),
        "dbname" => obeyed("dbname"),
        "user" => obeyed("user"),
        "password" => obeyed("password"),
        "options" => obeyed("options"),
        "application_name" => obeyed("application_name"),
        "sslmode" => obeyed("sslmode"),
        "sslrootcert" => obeyed("sslrootcert"),
        "port" => ports(&value).map(|ports| {
            let ports: Vec<_> = ports.iter().map(ToString::to_string).collect();
            Fate::Obeyed("port", ports.join(","))
        }),
        "hostaddr" => match value.split(',').all(|part| part.parse::<std::net::IpAddr>().is_ok()) {
            true => obeyed("hostaddr"),
            false => Err(format!("hostaddr={}: it is an IP address", shown(&value))),
        },
        "connect_timeout" => counted("connect_timeout", number()?),
        "keepalives" => counted("keepalives", number()?).map(|fate| match fate {
            Fate::Granted => Fate::Obeyed("keepalives", "0".into()),
            Fate::Obeyed(..) => Fate::Granted,
        }),
        "keepalives_idle" => counted("keepalives_idle", number()?),
        "keepalives_interval" => counted("keepalives_interval", number()?),
        "keepalives_count" => counted("keepalives_retries", number()?.min(i64::from(u32::MAX))),
        // In milliseconds; the driver counts seconds.
        "tcp_user_timeout" => counted("tcp_user_timeout", number()?.saturating_add(999) / 1000),
        "target_session_attrs" => one_of("target_session_attrs", &["any", "read-write", "read-only"]),
        "channel_binding" => one_of("channel_binding", &["disable", "prefer", "require"]),
        "load_balance_hosts" => one_of("load_balance_hosts", &["disable", "random"]),
        // Of JDBC, which libpq takes too.
        "ssl" if value == "true" => Ok(Fate::Obeyed("sslmode", "require".into())),
        "client_encoding" => granted(&["utf8", "utf-8", "unicode", "auto"], "it is always UTF8"),
        // There is always another name.
        "fallback_application_name" => Ok(Fate::Granted),
        "gssencmode" => granted(&["disable", "prefer"], "there is no GSSAPI here"),
        "gssdelegation" | "requiressl" | "sslcompression" => {
            granted(&["0"], "it is always 0; TLS is asked for by sslmode")
        }
        "sslsni" => granted(&["1"], "the server is always told the name of the host"),
        "sslcertmode" => granted(&["disable", "allow"], "client certificates are not supported"),
        "sslnegotiation" => granted(&["postgres"], "it is always postgres"),
        "ssl_min_protocol_version" => granted(&["tlsv1", "tlsv1.1", "tlsv1.2"], "it is always TLSv1.2"),
        "ssl_max_protocol_version" => granted(&["tlsv1.3"], "it is always TLSv1.3"),
        "min_protocol_version" => granted(&["3.0"], "it is always 3.0"),
        "max_protocol_version" => granted(&["3.0", "latest"], "it is always 3.0"),
        "replication" => granted(
            &["false", "off", "no", "0"],
            "a session for replication runs no statements",
        ),
        "passfile" | "service" | "servicefile" => refused("such files are not read; use the POSTGRES_* variables"),
        "sslcert" | "sslkey" | "sslpassword" | "sslkeylogfile" => refused("client certificates are not supported"),
        "sslcrl" | "sslcrldir" => refused("lists of revoked certificates are not supported"),
        "require_auth" | "requirepeer" | "krbsrvname" | "gsslib" | "scram_client_key" | "scram_server_key" => {
            refused("it is not supported")
        }
        name if name.starts_with("oauth_") => refused("it is not supported"),
        // What no parameter is called so may be a part of a password.
        name if name.len() < 40 && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_') => {
            Err(format!("{name} is no part of a connection string"))
        }
        _ => Err(
            "it has a part of an unknown name; in name=value pairs a value with spaces stands in quotes: 'a b'".into(),
        ),
    }
}

type Pairs = Vec<(String, String)>;

/// `user:password@host:port,host:port/database?name=value&…`
fn url_pairs(rest: &str) -> Result<Pairs, String> {
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let in_password = match authority.matches('@').count() {
        // Behind the first = are options.
        0 => path.split('=').next().unwrap_or_default().contains('@'),
        count => count > 1,
    };
    // A part of a password would be taken for a host, a port or a database, which are shown.
    if in_password || path.starts_with('#') {
        return Err("user or password holds a special character: @ is written %40, / %2F, ? %3F, # %23, % %25".into());
    }
    let mut pairs = Pairs::new();
    let mut add = |name: &str, value: &str| -> Result<(), String> {
        let value = percent_decode_str(value).decode_utf8();
        let value = value.map_err(|_| format!("{name} is not UTF-8"))?;
        pairs.push((name.to_owned(), value.into_owned()));
        Ok(())
    };
    let (login, hosts) = authority.split_once('@').unwrap_or(("", authority));
    let (user, password) = login.split_once(':').unwrap_or((login, ""));
    if !user.is_empty() {
        add("user", user)?;
    }
    if !password.is_empty() {
        add("password", password)?;
    }
    if !hosts.is_empty() {
        let (mut names, mut ports) = (Vec::new(), Vec::new());
        for host in hosts.split(',') {
            let (name, port) = match host.strip_prefix('[').and_then(|host| host.split_once(']')) {
                Some((name, port)) => (name, port),
                None if host.starts_with('[') => return Err("a host begins with [ and has no ]".into()),
                None => host.split_at(host.find(':').unwrap_or(host.len())),
            };
            names.push(name);
            ports.push(match port.strip_prefix(':') {
                Some(port) => port,
                None if port.is_empty() => "5432",
                None => return Err("between a host's ] and its port is no :".into()),
            });
        }
        // Nothing but a port: the host comes from elsewhere.
        if names != [""] {
            add("host", &names.join(","))?;
        }
        add("port", &ports.join(","))?;
    }
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    if let Some(database) = path.strip_prefix('/').filter(|database| !database.is_empty()) {
        add("dbname", database)?;
    }
    for part in query.split('&').filter(|part| !part.is_empty()) {
        let Some((name, value)) = part.split_once('=') else {
            return Err("a part behind ? has no =".into());
        };
        add(&percent_decode_str(name).decode_utf8_lossy(), value)?;
    }
    Ok(pairs)
}

/// `name=value name = 'a value'`, where \ takes the meaning from the character behind it.
fn plain_pairs(text: &str) -> Result<Pairs, String> {
    let mut pairs = Pairs::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let Some((name, behind)) = rest.split_once('=') else {
            return Err("a part has no = behind its name; a value with spaces stands in quotes: 'a b'".into());
        };
        rest = behind.trim_start();
        let quoted = rest.starts_with('\'');
        let mut characters = rest.char_indices().skip(usize::from(quoted));
        let mut value = String::new();
        let mut end = None;
        while let Some((at, character)) = characters.next() {
            match character {
                '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
                '\'' if quoted => {
                    end = Some(at + 1);
                    break;
                }
                space if !quoted && space.is_whitespace() => {
                    end = Some(at);
                    break;
                }
                other => value.push(other),
            }
        }
        if quoted && end.is_none() {
            return Err("a quoted value has no end".into());
        }
        pairs.push((name.trim_end().to_owned(), value));
        rest = rest[end.unwrap_or(rest.len())..].trim_start();
    }
    Ok(pairs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(text: &str, name: &str) -> Option<String> {
        ConnInfo::parse(text).unwrap().get(name).map(str::to_owned)
    }

    fn error(text: &str) -> String {
        ConnInfo::parse(text)
            .err()
            .unwrap_or_else(|| panic!("{text} is obeyed"))
    }

    #[test]
    fn no_part_of_a_password_is_taken_for_something_else() {
        for url in [
            "mysql://a",
            "postgres://u:h@p@host/db",
            "postgres://u:12/3@host/db",
            "postgresql://u:a?b@host/db",
            "host=h password=s3cr3t word",
            "host=h password=s3cr3t Word7=x",
            "password='s3cr3t",
            "host=h port= password=s3cr3t",
            "host=h connect_timeout= password=s3cr3t",
        ] {
            let error = error(url);
            assert!(
                !error.contains("s3cr3t") && !error.to_lowercase().contains("word7"),
                "{error}"
            );
        }
        for url in [
            "postgres://u:h%40p@host:5432/db",
            "postgres:///db?host=/run&password=p@ss",
            "postgres://host/db",
            "host=h password=a://b@c",
        ] {
            assert!(ConnInfo::parse(url).is_ok(), "{url}");
        }
    }

    #[test]
    fn quotes_and_spaces() {
        let text = "host = h  password='a  b\\'c\\\\d' dbname=x\\ y port=1";
        assert_eq!(get(text, "password").unwrap(), "a  b'c\\d");
        assert_eq!(get(text, "dbname").unwrap(), "x y");
        let again = ConnInfo::parse(text).unwrap().text();
        assert_eq!(get(&again, "password").unwrap(), "a  b'c\\d");
        assert_eq!(get("host=h password='' port=1", "password"), None);
    }

    #[test]
    fn hosts_and_ports() {
        let url = "postgresql://[::1]:1,b:2,c/d";
        assert_eq!(get(url, "host").unwrap(), "::1,b,c");
        assert_eq!(get(url, "port").unwrap(), "1,2,5432");
        assert_eq!(get("postgres://%2Frun%2Fx/d", "host").unwrap(), "/run/x");
        assert_eq!(get("postgres:///d?hostaddr=10.0.0.1", "host").unwrap(), "10.0.0.1");
        for text in [
            "postgres://h:0/d",
            "postgres://h:65536/d",
            "postgres://h:/d",
            "postgres://h:x/d",
            "postgres://h/d?port=",
            "host=h port=0",
            "host=h port=99999",
            "host=h port='' user=u",
            "host=a,b port=1,",
        ] {
            assert!(error(text).contains("port"), "{text}: {}", error(text));
        }
        assert!(error("host=a,b,c port=1,2").contains("ports"));
        assert!(error("host=a,,b").contains("empty host"));
        assert!(error("host=a,b hostaddr=1.1.1.1").contains("hostaddr"));
    }

    #[test]
    fn each_part_is_obeyed_or_refused() {
        for (part, name, value) in [
            ("keepalives_count=3", "keepalives_retries", "3"),
            ("tcp_user_timeout=1500", "tcp_user_timeout", "2"),
            ("keepalives=0", "keepalives", "0"),
            ("ssl=true", "sslmode", "require"),
            ("options=-c%20work_mem%3D8MB", "options", "-c work_mem=8MB"),
            ("application_name=shop", "application_name", "shop"),
            ("channel_binding=require", "channel_binding", "require"),
        ] {
            assert_eq!(
                get(&format!("postgres://h/d?{part}"), name).as_deref(),
                Some(value),
                "{part}"
            );
        }
        for part in [
            "client_encoding=UTF8",
            "gssencmode=prefer",
            "fallback_application_name=x",
            "sslsni=1",
            "replication=off",
            "keepalives=1",
            "passfile=",
        ] {
            assert_eq!(
                get(&format!("postgres://h/d?{part}"), part.split('=').next().unwrap()),
                None
            );
        }
        for part in [
            "passfile=/x",
            "service=x",
            "gssencmode=require",
            "sslcert=x",
            "sslkey=x",
            "sslcrl=x",
            "requiressl=1",
            "require_auth=none",
            "client_encoding=LATIN1",
            "replication=database",
            "krbsrvname=x",
            "oauth_issuer=x",
            "target_session_attrs=primary",
            "sslnegotiation=direct",
            "connect_timeout=soon",
            "nonsense=1",
            "ssl_min_protocol_version=TLSv1.3",
            "channel_binding=perhaps",
            "hostaddr=h",
        ] {
            let name = part.split('=').next().unwrap();
            let error = error(&format!("postgres://u:s3cr3t@h/d?{part}"));
            assert!(error.contains(name) && !error.contains("s3cr3t"), "{error}");
        }
    }
}
