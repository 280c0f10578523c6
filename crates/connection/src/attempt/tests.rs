//! Against servers that are made up: both programs decide by what is tried here.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, DuplexStream, duplex};
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{Error, NoTls};
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::settings::{Defaults, Parameters};

const SSL_REQUEST: i32 = 80_877_103;

/// A server that lets nobody in: the SQLSTATE that it says to who comes in clear, and to who comes encrypted.
#[derive(Clone)]
struct Server {
    plain: &'static str,
    encrypted: Encrypted,
}

#[derive(Clone)]
enum Encrypted {
    NotOffered,
    /// It offers to encrypt, and then sends what is no handshake.
    Broken,
    Refused(&'static str, TlsAcceptor),
}

impl Server {
    async fn serve(self, mut stream: DuplexStream) {
        // Whoever connects may go away at any time.
        let _ = stream.read_i32().await;
        if stream.read_i32().await.is_ok_and(|code| code != SSL_REQUEST) {
            return refuse(stream, self.plain).await;
        }
        match self.encrypted {
            Encrypted::NotOffered => {
                let _ = stream.write_all(b"N").await;
                let _ = stream.read_i32().await;
                refuse(stream, self.plain).await;
            }
            Encrypted::Broken => {
                let _ = stream.write_all(b"S").await;
                let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
                let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
            }
            Encrypted::Refused(code, acceptor) => {
                let _ = stream.write_all(b"S").await;
                if let Ok(stream) = acceptor.accept(stream).await {
                    refuse(stream, code).await;
                }
            }
        }
    }
}

async fn refuse(mut stream: impl AsyncRead + AsyncWrite + Unpin, code: &str) {
    let fields = format!("SFATAL\0C{code}\0Mno\0\0");
    let length = i32::try_from(fields.len() + 4).unwrap();
    let _ = stream
        .write_all(&[b"E", &length.to_be_bytes()[..], fields.as_bytes()].concat())
        .await;
    // The startup message is still unread; who closes now loses the answer.
    let _ = stream.shutdown().await;
    let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
}

fn settings(pairs: &[(&str, &str)]) -> Settings {
    let get = |name: &str| {
        let pair = pairs.iter().find(|(known, _)| *known == name);
        Ok::<_, Error>(pair.map(|(_, value)| (*value).to_owned()))
    };
    let defaults = Defaults {
        database: "shop",
        user: "shop_owner",
    };
    Settings::resolve(&Parameters::from_variables(defaults, get).unwrap()).unwrap()
}

/// How each attempt on the server used TLS, and why it failed.
fn attempts(settings: &Settings, server: &Server) -> Vec<(Tls, Trouble)> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut failed = Vec::new();
    let mut next = Some(settings.first_tls(0));
    while let Some(mode) = next {
        let error = runtime.block_on(attempt(settings, mode, server));
        failed.push((mode, Trouble::of(&error)));
        next = settings.other_tls(0, mode, &error);
    }
    failed
}

async fn attempt(settings: &Settings, mode: Tls, server: &Server) -> Error {
    let (ours, theirs) = duplex(16_384);
    let served = tokio::spawn(server.clone().serve(theirs));
    let mut config = settings.session(0, "test", None, Duration::from_secs(1));
    config.ssl_mode(mode);
    let error = match settings.tls().unwrap() {
        None => config.connect_raw(ours, NoTls).await.err(),
        Some(mut tls) => {
            let tls = MakeTlsConnect::<DuplexStream>::make_tls_connect(&mut tls, "localhost").unwrap();
            config.connect_raw(ours, tls).await.err()
        }
    };
    served.await.unwrap();
    error.unwrap()
}

/// A certificate for `localhost`, and a file with the root that it comes from.
fn secured() -> (TlsAcceptor, tempfile::NamedTempFile) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["localhost".to_owned()])
        .unwrap()
        .signed_by(&key, &root)
        .unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        )
        .unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), root.pem()).unwrap();
    (TlsAcceptor::from(Arc::new(config)), file)
}

#[test]
fn prefer_does_without_tls_where_the_server_lets_nobody_in_with_it() {
    let prefer = settings(&[("POSTGRES_SSL", "prefer")]);
    let (acceptor, _root) = secured();
    let refused = |code| Server {
        plain: "3D000",
        encrypted: Encrypted::Refused(code, acceptor.clone()),
    };
    assert_eq!(
        attempts(&prefer, &refused("28000")),
        [(Tls::Prefer, Trouble::Refused), (Tls::Disable, Trouble::NoDatabase)]
    );
    // A wrong password is wrong without it as well.
    assert_eq!(attempts(&prefer, &refused("28P01")), [(Tls::Prefer, Trouble::Password)]);
    let broken = attempts(
        &prefer,
        &Server {
            plain: "3D000",
            encrypted: Encrypted::Broken,
        },
    );
    assert!(
        matches!(
            broken.as_slice(),
            [(Tls::Prefer, Trouble::Tls(_)), (Tls::Disable, Trouble::NoDatabase)]
        ),
        "{broken:?}"
    );
}

#[test]
fn allow_takes_tls_where_the_server_lets_nobody_in_without() {
    let allow = settings(&[("DATABASE_URL", "host=localhost sslmode=allow")]);
    let (acceptor, _root) = secured();
    let server = |plain| Server {
        plain,
        encrypted: Encrypted::Refused("3D000", acceptor.clone()),
    };
    assert_eq!(
        attempts(&allow, &server("28000")),
        [(Tls::Disable, Trouble::Refused), (Tls::Require, Trouble::NoDatabase)]
    );
    assert_eq!(attempts(&allow, &server("28P01")), [(Tls::Disable, Trouble::Password)]);
    let without = Server {
        plain: "28000",
        encrypted: Encrypted::NotOffered,
    };
    assert_eq!(
        attempts(&allow, &without),
        [(Tls::Disable, Trouble::Refused), (Tls::Require, Trouble::NoTls)]
    );
}

#[test]
fn who_asks_for_tls_never_goes_without() {
    let (acceptor, root) = secured();
    let refused = Server {
        plain: "3D000",
        encrypted: Encrypted::Refused("28000", acceptor),
    };
    for mode in ["require", "verify-ca", "verify-full", "true"] {
        let settings = settings(&[
            ("POSTGRES_SSL", mode),
            ("POSTGRES_SSL_CA", &root.path().display().to_string()),
        ]);
        assert_eq!(
            attempts(&settings, &refused),
            [(Tls::Require, Trouble::Refused)],
            "{mode}"
        );
        let without = Server {
            plain: "28000",
            encrypted: Encrypted::NotOffered,
        };
        assert_eq!(
            attempts(&settings, &without),
            [(Tls::Require, Trouble::NoTls)],
            "{mode}"
        );
    }
    assert_eq!(
        attempts(&settings(&[]), &refused),
        [(Tls::Disable, Trouble::NoDatabase)]
    );
}

#[test]
fn a_named_root_is_the_only_one() {
    let ((acceptor, _), (_, other_root)) = (secured(), secured());
    let server = Server {
        plain: "3D000",
        encrypted: Encrypted::Refused("28000", acceptor),
    };
    for mode in ["require", "verify-ca", "verify-full"] {
        let root = other_root.path().display().to_string();
        let failed = attempts(
            &settings(&[("POSTGRES_SSL", mode), ("POSTGRES_SSL_CA", &root)]),
            &server,
        );
        assert!(
            matches!(failed.as_slice(), [(Tls::Require, Trouble::Tls(_))]),
            "{mode}: {failed:?}"
        );
    }
}

#[test]
fn a_socket_has_no_tls() {
    let settings = settings(&[
        ("POSTGRES_HOST", "/run/postgresql,localhost"),
        ("POSTGRES_SSL", "require"),
    ]);
    assert_eq!(
        [settings.first_tls(0), settings.first_tls(1)],
        [Tls::Disable, Tls::Require]
    );
}

#[test]
fn each_host_gets_what_all_share() {
    let url = "host=a,b hostaddr=10.0.0.1,10.0.0.2 port=1,2 user=u password='p  w' dbname=d application_name=shop \
               options='-c work_mem=8MB' keepalives_count=9 connect_timeout=7 target_session_attrs=read-only";
    let settings = settings(&[("DATABASE_URL", url)]);
    let config = settings.session(1, "migrate", Some("-c geqo=off"), Duration::from_secs(1));
    assert_eq!(config.get_hosts(), [Host::Tcp("b".into())]);
    assert_eq!(
        config.get_hostaddrs(),
        ["10.0.0.2".parse::<std::net::IpAddr>().unwrap()]
    );
    assert_eq!(config.get_ports(), [2]);
    assert_eq!(config.get_password(), Some(b"p  w".as_slice()));
    assert_eq!(config.get_application_name(), Some("shop: migrate"));
    assert_eq!(config.get_options(), Some("-c work_mem=8MB -c geqo=off"));
    assert_eq!(config.get_connect_timeout(), Some(&Duration::from_secs(7)));
    assert_eq!(config.get_keepalives_retries(), Some(9));
    assert_eq!(config.get_keepalives_interval(), Some(KEEPALIVES_INTERVAL));
    assert_eq!(
        config.get_target_session_attrs(),
        settings.config.get_target_session_attrs()
    );
}
