use std::time::{Duration, UNIX_EPOCH};

use test_support::TestClock;
use token_credential::Clock as _;

#[test]
fn the_clock_moves_when_told_and_clones_share_it() {
    let clock = TestClock::at(1_700_000_000);
    let clone = clock.clone();
    assert_eq!(clock.now(), UNIX_EPOCH + Duration::from_secs(1_700_000_000));
    clock.advance(Duration::from_millis(1_500));
    assert_eq!(
        clone.now(),
        UNIX_EPOCH + Duration::from_millis(1_700_000_001_500)
    );
    clone.set(5);
    assert_eq!(clock.unix_seconds(), 5);
}
