//! That no token, neither asked with nor answered, is written where it could be read.

use std::time::Duration;

use entra_token_endpoint::{HyperTokenEndpoint, TokenEndpoint, TokenRequest, TransportErrorKind};
use test_support::{FakeAccount, FakeEntra, Reply, logs};
use token_credential::Secret;
use tokio::time::timeout;

use super::{PATIENCE, chain};

const CLIENT_ID: &str = "04b07795-8ddb-461a-bbee-02f9e1bf7b46";

fn redemption(entra: &FakeEntra) -> TokenRequest {
    let ada = FakeAccount::new("ada@contoso.example");
    let refresh_token = entra.issue_refresh_token(&ada, CLIENT_ID, false);
    TokenRequest::new(format!(
        "{}/organizations/oauth2/v2.0/token",
        entra.authority()
    ))
    .with_field("client_id", Secret::new(CLIENT_ID))
    .with_field("grant_type", Secret::new("refresh_token"))
    .with_field("client_info", Secret::new("1"))
    .with_field(
        "scope",
        Secret::new("https://vault.azure.net/.default openid profile offline_access"),
    )
    .with_field("refresh_token", Secret::new(refresh_token))
}

#[track_caller]
fn assert_no_secret(text: &str) {
    assert!(
        logs::leaks_in(text).is_empty(),
        "{:?}",
        logs::leaks_in(text)
    );
}

#[tokio::test]
async fn no_token_gets_into_a_log_an_error_or_a_debug_text() {
    let capture = logs::capture();
    let entra = FakeEntra::start();
    let endpoint =
        HyperTokenEndpoint::with_extra_root_certificates(entra.root_pem().as_bytes()).unwrap();

    for reply in [Reply::success(), Reply::success().then_close()] {
        entra.push(reply);
        let request = redemption(&entra);
        assert_no_secret(&format!("{request:?}"));
        let reply = timeout(PATIENCE, endpoint.send(request))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(reply.status(), 200);
        let body = std::str::from_utf8(reply.body()).unwrap();
        let leaks = logs::leaks_in(body);
        assert!(leaks.len() >= 4, "the answer should hold tokens: {leaks:?}");
        assert_no_secret(&format!("{reply:?} {endpoint:?}"));
    }

    for (reply, kind) in [
        (
            Reply::success().with_header("content-encoding", "gzip"),
            TransportErrorKind::Unreadable,
        ),
        (
            Reply::success().dropped_within(2_000),
            TransportErrorKind::Interrupted,
        ),
        (Reply::dropped(), TransportErrorKind::Lost),
    ] {
        entra.push(reply);
        let error = timeout(PATIENCE, endpoint.send(redemption(&entra)))
            .await
            .unwrap()
            .unwrap_err();
        assert_eq!(error.kind(), kind, "{}", chain(&error));
        assert_no_secret(&format!("{} {error:?}", chain(&error)));
    }

    entra.push(Reply::success().delayed(PATIENCE));
    let abandoned = endpoint.send(redemption(&entra));
    assert!(
        timeout(Duration::from_millis(100), abandoned)
            .await
            .is_err()
    );
    endpoint.close().await;

    // The layers below did speak, so there was something to search.
    let lines = capture.lines();
    for target in ["hyper_util", "rustls"] {
        let spoke = lines.iter().any(|line| line.target.starts_with(target));
        assert!(spoke, "nothing from {target} was captured");
    }
    capture.assert_clean();
}
