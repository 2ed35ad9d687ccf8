//! After a close no request begins, those under way have a grace, and hits are still answered.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::script::Reply;
use crate::world::{HIT, World, at_once, err, ok};

const SECOND: Duration = Duration::from_secs(1);

/// Begins a call in a task, up to its request.
async fn begin(
    world: &World,
    scope: &'static str,
) -> tokio::task::JoinHandle<Result<String, String>> {
    let world = world.clone();
    let call = tokio::spawn(async move { world.get(scope).await });
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    call
}

#[tokio::test(start_paused = true)]
async fn a_closed_engine_answers_hits_and_refuses_misses() {
    let world = World::new();
    world.put("a", "cached", 3600);
    world.get("a").await.unwrap();
    world.asked();
    world.engine.close().await;
    assert_eq!(world.asked(), ["close", "close ends"]);
    assert_eq!(world.get("a").await, ok("cached"));
    assert_eq!(world.asked(), HIT);
    assert_eq!(world.get("b").await, err("plan: Closed"));
    assert_eq!(world.count("obtain"), 0);
    // Also of a clone, and tokens that are stored later.
    let clone = World {
        engine: world.engine.clone(),
        ..world.clone()
    };
    assert_eq!(clone.get("b").await, err("plan: Closed"));
    world.put("b", "stored later", 3600);
    assert_eq!(world.get("b").await, ok("stored later"));
}

#[tokio::test(start_paused = true)]
async fn a_call_under_way_ends_in_the_grace_and_the_source_is_closed_after_it() {
    let world = World::new();
    world.script.token_after(4 * SECOND, "new");
    let call = begin(&world, "a").await;
    let begun = Instant::now();
    let refused = async {
        sleep(SECOND).await;
        world.get("b").await
    };
    let ((), refused) = tokio::join!(world.engine.close(), refused);
    assert_eq!(refused, err("plan: Closed"));
    assert_eq!(begun.elapsed(), 4 * SECOND);
    assert_eq!(call.await.unwrap(), ok("new"));
    let asked = world.asked();
    let expected = ["written(Stored)", "close", "close ends"];
    assert_eq!(asked[asked.len() - 3..], expected);
}

#[tokio::test(start_paused = true)]
async fn a_write_under_way_is_waited_for() {
    let world = World::new();
    world
        .script
        .write(4 * SECOND, token_credential_engine::Written::Stored);
    assert_eq!(world.get("a").await, ok("new 1"));
    assert_eq!(world.count("write ends"), 0);
    world.engine.close().await;
    let asked = world.asked();
    let expected = ["written(Stored)", "close", "close ends"];
    assert_eq!(asked[asked.len() - 3..], expected);
}

#[tokio::test(start_paused = true)]
async fn a_write_that_a_call_leaves_behind_during_the_close_is_waited_for() {
    let world = World::new();
    world.script.token_after(2 * SECOND, "new");
    world
        .script
        .write(2 * SECOND, token_credential_engine::Written::Stored);
    let call = begin(&world, "a").await;
    world.engine.close().await;
    assert_eq!(call.await.unwrap(), ok("new"));
    let asked = world.asked();
    let expected = ["written(Stored)", "close", "close ends"];
    assert_eq!(asked[asked.len() - 3..], expected);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_outlasts_the_grace_is_cut_off() {
    let world = World::new();
    world.put("a", "last resort", 200);
    world.script.obtain(Reply::Never);
    world.script.obtain(Reply::Never);
    let [one, other] = [begin(&world, "a").await, begin(&world, "a").await];
    let second = begin(&world, "b").await;
    let begun = Instant::now();
    world.engine.close().await;
    assert_eq!(begun.elapsed(), 5 * SECOND);
    for call in [one, other, second] {
        assert_eq!(call.await.unwrap(), err("plan: ClosedDuringCall"));
    }
    assert_eq!(world.count("lease ends"), 2);
    let asked = world.asked();
    let position = |wanted: &str| asked.iter().position(|line| line == wanted).unwrap();
    assert!(position("lease ends") < position("close"));
}

#[tokio::test(start_paused = true)]
async fn a_write_that_outlasts_the_grace_is_cut_off_and_its_result_stays_in_memory() {
    let world = World::new();
    world
        .script
        .write(100 * SECOND, token_credential_engine::Written::Stored);
    assert_eq!(world.get("a").await, ok("new 1"));
    let begun = Instant::now();
    world.engine.close().await;
    assert_eq!(begun.elapsed(), 5 * SECOND);
    assert_eq!(world.count("lease ends"), 1);
    assert_eq!(world.count("write ends"), 0);
    assert_eq!(world.get("a").await, ok("new 1"));
}

#[tokio::test(start_paused = true)]
async fn a_grace_has_no_longest_and_no_shortest_time() {
    for (grace, expected) in [
        (Duration::MAX, ok("new")),
        (Duration::ZERO, err("plan: ClosedDuringCall")),
    ] {
        let world = World::with(|settings| settings.close_grace = grace);
        world.script.token_after(30 * SECOND, "new");
        let call = begin(&world, "a").await;
        world.engine.close().await;
        assert_eq!(call.await.unwrap(), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn closing_again_and_at_the_same_time_is_the_same() {
    let world = World::new();
    world.script.token_after(2 * SECOND, "new");
    world.script.with(|steps| steps.close_takes = SECOND);
    let call = begin(&world, "a").await;
    let begun = Instant::now();
    tokio::join!(world.engine.close(), world.engine.close());
    assert_eq!(begun.elapsed(), 3 * SECOND);
    assert_eq!(call.await.unwrap(), ok("new"));
    world.engine.close().await;
    // Each asks the source to close, which has to be idempotent as well.
    assert_eq!(world.count("close"), 3);
    assert_eq!(world.count("close ends"), 3);
    assert_eq!(world.get("b").await, err("plan: Closed"));
}

#[tokio::test(start_paused = true)]
async fn a_close_that_is_dropped_leaves_the_engine_closed() {
    let world = World::new();
    world.script.token_after(2 * SECOND, "new");
    let call = begin(&world, "a").await;
    let dropped = tokio::time::timeout(SECOND, world.engine.close()).await;
    assert!(dropped.is_err());
    assert_eq!(world.get("b").await, err("plan: Closed"));
    assert_eq!(world.count("close"), 0);
    world.engine.close().await;
    assert_eq!(world.count("close ends"), 1);
    assert_eq!(call.await.unwrap(), ok("new"));
}

#[test]
fn an_idle_engine_is_closed_outside_a_runtime() {
    let world = World::new();
    at_once(world.engine.close());
    assert_eq!(world.asked(), ["close", "close ends"]);
    assert_eq!(at_once(world.get("a")), err("plan: NoRuntime"));
}

#[tokio::test(start_paused = true)]
async fn work_of_a_runtime_that_is_not_driven_is_not_waited_for_for_ever() {
    let world = World::new();
    world.script.obtain(Reply::Never);
    world.script.with(|steps| steps.close_takes = 100 * SECOND);
    let abandoned = std::thread::spawn({
        let world = world.clone();
        move || {
            let mut builder = tokio::runtime::Builder::new_current_thread();
            let runtime = builder.enable_time().start_paused(true).build().unwrap();
            runtime.spawn(async move { world.get("a").await });
            runtime.block_on(async {
                for _ in 0..10 {
                    tokio::task::yield_now().await;
                }
            });
            runtime
        }
    });
    let abandoned = abandoned.join().unwrap();
    assert_eq!(world.count("obtain"), 1);
    let begun = Instant::now();
    world.engine.close().await;
    // The grace, a second for work that was cut off, and one for the source.
    assert_eq!(begun.elapsed(), 7 * SECOND);
    assert_eq!(world.count("close"), 1);
    abandoned.shutdown_background();
}
