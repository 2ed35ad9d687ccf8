use std::fmt;
use std::sync::Arc;
#[cfg(any(target_os = "linux", target_os = "android"))]
use std::time::Duration;
use std::time::SystemTime;

#[cfg(any(target_os = "linux", target_os = "android"))]
use crate::persistence::ticks;

/// Where the time of day comes from: the one door to it, so that expiry can be tested.
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use msal_token_cache::Clock;
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

    /// The same, and up to some 10 ms ago, for whoever asks often and does not mind. By default it
    /// is [`now`](Self::now).
    fn recently(&self) -> SystemTime {
        self.now()
    }
}

impl<T: Clock + ?Sized> Clock for Arc<T> {
    fn now(&self) -> SystemTime {
        (**self).now()
    }

    fn recently(&self) -> SystemTime {
        (**self).recently()
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

    #[cfg(any(target_os = "linux", target_os = "android"))]
    fn recently(&self) -> SystemTime {
        u64::try_from(ticks::time_of_day())
            .ok()
            .and_then(|nanos| SystemTime::UNIX_EPOCH.checked_add(Duration::from_nanos(nanos)))
            .unwrap_or_else(|| self.now())
    }
}
