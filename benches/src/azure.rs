//! `azure_identity`, whose credential keeps its tokens in memory, and `azure_core`, which carries
//! its requests.

use std::sync::Arc;

use async_trait::async_trait;
use azure_core::cloud::{CloudConfiguration, CustomConfiguration};
use azure_core::credentials::{Secret, TokenCredential};
use azure_core::http::headers::Headers;
use azure_core::http::{
    AsyncRawResponse, ClientOptions, HttpClient, Method, Request, StatusCode, Transport, Url,
};
use azure_identity::{ClientSecretCredential, ClientSecretCredentialOptions};
use bytes::Bytes;
use serde_json::json;

/// Answers every request in place, with the same token.
#[derive(Debug)]
struct Canned(Bytes);

#[async_trait]
impl HttpClient for Canned {
    async fn execute_request(&self, _: &Request) -> azure_core::Result<AsyncRawResponse> {
        let body = self.0.clone();
        Ok(AsyncRawResponse::from_bytes(
            StatusCode::Ok,
            Headers::new(),
            body,
        ))
    }
}

/// A credential that gets this token at its first call and then has it in memory.
pub fn holding(token: &str) -> Arc<dyn TokenCredential> {
    let answer = json!({
        "token_type": "Bearer",
        "expires_in": 3_600,
        "ext_expires_in": 3_600,
        "access_token": token,
    });
    credential(None, Arc::new(Canned(answer.to_string().into())))
}

/// A credential that asks this authority over this client.
pub fn asking(authority: &str, client: reqwest::Client) -> Arc<dyn TokenCredential> {
    let mut cloud = CustomConfiguration::default();
    authority.clone_into(&mut cloud.authority_host);
    credential(Some(Arc::new(cloud.into())), Arc::new(client))
}

fn credential(
    cloud: Option<Arc<CloudConfiguration>>,
    transport: Arc<dyn HttpClient>,
) -> Arc<dyn TokenCredential> {
    let client_options = ClientOptions {
        cloud,
        transport: Some(Transport::new(transport)),
        ..ClientOptions::default()
    };
    ClientSecretCredential::new(
        "organizations",
        "a-client".to_owned(),
        Secret::new("a secret"),
        Some(ClientSecretCredentialOptions { client_options }),
    )
    .unwrap()
}

/// Posts a form over the transport that `azure_core` makes of a client, and returns the body.
pub async fn post(client: &dyn HttpClient, url: &str, form: Bytes) -> Bytes {
    let mut request = Request::new(Url::parse(url).unwrap(), Method::Post);
    request.insert_header("content-type", crate::wire::FORM);
    request.insert_header("accept", "application/json");
    request.set_body(form);
    let response = client.execute_request(&request).await.unwrap();
    let response = response.try_into_raw_response().await.unwrap();
    response.into_body().into()
}
