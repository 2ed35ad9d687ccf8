//! What a test beside Microsoft's packages needs to have its requests answered on loopback.

use async_trait::async_trait;
use shared_token_cache_credential::{
    HttpResponse, HyperTokenEndpoint, TokenEndpoint, TokenRequest, TransportError,
};

/// Sends what is meant for Entra to its stand-in.
#[derive(Debug)]
pub(crate) struct StandIn {
    pub(crate) wire: HyperTokenEndpoint,
    pub(crate) authority: String,
}

#[async_trait]
impl TokenEndpoint for StandIn {
    async fn send(&self, request: TokenRequest) -> Result<HttpResponse, TransportError> {
        let path = request
            .url()
            .strip_prefix("https://login.microsoftonline.com")
            .unwrap();
        let url = format!("{}{path}", self.authority);
        self.wire.send(request.with_url(url)).await
    }

    async fn close(&self) {
        self.wire.close().await;
    }
}
