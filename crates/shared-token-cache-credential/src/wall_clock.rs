use std::sync::Arc;
use std::time::SystemTime;

use token_credential::{Clock, SystemClock};

/// Where the credential's time of day comes from.
#[derive(Debug)]
pub(crate) struct WallClock {
    clock: Arc<dyn Clock>,
    is_the_machines: bool,
}

impl WallClock {
    /// The clock that was set, else the machine's.
    pub(crate) fn new(set: Option<Arc<dyn Clock>>) -> Self {
        Self {
            is_the_machines: set.is_none(),
            clock: set.unwrap_or_else(|| Arc::new(SystemClock)),
        }
    }

    /// The time of day.
    pub(crate) fn now(&self) -> SystemTime {
        self.clock.now()
    }

    /// Returns the clock itself.
    pub(crate) fn as_clock(&self) -> &dyn Clock {
        &self.clock
    }

    /// The tick of a few milliseconds in which it is enough to ask for the time once. For a clock
    /// that a program made there is none: it may jump.
    pub(crate) fn tick(&self, tick: Option<u64>) -> Option<u64> {
        tick.filter(|_| self.is_the_machines)
    }
}
