use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use rustls::server::NoServerSessionStorage;

use crate::whole_signature::with_whole_signature;

/// A certificate for this machine's loopback names and the authority that vouches for it, both
/// ECDSA P-256 and made for one server, so that nobody trusts a neighbour's by accident.
#[derive(Debug)]
pub struct TlsIdentity {
    pub(crate) root_pem: String,
    certificate_pem: String,
    key_pem: String,
    pub(crate) server_config: Arc<ServerConfig>,
}

impl TlsIdentity {
    /// Makes both anew.
    pub fn generate() -> Self {
        let root_key = KeyPair::generate().unwrap();
        let root = root_params();
        let root_pem = with_whole_signature(|| root.self_signed(&root_key).unwrap()).pem();
        let issuer = Issuer::new(root, root_key);

        let key = KeyPair::generate().unwrap();
        let certificate =
            with_whole_signature(|| server_params().signed_by(&key, &issuer).unwrap());

        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut server_config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
            )
            .unwrap();
        server_config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Self {
            root_pem,
            certificate_pem: certificate.pem(),
            key_pem: key.serialize_pem(),
            server_config: Arc::new(server_config),
        }
    }

    /// The same for a server that lets nobody resume a session: each handshake is a full one.
    pub fn without_resumption(mut self) -> Self {
        let config = Arc::make_mut(&mut self.server_config);
        config.send_tls13_tickets = 0;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        self
    }

    /// The authority's certificate.
    pub fn root_pem(&self) -> &str {
        &self.root_pem
    }

    /// The server's certificate, for `localhost` and `127.0.0.1`.
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// The server's key.
    pub fn key_pem(&self) -> &str {
        &self.key_pem
    }
}

fn root_params() -> CertificateParams {
    let mut params = CertificateParams::default();
    let name = &mut params.distinguished_name;
    name.push(DnType::CommonName, "test-support root");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn server_params() -> CertificateParams {
    let names = ["localhost", "127.0.0.1"].map(String::from);
    let mut params = CertificateParams::new(names).unwrap();
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    params
}
