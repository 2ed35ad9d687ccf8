//! Calls that are cut while `close` waits for them, as the credential does at the end of its
//! grace: in every phase, on one runtime and on several.

use std::thread;
use std::time::Duration;

use entra_token_endpoint::{HyperTokenEndpoint, TokenEndpoint, TokenRequest};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::Builder;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::{EndpointFor, PATIENCE, request};
use test_support::raw_server::{Identity, RawServer, Stream, read_request};
use token_credential::Secret;

const CALLS: usize = 3;
/// How long `close` may take once no call is left: 100 ms for the peers, 200 ms at most for the
/// rest, and what a busy machine adds.
const CLOSES_WITHIN: Duration = Duration::from_secs(1);
const ENDS_WITHIN: Duration = Duration::from_millis(100);

/// Where a call is stuck. Name resolution and TCP are in the unit tests of the pool: nobody on
/// loopback hangs there by himself.
#[derive(Clone, Copy, Debug)]
enum Phase {
    /// The proxy does not answer.
    Proxy,
    Handshake,
    /// The server reads no more.
    Sending,
    Waiting,
    /// The answer does not end.
    Reading,
}

const PHASES: [Phase; 5] = [
    Phase::Proxy,
    Phase::Handshake,
    Phase::Sending,
    Phase::Waiting,
    Phase::Reading,
];

/// A server on which every call gets stuck.
struct Stuck {
    endpoint: HyperTokenEndpoint,
    request: TokenRequest,
    /// A call is in its phase.
    arrived: UnboundedReceiver<()>,
    /// A connection has ended.
    ended: UnboundedReceiver<()>,
    /// The calls were cut: a server that read no more goes on.
    cut: CancellationToken,
    _server: RawServer,
}

impl Stuck {
    async fn in_phase(phase: Phase) -> Self {
        let (arrives, arrived) = unbounded_channel();
        let (ends, ended) = unbounded_channel();
        let cut = CancellationToken::new();
        let server = match phase {
            Phase::Proxy | Phase::Handshake => {
                RawServer::start_tcp(move |tcp| hold_tcp(tcp, arrives.clone(), ends.clone())).await
            }
            _ => {
                let cut = cut.clone();
                RawServer::start(Identity::Good, move |stream| {
                    hold(phase, stream, arrives.clone(), cut.clone(), ends.clone())
                })
                .await
            }
        };
        let mut endpoint = server.endpoint();
        if matches!(phase, Phase::Proxy) {
            let proxy = format!("http://{}", server.address());
            endpoint = endpoint.with_proxy(&proxy).unwrap();
        }
        let mut request = request(&server.url());
        if matches!(phase, Phase::Sending) {
            // More than the buffers of both sides take.
            request = request.with_field("scope", Secret::new("x".repeat(8 << 20)));
        }
        Self {
            endpoint,
            request,
            arrived,
            ended,
            cut,
            _server: server,
        }
    }

    async fn all_arrived(&mut self) {
        for _ in 0..CALLS {
            let arrived = timeout(PATIENCE, self.arrived.recv()).await;
            assert_eq!(arrived.unwrap(), Some(()));
        }
    }

    /// All calls were cut, and `close` has returned just now: whether the server sees every end
    /// in time.
    async fn all_end_in_time(&mut self, phase: Phase) -> bool {
        let start = Instant::now();
        for _ in 0..CALLS {
            let ended = timeout(PATIENCE, self.ended.recv()).await;
            assert_eq!(ended.unwrap(), Some(()));
        }
        // A server that read no more has megabytes to read before it comes to the end.
        start.elapsed() < ENDS_WITHIN || matches!(phase, Phase::Sending)
    }
}

/// Waits for the end of a connection, without a word.
async fn hold_tcp(
    mut tcp: TcpStream,
    arrives: UnboundedSender<()>,
    ends: UnboundedSender<()>,
) -> std::io::Result<()> {
    tcp.read_u8().await?;
    arrives.send(()).unwrap();
    let _ = tcp.read_to_end(&mut Vec::new()).await;
    let _ = ends.send(());
    Ok(())
}

async fn hold(
    phase: Phase,
    mut stream: Stream,
    arrives: UnboundedSender<()>,
    cut: CancellationToken,
    ends: UnboundedSender<()>,
) -> std::io::Result<()> {
    match phase {
        Phase::Sending => {
            stream.read_u8().await?;
            // Until the client can write no more.
            sleep(Duration::from_millis(300)).await;
        }
        Phase::Waiting => {
            read_request(&mut stream).await?;
        }
        _ => {
            read_request(&mut stream).await?;
            let start = b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n{";
            stream.write_all(start).await?;
            stream.flush().await?;
            // It reads what it got.
            sleep(Duration::from_millis(50)).await;
        }
    }
    arrives.send(()).unwrap();
    if matches!(phase, Phase::Sending) {
        cut.cancelled().await;
    }
    // Below TLS: megabytes take their time there.
    let (tcp, _) = stream.get_mut();
    let mut rest = vec![0; 1 << 20];
    while tcp.read(&mut rest).await.is_ok_and(|read| read > 0) {}
    let _ = ends.send(());
    Ok(())
}

/// One of so many times, for each phase: on a busy machine any single one may be slow.
const TIMES: usize = 5;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_of_one_runtime_are_cut() {
    for phase in PHASES {
        let mut times = 1;
        while !cut_on_one_runtime(phase).await {
            assert!(times < TIMES, "{phase:?}: the ends come late");
            times += 1;
        }
    }
}

async fn cut_on_one_runtime(phase: Phase) -> bool {
    let mut stuck = Stuck::in_phase(phase).await;
    let calls: Vec<_> = (0..CALLS)
        .map(|_| {
            let (endpoint, request) = (stuck.endpoint.clone(), stuck.request.clone());
            tokio::spawn(async move { endpoint.send(request).await })
        })
        .collect();
    stuck.all_arrived().await;

    let endpoint = stuck.endpoint.clone();
    let mut closing = std::pin::pin!(endpoint.close());
    let early = timeout(Duration::from_millis(50), &mut closing).await;
    assert!(early.is_err(), "{phase:?}: close returned over calls");
    for call in &calls {
        call.abort();
    }
    stuck.cut.cancel();
    let closed = timeout(CLOSES_WITHIN, closing).await;
    closed.unwrap_or_else(|_| panic!("{phase:?}: close hangs"));
    stuck.all_end_in_time(phase).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_of_several_runtimes_are_cut() {
    for phase in PHASES {
        let mut times = 1;
        while !cut_on_several_runtimes(phase).await {
            assert!(times < TIMES, "{phase:?}: the ends come late");
            times += 1;
        }
    }
}

/// Each call is on a runtime of its own; two of these go on, and one ends with its call.
async fn cut_on_several_runtimes(phase: Phase) -> bool {
    let mut stuck = Stuck::in_phase(phase).await;
    let (cut, end) = (stuck.cut.clone(), CancellationToken::new());
    let runtimes: Vec<_> = (0..CALLS)
        .map(|number| {
            let (endpoint, request) = (stuck.endpoint.clone(), stuck.request.clone());
            let (cut, end) = (cut.clone(), end.clone());
            thread::spawn(move || {
                let runtime = Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(async {
                    let sending = cut.run_until_cancelled(endpoint.send(request)).await;
                    assert!(sending.is_none(), "{sending:?}");
                    if number > 0 {
                        end.cancelled().await;
                    }
                });
            })
        })
        .collect();
    stuck.all_arrived().await;

    let endpoint = stuck.endpoint.clone();
    let mut closing = std::pin::pin!(endpoint.close());
    let early = timeout(Duration::from_millis(50), &mut closing).await;
    assert!(early.is_err(), "{phase:?}: close returned over calls");
    cut.cancel();
    let closed = timeout(CLOSES_WITHIN, closing).await;
    closed.unwrap_or_else(|_| panic!("{phase:?}: close hangs"));
    let in_time = stuck.all_end_in_time(phase).await;
    end.cancel();
    for runtime in runtimes {
        runtime.join().unwrap();
    }
    in_time
}
