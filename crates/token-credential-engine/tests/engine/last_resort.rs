//! A cached token with little time left is handed out if no new one is to be had.

use std::time::Duration;

use crate::log_lines;
use crate::script::{Reply, refused};
use crate::world::{World, claims, err, forced, ok};

/// Makes a world with a token that is too old by itself, and a request that is refused.
fn refusing() -> World {
    let world = World::new();
    world.put("a", "last resort", 200);
    world.script.obtain(Reply::Fails(refused("refused")));
    world
}

#[tokio::test]
async fn a_refusal_is_answered_from_the_cache() {
    let world = refusing();
    assert_eq!(world.get("a").await, ok("last resort"));
    assert_eq!(world.count("obtain"), 1);
    // It is looked for in the latest content, once the request has failed and the lease has ended.
    let asked = world.asked();
    let expected = ["obtain", "lease ends", "snapshot(Latest)", "find"];
    assert_eq!(asked[asked.len() - 4..], expected);
    // It is not memoized: the next call asks again.
    assert_eq!(world.get("a").await, ok("new 2"));
}

#[tokio::test]
async fn its_end_is_thirty_seconds_before_that_of_the_token() {
    for (now, expected) in [(170, ok("last resort")), (171, err("refused"))] {
        let world = refusing();
        world.clock.set(now);
        assert_eq!(world.get("a").await, expected, "{now}");
    }
}

#[tokio::test]
async fn after_a_challenge_no_cached_token_is_handed_out() {
    let world = refusing();
    world.put("a", "cached", 3600);
    assert_eq!(world.get_with("a", claims()).await, err("refused"));
    assert_eq!(world.count("find"), 0);
    world.script.obtain(Reply::Fails(refused("refused")));
    let both = claims().with_force_refresh(true);
    assert_eq!(world.get_with("a", both).await, err("refused"));
    assert_eq!(world.count("find"), 0);
}

#[tokio::test]
async fn a_forced_call_gets_the_cached_token_however_long_it_lasts() {
    let world = refusing();
    assert_eq!(world.get_with("a", forced()).await, ok("last resort"));
    world.put("a", "cached", 3600);
    world.script.obtain(Reply::Fails(refused("refused")));
    assert_eq!(world.get_with("a", forced()).await, ok("cached"));
    assert_eq!(world.count("obtain"), 2);
}

#[tokio::test]
async fn without_a_cached_token_the_error_is_returned() {
    let world = World::new();
    world.put("b", "of another scope", 3600);
    world.script.obtain(Reply::Fails(refused("refused")));
    assert_eq!(world.get("a").await, err("refused"));
}

#[tokio::test]
async fn the_error_is_that_of_the_request_if_the_store_fails_as_well() {
    let world = refusing();
    let script = world.script.clone();
    world.script.journal.at_next("obtain", move || {
        script.with(|steps| steps.snapshot = Err(refused("unreadable")));
    });
    assert_eq!(world.get("a").await, err("refused"));
}

#[tokio::test(start_paused = true)]
async fn a_time_limit_is_answered_from_the_cache() {
    let world = World::new();
    world.put("a", "last resort", 200);
    world.script.obtain(Reply::Never);
    assert_eq!(world.get("a").await, ok("last resort"));
}

#[tokio::test(start_paused = true)]
async fn a_token_that_another_process_stored_during_the_request_is_found() {
    let world = World::new();
    let later = Duration::from_secs(1);
    world
        .script
        .obtain_after(later, Reply::Fails(refused("refused")));
    let other = world.clone();
    let stores = async move {
        tokio::time::sleep(later / 2).await;
        other.put("a", "of another", 3600);
    };
    assert_eq!(tokio::join!(world.get("a"), stores).0, ok("of another"));
}

#[tokio::test]
async fn the_failure_is_logged_with_its_text_at_debug_only() {
    log_lines::begin();
    let world = refusing();
    assert_eq!(world.get("a").await, ok("last resort"));
    let lines = log_lines::take();
    let warnings: Vec<_> = lines.iter().filter(|l| l.starts_with("WARN")).collect();
    assert_eq!(warnings.len(), 1, "{lines:?}");
    assert!(warnings[0].contains("the cached token serves until it expires"));
    assert!(warnings[0].contains("transient=false"));
    assert!(!warnings[0].contains("refused"));
    let debug = |line: &&String| line.starts_with("DEBUG") && line.contains("error=refused");
    assert_eq!(lines.iter().filter(debug).count(), 1, "{lines:?}");
}
