//! A token that is due is handed out at once, and refreshed in the background.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::clock::at;
use crate::log_lines;
use crate::script::{Reply, refused};
use crate::store::{Key, token};
use crate::world::{HIT, World, at_once, ok};

const SECOND: Duration = Duration::from_secs(1);

/// Stores a token that this process has to refresh from the start on.
fn put_due(world: &World, scope: &str) {
    // The window of five minutes has passed.
    world.clock.set(301);
    let due = token("due", 3600).with_refresh_on(at(0));
    world.store.put(Key::of("ada", scope), due);
}

fn due() -> World {
    let world = World::new();
    put_due(&world, "a");
    world
}

#[tokio::test(start_paused = true)]
async fn a_due_token_is_handed_out_at_once_and_refreshed() {
    let world = due();
    world.script.token_after(10 * SECOND, "new");
    let begun = Instant::now();
    assert_eq!(world.get("a").await, ok("due"));
    assert_eq!(begun.elapsed(), Duration::ZERO);
    assert_eq!(world.count("obtain"), 0, "not in the caller's task");
    sleep(SECOND).await;
    assert_eq!(world.count("obtain"), 1);
    assert_eq!(world.get("a").await, ok("due"));
    sleep(10 * SECOND).await;
    assert_eq!(world.get("a").await, ok("new"));
    world.asked();
    assert_eq!(world.get("a").await, ok("new"));
    assert_eq!(world.asked(), HIT);
}

#[tokio::test(start_paused = true)]
async fn it_is_attempted_once_in_thirty_seconds() {
    let world = due();
    for attempts in 1..=3 {
        world.script.obtain(Reply::Fails(refused("refused")));
        for second in [0, 1, 29] {
            world.clock.set(301 + 30 * (attempts - 1) + second);
            for _ in 0..100 {
                assert_eq!(world.get("a").await, ok("due"));
            }
            sleep(SECOND).await;
            assert_eq!(world.count("obtain") as u64, attempts, "{second}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn every_call_has_its_own_attempts() {
    let world = due();
    put_due(&world, "b");
    for _ in 0..2 {
        world.script.obtain(Reply::Fails(refused("refused")));
    }
    for _ in 0..2 {
        assert_eq!(world.get("a").await, ok("due"));
        assert_eq!(world.get("b").await, ok("due"));
        sleep(SECOND).await;
        assert_eq!(world.count("obtain"), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn every_account_has_its_own_attempts() {
    let world = due();
    let of_eve = token("due", 3600).with_refresh_on(at(0));
    world.store.put(Key::of("eve", "a"), of_eve);
    for attempts in [1, 2] {
        world.script.obtain(Reply::Fails(refused("refused")));
        assert_eq!(world.get("a").await, ok("due"));
        sleep(SECOND).await;
        assert_eq!(world.count("obtain"), attempts);
        let account = Some("eve".to_owned());
        world.store.change(|content| content.account = account);
    }
}

#[tokio::test(start_paused = true)]
async fn its_failure_is_logged_and_not_returned() {
    log_lines::begin();
    let world = due();
    world
        .script
        .obtain(Reply::Fails(refused("refused").with_transient(true)));
    assert_eq!(world.get("a").await, ok("due"));
    assert!(log_lines::take().is_empty());
    sleep(SECOND).await;
    let lines = log_lines::take();
    let warnings: Vec<_> = lines.iter().filter(|l| l.starts_with("WARN")).collect();
    assert_eq!(warnings.len(), 1, "{lines:?}");
    assert!(warnings[0].contains("a redemption failed"));
    assert!(warnings[0].contains("transient=true"));
    assert_eq!(world.get("a").await, ok("due"));
}

#[tokio::test(start_paused = true)]
async fn a_panic_of_it_harms_nobody() {
    let world = due();
    world.script.obtain(Reply::Panics);
    assert_eq!(world.get("a").await, ok("due"));
    sleep(SECOND).await;
    assert_eq!(world.get("a").await, ok("due"));
    world.clock.set(331);
    assert_eq!(world.get("a").await, ok("due"));
    sleep(SECOND).await;
    assert_eq!(world.get("a").await, ok("new 2"));
}

#[tokio::test(start_paused = true)]
async fn a_token_that_another_process_refreshed_is_enough() {
    let world = due();
    let other = world.clone();
    world.script.journal.at_next("try_lease(ada)", move || {
        other.put("a", "of another", 3600);
    });
    assert_eq!(world.get("a").await, ok("due"));
    sleep(SECOND).await;
    assert_eq!(world.count("obtain"), 0);
    assert_eq!(world.get("a").await, ok("of another"));
}

#[tokio::test(start_paused = true)]
async fn a_refreshed_token_that_is_due_itself_is_not_enough() {
    let world = due();
    let other = world.clone();
    world.script.journal.at_next("try_lease(ada)", move || {
        let also_due = token("also due", 3700).with_refresh_on(at(0));
        other.store.put(Key::of("ada", "a"), also_due);
    });
    assert_eq!(world.get("a").await, ok("due"));
    sleep(SECOND).await;
    assert_eq!(world.count("obtain"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_due_token_of_another_process_is_enough_for_a_caller_that_has_none() {
    let world = World::new();
    let other = world.clone();
    world
        .script
        .journal
        .at_next("try_lease(ada)", move || put_due(&other, "a"));
    assert_eq!(world.get("a").await, ok("due"));
    assert_eq!(world.count("obtain"), 0);
}

#[tokio::test(start_paused = true)]
async fn it_can_be_switched_off() {
    let world = World::with(|settings| settings.background_refresh = false);
    put_due(&world, "a");
    assert_eq!(world.get("a").await, ok("due"));
    world.asked();
    // Memoized, too: nothing is to be decided about it before it is too old.
    assert_eq!(world.get("a").await, ok("due"));
    assert_eq!(world.asked(), HIT);
    sleep(SECOND).await;
    assert_eq!(world.count("snapshot"), 0);
}

#[test]
fn outside_a_runtime_nothing_is_refreshed_nor_counted_as_an_attempt() {
    let world = due();
    for _ in 0..2 {
        assert_eq!(at_once(world.get("a")), ok("due"));
    }
    assert_eq!(world.count("obtain"), 0);
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        assert_eq!(world.get("a").await, ok("due"));
        sleep(SECOND).await;
    });
    assert_eq!(world.count("obtain"), 1);
}

#[tokio::test(start_paused = true)]
async fn after_a_close_nothing_is_refreshed() {
    let world = due();
    world.engine.close().await;
    assert_eq!(world.get("a").await, ok("due"));
    sleep(SECOND).await;
    assert_eq!(world.count("obtain"), 0);
    assert_eq!(world.count("try_lease"), 0);
}

#[tokio::test(start_paused = true)]
async fn a_token_that_is_too_old_by_itself_is_not_refreshed_in_the_background() {
    let world = due();
    world.clock.set(3300);
    world.script.token_after(SECOND, "new");
    let begun = Instant::now();
    assert_eq!(world.get("a").await, ok("new"));
    assert_eq!(begun.elapsed(), SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_token_that_only_the_source_finds_young_enough_is_left_to_it() {
    let world = due();
    world.script.with(|steps| steps.margin = SECOND);
    world.clock.set(3300);
    for _ in 0..2 {
        assert_eq!(world.get("a").await, ok("due"));
        sleep(SECOND).await;
    }
    assert_eq!(world.count("find"), 2, "not memoized");
    assert_eq!(world.count("snapshot"), 2, "not refreshed");
}

#[tokio::test(start_paused = true)]
async fn a_caller_whose_token_is_too_old_joins_the_refresh_under_way() {
    let world = due();
    world.script.token_after(10 * SECOND, "new");
    assert_eq!(world.get("a").await, ok("due"));
    sleep(SECOND).await;
    world.clock.set(3300);
    assert_eq!(world.get("a").await, ok("new"));
    assert_eq!(world.count("obtain"), 1);
}
