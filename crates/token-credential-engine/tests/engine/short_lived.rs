//! Results whose token is of little use.

use std::time::Duration;

use token_credential_engine::Written;

use crate::script::{Obtain, Reply};
use crate::store::token;
use crate::world::{World, err, forced, ok};

/// The end of a redemption whose result is kept.
const KEPT: [&str; 5] = [
    "keep",
    "write(plain)",
    "write ends(plain)",
    "lease ends",
    "written(Stored)",
];

/// Makes a world with a cached token and a new one that expire in these seconds.
fn world(cached: Option<u64>, new: u64, has_rest: bool) -> World {
    let world = World::new();
    if let Some(cached) = cached {
        world.put("a", "cached", cached);
    }
    world.script.with(|steps| {
        steps.obtains.push_back(Obtain {
            after: Duration::ZERO,
            reply: Reply::Token(token("new", new)),
            has_rest,
        });
    });
    world
}

/// Returns the journal's lines from the request on.
fn from_obtain(world: &World) -> Vec<String> {
    let asked = world.asked();
    let obtain = asked.iter().position(|line| line == "obtain").unwrap();
    asked[obtain + 1..].to_vec()
}

#[tokio::test]
async fn a_result_that_must_not_be_handed_out_is_kept_and_written_and_fails() {
    let world = World::new();
    world.script.obtain(Reply::Unusable(token("unusable", 10)));
    assert_eq!(world.get("a").await, err("unusable"));
    let mut expected = vec!["token"];
    expected.extend(KEPT);
    expected.extend(["snapshot(Latest)", "drop_signed_out", "view", "find"]);
    assert_eq!(from_obtain(&world), expected);
}

#[tokio::test]
async fn a_result_that_must_not_be_handed_out_gives_way_to_a_cached_token() {
    let world = World::new();
    world.put("a", "cached", 200);
    world.script.obtain(Reply::Unusable(token("unusable", 10)));
    world.script.write(Duration::ZERO, Written::NotStored);
    assert_eq!(world.get("a").await, ok("cached"));
    let asked = from_obtain(&world);
    assert_eq!(
        asked[..5],
        [
            "token",
            "keep",
            "write(plain)",
            "write ends(plain)",
            "lease ends"
        ]
    );
}

#[tokio::test]
async fn a_cached_token_that_outlasts_a_short_lived_one_is_returned() {
    let world = world(Some(200), 59, true);
    assert_eq!(world.get("a").await, ok("cached"));
    let mut expected = vec!["token", "snapshot(Latest)", "find", "without_token"];
    expected.extend(KEPT);
    assert_eq!(from_obtain(&world), expected);
    // The cached one is still in the store: the new one was not written over it.
    world
        .script
        .obtain(Reply::Fails(crate::script::refused("refused")));
    assert_eq!(world.get("a").await, ok("cached"));
}

#[tokio::test]
async fn without_a_rest_worth_keeping_nothing_is_written() {
    let world = world(Some(200), 59, false);
    assert_eq!(world.get("a").await, ok("cached"));
    let expected = [
        "token",
        "snapshot(Latest)",
        "find",
        "without_token",
        "lease ends",
    ];
    assert_eq!(from_obtain(&world), expected);
}

#[tokio::test]
async fn a_short_lived_token_that_outlasts_the_cached_one_is_returned() {
    // The later of both, and not the cached one if both end at once.
    for (cached, new) in [(Some(58), 59), (Some(59), 59), (None, 59), (None, 31)] {
        let world = world(cached, new, true);
        assert_eq!(world.get("a").await, ok("new"), "{cached:?} {new}");
        let asked = from_obtain(&world);
        assert_eq!(asked[..2], ["token", "snapshot(Latest)"]);
        assert_eq!(asked[asked.len() - 5..], KEPT);
        assert!(!asked.iter().any(|line| line == "without_token"));
    }
}

#[tokio::test]
async fn a_token_with_a_minute_left_is_not_compared() {
    let world = world(Some(200), 60, true);
    assert_eq!(world.get("a").await, ok("new"));
    let mut expected = vec!["token"];
    expected.extend(KEPT);
    assert_eq!(from_obtain(&world), expected);
}

#[tokio::test]
async fn a_forced_call_gets_the_new_token_however_short_lived() {
    let world = world(Some(200), 59, true);
    assert_eq!(world.get_with("a", forced()).await, ok("new"));
    let asked = from_obtain(&world);
    assert_eq!(asked[..2], ["token", "keep"]);
}

#[tokio::test]
async fn a_clock_that_is_set_back_during_the_request_makes_no_token_last_longer() {
    let world = world(Some(259), 120, true);
    world.clock.set(70);
    let clock = world.clock.clone();
    world.script.journal.at_next("obtain", move || clock.set(0));
    // 50 s are left by the clock at the beginning, 120 s by that at the end.
    assert_eq!(world.get("a").await, ok("cached"));
}
