//! A result is kept before its caller goes on, and written by a task of its own.

use std::time::Duration;

use token_credential_engine::Written;
use tokio::time::{Instant, sleep};

use crate::script::{Reply, Write};
use crate::world::{World, cae, ok};

const SECOND: Duration = Duration::from_secs(1);
const WRITE_WAIT: Duration = Duration::from_millis(250);

/// Returns the lines about writes and leases.
fn of_writes(world: &World) -> Vec<String> {
    let of_write = |line: &String| {
        ["keep", "writ", "lease ends"]
            .iter()
            .any(|start| line.starts_with(start))
    };
    world.asked().into_iter().filter(of_write).collect()
}

#[tokio::test(start_paused = true)]
async fn a_quick_write_is_waited_for() {
    let world = World::new();
    world
        .script
        .write(Duration::from_millis(249), Written::Stored);
    let begun = Instant::now();
    assert_eq!(world.get("a").await, ok("new 1"));
    assert_eq!(begun.elapsed(), Duration::from_millis(249));
    assert_eq!(world.count("written"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_slow_write_delays_its_caller_for_a_moment_only_and_goes_on() {
    let world = World::new();
    world.script.write(10 * SECOND, Written::Stored);
    let begun = Instant::now();
    assert_eq!(world.get("a").await, ok("new 1"));
    assert_eq!(begun.elapsed(), WRITE_WAIT);
    assert_eq!(of_writes(&world), ["keep", "write(plain)"]);
    // The next caller gets the token from memory, without waiting for the write.
    assert_eq!(world.get("a").await, ok("new 1"));
    assert_eq!(begun.elapsed(), WRITE_WAIT);
    world.asked();
    sleep(10 * SECOND).await;
    let expected = ["write ends(plain)", "lease ends", "written(Stored)"];
    assert_eq!(of_writes(&world), expected);
}

#[tokio::test(start_paused = true)]
async fn a_result_is_kept_when_its_caller_gets_the_token() {
    let world = World::new();
    world.script.with(|steps| {
        steps.writes.push_back(Write {
            takes: Duration::from_secs(1_000_000),
            written: None,
        });
    });
    assert_eq!(world.get("a").await, ok("new 1"));
    assert_eq!(world.count("keep"), 1);
    assert_eq!(world.get("a").await, ok("new 1"));
    assert_eq!(world.count("obtain"), 1);
}

#[tokio::test(start_paused = true)]
async fn the_writes_of_one_store_are_one_at_a_time() {
    let world = World::new();
    for _ in 0..2 {
        world.script.write(SECOND, Written::Stored);
    }
    let (a, b) = tokio::join!(world.get("a"), world.get("b"));
    assert_eq!((a, b), (ok("new 1"), ok("new 2")));
    sleep(5 * SECOND).await;
    let expected = [
        "keep",
        "keep",
        "write(plain)",
        "write ends(plain)",
        "lease ends",
        "written(Stored)",
        "write(plain)",
        "write ends(plain)",
        "lease ends",
        "written(Stored)",
    ];
    assert_eq!(of_writes(&world), expected);
}

#[tokio::test(start_paused = true)]
async fn two_stores_are_written_at_the_same_time() {
    let world = World::with_two_stores();
    for _ in 0..2 {
        world.script.write(SECOND, Written::Stored);
    }
    let begun = Instant::now();
    tokio::join!(world.get("a"), world.get_with("a", cae()))
        .0
        .unwrap();
    let mut lines = of_writes(&world);
    lines.sort();
    assert_eq!(lines, ["keep", "keep", "write(cae)", "write(plain)"]);
    assert_eq!(begun.elapsed(), WRITE_WAIT);
    sleep(SECOND).await;
    assert_eq!(world.count("written"), 2);
}

#[tokio::test(start_paused = true)]
async fn a_lease_is_held_while_its_write_waits_for_its_turn() {
    let world = World::new();
    for _ in 0..2 {
        world.script.write(SECOND, Written::Stored);
    }
    tokio::join!(world.get("a"), world.get("b")).0.unwrap();
    assert_eq!(world.count("write"), 1);
    assert_eq!(world.count("lease ends"), 0);
    sleep(SECOND).await;
    // The second is under way.
    assert_eq!(world.count("write"), 2);
    assert_eq!(world.count("lease ends"), 1);
    sleep(SECOND).await;
    assert_eq!(world.count("lease ends"), 2);
}

#[tokio::test(start_paused = true)]
async fn a_write_that_panics_costs_neither_the_token_nor_the_turn() {
    let world = World::new();
    world.script.with(|steps| {
        steps.writes.push_back(Write {
            takes: Duration::ZERO,
            written: None,
        });
    });
    let begun = Instant::now();
    assert_eq!(world.get("a").await, ok("new 1"));
    assert_eq!(begun.elapsed(), Duration::ZERO);
    assert_eq!(of_writes(&world), ["keep", "write(plain)", "lease ends"]);
    assert_eq!(world.get("a").await, ok("new 1"));
    // The next write gets its turn, and a close has nothing to wait for.
    assert_eq!(world.get("b").await, ok("new 2"));
    assert_eq!(world.count("written"), 1);
    world.engine.close().await;
    assert_eq!(begun.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_result_that_came_in_time_is_not_lost_to_the_time_limit_of_its_call() {
    let world = World::with(|settings| settings.timeout = SECOND);
    let in_time = Duration::from_millis(999);
    world.script.token_after(in_time, "new");
    world.script.write(SECOND, Written::Stored);
    assert_eq!(world.get("a").await, ok("new"));
    sleep(SECOND).await;
    assert_eq!(world.count("written"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_fails_writes_nothing() {
    let world = World::new();
    let refused = crate::script::refused("refused");
    world.script.obtain(Reply::Fails(refused));
    world.get("a").await.unwrap_err();
    assert_eq!(of_writes(&world), ["lease ends"]);
}
