//! Before a request the engine looks at the store two or three times.

use token_credential_engine::Freshness;

use crate::script::Lease;
use crate::store::{Key, token};
use crate::world::{FIRST_LOOK, World, claims, err, forced, ok};

/// The rest of a redemption once the request was sent.
const OBTAIN: [&str; 7] = [
    "obtain",
    "token",
    "keep",
    "write(plain)",
    "write ends(plain)",
    "lease ends",
    "written(Stored)",
];

#[tokio::test]
async fn with_leases_a_store_is_looked_at_three_times() {
    let world = World::new();
    assert_eq!(world.get("a").await, ok("new 1"));
    let mut expected = FIRST_LOOK.to_vec();
    expected.extend(["snapshot(Latest)", "find"]);
    expected.extend(["subject", "try_lease(ada)", "snapshot(Latest)", "find"]);
    expected.extend(OBTAIN);
    assert_eq!(world.asked(), expected);
}

#[tokio::test]
async fn without_leases_a_store_is_looked_at_twice() {
    let world = World::new();
    world.script.set_lease(Lease::Unsupported);
    assert_eq!(world.get("a").await, ok("new 1"));
    let mut expected = FIRST_LOOK.to_vec();
    expected.extend(["snapshot(Latest)", "find"]);
    expected.extend(["subject", "try_lease(ada)"]);
    expected.extend(OBTAIN.into_iter().filter(|line| *line != "lease ends"));
    assert_eq!(world.asked(), expected);
}

#[tokio::test]
async fn claims_and_forced_calls_look_twice_and_ask_for_no_lease() {
    for options in [claims(), forced()] {
        let world = World::new();
        world.put("a", "cached", 3600);
        assert_eq!(world.get_with("a", options).await, ok("new 1"));
        // Neither is a cached token looked for.
        let mut expected: Vec<_> = FIRST_LOOK.into_iter().filter(|l| *l != "find").collect();
        expected.push("snapshot(Latest)");
        expected.extend(OBTAIN.into_iter().filter(|line| *line != "lease ends"));
        assert_eq!(world.asked(), expected);
    }
}

#[tokio::test]
async fn a_token_in_the_latest_content_is_found_before_a_lease_is_asked_for() {
    let world = World::new();
    let stored = token("stored", 3600);
    world
        .store
        .change_latest(|content| content.put(Key::of("ada", "a"), stored));
    assert_eq!(world.get("a").await, ok("stored"));
    let mut expected = FIRST_LOOK.to_vec();
    expected.extend(["snapshot(Latest)", "drop_signed_out", "view", "find"]);
    assert_eq!(world.asked(), expected);
}

#[tokio::test]
async fn a_token_that_the_former_holder_stored_is_found_under_the_lease() {
    let world = World::new();
    let other = world.clone();
    world.script.journal.at_next("try_lease(ada)", move || {
        let stored = token("stored", 3600);
        let store = |content: &mut crate::store::Content| content.put(Key::of("ada", "a"), stored);
        other.store.change_latest(store);
    });
    assert_eq!(world.get("a").await, ok("stored"));
    let asked = world.asked();
    let expected = [
        "try_lease(ada)",
        "snapshot(Latest)",
        "drop_signed_out",
        "view",
        "find",
        "lease ends",
    ];
    assert_eq!(asked[asked.len() - 6..], expected);
}

#[tokio::test]
async fn the_request_is_made_from_the_look_under_the_lease() {
    let world = World::new();
    let other = world.clone();
    world.script.journal.at_next("try_lease(ada)", move || {
        other
            .store
            .change_latest(|content| content.account = Some("eve".to_owned()));
    });
    assert_eq!(world.get("a").await, ok("new 1"));
    let content = world.store.content(Freshness::Latest);
    assert_eq!(content.tokens[0].0, Key::of("eve", "a"));
}

#[tokio::test]
async fn an_error_of_a_later_look_is_returned() {
    for (line, obtains_lease) in [("snapshot(Recent)", false), ("try_lease(ada)", true)] {
        let world = World::new();
        let script = world.script.clone();
        world.script.journal.at_next(line, move || {
            let hook_script = script.clone();
            script.journal.at_next("snapshot(Latest)", move || {
                hook_script.with(|steps| steps.snapshot = Err(crate::script::refused("gone")));
            });
        });
        assert_eq!(world.get("a").await, err("gone"), "{line}");
        assert_eq!(world.count("obtain"), 0);
        assert_eq!(world.count("lease ends") == 1, obtains_lease);
    }
}
