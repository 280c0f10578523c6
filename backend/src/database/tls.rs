//! What of the server's certificate is checked.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use crate::settings::TlsMode;

/// TLS as `mode` wants it.
///
/// # Errors
/// When certificates are to be checked and no root certificate can be read.
pub(super) fn client_config(mode: TlsMode, roots: Option<&Path>) -> anyhow::Result<ClientConfig> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
    let config = match mode {
        TlsMode::VerifyFull => builder.with_root_certificates(root_store(roots)?),
        TlsMode::VerifyCa => {
            let verifier = WebPkiServerVerifier::builder_with_provider(root_store(roots)?.into(), provider)
                .build()
                .context("the root certificates cannot be used")?;
            builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(AnyName(verifier)))
        }
        TlsMode::Disable | TlsMode::Allow | TlsMode::Prefer | TlsMode::Require => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider))),
    };
    Ok(config.with_no_client_auth())
}

/// The system's root certificates and, as for `cargo xtask migrate`, those of the named file besides.
fn root_store(file: Option<&Path>) -> anyhow::Result<RootCertStore> {
    let mut store = RootCertStore::empty();
    // Some systems carry certificates that rustls does not take: the others do.
    store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(file) = file {
        let unusable = || {
            format!(
                "POSTGRES_SSL_CA: no root certificate can be read from {}",
                file.display()
            )
        };
        let mut certificates = CertificateDer::pem_file_iter(file).with_context(unusable)?.peekable();
        if certificates.peek().is_none() {
            bail!(unusable());
        }
        for certificate in certificates {
            store.add(certificate.with_context(unusable)?).with_context(unusable)?;
        }
    }
    if store.is_empty() {
        bail!("no root certificate is found on this system: name a file with POSTGRES_SSL_CA");
    }
    Ok(store)
}

/// `verify-ca`: the certificate comes from a known root, for whatever name.
#[derive(Debug)]
struct AnyName(Arc<WebPkiServerVerifier>);

impl ServerCertVerifier for AnyName {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match self.0.verify_server_cert(certificate, intermediates, name, ocsp, now) {
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            result => result,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

/// `allow`, `prefer`, `require`: encrypted, with whoever answers. Only on being asked by name.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roots_must_be_readable() {
        let missing = client_config(TlsMode::VerifyFull, Some(Path::new("/nonexistent/ca.pem")));
        assert!(format!("{:#}", missing.unwrap_err()).contains("/nonexistent/ca.pem"));
        let empty = client_config(TlsMode::VerifyCa, Some(Path::new("/dev/null")));
        assert!(empty.unwrap_err().to_string().contains("POSTGRES_SSL_CA"));
    }

    #[test]
    fn modes_that_check_nothing_need_no_roots() {
        assert!(client_config(TlsMode::Require, None).is_ok());
    }
}
