//! The age of a file, by clocks that may disagree. Pure.

use std::time::{Duration, SystemTime};

/// Returns how far apart two times are. A time in the future counts as an age, too: the clock was
/// set back since, or is another machine's. To wait until that time would be a wait without end.
pub(crate) fn age(changed: SystemTime, now: SystemTime) -> Duration {
    now.duration_since(changed)
        .unwrap_or_else(|ahead| ahead.duration())
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    #[test]
    fn an_age_counts_in_both_directions() {
        let at = |seconds| {
            UNIX_EPOCH
                .checked_add(Duration::from_secs(seconds))
                .unwrap()
        };
        for (changed, now, seconds) in [(5, 8, 3), (8, 5, 3), (5, 5, 0), (0, 1 << 38, 1 << 38)] {
            let expected = Duration::from_secs(seconds);
            assert_eq!(age(at(changed), at(now)), expected);
        }
    }
}
