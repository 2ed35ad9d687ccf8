//! What the fake Entra knows about connections.

use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::Request;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use test_support::{FakeEntra, Reply};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::client::{CLIENT_ID, Client, Fixture, SCOPES, connect, encode};

/// Whether it happens; on a busy machine it may take its time.
const SOON: Duration = Duration::from_secs(5);
/// How fast it is when the machine lets it.
const AT_ONCE: Duration = Duration::from_millis(100);

#[tokio::test]
async fn many_requests_one_handshake() {
    let f = Fixture::new();
    // Without a pool: one whose connection is not back yet would open a second one.
    let stream = TokioIo::new(connect(&f.entra).await);
    let (mut sender, connection) = http1::handshake(stream).await.unwrap();
    let connection = tokio::spawn(connection);
    for _ in 0..50 {
        sender.ready().await.unwrap();
        let request = Request::post("/common/oauth2/v2.0/token")
            .header("host", "localhost")
            .body(Full::<Bytes>::from(encode(&f.form(SCOPES))))
            .unwrap();
        let response = sender.send_request(request).await.unwrap();
        assert_eq!(response.status(), 200);
        response.into_body().collect().await.unwrap();
    }
    assert_eq!(f.entra.request_count(), 50);
    assert_eq!((f.entra.connections(), f.entra.handshakes()), (1, 1));
    assert_eq!(f.entra.open_connections(), 1);
    let ports: Vec<_> = f.entra.requests().iter().map(|r| r.peer_port).collect();
    assert!(ports.iter().all(|port| *port == ports[0]));

    drop(sender);
    connection.await.unwrap().unwrap();
    assert!(f.entra.wait_until_closed(SOON));
    assert_eq!(f.entra.clean_ends(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_with_goodbye_is_clean() {
    let entra = FakeEntra::start();
    let mut connection = connect(&entra).await;
    assert!(!entra.wait_until_closed(Duration::from_millis(20)));
    connection.shutdown().await.unwrap();
    assert!(entra.wait_until_closed(SOON));
    assert_eq!((entra.open_connections(), entra.clean_ends()), (0, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_is_seen_at_once() {
    let entra = FakeEntra::start();
    let mut seen_after = Vec::new();
    for _ in 0..10 {
        let mut connection = connect(&entra).await;
        connection.shutdown().await.unwrap();
        let ended = Instant::now();
        assert!(entra.wait_until_closed(SOON));
        seen_after.push(ended.elapsed());
    }
    assert_eq!(entra.clean_ends(), 10);
    seen_after.sort();
    assert!(seen_after[4] < AT_ONCE, "{seen_after:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_without_goodbye_is_seen_too_and_is_not_clean() {
    let entra = FakeEntra::start();
    drop(connect(&entra).await);
    assert!(entra.wait_until_closed(SOON));
    assert_eq!((entra.connections(), entra.clean_ends()), (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_while_it_is_waited_for_is_noticed() {
    let f = Fixture::new();
    f.entra
        .push(Reply::success().delayed(Duration::from_secs(30)));
    let mut connection = connect(&f.entra).await;
    let body = encode(&f.form(SCOPES));
    let head = format!(
        "POST /common/oauth2/v2.0/token HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    connection.write_all(head.as_bytes()).await.unwrap();
    connection.write_all(body.as_bytes()).await.unwrap();
    assert!(f.entra.wait_for_requests(1, Duration::from_secs(5)));
    assert_eq!(f.entra.open_connections(), 1);
    connection.shutdown().await.unwrap();
    assert!(f.entra.wait_until_closed(SOON));
    assert_eq!(f.entra.clean_ends(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_counts_as_open_before_its_handshake() {
    let entra = FakeEntra::start();
    let authority = entra.authority();
    let address = authority.strip_prefix("https://").unwrap();
    let tcp = tokio::net::TcpStream::connect(address).await.unwrap();
    let began = Instant::now();
    while entra.connections() == 0 && began.elapsed() < SOON {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!((entra.connections(), entra.open_connections()), (1, 1));
    drop(tcp);
    assert!(entra.wait_until_closed(Duration::from_secs(5)));
    assert_eq!((entra.handshakes(), entra.clean_ends()), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_announced_close_and_a_silent_one_both_cost_a_handshake() {
    let f = Fixture::new();
    f.entra.push(Reply::success().then_close());
    let answer = f.redeem().await;
    assert_eq!(answer.header("connection"), Some("close"));
    assert_eq!(answer.json()["token_type"], "Bearer");
    assert!(f.entra.wait_until_closed(SOON));

    f.entra.push(Reply::success().then_hang_up());
    let answer = f.redeem().await;
    assert_eq!(answer.header("connection"), None);
    assert_eq!(answer.json()["token_type"], "Bearer");
    assert!(f.entra.wait_until_closed(SOON));

    assert_eq!(f.redeem().await.status, 200);
    assert_eq!(f.entra.handshakes(), 3);
    assert_eq!(f.entra.open_connections(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hang_up_also_follows_an_empty_body() {
    let f = Fixture::new();
    f.entra.push(Reply::raw("text/plain", "").then_hang_up());
    assert_eq!(f.redeem().await.status, 200);
    assert!(f.entra.wait_until_closed(SOON));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_too_large_is_not_read() {
    let f = Fixture::new();
    let large = "x".repeat(2 << 20);
    let form = [("refresh_token", large.as_str())];
    assert!(f.client.post(&f.url("common"), &form).await.is_err());
    assert_eq!(f.entra.request_count(), 0);
    assert_eq!(f.redeem().await.status, 200);
}

#[test]
fn it_outlives_the_runtime_of_its_client() {
    let f = Fixture::new();
    for expected in 1..=2 {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let answer = runtime.block_on(async {
            let client = Client::trusting(&f.entra);
            client.post(&f.url("common"), &f.form(SCOPES)).await
        });
        assert_eq!(answer.unwrap().status, 200);
        drop(runtime);
        assert!(f.entra.wait_until_closed(SOON));
        assert_eq!(f.entra.handshakes(), expected);
    }
}

#[test]
fn it_may_be_steered_from_any_thread() {
    let f = Fixture::new();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| f.entra.issue_refresh_token(&f.ada, CLIENT_ID, false));
        }
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn dropping_it_ends_its_connections_and_frees_its_port() {
    let f = Fixture::new();
    f.entra
        .push(Reply::success().delayed(Duration::from_secs(30)));
    let mut idle = connect(&f.entra).await;
    let authority = f.entra.authority();
    let address = authority.strip_prefix("https://").unwrap();
    let began = Instant::now();
    drop(f);
    assert!(began.elapsed() < Duration::from_secs(1));
    assert!(idle.read(&mut [0; 8]).await.is_err());
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_is_not_trusted_for_its_neighbour() {
    let (f, other) = (Fixture::new(), Fixture::new());
    let error = f.client.post(&other.url("common"), &[]).await.unwrap_err();
    assert!(
        error.contains("UnknownIssuer") || error.contains("BadSignature"),
        "{error}"
    );
    assert_eq!(other.entra.request_count(), 0);
}
