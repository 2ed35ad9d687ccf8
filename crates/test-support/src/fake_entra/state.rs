use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use token_credential::{Clock, SystemClock};

use super::context::Context;
use super::reply::{Rendered, Reply};
use super::rules::Directory;
use super::seen_request::SeenRequest;
use crate::clock::unix_seconds;
use crate::guid;

/// Bounds the memory of a long run; the count goes on.
const MAX_SEEN: usize = 20_000;

/// What the server's thread and the test share.
pub(super) struct State {
    pub(super) authority: String,
    inner: Mutex<Inner>,
    changed: Condvar,
}

pub(super) struct Inner {
    pub(super) counts: Counts,
    pub(super) seen: VecDeque<SeenRequest>,
    pub(super) script: VecDeque<Reply>,
    pub(super) directory: Directory,
    pub(super) clock: Arc<dyn Clock>,
}

#[derive(Clone, Copy, Default)]
pub(super) struct Counts {
    pub(super) connections: usize,
    pub(super) handshakes: usize,
    pub(super) requests: usize,
    pub(super) open: usize,
    pub(super) clean_ends: usize,
}

impl State {
    pub(super) fn new(authority: String) -> Self {
        Self {
            authority,
            inner: Mutex::new(Inner {
                counts: Counts::default(),
                seen: VecDeque::new(),
                script: VecDeque::new(),
                directory: Directory::default(),
                clock: Arc::new(SystemClock),
            }),
            changed: Condvar::new(),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }

    pub(super) fn count(&self, change: impl FnOnce(&mut Counts)) {
        change(&mut self.lock().counts);
        self.changed.notify_all();
    }

    /// Waits for counts like these, blocking; false when they did not come in time.
    pub(super) fn wait(&self, within: Duration, are_these: impl Fn(&Counts) -> bool) -> bool {
        let (_guard, timeout) = self
            .changed
            .wait_timeout_while(self.lock(), within, |inner| !are_these(&inner.counts))
            .unwrap();
        !timeout.timed_out()
    }

    /// Takes a request in and decides the answer.
    pub(super) fn answer(&self, request: SeenRequest) -> Rendered {
        let mut inner = self.lock();
        let inner = &mut *inner;
        let reply = inner.script.pop_front().unwrap_or_else(Reply::success);
        let context = Context {
            authority: &self.authority,
            correlation_id: request
                .header("client-request-id")
                .map_or_else(guid::random, str::to_owned),
            now: unix_seconds(inner.clock.now()),
        };
        let answer = reply.answer(&context, || inner.directory.answer(&request, &context));
        if inner.seen.len() == MAX_SEEN {
            inner.seen.pop_front();
        }
        inner.seen.push_back(request);
        inner.counts.requests += 1;
        self.changed.notify_all();
        reply.render(&context, answer)
    }
}
