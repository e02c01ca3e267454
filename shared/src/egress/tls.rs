use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

/// The setting of further authorities holds no certificate: a mistake of the deployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the further authorities are not PEM certificates")]
pub struct BadRoots;

/// Mozilla's roots, compiled in, and the deployment's own, PEM, which may be none: no scan of the machine's roots
/// (docs/decisions/0006).
pub(super) fn roots(extra_roots: &str) -> Result<RootCertStore, BadRoots> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let mozillas = roots.len();
    for root in CertificateDer::pem_slice_iter(extra_roots.as_bytes()) {
        roots.add(root.map_err(|_| BadRoots)?).map_err(|_| BadRoots)?;
    }
    if roots.len() == mozillas && !extra_roots.trim().is_empty() {
        return Err(BadRoots);
    }
    Ok(roots)
}

/// With ring: no entropy at start-up (docs/decisions/0006).
pub(super) fn config(roots: RootCertStore) -> ClientConfig {
    let builder =
        ClientConfig::builder_with_provider(Arc::new(ring::default_provider())).with_safe_default_protocol_versions();
    #[expect(clippy::expect_used, reason = "ring speaks TLS 1.2 and 1.3: every test builds this")]
    let mut config =
        builder.expect("ring supports the default versions").with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config
}
