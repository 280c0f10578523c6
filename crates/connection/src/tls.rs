//! TLS by rustls, in the modes that libpq has. Built only when TLS is asked for.

use std::path::Path;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::settings::{Settings, SslMode};
use crate::{Error, Kind};

/// What of the server's certificate is verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verify {
    Nothing,
    Chain,
    ChainAndName,
}

impl Settings {
    /// What makes TLS connections by these settings; none if they ask for none.
    ///
    /// # Errors
    /// A root certificate that cannot be read, or no root at all where the chain is to be verified.
    pub fn tls(&self) -> Result<Option<MakeRustlsConnect>, Error> {
        match self.ssl {
            SslMode::Disable => Ok(None),
            mode => connector(mode, self.ssl_ca.as_deref()).map(Some),
        }
    }
}

fn connector(mode: SslMode, ca: Option<&Path>) -> Result<MakeRustlsConnect, Error> {
    let verify = match mode {
        SslMode::Disable | SslMode::Allow | SslMode::Prefer => Verify::Nothing,
        // As libpq does: naming a root means that it counts.
        SslMode::Require if ca.is_some() => Verify::Chain,
        SslMode::Require => Verify::Nothing,
        SslMode::VerifyCa => Verify::Chain,
        SslMode::VerifyFull => Verify::ChainAndName,
    };
    let provider = Arc::new(ring::default_provider());
    let failed = |cause: String| Error::new(Kind::Connect, "cannot set up TLS", cause);
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| failed(error.to_string()))?;
    let config = if verify == Verify::ChainAndName {
        builder.with_root_certificates(roots(ca)?).with_no_client_auth()
    } else {
        let chain = match verify {
            Verify::Nothing => None,
            _ => Some(
                WebPkiServerVerifier::builder_with_provider(Arc::new(roots(ca)?), provider.clone())
                    .build()
                    .map_err(|error| failed(error.to_string()))?,
            ),
        };
        builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Lenient { chain, provider }))
            .with_no_client_auth()
    };
    Ok(MakeRustlsConnect::new(config))
}

/// The root certificates of the named file, or the machine's. As in libpq not both: whoever names a root trusts no
/// other.
fn roots(ca: Option<&Path>) -> Result<RootCertStore, Error> {
    let mut store = RootCertStore::empty();
    if let Some(path) = ca {
        let failed = |cause: String| {
            Error::new(
                Kind::Usage,
                format!("cannot use the root certificate {}", path.display()),
                cause,
            )
            .next("POSTGRES_SSL_CA names a readable file with certificates in PEM form")
        };
        let certificates = CertificateDer::pem_file_iter(path)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|error| failed(error.to_string()))?;
        if certificates.is_empty() {
            return Err(failed("there is no certificate in it".into()));
        }
        for certificate in certificates {
            store.add(certificate).map_err(|error| failed(error.to_string()))?;
        }
    } else {
        // Some machines carry certificates that rustls does not take: the others do.
        let (_, _) = store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    }
    if store.is_empty() {
        return Err(Error::new(
            Kind::Connect,
            "cannot verify the server's certificate",
            "this machine has no root certificates",
        )
        .next("install the package ca-certificates, or name a root: POSTGRES_SSL_CA=/path/ca.pem"));
    }
    Ok(store)
}

/// Verifies less than rustls would by itself: nothing (`chain` is none), or the chain without the name.
#[derive(Debug)]
struct Lenient {
    chain: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Lenient {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let Some(chain) = &self.chain else {
            return Ok(ServerCertVerified::assertion());
        };
        match chain.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
            // The name is looked at last: an error about it means that the chain is good.
            Err(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            result => result,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair};

    use super::*;
    use crate::Hint;

    #[test]
    fn a_named_file_stands_instead_of_the_machines_roots() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let key = KeyPair::generate().unwrap();
        let root = CertificateParams::new(Vec::new()).unwrap().self_signed(&key).unwrap();
        std::fs::write(file.path(), root.pem()).unwrap();
        assert_eq!(roots(Some(file.path())).unwrap().len(), 1);
    }

    #[test]
    fn roots_must_be_readable() {
        for path in ["/nonexistent/ca.pem", "/dev/null"] {
            let error = connector(SslMode::VerifyCa, Some(Path::new(path))).err().unwrap();
            assert!(
                error.what.contains(path) && error.next.text(Hint::words).contains("POSTGRES_SSL_CA"),
                "{error}"
            );
        }
    }

    #[test]
    fn modes_that_verify_nothing_need_no_roots() {
        assert!(connector(SslMode::Require, None).is_ok());
    }
}
