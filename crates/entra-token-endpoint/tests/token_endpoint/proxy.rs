//! Through a proxy, and past it.

use std::io;
use std::net::SocketAddr;

use entra_token_endpoint::{HyperTokenEndpoint, TokenEndpoint, TransportError, TransportErrorKind};
use test_support::{FakeProxy, logs};
use tokio::net::TcpListener;
use tokio::time::timeout;

use super::{EndpointFor, PATIENCE, again, chain, request};
use test_support::raw_server::{OK, RawServer};

const CONSENT: &str = "HTTP/1.1 200 Connection established\r\n\r\n";

async fn refused_by(proxy: &FakeProxy, url: &str) -> TransportError {
    let server = RawServer::answering(OK).await;
    let endpoint = server.endpoint().with_proxy(url).unwrap();
    let result = timeout(PATIENCE, endpoint.send(request(&server.url()))).await;
    let error = result.unwrap().unwrap_err();
    assert_eq!((server.connections(), proxy.connections()), (0, 1));
    error
}

#[tokio::test]
async fn a_request_goes_through_the_proxy_under_tls() {
    for answer in [
        CONSENT,
        "HTTP/1.0 200 Connection established\r\nProxy-agent: x\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    ] {
        let proxy = FakeProxy::answering(answer).await;
        let server = RawServer::answering(OK).await;
        let endpoint = server.endpoint().with_proxy(&proxy.url()).unwrap();
        for _ in 0..3 {
            let reply = timeout(PATIENCE, endpoint.send(request(&server.url()))).await;
            assert_eq!(reply.unwrap().unwrap().status(), 200);
        }
        let target = server.address();
        // All that the proxy hears, for three requests.
        assert_eq!(
            proxy.heads(),
            [format!(
                "CONNECT {target} HTTP/1.1\r\nhost: {target}\r\n\r\n"
            )]
        );
        assert_eq!(server.handshakes(), 1);
        timeout(PATIENCE, endpoint.close()).await.unwrap();
    }
}

#[tokio::test]
async fn user_and_password_are_for_the_proxy_alone() {
    let proxy = FakeProxy::answering(CONSENT).await;
    let server = RawServer::answering(OK).await;
    let password = logs::canary("proxy password");
    let url = format!("http://ada:{password}@{}", proxy.address());
    let endpoint = server.endpoint().with_proxy(&url).unwrap();
    assert!(!format!("{endpoint:?}").contains(&password));
    let reply = timeout(PATIENCE, endpoint.send(request(&server.url()))).await;
    assert_eq!(reply.unwrap().unwrap().status(), 200);
    let heads = proxy.heads();
    let (_, sent) = heads[0].split_once("proxy-authorization: Basic ").unwrap();
    assert_eq!(
        logs::leaks_in(sent.trim_end()),
        ["proxy password"],
        "in base64"
    );
}

#[tokio::test]
async fn a_proxy_that_refuses_is_named_with_its_status_and_without_the_password() {
    for (status, kind, what) in [
        (407, TransportErrorKind::Setup, "refused user and password"),
        (401, TransportErrorKind::Setup, "refused user and password"),
        (
            403,
            TransportErrorKind::Setup,
            "does not let us connect to 127.0.0.1",
        ),
        (
            302,
            TransportErrorKind::Setup,
            "does not let us connect to 127.0.0.1",
        ),
        (
            502,
            TransportErrorKind::Connect,
            "made no connection to 127.0.0.1",
        ),
    ] {
        let answer = format!("HTTP/1.1 {status} No\r\ncontent-length: 6\r\n\r\ncanary");
        let proxy = FakeProxy::answering(answer.leak()).await;
        let address = proxy.address();
        let password = logs::canary("proxy password");
        let error = refused_by(&proxy, &format!("http://ada:{password}@{address}")).await;
        assert_eq!(error.kind(), kind, "{}", chain(&error));
        let text = error.to_string();
        let expected = format!("the proxy {address} {what} (HTTP {status})");
        assert!(text.starts_with(&expected), "{text}");
        let shown = format!("{} {error:?}", chain(&error));
        assert_eq!(logs::leaks_in(&shown), [""; 0]);
        assert!(!shown.contains("canary"), "{shown}");
    }
    let proxy = FakeProxy::answering("HTTP/1.1 407 No\r\n\r\n").await;
    let error = refused_by(&proxy, &proxy.url()).await;
    assert!(error.to_string().contains("wants user and password"));
}

#[tokio::test]
async fn a_proxy_that_speaks_no_http_is_no_connection() {
    for answer in [
        "",
        "HTTP/1.1 20",
        "canary canary canary\r\n\r\n",
        "SSH-2.0-canary\r\n",
    ] {
        let proxy = FakeProxy::answering(answer).await;
        let error = refused_by(&proxy, &proxy.url()).await;
        assert_eq!(error.kind(), TransportErrorKind::Connect);
        let expected = format!("the proxy {} gave no answer that is HTTP", proxy.address());
        assert_eq!(error.to_string(), expected);
        assert!(!chain(&error).contains("canary"), "{}", chain(&error));
    }
}

#[tokio::test]
async fn what_a_proxy_sends_behind_its_consent_is_not_taken_for_the_servers() {
    let answer = "HTTP/1.1 200 OK\r\n\r\ncanary";
    let proxy = FakeProxy::answering(answer).await;
    let server = RawServer::answering(OK).await;
    let endpoint = server.endpoint().with_proxy(&proxy.url()).unwrap();
    let result = timeout(PATIENCE, endpoint.send(request(&server.url()))).await;
    let error = result.unwrap().unwrap_err();
    assert_eq!(error.kind(), TransportErrorKind::Connect);
    assert!(error.to_string().contains("sent more than its consent"));
    assert_eq!(server.handshakes(), 0);
}

#[tokio::test]
async fn a_proxy_that_is_not_there_is_named() {
    let server = RawServer::answering(OK).await;
    let nobody = unused_address().await;
    let endpoint = server
        .endpoint()
        .with_proxy(&format!("http://{nobody}"))
        .unwrap();
    let error = endpoint.send(request(&server.url())).await.unwrap_err();
    assert_eq!(error.kind(), TransportErrorKind::Connect);
    let expected = format!("no connection to the proxy {nobody}: Connection refused");
    assert!(error.to_string().starts_with(&expected), "{error}");
    assert_eq!(server.connections(), 0);
}

async fn unused_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap()
}

/// Time stands still but when nothing else can happen, so this takes none.
#[tokio::test(start_paused = true)]
async fn a_proxy_that_hangs_is_no_connection_after_ten_seconds() {
    let proxy = RawServer::start_tcp(|tcp| async move {
        let _open = tcp;
        std::future::pending().await
    })
    .await;
    let endpoint = proxy
        .endpoint()
        .with_proxy(&format!("http://{}", proxy.address()))
        .unwrap();
    let start = tokio::time::Instant::now();
    let error = endpoint
        .send(request("https://127.0.0.1:1/t"))
        .await
        .unwrap_err();
    assert_eq!(start.elapsed().as_secs(), 10);
    assert_eq!(error.kind(), TransportErrorKind::Connect);
}

#[tokio::test]
async fn a_server_that_is_not_trusted_gets_nothing_through_a_proxy_either() {
    let proxy = FakeProxy::answering(CONSENT).await;
    let (server, other) = (
        RawServer::answering(OK).await,
        RawServer::answering(OK).await,
    );
    let endpoint = other.endpoint().with_proxy(&proxy.url()).unwrap();
    let result = timeout(PATIENCE, endpoint.send(request(&server.url()))).await;
    let error = result.unwrap().unwrap_err();
    assert_eq!(error.kind(), TransportErrorKind::Tls);
    assert!(
        error
            .to_string()
            .starts_with("no trusted connection to 127.0.0.1:"),
        "{error}"
    );
    assert_eq!((server.connections(), server.handshakes()), (1, 0));
}

const NAME: &str = "token_endpoint::proxy::the_environment_names_the_proxy_and_who_needs_none";

/// Runs itself again with an environment of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_environment_names_the_proxy_and_who_needs_none() {
    if let Ok(url) = std::env::var("TEST_URL") {
        let pem = std::env::var("TEST_ROOT").unwrap();
        return print_the_result(&url, pem.as_bytes()).await;
    }
    let proxy = FakeProxy::answering(CONSENT).await;
    let server = RawServer::answering(OK).await;
    let nobody = format!("http://{}", unused_address().await);
    let password = logs::canary("proxy password");
    let socks = format!("socks5://ada:{password}@127.0.0.1:1");
    for (variables, through, expected) in [
        (&[("HTTPS_PROXY", &*proxy.url())][..], 1, "status 200"),
        (&[("all_proxy", &proxy.url())], 1, "status 200"),
        (
            &[("https_proxy", &proxy.url()), ("ALL_PROXY", &nobody)],
            1,
            "status 200",
        ),
        (
            &[("HTTPS_PROXY", &nobody), ("NO_PROXY", "127.0.0.1")],
            0,
            "status 200",
        ),
        (
            &[("HTTPS_PROXY", &nobody)],
            0,
            &format!(
                "Connect: no connection to the proxy {} of HTTPS_PROXY",
                &nobody[7..]
            ),
        ),
        (
            &[("ALL_PROXY", &socks)],
            0,
            "Setup: ALL_PROXY names a proxy to be spoken to by socks5: supported is http://",
        ),
        (&[("ALL_PROXY", &socks), ("no_proxy", "*")], 0, "status 200"),
        (
            &[("HTTPS_PROXY", &format!("http://{password}@"))],
            0,
            "Setup: HTTPS_PROXY is not the URL of a proxy: supported is http://",
        ),
    ] {
        let before = proxy.heads().len();
        let (url, root) = (server.url(), server.root_pem());
        let mut environment = vec![
            ("TEST_URL", &*url),
            ("TEST_ROOT", std::str::from_utf8(root).unwrap()),
        ];
        environment.extend(variables);
        let said = tokio::task::block_in_place(|| again(NAME, &environment));
        assert!(said.contains(expected), "{said}");
        assert_eq!(logs::leaks_in(&said), [""; 0]);
        assert_eq!(proxy.heads().len() - before, through);
    }
}

async fn print_the_result(url: &str, root_pem: &[u8]) {
    let endpoint = HyperTokenEndpoint::with_extra_root_certificates(root_pem).unwrap();
    let result = match endpoint.send(request(url)).await {
        Ok(reply) => format!("status {}", reply.status()),
        Err(error) => format!("{:?}: {}", error.kind(), chain(&error)),
    };
    io::Write::write_all(&mut io::stdout(), result.as_bytes()).unwrap();
}
