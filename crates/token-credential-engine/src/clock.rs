//! The engine's time of day.

use std::sync::Arc;
use std::time::SystemTime;

use token_credential::{Clock, SystemClock};

/// The clock of an engine: the machine's, unless the program gave one.
#[derive(Clone, Debug)]
pub struct EngineClock {
    clock: Arc<dyn Clock>,
    is_of_machine: bool,
}

impl EngineClock {
    /// Makes a clock from the given one, or from the machine's if it is `None`.
    pub fn new(given: Option<Arc<dyn Clock>>) -> Self {
        Self {
            is_of_machine: given.is_none(),
            clock: given.unwrap_or_else(|| Arc::new(SystemClock)),
        }
    }

    /// Returns the time of day.
    pub fn now(&self) -> SystemTime {
        self.clock.now()
    }

    /// Returns the clock.
    pub fn get(&self) -> &dyn Clock {
        &*self.clock
    }

    /// Returns the tick in which one question for the time is enough. A program's clock has none,
    /// because it may jump.
    pub(crate) fn tick(&self, tick: Option<u64>) -> Option<u64> {
        tick.filter(|_| self.is_of_machine)
    }
}
