//! The events that the engine logs, per thread.
#![allow(
    clippy::missing_const_for_thread_local,
    reason = "the initializer is const; the lint overlooks that in the macro of Windows' std"
)]

use std::cell::RefCell;
use std::fmt::{Debug, Write};
use std::mem;
use std::sync::Once;

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

thread_local! {
    static LINES: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Begins to capture, and forgets earlier lines of this thread.
pub(crate) fn begin() {
    static ONCE: Once = Once::new();
    // For the process, because a subscriber of one thread loses events while another one begins.
    ONCE.call_once(|| tracing::subscriber::set_global_default(Capture).unwrap());
    take();
}

/// Takes the lines of this thread.
pub(crate) fn take() -> Vec<String> {
    LINES.with_borrow_mut(mem::take)
}

struct Capture;

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        write!(self.0, " {}={value:?}", field.name()).unwrap();
    }
}

impl Subscriber for Capture {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event()
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(event.metadata().level().to_string());
        event.record(&mut line);
        LINES.with_borrow_mut(|lines| lines.push(line.0));
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}
