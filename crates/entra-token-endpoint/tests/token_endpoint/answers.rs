//! What goes over the wire, and what becomes of good and bad answers.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use entra_token_endpoint::{HttpResponse, TokenEndpoint, TransportError, TransportErrorKind};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::{EndpointFor, PATIENCE, REFRESH_TOKEN, chain, request};
use test_support::raw_server::{Identity, OK, RawServer, read_request};

const LIMIT: usize = 256 * 1024;

/// The result of one request to a server that sends this and ends the connection.
async fn send_to(answer: impl Into<Vec<u8>>) -> Result<HttpResponse, TransportError> {
    let server = RawServer::answering_once(answer).await;
    timeout(PATIENCE, server.endpoint().send(request(&server.url())))
        .await
        .unwrap()
}

#[track_caller]
fn assert_fails(
    result: Result<HttpResponse, TransportError>,
    kind: TransportErrorKind,
    text: &str,
) {
    let error = result.unwrap_err();
    assert_eq!(error.kind(), kind, "{}", chain(&error));
    assert!(error.to_string().contains(text), "{}", chain(&error));
    assert!(error.to_string().contains("127.0.0.1"), "{}", chain(&error));
    assert!(!chain(&error).contains("canary"), "{}", chain(&error));
}

#[tokio::test]
async fn the_request_is_a_plain_form() {
    let seen = Arc::new(Mutex::new(None));
    let server = RawServer::start(Identity::Good, {
        let seen = Arc::clone(&seen);
        move |mut stream| {
            let seen = Arc::clone(&seen);
            async move {
                *seen.lock().unwrap() = read_request(&mut stream).await?;
                stream.write_all(OK).await
            }
        }
    })
    .await;
    server
        .endpoint()
        .send(request(&server.url()).with_client_request_id("1-2-3"))
        .await
        .unwrap();

    let seen = seen.lock().unwrap().take().unwrap();
    let (head, body) = seen.split_once("\r\n\r\n").unwrap();
    let mut lines: Vec<_> = head.lines().collect();
    lines.sort_unstable();
    let host = server.url();
    let host = host.split('/').nth(2).unwrap();
    let refresh_token = REFRESH_TOKEN.replace('&', "%26").replace('=', "%3D");
    let body_of_request = format!("grant_type=refresh_token&refresh_token={refresh_token}");
    assert_eq!(body, body_of_request);
    assert_eq!(
        lines,
        [
            "POST /tenant/oauth2/v2.0/token HTTP/1.1",
            "accept: application/json",
            "client-request-id: 1-2-3",
            &format!("content-length: {}", body_of_request.len()),
            "content-type: application/x-www-form-urlencoded",
            &format!("host: {host}"),
            concat!(
                "user-agent: entra-token-endpoint/",
                env!("CARGO_PKG_VERSION")
            ),
            "x-ms-lib-capability: retry-after, h429",
        ]
    );
}

#[tokio::test]
async fn status_body_and_retry_after_come_back_as_sent() {
    let reply = send_to(
        "HTTP/1.1 429 Too Many Requests\r\nretry-after: Fri, 31 Dec 1999 23:59:59 GMT\r\n\
         content-encoding: identity\r\ntransfer-encoding: chunked\r\n\r\n\
         3\r\n{\"a\r\n4\r\n\":1}\r\n0\r\ntrailer: x\r\n\r\n",
    )
    .await
    .unwrap();
    assert_eq!(reply.status(), 429);
    assert_eq!(reply.retry_after(), Some("Fri, 31 Dec 1999 23:59:59 GMT"));
    assert_eq!(reply.body(), b"{\"a\":1}");
}

#[tokio::test]
async fn an_answer_may_be_http_1_0_and_end_with_the_connection() {
    let reply = send_to("HTTP/1.0 503 Busy\r\n\r\n<html>").await.unwrap();
    assert_eq!((reply.status(), reply.body()), (503, b"<html>".as_slice()));
    assert_eq!(reply.retry_after(), None);
}

#[tokio::test]
async fn a_body_up_to_the_limit_is_whole() {
    let body: Vec<u8> = (0..=250).cycle().take(LIMIT).collect();
    for head in [
        format!("HTTP/1.1 200 OK\r\ncontent-length: {LIMIT}\r\n\r\n"),
        "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n".to_owned(),
    ] {
        let answer = [head.as_bytes(), &body].concat();
        assert!(send_to(answer).await.unwrap().body() == body);
    }
}

#[tokio::test]
async fn a_body_above_the_limit_is_refused_and_its_connection_ended() {
    for head in [
        "HTTP/1.1 200 OK\r\ncontent-length: 262145\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 9223372036854775807\r\n\r\n",
        "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n",
        // One chunk, as long as 64 bits can say.
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n7fffffffffffffff\r\n",
    ] {
        let (ended, end) = oneshot::channel();
        let ended = Arc::new(Mutex::new(Some(ended)));
        let server = RawServer::start(Identity::Good, move |mut stream| {
            let ended = Arc::clone(&ended);
            async move {
                read_request(&mut stream).await?;
                stream.write_all(head.as_bytes()).await?;
                let endless = [b'x'; 16 * 1024];
                let mut sent = 0;
                while stream.write_all(&endless).await.is_ok() {
                    sent += endless.len();
                }
                let ended = ended.lock().unwrap().take();
                ended.unwrap().send(sent).unwrap();
                Ok(())
            }
        })
        .await;
        let endpoint = server.endpoint();
        let result = timeout(PATIENCE, endpoint.send(request(&server.url()))).await;
        assert_fails(
            result.unwrap(),
            TransportErrorKind::Unreadable,
            "larger than 262144 bytes",
        );
        // The endpoint still stands: the refusal itself must have ended the connection.
        timeout(PATIENCE, end).await.expect(head).unwrap();
    }
}

#[tokio::test]
async fn an_encoded_body_is_refused_unread() {
    for encoding in ["gzip", "identity, gzip", "br", ""] {
        let result = send_to(format!(
            "HTTP/1.1 200 OK\r\ncontent-encoding: {encoding}\r\ncontent-length: 6\r\n\r\ncanary"
        ))
        .await;
        assert_fails(
            result,
            TransportErrorKind::Unreadable,
            "has a content encoding",
        );
    }
}

#[tokio::test]
async fn what_is_not_http_is_unreadable() {
    let many_headers = format!("HTTP/1.1 200 OK\r\n{}\r\n", "h: canary\r\n".repeat(100_000));
    let long_header = format!("HTTP/1.1 200 OK\r\nh: {}\r\n\r\n", "canary".repeat(20_000));
    for answer in [
        "canary canary canary\r\n\r\n",
        "\0\u{1}\u{2}canary",
        "HTTP/2 200 canary\r\n\r\n",
        "HTTP/1.1 canary\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: canary\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 18446744073709551615\r\n\r\ncanary",
        "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\ncanary",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\ncanary\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nffffffffffffffffff\r\ncanary",
        &many_headers,
        &long_header,
    ] {
        assert_fails(
            send_to(answer).await,
            TransportErrorKind::Unreadable,
            "no answer that is HTTP/1.1 from",
        );
    }
}

#[tokio::test]
async fn an_answer_cut_short_is_interrupted() {
    for answer in [
        "H",
        "HTTP/1.1 200 OK\r\ncontent-le",
        "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\ncanary",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n6\r\ncanary\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n10\r\ncanary",
    ] {
        assert_fails(
            send_to(answer).await,
            TransportErrorKind::Interrupted,
            "the connection ended within the answer of",
        );
    }
}

/// A body that lasts until the connection ends is whole only if TLS says that it ended.
#[tokio::test]
async fn an_end_without_close_notify_is_interrupted() {
    let server = RawServer::start(Identity::Good, |mut stream| async move {
        read_request(&mut stream).await?;
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{\"a\":")
            .await?;
        stream.get_mut().0.shutdown().await
    })
    .await;
    let result = timeout(PATIENCE, server.endpoint().send(request(&server.url()))).await;
    assert_fails(
        result.unwrap(),
        TransportErrorKind::Interrupted,
        "close_notify",
    );
}

#[tokio::test]
async fn no_answer_is_lost() {
    assert_fails(
        send_to("").await,
        TransportErrorKind::Lost,
        "the connection ended before an answer of",
    );
}

#[tokio::test]
async fn a_reset_before_the_answer_is_lost() {
    let server = RawServer::start(Identity::Good, |mut stream| async move {
        // One byte only: closing over unread input makes the kernel send a reset.
        stream.get_mut().0.readable().await?;
        stream.read_u8().await?;
        Ok(())
    })
    .await;
    let result = timeout(PATIENCE, server.endpoint().send(request(&server.url()))).await;
    assert_fails(
        result.unwrap(),
        TransportErrorKind::Lost,
        "the connection ended before an answer of",
    );
}

/// A connection that answered once says nothing about the next request on it.
#[tokio::test]
async fn a_second_request_without_an_answer_is_lost() {
    let server = RawServer::start(Identity::Good, |mut stream| async move {
        read_request(&mut stream).await?;
        stream.write_all(OK).await?;
        read_request(&mut stream).await?;
        stream.shutdown().await
    })
    .await;
    let endpoint = server.endpoint();
    endpoint.send(request(&server.url())).await.unwrap();
    let result = timeout(PATIENCE, endpoint.send(request(&server.url()))).await;
    assert_fails(
        result.unwrap(),
        TransportErrorKind::Lost,
        "the connection ended before an answer of",
    );
    assert_eq!(server.handshakes(), 1);
}

#[tokio::test]
async fn a_redirect_is_returned_and_not_followed() {
    let elsewhere = RawServer::answering(OK).await;
    for status in [301, 302, 303, 307, 308] {
        for location in [elsewhere.url(), elsewhere.url().replace("https", "http")] {
            let reply = send_to(format!(
                "HTTP/1.1 {status} Moved\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n"
            ))
            .await
            .unwrap();
            assert_eq!(reply.status(), status);
        }
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(elsewhere.connections(), 0);
}
