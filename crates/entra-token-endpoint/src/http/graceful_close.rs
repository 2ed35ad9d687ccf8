//! A connection's end, in order, and whether it carried an answer.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper_util::client::legacy::connect::{Connected, Connection};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// How long the peer has to end its side once we ended ours.
const LINGER: Duration = Duration::from_millis(100);

/// A stream whose shutdown awaits the peer's end too, for [`LINGER`] at most: who drops a socket
/// at once may lose what it sent last.
pub(super) struct Lingering<T> {
    io: T,
    answered: Answered,
    /// Starts with the shutdown.
    deadline: Option<Pin<Box<Sleep>>>,
    ended: bool,
}

/// Whether a connection has brought anything since a request was last written to it.
#[derive(Clone, Default)]
pub(super) struct Answered(Arc<AtomicBool>);

impl Answered {
    /// What the connection with this information knows.
    pub(super) fn on(connected: &Connected) -> bool {
        let mut extras = hyper::http::Extensions::new();
        connected.get_extras(&mut extras);
        extras
            .get::<Self>()
            .is_some_and(|answered| answered.0.load(Ordering::Relaxed))
    }

    fn set(&self, answered: bool) {
        self.0.store(answered, Ordering::Relaxed);
    }
}

impl<T> Lingering<T> {
    pub(super) fn new(io: T) -> Self {
        Self {
            io,
            answered: Answered::default(),
            deadline: None,
            ended: false,
        }
    }
}

impl<T: Connection> Connection for Lingering<T> {
    fn connected(&self) -> Connected {
        self.io.connected().extra(self.answered.clone())
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Lingering<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.io).poll_read(cx, buf))?;
        if buf.filled().len() > before {
            self.answered.set(true);
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Lingering<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.answered.set(false);
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.answered.set(false);
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let deadline = this.deadline.get_or_insert_with(|| Box::pin(sleep(LINGER)));
        if deadline.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Ok(()));
        }
        if !this.ended {
            ready!(Pin::new(&mut this.io).poll_shutdown(cx))?;
            this.ended = true;
        }
        loop {
            let mut scratch = [0; 1024];
            let mut rest = ReadBuf::new(&mut scratch);
            let read = ready!(Pin::new(&mut this.io).poll_read(cx, &mut rest));
            // An error is an end as well; a peer may reset instead.
            if read.is_err() || rest.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
        }
    }
}
