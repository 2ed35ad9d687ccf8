use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use super::state::State;

/// A connection's place among the open ones, given up when the client's end is seen, at the latest
/// when it is dropped.
pub(super) struct Seat {
    state: Arc<State>,
    ended: AtomicBool,
}

impl Seat {
    pub(super) fn take(state: Arc<State>) -> Self {
        state.count(|counts| {
            counts.connections += 1;
            counts.open += 1;
        });
        Self {
            state,
            ended: AtomicBool::new(false),
        }
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }

    fn end(&self, clean: bool) {
        if !self.ended.swap(true, Ordering::Relaxed) {
            self.state.count(|counts| {
                counts.open -= 1;
                counts.clean_ends += usize::from(clean);
            });
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.end(false);
    }
}

/// A TLS stream that notes how the client ended it.
pub(super) struct Watched<'a> {
    pub(super) stream: TlsStream<TcpStream>,
    pub(super) seat: &'a Seat,
}

impl AsyncRead for Watched<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let (before, room) = (buf.filled().len(), buf.remaining());
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        match &read {
            // Nothing read is a close_notify; an end of the TCP stream without it is an error.
            Poll::Ready(Ok(())) if room > 0 && buf.filled().len() == before => self.seat.end(true),
            Poll::Ready(Err(_)) => self.seat.end(false),
            Poll::Ready(Ok(())) | Poll::Pending => {}
        }
        read
    }
}

impl AsyncWrite for Watched<'_> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, data)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
