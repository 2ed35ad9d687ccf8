//! The failures of the engine itself, in the words of the source.

use std::error::Error as _;
use std::time::Duration;

use token_credential::TokenRequestOptions;
use tokio::runtime::TryCurrentError;
use tokio::time::Instant;

use crate::script::{Reply, refused};
use crate::world::{World, at_once, err, ok};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn a_request_without_an_end_times_out() {
    let world = World::with(|settings| settings.timeout = 7 * SECOND);
    world.script.obtain(Reply::Never);
    let begun = Instant::now();
    assert_eq!(world.get("a").await, err("plan: TimedOut(7s)"));
    assert_eq!(begun.elapsed(), 7 * SECOND);
    assert_eq!(world.count("error"), 1);
    assert_eq!(world.get("a").await, ok("new 2"));
}

#[tokio::test(start_paused = true)]
async fn a_request_is_told_the_end_of_its_call() {
    let world = World::with(|settings| settings.timeout = 7 * SECOND);
    let begun = Instant::now();
    // A lease that was waited for leaves less time.
    world.script.set_lease(crate::script::Lease::Stalled);
    world.get("a").await.unwrap();
    let deadlines = world.script.with(|steps| steps.deadlines.clone());
    assert_eq!(deadlines, [begun + 7 * SECOND]);
}

#[tokio::test(start_paused = true)]
async fn the_longest_time_limit_is_a_year() {
    let world = World::with(|settings| settings.timeout = Duration::MAX);
    let begun = Instant::now();
    assert_eq!(world.get("a").await, ok("new 1"));
    let deadlines = world.script.with(|steps| steps.deadlines.clone());
    assert_eq!(deadlines, [begun + 365 * 24 * 3600 * SECOND]);
}

#[tokio::test(start_paused = true)]
async fn without_a_time_limit_only_a_request_that_ends_at_once_succeeds() {
    let world = World::with(|settings| settings.timeout = Duration::ZERO);
    assert_eq!(world.get("a").await, ok("new 1"));
    world.script.token_after(SECOND, "late");
    assert_eq!(world.get("b").await, err("plan: TimedOut(0ns)"));
}

#[tokio::test(start_paused = true)]
async fn a_request_that_panics_fails_all_its_callers_and_no_later_ones() {
    let world = World::new();
    world.script.obtain_after(SECOND, Reply::Panics);
    let (one, other) = tokio::join!(world.get("a"), world.get("a"));
    assert_eq!((one, other), (err("plan: Panicked"), err("plan: Panicked")));
    assert_eq!(world.count("obtain"), 1);
    assert_eq!(world.get("a").await, ok("new 2"));
}

#[test]
fn outside_a_runtime_a_miss_fails_with_its_reason() {
    let world = World::new();
    let options = TokenRequestOptions::default();
    let got = at_once(world.engine.get_token(&["a"], &options));
    let error = got.unwrap_err();
    assert_eq!(error.to_string(), "plan: NoRuntime");
    let source = error.source().unwrap();
    let source = source.downcast_ref::<TryCurrentError>().unwrap();
    assert!(source.is_missing_context());
    assert_eq!(world.count("obtain"), 0);
    assert_eq!(world.count("snapshot"), 1);
}

#[test]
fn outside_a_runtime_a_hit_is_answered() {
    let world = World::new();
    world.put("a", "cached", 3600);
    for _ in 0..2 {
        assert_eq!(at_once(world.get("a")), ok("cached"));
    }
    assert_eq!(world.count("snapshot"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_failure_names_the_plan_of_its_call() {
    let world = World::new();
    world.script.obtain_after(SECOND, Reply::Panics);
    let (one, ()) = tokio::join!(world.get("a"), async {
        tokio::task::yield_now().await;
        let plan = std::sync::Arc::new(crate::script::TestPlan("later plan"));
        world.script.with(|steps| steps.plan = Ok(plan));
    });
    assert_eq!(one, err("plan: Panicked"));
    world.script.obtain(Reply::Fails(refused("refused")));
    assert_eq!(world.get("a").await, err("refused"));
    world.engine.close().await;
    assert_eq!(world.get("a").await, err("later plan: Closed"));
}
