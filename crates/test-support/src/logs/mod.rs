//! Captures every log line of the process and finds secrets in them.
//!
//! A secret that a test hands out is a *canary*: a text with a mark that occurs nowhere else, so
//! that looking for it costs the same however many there are. [`canary`] makes one; [`remember`]
//! takes a secret whose text is not the test's to choose; every `client_info` is found without
//! either. Lines are searched as they are written.
//!
//! ```
//! use test_support::logs;
//!
//! let capture = logs::capture();
//! let secret = logs::canary("access-token");
//! tracing::debug!(length = secret.len(), "got a token");
//! capture.assert_clean();
//! assert_eq!(logs::leaks_in(&format!("bad token {secret}")), ["access-token"]);
//! ```

mod canary;
mod encodings;
mod recorder;

use std::collections::BTreeMap;

pub use canary::{canary, canary_of_length, leaks_in, remember};
pub use recorder::Line;

/// Starts capturing. The first call of the process installs the subscriber, for `tracing` and for
/// `log`, at TRACE and for every target; it stays.
///
/// # Panics
///
/// When the process has another global subscriber or logger.
///
/// # Limitations
///
/// Lines of all threads are captured, so tests that run side by side see each other's. A
/// [`FakeEntra`](crate::FakeEntra)'s own lines are left out.
pub fn capture() -> Capture {
    Capture {
        start: recorder::install(),
    }
}

/// The lines since a call of [`capture`].
#[derive(Debug)]
pub struct Capture {
    start: u64,
}

impl Capture {
    /// Asserts that lines were captured, and that none of them holds a canary, be it as it is or
    /// in base64, percent-encoded, in hex or as a list of bytes.
    ///
    /// # Panics
    ///
    /// When there was a leak: with target and canary name, never with the line. When there was no
    /// line at all, because then nothing was checked.
    pub fn assert_clean(&self) {
        let (lines, leaks) = recorder::since(self.start);
        assert!(lines > 0, "no log line was captured: nothing was checked");
        let mut counts = BTreeMap::new();
        for leak in leaks {
            *counts.entry(leak.to_string()).or_insert(0_usize) += 1;
        }
        let counts: Vec<_> = counts
            .iter()
            .map(|(leak, count)| format!("{leak} ({count} times)"))
            .collect();
        assert!(
            counts.is_empty(),
            "secrets in the log: {}",
            counts.join("; ")
        );
    }

    /// The lines themselves, the latest 100,000 of them at most.
    pub fn lines(&self) -> Vec<Line> {
        recorder::lines_since(self.start)
    }
}

/// Searches the log lines of its lifetime: what a test keeps to its end.
///
/// Dropping it asserts that the lines hold no secret, unless the test is failing anyway.
///
/// ```
/// let _watch = test_support::logs::Watch::new();
/// // ... the test ...
/// ```
#[derive(Debug)]
pub struct Watch(Capture);

impl Watch {
    /// Begins to watch, with a line of its own: where all is well there may be no other.
    #[expect(
        clippy::new_without_default,
        reason = "it is made for what it does, not as a value"
    )]
    pub fn new() -> Self {
        let capture = capture();
        tracing::trace!("a test begins");
        Self(capture)
    }

    /// The lines so far.
    pub fn lines(&self) -> Vec<Line> {
        self.0.lines()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.0.assert_clean();
        }
    }
}
