//! A whole flow for grants other than the refresh token: their codes are valid once.

use std::sync::{Arc, Mutex};
use std::time::{Duration, UNIX_EPOCH};

use entra_token_endpoint::{
    Authority, HyperTokenEndpoint, Posted, Remedy, Seconds, TokenEndpoint, TokenError,
    TokenRequest, TransportErrorKind, post,
};
use test_support::raw_server::{Identity, RawServer, read_request};
use test_support::{TestClock, logs};
use token_credential::Secret;
use tokio::io::AsyncWriteExt;
use tokio::time::Instant;

const NOW: u64 = 1_800_000_000;
/// No test waits as long.
const PATIENCE: Duration = Duration::from_secs(20);

/// A server that says these answers in turn, each on a connection of its own, and keeps the bodies
/// of the requests. Without an answer it ends the connection.
async fn server(answers: Vec<String>) -> (RawServer, Arc<Mutex<Vec<String>>>) {
    let bodies = Arc::new(Mutex::new(Vec::new()));
    let server = RawServer::start(Identity::Good, {
        let (bodies, answers) = (Arc::clone(&bodies), Arc::new(answers));
        move |mut stream| {
            let (bodies, answers) = (Arc::clone(&bodies), Arc::clone(&answers));
            async move {
                let Some(request) = read_request(&mut stream).await? else {
                    return Ok(());
                };
                let (_, body) = request.split_once("\r\n\r\n").unwrap();
                let number = {
                    let mut bodies = bodies.lock().unwrap();
                    bodies.push(body.to_owned());
                    bodies.len() - 1
                };
                if let Some(answer) = answers.get(number) {
                    stream.write_all(answer.as_bytes()).await?;
                }
                stream.shutdown().await
            }
        }
    });
    (server.await, bodies)
}

fn answer(status: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n\r\n{body}")
}

fn code(server: &RawServer) -> TokenRequest {
    let authority = Authority::parse(&format!("https://{}", server.address())).unwrap();
    TokenRequest::new(authority.token_endpoint("organizations"))
        .with_user_agent("a-program/1.0")
        .with_field("grant_type", Secret::new("authorization_code"))
        .with_field("client_id", Secret::new("a-client"))
        .with_field("redirect_uri", Secret::new("http://localhost:8400"))
        .with_field("code", Secret::new(logs::canary("code")))
        .with_field("code_verifier", Secret::new(logs::canary("verifier")))
}

async fn posted(server: &RawServer, request: &TokenRequest) -> Posted {
    let endpoint = HyperTokenEndpoint::with_extra_root_certificates(server.root_pem()).unwrap();
    let endpoint = endpoint.without_proxy();
    let deadline = Instant::now() + PATIENCE;
    let posted = post(&endpoint, request, &TestClock::at(NOW), deadline).await;
    endpoint.close().await;
    posted
}

#[tokio::test]
async fn an_authorization_code_becomes_a_token() {
    let token = logs::canary("access token");
    let body = format!(
        r#"{{"token_type":"Bearer","access_token":"{token}","expires_in":3600,"scope":"a b"}}"#
    );
    let (server, bodies) = server(vec![answer("200 OK", &body)]).await;
    let Posted {
        result,
        sent_at,
        leave_alone,
    } = posted(&server, &code(&server)).await;
    let response = result.unwrap();
    assert_eq!(response.access_token().expose_secret(), token);
    assert_eq!(response.scope(), Some("a b"));
    assert_eq!(response.expires_in(), Seconds::Said(3600));
    assert!(response.refresh_token().is_none() && response.id_token().is_none());
    assert_eq!(sent_at, UNIX_EPOCH + Duration::from_secs(NOW));
    assert_eq!(leave_alone, None);
    assert_eq!(logs::leaks_in(&format!("{response:?}")), [""; 0]);
    let bodies = bodies.lock().unwrap();
    assert_eq!(bodies.len(), 1);
    let redirect = "&redirect_uri=http%3A%2F%2Flocalhost%3A8400&code=";
    assert!(
        bodies[0].starts_with("grant_type=authorization_code&client_id=a-client"),
        "{bodies:?}"
    );
    assert!(bodies[0].contains(redirect), "{bodies:?}");
}

#[tokio::test]
async fn an_authorization_code_is_not_sent_again_where_the_server_may_have_acted() {
    for (answers, is_expected, leave_alone) in [
        (
            vec![],
            &(|error: &TokenError| {
                matches!(error, TokenError::Transport(error)
                    if error.kind() == TransportErrorKind::Lost)
            }) as &dyn Fn(&TokenError) -> bool,
            None,
        ),
        (
            vec![answer("503 Busy", "{}")],
            &|error| matches!(error, TokenError::Unusable(error) if error.is_transient()),
            Some(5),
        ),
        (
            vec![answer("408 Slow", r#"{"error":"server_error"}"#)],
            &|error| matches!(error, TokenError::Refused(refusal) if refusal.remedy() == Remedy::Wait),
            None,
        ),
    ] {
        let (server, bodies) = server(answers).await;
        let posted = posted(&server, &code(&server)).await;
        let error = posted.result.unwrap_err();
        assert!(is_expected(&error), "{error}");
        assert_eq!(posted.leave_alone, leave_alone.map(Duration::from_secs));
        assert_eq!(bodies.lock().unwrap().len(), 1, "{error}");
        assert_eq!(logs::leaks_in(&format!("{error} {error:?}")), [""; 0]);
    }
}

/// The control of the test above: one lost connection is replaced, one 503 is repeated.
#[tokio::test]
async fn a_form_that_is_repeatable_is_sent_again() {
    let token = || answer("200 OK", r#"{"access_token":"x","expires_in":60}"#);
    for first in [String::new(), answer("503 Busy", "{}")] {
        let (server, bodies) = server(vec![first, token()]).await;
        let request = code(&server).with_repeatable(true);
        assert!(posted(&server, &request).await.result.is_ok());
        let bodies = bodies.lock().unwrap();
        assert_eq!(bodies.len(), 2);
        assert_eq!(bodies[0], bodies[1]);
    }
}

/// The server has refused to act on it, and says when to ask again.
#[tokio::test]
async fn an_authorization_code_is_sent_again_when_a_throttling_server_says_when() {
    let throttled = "HTTP/1.1 429 Slow\r\nretry-after: 1\r\ncontent-length: 2\r\n\r\n{}";
    let token = answer("200 OK", r#"{"access_token":"x","expires_in":60}"#);
    let (server, bodies) = server(vec![throttled.to_owned(), token]).await;
    assert!(posted(&server, &code(&server)).await.result.is_ok());
    assert_eq!(bodies.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn a_refused_device_code_says_what_to_do_and_for_how_long_to_wait() {
    let body = r#"{"error":"authorization_pending","error_description":"canary"}"#;
    let head = "HTTP/1.1 400 Bad Request\r\nretry-after: 5\r\n";
    let length = body.len();
    let pending = format!("{head}content-length: {length}\r\n\r\n{body}");
    let (server, bodies) = server(vec![pending]).await;
    let authority = Authority::parse(&format!("https://{}", server.address())).unwrap();
    let request = TokenRequest::new(authority.token_endpoint("organizations"))
        .with_field(
            "grant_type",
            Secret::new("urn:ietf:params:oauth:grant-type:device_code"),
        )
        .with_field("device_code", Secret::new(logs::canary("device code")));
    let posted = posted(&server, &request).await;
    let Err(TokenError::Refused(refusal)) = posted.result else {
        panic!("not refused");
    };
    assert_eq!(refusal.oauth().error(), "authorization_pending");
    assert_eq!(refusal.retry_after(), Some(Duration::from_secs(5)));
    assert_eq!(posted.leave_alone, Some(Duration::from_secs(5)));
    assert!(!refusal.is_final() && !refusal.allows_next_token());
    assert_eq!(bodies.lock().unwrap().len(), 1);
}
