use std::collections::VecDeque;
use std::fmt::{self, Write as _};
use std::sync::{Mutex, Once};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_log::NormalizeEvent as _;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::registry::{LookupSpan, Registry};

use super::canary::leaks_in;

/// Bounds the memory of a long run; the search for secrets misses no line for that.
const MAX_LINES: usize = 100_000;
/// One is enough to fail; a leak in a loop need not be told a million times.
const MAX_LEAKS: usize = 1_000;

static LOG: Mutex<Log> = Mutex::new(Log {
    total: 0,
    lines: VecDeque::new(),
    leaks: Vec::new(),
});

struct Log {
    /// How many lines there were.
    total: u64,
    /// The latest of them.
    lines: VecDeque<Line>,
    leaks: Vec<Leak>,
}

/// One log line: an event, a new span, or fields that were added to a span.
#[derive(Clone, Debug)]
pub struct Line {
    /// How loud it is.
    pub level: Level,
    /// The module that wrote it, for lines of the `log` crate too.
    pub target: String,
    /// The span's name or the event's message, and all fields.
    pub text: String,
}

#[derive(Clone)]
pub(super) struct Leak {
    line: u64,
    target: String,
    canary: String,
}

impl fmt::Display for Leak {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "target {} shows {}", self.target, self.canary)
    }
}

/// Installs the recorder if it is not there yet, and returns how many lines there were so far.
pub(super) fn install() -> u64 {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        tracing::subscriber::set_global_default(Registry::default().with(Recorder))
            .expect("the log capture must be the process's only global subscriber");
        tracing_log::LogTracer::init().expect("the log capture must be the process's only logger");
    });
    LOG.lock().unwrap().total
}

/// How many lines there were since `start`, and which of them leaked.
pub(super) fn since(start: u64) -> (u64, Vec<Leak>) {
    let log = LOG.lock().unwrap();
    let leaks = log.leaks.iter().filter(|leak| leak.line >= start).cloned();
    (log.total - start, leaks.collect())
}

pub(super) fn lines_since(start: u64) -> Vec<Line> {
    let log = LOG.lock().unwrap();
    let wanted = usize::try_from(log.total - start).unwrap_or(usize::MAX);
    let skipped = log.lines.len().saturating_sub(wanted);
    log.lines.iter().skip(skipped).cloned().collect()
}

fn record(line: Line) {
    let canaries = leaks_in(&line.text);
    let mut log = LOG.lock().unwrap();
    for canary in canaries {
        if log.leaks.len() < MAX_LEAKS {
            let leak = Leak {
                line: log.total,
                target: line.target.clone(),
                canary,
            };
            log.leaks.push(leak);
        }
    }
    log.total += 1;
    if log.lines.len() == MAX_LINES {
        log.lines.pop_front();
    }
    log.lines.push_back(line);
}

struct Recorder;

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Recorder {
    fn on_new_span(&self, span: &Attributes<'_>, _id: &Id, _context: Context<'_, S>) {
        let mut text = Text::new(span.metadata().name());
        span.record(&mut text);
        record(text.into_line(span.metadata()));
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let span = context.span(id).expect("a span outlives its fields");
        let mut text = Text::new(span.name());
        values.record(&mut text);
        record(text.into_line(span.metadata()));
    }

    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        let mut text = Text::new("");
        event.record(&mut text);
        // A line of the `log` crate carries its metadata as fields.
        match event.normalized_metadata() {
            Some(metadata) => record(text.into_line(&metadata)),
            None => record(text.into_line(event.metadata())),
        }
    }
}

struct Text(String);

impl Text {
    fn new(start: &str) -> Self {
        Self(start.to_owned())
    }

    fn into_line(self, metadata: &Metadata<'_>) -> Line {
        Line {
            level: *metadata.level(),
            target: metadata.target().to_owned(),
            text: self.0,
        }
    }

    fn push(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        let gap = if self.0.is_empty() { "" } else { " " };
        if field.name() == "message" {
            write!(self.0, "{gap}{value}")
        } else {
            write!(self.0, "{gap}{}={value}", field.name())
        }
        .expect("a String takes everything");
    }
}

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.push(field, format_args!("{value:?}"));
    }

    /// Unquoted and unescaped, as the secret itself would stand there.
    fn record_str(&mut self, field: &Field, value: &str) {
        self.push(field, format_args!("{value}"));
    }
}
