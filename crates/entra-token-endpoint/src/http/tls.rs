//! Whom we trust: the platform's own verification, plus roots that the user gave.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, OnceLock, PoisonError};

use rustls::RootCertStore;
use rustls::client::ClientConfig;
#[cfg(feature = "aws-lc-rs")]
use rustls::crypto::aws_lc_rs as cryptography;
#[cfg(all(feature = "ring", not(feature = "aws-lc-rs")))]
use rustls::crypto::ring as cryptography;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls_platform_verifier::Verifier;

use crate::token_endpoint::error::{TransportError, TransportErrorKind};

#[cfg(not(any(feature = "ring", feature = "aws-lc-rs")))]
compile_error!("TLS needs one of the features `ring` (the default) and `aws-lc-rs`");

/// The extra roots of one endpoint, and the TLS configuration that comes of them when the first
/// connection needs it.
#[derive(Default)]
pub(super) struct TrustRoots {
    extra: Vec<CertificateDer<'static>>,
    config: OnceLock<Arc<ClientConfig>>,
}

impl TrustRoots {
    /// The platform's roots and every certificate in this PEM text. Reads no file.
    pub(super) fn with_extra(pem: &[u8]) -> Result<Self, TransportError> {
        let setup = |text: &str| TransportError::new(TransportErrorKind::Setup, text);
        let extra = CertificateDer::pem_slice_iter(pem)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| {
                setup("the extra root certificates are not valid PEM").with_source(error)
            })?;
        if extra.is_empty() {
            return Err(setup(
                "there is no certificate in the extra root certificates",
            ));
        }
        let mut store = RootCertStore::empty();
        for certificate in &extra {
            store.add(certificate.clone()).map_err(|error| {
                setup("one of the extra root certificates cannot be a root").with_source(error)
            })?;
        }
        Ok(Self {
            extra,
            config: OnceLock::new(),
        })
    }

    /// The TLS configuration. The first call loads the platform's roots, off the executor.
    pub(super) async fn client_config(&self) -> Result<Arc<ClientConfig>, TransportError> {
        if let Some(config) = self.config.get() {
            return Ok(Arc::clone(config));
        }
        let config = match loaded_config(&self.extra) {
            Some(config) => config,
            None => load_config(self.extra.clone()).await?,
        };
        Ok(Arc::clone(self.config.get_or_init(|| config)))
    }
}

/// The configurations of this process, by the extra roots: with them, endpoints share what loading
/// cost (4 to 16 ms) and the sessions that can be resumed.
static CONFIGS: LazyLock<Mutex<HashMap<Vec<CertificateDer<'static>>, Arc<ClientConfig>>>> =
    LazyLock::new(Mutex::default);

/// The configuration, if it is there and nobody is loading any.
fn loaded_config(extra: &[CertificateDer<'static>]) -> Option<Arc<ClientConfig>> {
    CONFIGS.try_lock().ok()?.get(extra).cloned()
}

async fn load_config(
    extra: Vec<CertificateDer<'static>>,
) -> Result<Arc<ClientConfig>, TransportError> {
    let loading = tokio::task::spawn_blocking(move || shared_config(&extra));
    loading.await.map_err(|error| {
        let text = "loading the trust roots was cut short: call again";
        TransportError::new(TransportErrorKind::Setup, text).with_source(error)
    })?
}

/// The configuration, loaded if need be.
///
/// The lock is held while roots are loaded, on a thread that may block. An asynchronous one could
/// be left locked by a runtime that nobody drives any more.
fn shared_config(extra: &[CertificateDer<'static>]) -> Result<Arc<ClientConfig>, TransportError> {
    let mut configs = CONFIGS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(config) = configs.get(extra) {
        return Ok(Arc::clone(config));
    }
    let config = Arc::new(build_config(extra).map_err(|error| {
        TransportError::new(
            TransportErrorKind::Setup,
            format!(
                "there are no roots to trust a server by ({error}): install the system's CA \
                 certificates, name a bundle in SSL_CERT_FILE or give extra root certificates"
            ),
        )
        .with_source(error)
    })?);
    configs.insert(extra.to_vec(), Arc::clone(&config));
    Ok(config)
}

fn build_config(extra: &[CertificateDer<'static>]) -> Result<ClientConfig, rustls::Error> {
    // Always this provider: another crate of the process may have set, or not set, a default.
    let provider = Arc::new(cryptography::default_provider());
    let verifier = Verifier::new_with_extra_roots(extra.iter().cloned(), Arc::clone(&provider))?;
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous() // rustls' word for any verifier but its own; this one is the platform's
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}
