//! TLS with the system's certificates, read once in a process: the SDK of AWS asks for several clients, and reading
//! them is most of what one costs (OpenSSL 3.0 takes 33 ms for Debian's 144, rustls 3).

use std::sync::{Arc, Mutex, PoisonError};

use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};

static SHARED: Mutex<Option<ClientConfig>> = Mutex::new(None);

/// No certificate authority could be read.
#[derive(Debug, thiserror::Error)]
#[error("the system's certificates cannot be read (SSL_CERT_FILE and SSL_CERT_DIR name others): {0}")]
pub(crate) struct NoCertificates(String);

/// TLS 1.2 and 1.3, trusting whom the system trusts: its bundle, or what `SSL_CERT_FILE` and `SSL_CERT_DIR` name.
///
/// # Errors
/// When there is not one certificate.
pub(crate) fn config() -> Result<ClientConfig, NoCertificates> {
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(config) = &*shared {
        return Ok(config.clone());
    }
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    // Bundles hold some that nobody can use; what counts is whether any is left.
    let (good, _) = roots.add_parsable_certificates(found.certs);
    if good == 0 {
        let why: Vec<String> = found.errors.iter().map(ToString::to_string).collect();
        return Err(NoCertificates(if why.is_empty() {
            "there are none".to_owned()
        } else {
            why.join("; ")
        }));
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| NoCertificates(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(shared.insert(config).clone())
}

/// As in a process that has just begun.
#[cfg(test)]
pub(crate) fn forget() {
    SHARED.lock().unwrap_or_else(PoisonError::into_inner).take();
}

/// A client for tests that talk to loopback.
#[cfg(test)]
pub(crate) fn test_client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().tls_backend_preconfigured(config().unwrap()).build().unwrap()
}
