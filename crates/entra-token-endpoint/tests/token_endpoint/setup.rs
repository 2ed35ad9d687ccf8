//! What cannot work here, and is said so before anything is sent.

use std::task::{Context, Poll, Waker};

use entra_token_endpoint::{HyperTokenEndpoint, TokenEndpoint, TransportErrorKind};
use test_support::logs;

#[cfg(unix)]
use super::{EndpointFor, again};
use super::{chain, request};
#[cfg(unix)]
use test_support::raw_server::{OK, RawServer};

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

#[cfg(unix)]
const NO_ROOTS: &str = "token_endpoint::setup::a_machine_without_roots_says_so_and_extra_roots_do";

/// Runs itself again where the platform has no roots: the environment of this process is shared
/// with other tests.
#[cfg(unix)]
#[test]
fn a_machine_without_roots_says_so_and_extra_roots_do() {
    const CHILD: &str = "TEST_WITHOUT_SYSTEM_ROOTS";
    if std::env::var_os(CHILD).is_some() {
        return without_system_roots();
    }
    let empty = tempfile::tempdir().unwrap();
    let directory = empty.path().to_str().unwrap();
    let absent = format!("{directory}/absent");
    let file = tempfile::NamedTempFile::new().unwrap();
    for variables in [
        &[("SSL_CERT_FILE", file.path().to_str().unwrap())][..],
        &[("SSL_CERT_FILE", &absent)],
        &[("SSL_CERT_DIR", directory)],
        &[("SSL_CERT_FILE", &absent), ("SSL_CERT_DIR", &absent)],
    ] {
        again(NO_ROOTS, &[variables, &[(CHILD, "1")]].concat());
    }
}

#[cfg(unix)]
#[tokio::main(flavor = "current_thread")]
async fn without_system_roots() {
    let server = RawServer::answering(OK).await;
    let error = HyperTokenEndpoint::new()
        .send(request(&server.url()))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), TransportErrorKind::Setup);
    let text = error.to_string();
    assert!(
        text.starts_with("there are no roots to trust a server by"),
        "{text}"
    );
    assert!(text.contains("give extra root certificates"), "{text}");
    assert_eq!(server.handshakes(), 0);

    server
        .endpoint()
        .send(request(&server.url()))
        .await
        .unwrap();
}
