use std::convert::Infallible;
use std::net::TcpListener as StdTcpListener;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::ServerConfig;
use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, Semaphore, oneshot};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use super::body::{Dropped, ScriptedBody};
use super::connection::{Seat, Watched};
use super::reply::Ending;
use super::seen_request::SeenRequest;
use super::state::State;

/// More wait in the listener's backlog.
const MAX_CONNECTIONS: usize = 1_024;
const MAX_BODY: usize = 1 << 20;
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
/// Also how long a connection may lie idle.
const HEAD_TIMEOUT: Duration = Duration::from_secs(60);
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the client has to end its side after we ended ours.
const GOODBYE_TIMEOUT: Duration = Duration::from_secs(30);

/// Serves until `stop` resolves, on a runtime of its own: it blocks the thread, and outlives the
/// runtimes of the tests.
pub(super) fn run(
    listener: StdTcpListener,
    tls: Arc<ServerConfig>,
    state: Arc<State>,
    stop: oneshot::Receiver<Infallible>,
) {
    // Nobody's test is about this server's own log.
    let _silent = tracing::subscriber::set_default(tracing::subscriber::NoSubscriber::default());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime can be built");
    runtime.block_on(async {
        let listener = TcpListener::from_std(listener).expect("the listener is non-blocking");
        tokio::select! {
            _ = stop => {}
            () = accept(listener, TlsAcceptor::from(tls), state) => {}
        }
    });
}

async fn accept(listener: TcpListener, tls: TlsAcceptor, state: Arc<State>) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    while let Ok(place) = Arc::clone(&places).acquire_owned().await {
        let Ok((tcp, peer)) = listener.accept().await else {
            // Out of descriptors, most likely: the tests that hold them will give some back.
            sleep(Duration::from_millis(10)).await;
            continue;
        };
        let (tls, state) = (tls.clone(), Arc::clone(&state));
        tokio::spawn(async move {
            serve(tcp, peer.port(), tls, state).await;
            drop(place);
        });
    }
}

async fn serve(tcp: TcpStream, peer_port: u16, tls: TlsAcceptor, state: Arc<State>) {
    let seat = Seat::take(Arc::clone(&state));
    if tcp.set_nodelay(true).is_err() {
        return;
    }
    let Ok(Ok(stream)) = timeout(HANDSHAKE_TIMEOUT, tls.accept(tcp)).await else {
        return;
    };
    state.count(|counts| counts.handshakes += 1);

    let mut stream = Watched {
        stream,
        seat: &seat,
    };
    let hang_up = Arc::new(Notify::new());
    let service =
        service_fn(|request| answer(request, peer_port, Arc::clone(&state), Arc::clone(&hang_up)));
    let outcome = {
        let mut connection = pin!(
            http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_TIMEOUT)
                .serve_connection(TokioIo::new(&mut stream), service)
        );
        tokio::select! {
            biased;
            outcome = connection.as_mut() => outcome,
            () = hang_up.notified() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        }
    };
    // Leaving first would reset the connection under an answer that the client still reads.
    if outcome.is_ok() && !seat.has_ended() {
        let mut rest = [0; 1_024];
        let goodbye = async { while stream.read(&mut rest).await.is_ok_and(|read| read > 0) {} };
        let _ = timeout(GOODBYE_TIMEOUT, goodbye).await;
    }
}

async fn answer(
    request: Request<Incoming>,
    peer_port: u16,
    state: Arc<State>,
    hang_up: Arc<Notify>,
) -> Result<Response<ScriptedBody>, Dropped> {
    let (head, body) = request.into_parts();
    let body = read(body).await?;
    let rendered = state.answer(SeenRequest::new(&head, &body, peer_port));
    // Even a sleep of nothing waits for the timer's next millisecond.
    if !rendered.delay.is_zero() {
        sleep(rendered.delay).await;
    }

    let whole = rendered.body;
    let body = match rendered.ending {
        Ending::KeepOpen => ScriptedBody::whole(whole),
        Ending::HangUp => ScriptedBody::whole(whole).notifying(hang_up),
        Ending::DropWithin(bytes) => ScriptedBody::broken(whole.slice(..bytes.min(whole.len()))),
        Ending::Drop => return Err(Dropped),
    };
    let mut response = Response::new(body);
    *response.status_mut() = rendered.status;
    *response.headers_mut() = rendered.headers;
    Ok(response)
}

async fn read(body: Incoming) -> Result<Bytes, Dropped> {
    match timeout(BODY_TIMEOUT, Limited::new(body, MAX_BODY).collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(_)) | Err(_) => Err(Dropped),
    }
}
