//! What cannot work here, and is said so before anything is sent.

use std::process::Command;
use std::task::{Context, Poll, Waker};

use shared_token_cache_credential::{HyperTokenEndpoint, TokenEndpoint, TransportErrorKind};
use test_support::logs;

use super::raw_server::{OK, RawServer};
use super::{chain, request};

#[test]
fn a_request_needs_a_runtime() {
    let _watch = logs::Watch::new();
    let endpoint = HyperTokenEndpoint::new();
    let mut sending = endpoint.send(request("https://127.0.0.1:1/t"));
    let mut context = Context::from_waker(Waker::noop());
    let Poll::Ready(Err(error)) = sending.as_mut().poll(&mut context) else {
        panic!("neither done nor failed");
    };
    assert_eq!(error.kind(), TransportErrorKind::Setup);
    assert!(error.to_string().contains("tokio runtime"), "{error}");
}

#[tokio::test]
async fn an_address_must_be_https() {
    let _watch = logs::Watch::new();
    let endpoint = HyperTokenEndpoint::new();
    for (address, text) in [
        ("http://127.0.0.1:1/t", "not https://"),
        ("ftp://127.0.0.1:1/t", "not https://"),
        ("127.0.0.1:1", "not https://"),
        ("/t", "not https://"),
        ("", "not a URL"),
        ("https://", "not a URL"),
        ("https://login.example/a b", "not a URL"),
    ] {
        let error = endpoint.send(request(address)).await.unwrap_err();
        assert_eq!(error.kind(), TransportErrorKind::Setup, "{address}");
        assert!(error.to_string().contains(text), "{address}: {error}");
    }
}

#[tokio::test]
async fn a_request_id_must_fit_in_a_header() {
    let _watch = logs::Watch::new();
    let endpoint = HyperTokenEndpoint::new();
    for id in ["1\r\nx: 2", "\0", "\u{7f}"] {
        let request = request("https://127.0.0.1:1/t").with_client_request_id(id);
        let error = endpoint.send(request).await.unwrap_err();
        assert_eq!(error.kind(), TransportErrorKind::Setup, "{id:?}");
        assert!(error.to_string().contains("cannot be written"), "{error}");
    }
}

#[test]
fn extra_roots_are_checked_when_they_are_given() {
    let _watch = logs::Watch::new();
    let begin = "-----BEGIN CERTIFICATE-----";
    let end = "-----END CERTIFICATE-----";
    let key = rcgen::KeyPair::generate().unwrap().serialize_pem();
    for (pem, text) in [
        ("", "there is no certificate"),
        ("canary", "there is no certificate"),
        (&*key, "there is no certificate"),
        (&*format!("{begin}\ncanary"), "not valid PEM"),
        (&*format!("{begin}\n!canary!\n{end}\n"), "not valid PEM"),
        (&*format!("{begin}\nY2FuYXJ5\n{end}\n"), "cannot be a root"),
    ] {
        let error = HyperTokenEndpoint::with_extra_root_certificates(pem.as_bytes()).unwrap_err();
        assert_eq!(error.kind(), TransportErrorKind::Setup);
        assert!(error.to_string().contains(text), "{pem}: {error}");
        assert!(!chain(&error).contains("canary"), "{}", chain(&error));
    }
}

/// Runs itself again where the platform has no roots: the environment of this process is shared
/// with other tests.
#[test]
fn a_machine_without_roots_says_so_and_extra_roots_do() {
    const CHILD: &str = "TEST_WITHOUT_SYSTEM_ROOTS";
    if std::env::var_os(CHILD).is_some() {
        return without_system_roots();
    }
    let empty = tempfile::NamedTempFile::new().unwrap();
    let output = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "token_endpoint::setup::a_machine_without_roots_says_so_and_extra_roots_do",
        ])
        .env(CHILD, "1")
        .env("SSL_CERT_FILE", empty.path())
        .env_remove("SSL_CERT_DIR")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{text}"
    );
}

#[tokio::main(flavor = "current_thread")]
async fn without_system_roots() {
    let server = RawServer::answering(OK).await;
    let error = HyperTokenEndpoint::new()
        .send(request(&server.url()))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), TransportErrorKind::Setup);
    assert!(
        error.to_string().contains("give extra root certificates"),
        "{error}"
    );
    assert_eq!(server.handshakes(), 0);

    server
        .endpoint()
        .send(request(&server.url()))
        .await
        .unwrap();
}
