//! Placeholder.
mod clock;
pub use clock::{Clock, SystemClock};
