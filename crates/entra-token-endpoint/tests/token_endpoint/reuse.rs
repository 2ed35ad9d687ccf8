//! One connection for many requests, and a new one when it is gone.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use entra_token_endpoint::{TokenEndpoint, TransportErrorKind};
use rustls::HandshakeKind;
use tokio::io::AsyncWriteExt;
use tokio::runtime::Runtime;
use tokio::sync::{Barrier, Notify};
use tokio::time::timeout;

use super::{EndpointFor, PATIENCE, request};
use test_support::raw_server::{Identity, OK, RawServer, read_request};

#[tokio::test]
async fn a_thousand_requests_take_one_handshake() {
    let server = RawServer::answering(OK).await;
    let endpoint = server.endpoint();
    timeout(PATIENCE, async {
        for _ in 0..1000 {
            let reply = endpoint.send(request(&server.url())).await.unwrap();
            assert_eq!((reply.status(), reply.body()), (200, b"{}".as_slice()));
        }
    })
    .await
    .unwrap();
    assert_eq!(server.handshakes(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_ends_every_connection_costs_no_error() {
    let server = RawServer::answering_once(
        "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}",
    )
    .await;
    let endpoint = server.endpoint();
    timeout(3 * PATIENCE, async {
        for _ in 0..1000 {
            let reply = endpoint.send(request(&server.url())).await.unwrap();
            assert_eq!(reply.status(), 200);
        }
    })
    .await
    .unwrap();
    assert_eq!(server.handshakes(), 1000);
}

#[tokio::test]
async fn an_idle_connection_that_the_server_ended_is_replaced() {
    let server = RawServer::answering_once(OK).await; // ends it without having said so
    let endpoint = server.endpoint();
    for _ in 0..20 {
        timeout(PATIENCE, endpoint.send(request(&server.url())))
            .await
            .unwrap()
            .unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(server.handshakes(), 20);
}

/// A request may be on its way while the server ends the connection: that is the caller's to
/// retry, once. The retry never meets another connection of the same age.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_ends_every_connection_without_a_word_costs_one_retry_at_most() {
    let server = RawServer::answering_once(OK).await;
    let endpoint = server.endpoint();
    let one_call = || async {
        for retried in [false, true] {
            let result = timeout(PATIENCE, endpoint.send(request(&server.url()))).await;
            match result.expect("no hang") {
                Ok(reply) => return assert_eq!(reply.status(), 200),
                Err(error) => {
                    assert_eq!(error.kind(), TransportErrorKind::Lost, "{error}");
                    assert!(!retried, "{error}");
                }
            }
        }
    };
    for _ in 0..250 {
        tokio::join!(one_call(), one_call(), one_call(), one_call());
    }
    // Each answer was on a connection of its own.
    assert!(server.handshakes() >= 1000);
}

/// As when a server restarts.
#[tokio::test]
async fn one_lost_connection_takes_the_idle_ones_along() {
    let (asked, answered) = (Arc::new(Barrier::new(3)), Arc::new(AtomicUsize::new(0)));
    let server = RawServer::start(Identity::Good, {
        move |mut stream| {
            let (asked, answered) = (Arc::clone(&asked), Arc::clone(&answered));
            async move {
                while read_request(&mut stream).await?.is_some() {
                    match answered.fetch_add(1, Ordering::SeqCst) {
                        0..3 => {
                            asked.wait().await;
                        }
                        3 => return Ok(()),
                        _ => {}
                    }
                    stream.write_all(OK).await?;
                }
                stream.shutdown().await
            }
        }
    })
    .await;
    let endpoint = server.endpoint();
    let send = || async { timeout(PATIENCE, endpoint.send(request(&server.url()))).await };
    let (a, b, c) = tokio::join!(send(), send(), send());
    for reply in [a, b, c] {
        assert_eq!(reply.unwrap().unwrap().status(), 200);
    }
    assert_eq!(server.handshakes(), 3);
    let error = send().await.unwrap().unwrap_err();
    assert_eq!(error.kind(), TransportErrorKind::Lost);
    assert_eq!(send().await.unwrap().unwrap().status(), 200);
    assert_eq!(server.handshakes(), 4);
}

#[tokio::test]
async fn an_answer_longer_than_it_said_is_not_taken_for_the_next() {
    let twice = [OK, b"HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n"].concat();
    let server = RawServer::answering(twice).await;
    let endpoint = server.endpoint();
    for _ in 0..20 {
        let reply = timeout(PATIENCE, endpoint.send(request(&server.url()))).await;
        assert_eq!(reply.unwrap().unwrap().status(), 200);
    }
    assert_eq!(server.handshakes(), 20);
}

#[tokio::test]
async fn a_dropped_request_ends_its_connection_and_leaves_the_endpoint_usable() {
    let (asked, ended) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let requests = Arc::new(AtomicUsize::new(0));
    let server = RawServer::start(Identity::Good, {
        let (asked, ended) = (Arc::clone(&asked), Arc::clone(&ended));
        move |mut stream| {
            let (asked, ended) = (Arc::clone(&asked), Arc::clone(&ended));
            let requests = Arc::clone(&requests);
            async move {
                while read_request(&mut stream).await?.is_some() {
                    asked.notify_one();
                    // Silent to the first one.
                    if requests.fetch_add(1, Ordering::SeqCst) > 0 {
                        stream.write_all(OK).await?;
                    }
                }
                ended.notify_one();
                Ok(())
            }
        }
    })
    .await;
    let endpoint = server.endpoint();

    let mut first = endpoint.send(request(&server.url()));
    tokio::select! {
        biased;
        reply = &mut first => panic!("{reply:?}"),
        () = asked.notified() => {}
    }
    drop(first);
    timeout(PATIENCE, ended.notified()).await.unwrap();

    let reply = timeout(PATIENCE, endpoint.send(request(&server.url()))).await;
    assert_eq!(reply.unwrap().unwrap().status(), 200);
    assert_eq!(server.handshakes(), 2);
}

#[tokio::test]
async fn endpoints_with_the_same_roots_resume_each_others_sessions() {
    let kinds = Arc::new(Mutex::new(Vec::new()));
    let server = RawServer::start(Identity::Good, {
        let kinds = Arc::clone(&kinds);
        move |mut stream| {
            kinds
                .lock()
                .unwrap()
                .push(stream.get_ref().1.handshake_kind().unwrap());
            async move {
                while read_request(&mut stream).await?.is_some() {
                    stream.write_all(OK).await?;
                }
                Ok(())
            }
        }
    })
    .await;
    for _ in 0..2 {
        let endpoint = server.endpoint();
        timeout(PATIENCE, endpoint.send(request(&server.url())))
            .await
            .unwrap()
            .unwrap();
    }
    assert_eq!(
        *kinds.lock().unwrap(),
        [HandshakeKind::Full, HandshakeKind::Resumed]
    );
}

/// A connection of a runtime that stands still answers nobody; nor may its calls be waited for.
#[test]
fn every_runtime_has_connections_of_its_own() {
    let servers = Runtime::new().unwrap();
    let server = servers.block_on(RawServer::answering(OK));
    let endpoint = server.endpoint();
    let runtimes: Vec<_> = (0..3)
        .map(|_| {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            for _ in 0..2 {
                runtime
                    .block_on(async {
                        timeout(PATIENCE, endpoint.send(request(&server.url()))).await
                    })
                    .unwrap()
                    .unwrap();
            }
            runtime
        })
        .collect();
    assert_eq!(server.handshakes(), 3);

    servers
        .block_on(async { timeout(PATIENCE, endpoint.close()).await })
        .unwrap();
    drop(runtimes);
}

#[test]
fn eight_runtimes_share_an_endpoint_and_end_in_turn() {
    const RUNTIMES: usize = 8;
    let servers = Runtime::new().unwrap();
    let server = servers.block_on(RawServer::answering(OK));
    let endpoint = server.endpoint();
    let mut runtimes: Vec<_> = (0..RUNTIMES)
        .map(|number| {
            // Of both kinds.
            let mut builder = match number % 2 {
                0 => tokio::runtime::Builder::new_current_thread(),
                _ => tokio::runtime::Builder::new_multi_thread(),
            };
            builder.worker_threads(1).enable_all().build().unwrap()
        })
        .collect();
    while !runtimes.is_empty() {
        thread::scope(|scope| {
            for runtime in &runtimes {
                scope.spawn(|| {
                    runtime.block_on(async {
                        for _ in 0..20 {
                            let sending = endpoint.send(request(&server.url()));
                            let reply = timeout(PATIENCE, sending).await.unwrap();
                            assert_eq!(reply.unwrap().status(), 200);
                        }
                    });
                });
            }
        });
        drop(runtimes.remove(0));
    }
    // For 720 requests. A request that comes while the connection is not yet back gets another.
    let handshakes = server.handshakes();
    assert!((RUNTIMES..72).contains(&handshakes), "{handshakes}");
    servers
        .block_on(async { timeout(PATIENCE, endpoint.close()).await })
        .unwrap();
}

#[tokio::test]
async fn a_connection_lost_before_the_answer_is_the_callers_to_retry() {
    let server = RawServer::start(Identity::Good, |mut stream| async move {
        read_request(&mut stream).await?;
        io::Result::Ok(())
    })
    .await;
    let error = timeout(PATIENCE, server.endpoint().send(request(&server.url())))
        .await
        .unwrap()
        .unwrap_err();
    assert_eq!(error.kind(), TransportErrorKind::Lost);
    assert_eq!(server.handshakes(), 1);
}
