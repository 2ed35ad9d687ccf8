//! To whom a request is sent at all.

use std::time::Duration;

use entra_token_endpoint::{HyperTokenEndpoint, TokenEndpoint, TransportErrorKind};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::{sleep, timeout};

use super::{EndpointFor, PATIENCE, chain, request};
use test_support::raw_server::{Identity, OK, RawServer, read_request};

// What the platform's verification says.
#[cfg(not(windows))]
const OTHER_NAME: &str = "login.example";
#[cfg(windows)]
const OTHER_NAME: &str = "NotValidForName";
#[cfg(not(windows))]
const EXPIRED: &str = "expired";
#[cfg(windows)]
const EXPIRED: &str = "Expired";
#[cfg(not(windows))]
const NOT_YET_VALID: &str = "not valid yet";
#[cfg(windows)]
const NOT_YET_VALID: &str = "Expired";

/// A server that would answer; counts as asked as soon as a handshake succeeds.
async fn server(identity: Identity) -> RawServer {
    RawServer::start(identity, |mut stream| async move {
        read_request(&mut stream).await?;
        stream.write_all(OK).await
    })
    .await
}

async fn assert_refused(
    server: &RawServer,
    endpoint: &HyperTokenEndpoint,
    kind: TransportErrorKind,
    texts: &[&str],
) {
    let error = timeout(PATIENCE, endpoint.send(request(&server.url())))
        .await
        .unwrap()
        .unwrap_err();
    assert_eq!(error.kind(), kind, "{}", chain(&error));
    for text in texts {
        assert!(error.to_string().contains(text), "{}", chain(&error));
    }
    // Time for a request to come that must not.
    sleep(Duration::from_millis(50)).await;
    assert_eq!((server.connections(), server.handshakes()), (1, 0));
}

#[tokio::test]
async fn a_root_that_was_not_given_is_not_trusted() {
    let other = server(Identity::Good).await;
    let server = server(Identity::Good).await;
    let texts = ["no trusted connection to 127.0.0.1: ", "UnknownIssuer"];
    assert_refused(&server, &other.endpoint(), TransportErrorKind::Tls, &texts).await;
}

#[tokio::test]
async fn a_certificate_for_another_host_is_refused() {
    let server = server(Identity::OtherHost).await;
    let texts = ["no trusted connection to 127.0.0.1: ", OTHER_NAME];
    assert_refused(&server, &server.endpoint(), TransportErrorKind::Tls, &texts).await;
}

#[tokio::test]
async fn a_certificate_out_of_its_time_is_refused() {
    for (identity, text) in [
        (Identity::Expired, EXPIRED),
        (Identity::NotYetValid, NOT_YET_VALID),
    ] {
        let server = server(identity).await;
        assert_refused(
            &server,
            &server.endpoint(),
            TransportErrorKind::Tls,
            &[text],
        )
        .await;
    }
}

#[tokio::test]
async fn a_server_without_tls_gets_no_request() {
    let server = RawServer::start_tcp(|mut tcp| async move {
        tcp.read_u8().await?;
        tcp.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await?;
        sleep(PATIENCE).await;
        Ok(())
    })
    .await;
    assert_refused(&server, &server.endpoint(), TransportErrorKind::Tls, &[]).await;
}

#[tokio::test]
async fn a_handshake_that_is_cut_is_no_connection() {
    let server = RawServer::start_tcp(|mut tcp| async move {
        tcp.read_u8().await?;
        tcp.shutdown().await
    })
    .await;
    let texts = ["no connection to 127.0.0.1: "];
    assert_refused(
        &server,
        &server.endpoint(),
        TransportErrorKind::Connect,
        &texts,
    )
    .await;
}

/// Time stands still but when nothing else can happen, so this takes none.
#[tokio::test(start_paused = true)]
async fn a_handshake_that_hangs_is_no_connection_after_ten_seconds() {
    let server = RawServer::start_tcp(|tcp| async move {
        let _open = tcp;
        std::future::pending().await
    })
    .await;
    let start = tokio::time::Instant::now();
    let error = server
        .endpoint()
        .send(request(&server.url()))
        .await
        .unwrap_err();
    assert_eq!(start.elapsed().as_secs(), 10);
    assert_eq!(error.kind(), TransportErrorKind::Connect);
    assert_eq!(
        error.to_string(),
        "no connection to 127.0.0.1: nothing within 10 s"
    );
}

#[tokio::test]
async fn a_refused_connection_is_no_connection() {
    let server = server(Identity::Good).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nobody = listener.local_addr().unwrap();
    drop(listener);
    let error = server
        .endpoint()
        .send(request(&format!("https://{nobody}/t")))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), TransportErrorKind::Connect);
    assert!(
        error
            .to_string()
            .starts_with("no connection to 127.0.0.1: Connection refused"),
        "{error}"
    );
}

#[test]
fn roots_that_are_loaded_need_no_other_thread() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(1)
        .build()
        .unwrap();
    runtime.block_on(async {
        let server = RawServer::answering(OK).await;
        let send = async || server.endpoint().send(request(&server.url())).await;
        send().await.unwrap();
        let (release, busy) = std::sync::mpsc::channel::<()>();
        let only_thread = tokio::task::spawn_blocking(move || busy.recv());
        // Where another test loads its own at that moment it takes the long way.
        let mut answered = false;
        for _ in 0..20 {
            answered |= matches!(timeout(Duration::from_millis(500), send()).await, Ok(Ok(_)));
            if answered {
                break;
            }
        }
        drop(release);
        assert!(only_thread.await.unwrap().is_err());
        assert!(answered);
    });
}
