//! One process redeems for all that share a store; the others wait for its token, not for ever.

use std::time::Duration;

use token_credential_engine::Freshness;
use tokio::time::{Instant, sleep};

use crate::script::{Lease, Reply};
use crate::store::{Key, token};
use crate::world::{World, err, ok};

const SECOND: Duration = Duration::from_secs(1);

/// The last of the journal's lines.
fn last<const N: usize>(asked: &[String]) -> [&str; N] {
    let lines: Vec<_> = asked.iter().map(String::as_str).collect();
    lines[lines.len() - N..].try_into().unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_waiter_finds_the_token_that_the_holder_stored() {
    let world = World::new();
    world.script.set_lease(Lease::Held);
    let holder = world.clone();
    let stores = tokio::spawn(async move {
        sleep(SECOND).await;
        holder.put("a", "of the holder", 3600);
    });
    let begun = Instant::now();
    assert_eq!(world.get("a").await, ok("of the holder"));
    let waited = begun.elapsed();
    assert!(
        (SECOND..SECOND + Duration::from_millis(50)).contains(&waited),
        "{waited:?}"
    );
    stores.await.unwrap();
    assert_eq!(world.count("obtain"), 0);
    // Each poll is 15 to 45 ms after the last one, and looks before it asks.
    let polls = world.count("try_lease");
    assert!((23..=67).contains(&polls), "{polls}");
    // Recent, Latest, and one after each attempt.
    assert_eq!(world.count("snapshot"), 2 + polls);
    // The lease is still another's, and is not asked for once more.
    let asked = world.asked();
    let expected = ["snapshot(Latest)", "drop_signed_out", "view", "find"];
    assert_eq!(last(&asked), expected);
    assert!(!asked.iter().any(|line| line.contains("2s")));
}

#[tokio::test(start_paused = true)]
async fn a_waiter_redeems_after_a_holder_that_stored_nothing() {
    let world = World::new();
    world.script.set_lease(Lease::Held);
    let script = world.script.clone();
    let releases = tokio::spawn(async move {
        sleep(SECOND).await;
        script.set_lease(Lease::Free);
    });
    let begun = Instant::now();
    assert_eq!(world.get("a").await, ok("new 1"));
    let waited = begun.elapsed();
    assert!(
        (SECOND..SECOND + Duration::from_millis(50)).contains(&waited),
        "{waited:?}"
    );
    releases.await.unwrap();
    assert_eq!(world.count("obtain"), 1);
    assert_eq!(world.count("snapshot"), 2 + world.count("try_lease"));
    assert_eq!(world.count("lease ends"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_token_that_is_stored_as_the_lease_is_released_is_found_under_it() {
    let world = World::new();
    world.script.set_lease(Lease::Held);
    let holder = world.clone();
    // At the second attempt: after the look that came before it.
    world.script.journal.at_next("try_lease(ada)", move || {
        let journal = holder.script.journal.clone();
        journal.at_next("try_lease(ada)", move || {
            holder.put("a", "of the holder", 3600);
            holder.script.set_lease(Lease::Free);
        });
    });
    assert_eq!(world.get("a").await, ok("of the holder"));
    assert_eq!(world.count("try_lease"), 2);
    assert_eq!(world.count("obtain"), 0);
    assert_eq!(world.asked().pop().unwrap(), "lease ends");
}

#[tokio::test(start_paused = true)]
async fn a_stalled_holder_is_taken_over_after_two_seconds() {
    for _ in 0..20 {
        let world = World::new();
        world.script.set_lease(Lease::Stalled);
        let begun = Instant::now();
        assert_eq!(world.get("a").await, ok("new 1"));
        let waited = begun.elapsed();
        let expected = 2 * SECOND..2 * SECOND + Duration::from_millis(100);
        assert!(expected.contains(&waited), "{waited:?}");
        // The first attempt that asks for it is elected, and looks once more.
        let asked = world.asked();
        let expected = [
            "try_lease(ada, 2s)",
            "snapshot(Latest)",
            "find",
            "obtain",
            "token",
            "keep",
            "write(plain)",
            "write ends(plain)",
            "written(Stored)",
        ];
        assert_eq!(last(&asked), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn a_waiter_that_is_not_elected_waits_up_to_its_time_limit() {
    let world = World::with(|settings| settings.timeout = 10 * SECOND);
    world.script.set_lease(Lease::Held);
    let begun = Instant::now();
    assert_eq!(world.get("a").await, err("plan: TimedOut(10s)"));
    assert_eq!(begun.elapsed(), 10 * SECOND);
    assert_eq!(world.count("obtain"), 0);
    // It asks to be elected from the second second on.
    let asked = world.asked();
    let take_over = |line: &&String| *line == "try_lease(ada, 2s)";
    assert!(asked.iter().filter(take_over).count() > 8 * 22);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_loses_its_leases_is_redeemed_for_without() {
    let world = World::new();
    world.script.set_lease(Lease::Held);
    let script = world.script.clone();
    let store = world.store.clone();
    world.script.journal.at_next("try_lease(ada)", move || {
        let account = Some("eve".to_owned());
        store.change(|content| content.account = account);
        let journal = script.journal.clone();
        journal.at_next("try_lease(ada)", move || {
            script.set_lease(Lease::Unsupported);
        });
    });
    assert_eq!(world.get("a").await, ok("new 1"));
    assert_eq!(world.count("try_lease"), 2);
    assert_eq!(world.count("snapshot"), 3);
    assert_eq!(world.count("lease ends"), 0);
    // From the look before the second attempt, and not from the first.
    let content = world.store.content(Freshness::Latest);
    assert_eq!(content.tokens[0].0, Key::of("eve", "a"));
}

#[tokio::test(start_paused = true)]
async fn a_waiter_serves_the_account_that_it_began_with() {
    let world = World::new();
    world.script.set_lease(Lease::Held);
    let other = world.clone();
    world.script.journal.at_next("try_lease(ada)", move || {
        let account = Some("eve".to_owned());
        other.store.change(|content| content.account = account);
        other.script.set_lease(Lease::Free);
    });
    assert_eq!(world.get("a").await, ok("new 1"));
    // The lease is that of the account which the flight is for.
    assert_eq!(
        world
            .asked()
            .iter()
            .filter(|l| *l == "try_lease(ada)")
            .count(),
        1
    );
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_panics_fails_the_call_and_not_the_next() {
    let world = World::new();
    world.script.set_lease(Lease::Panics);
    assert_eq!(world.get("a").await, err("plan: Panicked"));
    world.script.set_lease(Lease::Free);
    assert_eq!(world.get("a").await, ok("new 1"));
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_never_answers_ends_with_the_time_limit() {
    let world = World::new();
    world.script.set_lease(Lease::Never);
    world.put("a", "last resort", 200);
    let begun = Instant::now();
    assert_eq!(world.get("a").await, ok("last resort"));
    assert_eq!(begun.elapsed(), 60 * SECOND);
    assert_eq!(world.count("obtain"), 0);
}

#[tokio::test(start_paused = true)]
async fn a_lease_ends_with_a_request_that_fails() {
    for reply in [
        Reply::Fails(crate::script::refused("refused")),
        Reply::Panics,
        Reply::Never,
    ] {
        let world = World::new();
        world.script.obtain(reply);
        world.get("a").await.unwrap_err();
        assert_eq!(world.count("lease ends"), 1);
        assert_eq!(world.count("write"), 0);
        // Freed: the next call gets it at once.
        world.asked();
        assert_eq!(world.get("a").await, ok("new 2"));
        assert_eq!(world.count("try_lease"), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_waiter_is_woken_by_a_token_of_its_own_key_only() {
    let world = World::new();
    world.script.set_lease(Lease::Held);
    let other = world.clone();
    world.script.journal.at_next("try_lease(ada)", move || {
        other.put("b", "of b", 3600);
        other.store.put(Key::of("eve", "a"), token("of eve", 3600));
        other.script.set_lease(Lease::Free);
    });
    assert_eq!(world.get("a").await, ok("new 1"));
}
