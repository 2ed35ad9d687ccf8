use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

/// Where the time of day comes from: the one door to it, so that expiry can be tested.
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use token_credential::Clock;
///
/// #[derive(Debug)]
/// struct FrozenClock;
///
/// impl Clock for FrozenClock {
///     fn now(&self) -> SystemTime {
///         SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000)
///     }
/// }
/// ```
pub trait Clock: fmt::Debug + Send + Sync {
    /// The time of day.
    fn now(&self) -> SystemTime;
}

impl<T: Clock + ?Sized> Clock for Arc<T> {
    fn now(&self) -> SystemTime {
        (**self).now()
    }
}

/// The machine's own clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the door to the clock")]
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }
}
