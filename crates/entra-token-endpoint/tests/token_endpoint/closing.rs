//! What `close` ends, what it lets finish, and when it returns.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use entra_token_endpoint::{HyperTokenEndpoint, TokenEndpoint, TransportErrorKind};
use test_support::logs;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::TcpStream;
use tokio::runtime::Builder;
use tokio::sync::{Barrier, Notify, mpsc};
use tokio::time::{Instant, sleep, timeout};

use super::{EndpointFor, PATIENCE, request};
use test_support::raw_server::{Identity, OK, RawServer, Stream, read_request};

/// How the client's side of a connection ended.
#[derive(Debug, PartialEq)]
enum End {
    /// With `close_notify`, then FIN.
    InOrder,
    Abrupt,
}

/// A server that answers, and reports the end of every connection.
async fn server_reporting_ends() -> (RawServer, mpsc::UnboundedReceiver<End>) {
    server_of_groups(1).await
}

/// As before, but answers only when so many requests wait for it: on a connection each.
async fn server_of_groups(size: usize) -> (RawServer, mpsc::UnboundedReceiver<End>) {
    let (ends, reported) = mpsc::unbounded_channel();
    let group = Arc::new(Barrier::new(size));
    let server = RawServer::start(Identity::Good, move |mut stream| {
        let (ends, group) = (ends.clone(), Arc::clone(&group));
        async move {
            while let Ok(Some(_)) = read_request(&mut stream).await {
                group.wait().await;
                stream.write_all(OK).await?;
            }
            report_end(&mut stream, &ends).await;
            stream.shutdown().await
        }
    })
    .await;
    (server, reported)
}

/// Reports how the client's side ended, which it has.
async fn report_end(stream: &mut Stream, ends: &mpsc::UnboundedSender<End>) {
    // An end of TLS without close_notify reads as an error, every time; below it there must be
    // the FIN.
    let tls = stream.read(&mut [0]).await;
    let tcp = stream.get_mut().0.read(&mut [0]).await;
    let in_order = matches!((tls, tcp), (Ok(0), Ok(0)));
    let _ = ends.send(if in_order { End::InOrder } else { End::Abrupt });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn close_ends_every_connection_in_order() {
    let mut fastest = Duration::MAX; // on a busy machine any single one may be slow
    for _ in 0..5 {
        let (server, mut ends) = server_of_groups(3).await;
        let endpoint = server.endpoint();
        let (a, b, c) = tokio::join!(
            endpoint.send(request(&server.url())),
            endpoint.send(request(&server.url())),
            endpoint.send(request(&server.url())),
        );
        for reply in [a, b, c] {
            reply.unwrap();
        }
        assert_eq!(server.handshakes(), 3);

        let start = Instant::now();
        timeout(PATIENCE, endpoint.close()).await.unwrap();
        for _ in 0..3 {
            let end = timeout(PATIENCE, ends.recv()).await;
            assert_eq!(end.unwrap(), Some(End::InOrder));
        }
        fastest = fastest.min(start.elapsed());
    }
    assert!(fastest < Duration::from_millis(100), "{fastest:?}");
}

/// From yet another runtime.
#[test]
fn close_ends_the_connections_of_every_runtime_in_order() {
    let runtime = || {
        Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
    };
    let (servers, closing) = (runtime().unwrap(), runtime().unwrap());
    let mut fastest = Duration::MAX; // on a busy machine any single one may be slow
    for _ in 0..5 {
        let (server, mut ends) = servers.block_on(server_reporting_ends());
        let endpoint = server.endpoint();
        let runtimes = [runtime().unwrap(), runtime().unwrap(), runtime().unwrap()];
        for runtime in &runtimes {
            let sending = endpoint.send(request(&server.url()));
            runtime.block_on(sending).unwrap();
        }
        assert_eq!(server.handshakes(), 3);

        let start = Instant::now();
        closing.block_on(async {
            timeout(PATIENCE, endpoint.close()).await.unwrap();
            for _ in 0..3 {
                let end = timeout(PATIENCE, ends.recv()).await;
                assert_eq!(end.unwrap(), Some(End::InOrder));
            }
        });
        fastest = fastest.min(start.elapsed());
    }
    assert!(fastest < Duration::from_millis(100), "{fastest:?}");
}

#[tokio::test]
async fn close_holds_for_all_clones_and_may_be_called_again() {
    let (server, _ends) = server_reporting_ends().await;
    let endpoint = server.endpoint();
    let clone = endpoint.clone();
    endpoint.send(request(&server.url())).await.unwrap();
    tokio::join!(endpoint.close(), clone.close());
    endpoint.close().await;
    for endpoint in [endpoint, clone] {
        let error = endpoint.send(request(&server.url())).await.unwrap_err();
        assert_eq!(error.kind(), TransportErrorKind::Closed);
        assert_eq!(error.to_string(), "the token endpoint was closed");
    }
    assert_eq!(server.handshakes(), 1);
}

#[tokio::test]
async fn close_lets_a_request_under_way_finish() {
    let (asked, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let server = RawServer::start(Identity::Good, {
        let (asked, go_on) = (Arc::clone(&asked), Arc::clone(&go_on));
        move |mut stream| {
            let (asked, go_on) = (Arc::clone(&asked), Arc::clone(&go_on));
            async move {
                read_request(&mut stream).await?;
                asked.notify_one();
                go_on.notified().await;
                stream.write_all(OK).await?;
                // Without "connection: close": it is for the client to end it.
                assert_eq!(read_request(&mut stream).await?, None);
                stream.shutdown().await
            }
        }
    })
    .await;
    let endpoint = server.endpoint();
    let sending = tokio::spawn({
        let (endpoint, request) = (endpoint.clone(), request(&server.url()));
        async move { endpoint.send(request).await }
    });
    asked.notified().await;

    let mut closing = pin!(endpoint.close());
    let early = timeout(Duration::from_millis(300), &mut closing).await;
    assert!(early.is_err(), "close returned over a request under way");
    let error = endpoint.send(request(&server.url())).await.unwrap_err();
    assert_eq!(error.kind(), TransportErrorKind::Closed);

    go_on.notify_one();
    timeout(PATIENCE, closing).await.unwrap();
    assert_eq!(sending.await.unwrap().unwrap().status(), 200);
}

/// No connection exists yet, so only the count of calls can hold `close`.
#[tokio::test]
async fn close_lets_a_request_finish_that_still_connects() {
    let (accepted, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (server, mut ends) = server_reporting_ends().await;
    let target = server.address();
    // Holds every connection back, then passes it on.
    let gate = RawServer::start_tcp({
        let (accepted, go_on) = (Arc::clone(&accepted), Arc::clone(&go_on));
        move |mut client| {
            let (accepted, go_on) = (Arc::clone(&accepted), Arc::clone(&go_on));
            async move {
                accepted.notify_one();
                go_on.notified().await;
                let mut server = TcpStream::connect(target).await?;
                copy_bidirectional(&mut client, &mut server).await?;
                Ok(())
            }
        }
    })
    .await;
    let endpoint = server.endpoint();
    let sending = tokio::spawn({
        let (endpoint, request) = (endpoint.clone(), request(&gate.url()));
        async move { endpoint.send(request).await }
    });
    accepted.notified().await;

    let mut closing = pin!(endpoint.close());
    let early = timeout(Duration::from_millis(300), &mut closing).await;
    assert!(early.is_err(), "close returned over a request under way");
    go_on.notify_one();
    timeout(PATIENCE, closing).await.unwrap();
    assert_eq!(sending.await.unwrap().unwrap().status(), 200);
    assert_eq!(
        timeout(PATIENCE, ends.recv()).await.unwrap(),
        Some(End::InOrder)
    );
}

/// A request that got another connection leaves the one behind that it had begun to make.
#[tokio::test]
async fn close_cuts_a_connection_that_is_still_being_made() {
    let (asked, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let server = RawServer::start(Identity::Good, {
        let (asked, go_on) = (Arc::clone(&asked), Arc::clone(&go_on));
        move |mut stream| {
            let (asked, go_on) = (Arc::clone(&asked), Arc::clone(&go_on));
            async move {
                read_request(&mut stream).await?;
                asked.notify_one();
                go_on.notified().await;
                stream.write_all(OK).await?;
                read_request(&mut stream).await?;
                stream.write_all(OK).await?;
                stream.read_u8().await?;
                Ok(())
            }
        }
    })
    .await;
    // Passes the first connection on, and leaves the second waiting for its handshake.
    let (steps, mut step) = mpsc::unbounded_channel();
    let count = Arc::new(AtomicUsize::new(0));
    let gate = RawServer::start_tcp({
        let target = server.address();
        move |mut client| {
            let (steps, first) = (steps.clone(), count.fetch_add(1, Ordering::SeqCst) == 0);
            async move {
                if first {
                    let mut server = TcpStream::connect(target).await?;
                    copy_bidirectional(&mut client, &mut server).await?;
                } else {
                    steps.send("began").unwrap();
                    client.read_to_end(&mut Vec::new()).await?;
                    steps.send("ended").unwrap();
                }
                Ok(())
            }
        }
    })
    .await;
    let endpoint = server.endpoint();
    let send = || {
        let (endpoint, request) = (endpoint.clone(), request(&gate.url()));
        tokio::spawn(async move { endpoint.send(request).await })
    };
    let first = send();
    asked.notified().await;
    let second = send();
    assert_eq!(step.recv().await, Some("began"));
    go_on.notify_one();
    for sending in [first, second] {
        assert_eq!(sending.await.unwrap().unwrap().status(), 200);
    }
    assert!(step.try_recv().is_err(), "it ended without close");

    // Less than the 10 s after which it would have given up anyway.
    let closed = timeout(Duration::from_secs(5), endpoint.close()).await;
    closed.unwrap();
    let ended = timeout(Duration::from_secs(5), step.recv()).await;
    assert_eq!(ended.unwrap(), Some("ended"));
}

#[tokio::test]
async fn close_waits_for_a_peer_that_stays_only_so_long() {
    let server = RawServer::start(Identity::Good, |mut stream| async move {
        read_request(&mut stream).await?;
        stream.write_all(OK).await?;
        sleep(PATIENCE).await; // ends nothing
        Ok(())
    })
    .await;
    let endpoint = server.endpoint();
    endpoint.send(request(&server.url())).await.unwrap();
    let start = Instant::now();
    endpoint.close().await;
    let took = start.elapsed();
    assert!(took >= Duration::from_millis(90), "{took:?}");
    assert!(took < Duration::from_secs(1), "{took:?}");
}

#[tokio::test]
async fn a_dropped_close_still_closes() {
    let asked = Arc::new(Notify::new());
    let (ends, mut reported) = mpsc::unbounded_channel();
    let server = RawServer::start(Identity::Good, {
        let asked = Arc::clone(&asked);
        move |mut stream| {
            let (asked, ends) = (Arc::clone(&asked), ends.clone());
            async move {
                read_request(&mut stream).await?;
                asked.notify_one();
                sleep(Duration::from_millis(100)).await;
                stream.write_all(OK).await?;
                let _ = read_request(&mut stream).await;
                report_end(&mut stream, &ends).await;
                Ok(())
            }
        }
    })
    .await;
    let endpoint = server.endpoint();
    let sending = tokio::spawn({
        let (endpoint, request) = (endpoint.clone(), request(&server.url()));
        async move { endpoint.send(request).await }
    });
    asked.notified().await;

    assert!(
        timeout(Duration::from_millis(10), endpoint.close())
            .await
            .is_err()
    );
    let error = endpoint.send(request(&server.url())).await.unwrap_err();
    assert_eq!(error.kind(), TransportErrorKind::Closed);
    assert_eq!(sending.await.unwrap().unwrap().status(), 200);
    let end = timeout(PATIENCE, reported.recv()).await;
    assert_eq!(end.unwrap(), Some(End::InOrder));
}

#[tokio::test]
async fn an_idle_connection_ends_after_a_while() {
    let (server, mut ends) = server_reporting_ends().await;
    let endpoint = server.endpoint();
    endpoint.send(request(&server.url())).await.unwrap();
    tokio::time::pause(); // from here on a wait takes no time
    sleep(Duration::from_secs(85)).await;
    endpoint.send(request(&server.url())).await.unwrap();
    assert_eq!(server.handshakes(), 1);
    // The pool looks every 90 s for what has been idle for as long.
    sleep(Duration::from_secs(185)).await;
    assert_eq!(ends.recv().await, Some(End::InOrder));
}

#[tokio::test]
async fn dropping_the_last_clone_ends_the_connections() {
    let (server, mut ends) = server_reporting_ends().await;
    let endpoint = server.endpoint();
    endpoint.send(request(&server.url())).await.unwrap();
    drop(endpoint.clone());
    endpoint.send(request(&server.url())).await.unwrap();
    assert_eq!(server.handshakes(), 1);
    drop(endpoint);
    let end = timeout(PATIENCE, ends.recv()).await;
    assert_eq!(end.unwrap(), Some(End::InOrder));
}

#[test]
fn close_needs_no_runtime() {
    let _watch = logs::Watch::new();
    let endpoint = HyperTokenEndpoint::new();
    let mut closing = endpoint.close();
    let mut context = Context::from_waker(Waker::noop());
    assert_eq!(closing.as_mut().poll(&mut context), Poll::Ready(()));
}
