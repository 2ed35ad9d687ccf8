//! Real TLS clients for the fake Entra.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::header::{CONTENT_TYPE, HeaderMap};
use hyper::{Method, Request};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;
use test_support::{FakeAccount, FakeEntra};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Azure CLI's.
pub(crate) const CLIENT_ID: &str = "04b07795-8ddb-461a-bbee-02f9e1bf7b46";
pub(crate) const SCOPES: &str =
    "https://management.azure.com/.default openid profile offline_access";

const TIMEOUT: Duration = Duration::from_secs(10);

/// A server, somebody who is signed in there, and a client that pools its connections.
pub(crate) struct Fixture {
    pub(crate) entra: FakeEntra,
    pub(crate) ada: FakeAccount,
    pub(crate) refresh_token: String,
    pub(crate) client: Client,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        let entra = FakeEntra::start();
        let ada = FakeAccount::new("ada@contoso.example");
        Self {
            refresh_token: entra.issue_refresh_token(&ada, CLIENT_ID, false),
            client: Client::trusting(&entra),
            entra,
            ada,
        }
    }

    pub(crate) fn url(&self, tenant: &str) -> String {
        format!("{}/{tenant}/oauth2/v2.0/token", self.entra.authority())
    }

    pub(crate) fn form<'a>(&'a self, scopes: &'a str) -> Vec<(&'a str, &'a str)> {
        vec![
            ("grant_type", "refresh_token"),
            ("refresh_token", &self.refresh_token),
            ("scope", scopes),
            ("client_id", CLIENT_ID),
            ("client_info", "1"),
        ]
    }

    pub(crate) async fn redeem(&self) -> Answer {
        self.try_redeem().await.unwrap()
    }

    pub(crate) async fn try_redeem(&self) -> Result<Answer, String> {
        let form = self.form(SCOPES);
        self.client.post(&self.url("organizations"), &form).await
    }
}

pub(crate) struct Client(legacy::Client<HttpsConnector<HttpConnector>, Full<Bytes>>);

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

impl Client {
    pub(crate) fn trusting(entra: &FakeEntra) -> Self {
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls_config(entra))
            .https_only()
            .enable_http1()
            .build();
        Self(legacy::Client::builder(TokioExecutor::new()).build(connector))
    }

    pub(crate) async fn post(&self, url: &str, form: &[(&str, &str)]) -> Result<Answer, String> {
        self.send(Method::POST, url, form, &[]).await
    }

    /// The error's text is that of the whole chain of causes.
    pub(crate) async fn send(
        &self,
        method: Method,
        url: &str,
        form: &[(&str, &str)],
        headers: &[(&str, &str)],
    ) -> Result<Answer, String> {
        let mut request = Request::builder()
            .method(method)
            .uri(url)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::from(encode(form))).unwrap();
        timeout(TIMEOUT, async {
            let response = self.0.request(request).await.map_err(|e| chain(&e))?;
            let (head, body) = response.into_parts();
            let body = body.collect().await.map_err(|e| chain(&e))?;
            Ok(Answer {
                status: head.status.as_u16(),
                headers: head.headers,
                body: body.to_bytes(),
            })
        })
        .await
        .unwrap()
    }
}

pub(crate) fn encode(form: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new())
        .extend_pairs(form)
        .finish()
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// One TLS connection without any HTTP.
pub(crate) async fn connect(entra: &FakeEntra) -> TlsStream<TcpStream> {
    let authority = entra.authority();
    let port: u16 = authority.rsplit(':').next().unwrap().parse().unwrap();
    let tcp = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(tls_config(entra)))
        .connect(name, tcp)
        .await
        .unwrap()
}

fn tls_config(entra: &FakeEntra) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    let root = CertificateDer::from_pem_slice(entra.root_pem().as_bytes()).unwrap();
    roots.add(root).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth()
}
