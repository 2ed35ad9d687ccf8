use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame};
use tokio::sync::Notify;

/// A body that ends as a script wants it.
pub(super) struct ScriptedBody {
    data: Option<Bytes>,
    end: End,
    when_sent: Option<Arc<Notify>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Whole,
    /// Let what was written so far reach the client, then break off.
    FlushThenBreak,
    Break,
}

impl ScriptedBody {
    pub(super) fn whole(data: Bytes) -> Self {
        Self {
            data: Some(data).filter(|data| !data.is_empty()),
            end: End::Whole,
            when_sent: None,
        }
    }

    /// Breaks off where `data` ends.
    pub(super) fn broken(data: Bytes) -> Self {
        let mut body = Self::whole(data);
        body.end = End::FlushThenBreak;
        body
    }

    /// Notifies when the HTTP layer has taken all of it.
    pub(super) fn notifying(mut self, when_sent: Arc<Notify>) -> Self {
        self.when_sent = Some(when_sent);
        self
    }
}

impl Drop for ScriptedBody {
    fn drop(&mut self) {
        if let Some(when_sent) = &self.when_sent {
            when_sent.notify_one();
        }
    }
}

impl Body for ScriptedBody {
    type Data = Bytes;
    type Error = Dropped;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Dropped>>> {
        if let Some(data) = self.data.take() {
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        match self.end {
            End::Whole => Poll::Ready(None),
            End::FlushThenBreak => {
                self.end = End::Break;
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            End::Break => Poll::Ready(Some(Err(Dropped))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.data.is_none() && self.end == End::Whole
    }
}

/// The script wants the connection dropped, or the request was not one to answer.
#[derive(Debug)]
pub(super) struct Dropped;

impl fmt::Display for Dropped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the connection is dropped")
    }
}

impl std::error::Error for Dropped {}
