//! The token endpoint of the redemptions, and the clients that are measured beside ours.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::client::Resumption;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use serde_json::{Value, json};
use shared_token_cache_credential::{Secret, TokenRequest};
use test_support::{CacheBuilder, FakeAccount, FakeEntra, Reply, TlsIdentity};

/// The content type of a token request.
pub const FORM: &str = "application/x-www-form-urlencoded";
/// What is asked for.
pub const SCOPE: &str = "https://management.azure.com/.default";

const CLI: &str = "04b07795-8ddb-461a-bbee-02f9e1bf7b46";

/// A bare client of hyper-util with hyper-rustls.
pub type Hyper = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// A token endpoint on loopback, somebody who is signed in there, and what it answers: the same
/// for each side, but for the access token, which is new each time.
#[derive(Debug)]
pub struct Endpoint {
    entra: FakeEntra,
    account: FakeAccount,
    refresh_token: String,
    answer: Value,
    issued: AtomicU64,
}

impl Endpoint {
    /// Starts the server. It lets no client resume a TLS session, so that every first connection
    /// is a full handshake, and takes its answer from what it says to a real redemption.
    pub async fn start() -> Self {
        let entra = FakeEntra::start_as(TlsIdentity::generate().without_resumption());
        let account = FakeAccount::new("ada@contoso.example");
        let refresh_token = entra.issue_refresh_token(&account, CLI, false);
        let mut endpoint = Self {
            entra,
            account,
            refresh_token,
            answer: Value::Null,
            issued: AtomicU64::new(0),
        };
        let body = post(&endpoint.hyper(), &endpoint.url(), endpoint.form()).await;
        endpoint.answer = serde_json::from_slice(&body).unwrap();
        let length = body.len();
        assert!((3_000..6_000).contains(&length), "{length} bytes");
        endpoint
    }

    /// `https://localhost:{port}`.
    pub fn authority(&self) -> String {
        self.entra.authority()
    }

    /// The host and port to connect to.
    pub fn address(&self) -> String {
        let authority = self.entra.authority();
        authority.trim_start_matches("https://").to_owned()
    }

    /// Where tokens are asked for.
    pub fn url(&self) -> String {
        format!("{}/organizations/oauth2/v2.0/token", self.authority())
    }

    /// The certificate to trust.
    pub fn root_pem(&self) -> &str {
        self.entra.root_pem()
    }

    /// The same cache with somebody who is signed in there.
    pub fn signed_in(&self, cache: CacheBuilder) -> CacheBuilder {
        cache.signed_in(&self.account, "localhost", CLI, &self.refresh_token)
    }

    /// Prepares so many answers, and returns their access tokens.
    pub fn prepare(&self, answers: u64, expires_in: u64) -> Vec<String> {
        let token = |_| {
            let number = self.issued.fetch_add(1, Ordering::Relaxed);
            let token = format!("{number:a>1750}");
            let mut answer = self.answer.clone();
            answer["access_token"] = json!(token);
            self.entra
                .push(Reply::json(answer).with_expires_in(expires_in));
            token
        };
        (0..answers).map(token).collect()
    }

    /// The request that our credential sends.
    pub fn request(&self) -> TokenRequest {
        let fields = [
            ("client_id", CLI),
            ("grant_type", "refresh_token"),
            ("client_info", "1"),
            ("refresh_token", &self.refresh_token),
            ("scope", &format!("{SCOPE} openid profile offline_access")),
        ];
        let request = TokenRequest::new(self.url());
        fields.into_iter().fold(request, |request, (name, value)| {
            request.with_field(name, Secret::new(value))
        })
    }

    /// Its form.
    pub fn form(&self) -> Bytes {
        Bytes::from(self.request().body().as_bytes().to_vec())
    }

    /// The TLS of the other clients: this server's certificate is all that they trust.
    pub fn tls(&self) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        let root = CertificateDer::from_pem_slice(self.root_pem().as_bytes()).unwrap();
        roots.add(root).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.resumption = Resumption::disabled();
        config
    }

    /// A bare client.
    pub fn hyper(&self) -> Hyper {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        // Without it the first request waits 40 ms for the peer's delayed acknowledgement.
        tcp.set_nodelay(true);
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(self.tls())
            .https_only()
            .enable_http1()
            .wrap_connector(tcp);
        Client::builder(TokioExecutor::new()).build(connector)
    }

    /// A client of reqwest, which is also what `azure_core` sends with.
    #[cfg(feature = "yardsticks")]
    pub fn reqwest(&self) -> reqwest::Client {
        let builder = reqwest::Client::builder().tls_backend_preconfigured(self.tls());
        let redirect = reqwest::redirect::Policy::none();
        builder.no_proxy().redirect(redirect).build().unwrap()
    }
}

/// Posts a form with a bare client, and returns the body.
pub async fn post(client: &Hyper, url: &str, form: Bytes) -> Bytes {
    let request = Request::post(url)
        .header("content-type", FORM)
        .header("accept", "application/json")
        .body(Full::new(form))
        .unwrap();
    let response = client.request(request).await.unwrap();
    assert_eq!(response.status(), 200);
    response.into_body().collect().await.unwrap().to_bytes()
}

/// Posts a form with reqwest, and returns the body.
#[cfg(feature = "yardsticks")]
pub async fn post_with_reqwest(client: &reqwest::Client, url: &str, form: Bytes) -> Bytes {
    let request = client
        .post(url)
        .header("content-type", FORM)
        .header("accept", "application/json")
        .body(form);
    request.send().await.unwrap().bytes().await.unwrap()
}

/// The access token of an answer.
pub fn token_in(body: &[u8]) -> String {
    let answer: Value = serde_json::from_slice(body).unwrap();
    answer["access_token"].as_str().unwrap().to_owned()
}
