//! One request for all callers that ask for the same at the same time.

use std::sync::Arc;
use std::time::Duration;

use token_credential::TokenRequestOptions;
use tokio::task::{JoinSet, yield_now};

use crate::script::{Reply, TestPlan, refused};
use crate::world::{World, cae, claims, err, forced, ok};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn a_thousand_callers_share_one_request() {
    let world = World::new();
    world.script.token_after(SECOND, "new");
    let mut callers = JoinSet::new();
    for _ in 0..1_000 {
        let world = world.clone();
        callers.spawn(async move { world.get("a").await });
    }
    assert_eq!(callers.join_all().await, vec![ok("new"); 1_000]);
    for (function, count) in [
        ("plan", 1_000),
        ("find", 1_002),
        ("try_lease", 1),
        ("obtain", 1),
        ("keep", 1),
        ("write", 1),
    ] {
        assert_eq!(world.count(function), count, "{function}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_thousand_callers_on_several_threads_share_one_request() {
    let world = World::new();
    world.script.token_after(Duration::from_millis(300), "new");
    let mut callers = JoinSet::new();
    for _ in 0..1_000 {
        let world = world.clone();
        callers.spawn(async move { world.get("a").await });
    }
    assert_eq!(callers.join_all().await, vec![ok("new"); 1_000]);
    assert_eq!(world.count("obtain"), 1);
}

#[tokio::test(start_paused = true)]
async fn all_callers_get_the_same_error() {
    let world = World::new();
    world
        .script
        .obtain_after(SECOND, Reply::Fails(refused("refused")));
    let (one, other) = tokio::join!(world.get("a"), world.get("a"));
    assert_eq!((one, other), (err("refused"), err("refused")));
    assert_eq!(world.count("obtain"), 1);
}

#[tokio::test(start_paused = true)]
async fn order_and_case_of_scopes_make_no_other_request() {
    let world = World::new();
    world.script.token_after(SECOND, "new");
    let options = TokenRequestOptions::default();
    let (one, other) = tokio::join!(
        world.engine.get_token(&["a", "B"], &options),
        world.engine.get_token(&["b", "A", "a"], &options),
    );
    for got in [one, other] {
        assert_eq!(got.unwrap().token().expose_secret(), "new");
    }
    assert_eq!(world.count("obtain"), 1);
}

#[tokio::test(start_paused = true)]
async fn every_other_call_has_its_own_request() {
    let world = World::new();
    for n in 0..6 {
        world.script.token_after(SECOND, &format!("new {n}"));
    }
    let other_tenant = TokenRequestOptions::default().with_tenant_id("other");
    let begun = tokio::time::Instant::now();
    let got = tokio::join!(
        world.get("a"),
        world.get("b"),
        world.get_with("a", other_tenant),
        world.get_with("a", cae()),
        world.get_with("a", claims()),
        world.get_with("a", forced()),
    );
    let mut got = [got.0, got.1, got.2, got.3, got.4, got.5];
    got.sort();
    let expected: Vec<_> = (0..6).map(|n| ok(&format!("new {n}"))).collect();
    assert_eq!(got[..], expected);
    assert_eq!(world.count("obtain"), 6);
    assert_eq!(begun.elapsed(), SECOND, "none waits for another");
}

#[tokio::test(start_paused = true)]
async fn another_plan_has_its_own_request() {
    let world = World::new();
    world.script.token_after(SECOND, "first");
    world.script.token_after(SECOND, "second");
    let (one, other) = tokio::join!(world.get("a"), async {
        yield_now().await;
        let plan = Arc::new(TestPlan("plan"));
        world.script.with(|steps| steps.plan = Ok(plan));
        world.get("a").await
    });
    assert_eq!((one, other), (ok("first"), ok("second")));
}

#[tokio::test(start_paused = true)]
async fn another_account_has_its_own_request() {
    let world = World::new();
    world.script.token_after(SECOND, "of ada");
    world.script.token_after(SECOND, "of eve");
    let (one, other) = tokio::join!(world.get("a"), async {
        yield_now().await;
        let account = Some("eve".to_owned());
        world.store.change(|content| content.account = account);
        world.get("a").await
    });
    assert_eq!((one, other), (ok("of ada"), ok("of eve")));
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_is_dropped_takes_nothing_with_it() {
    let world = World::new();
    world.script.token_after(SECOND, "new");
    let first = world.clone();
    let first = tokio::spawn(async move { first.get("a").await });
    tokio::time::sleep(SECOND / 4).await;
    let second = world.clone();
    let second = tokio::spawn(async move { second.get("a").await });
    tokio::time::sleep(SECOND / 4).await;
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    assert_eq!(second.await.unwrap(), ok("new"));
    assert_eq!(world.count("obtain"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_request_without_callers_goes_on_and_its_token_is_stored() {
    let world = World::new();
    world.script.token_after(SECOND, "new");
    let only = tokio::time::timeout(SECOND / 2, world.get("a")).await;
    assert!(only.is_err());
    assert_eq!(world.count("written"), 0);
    tokio::time::sleep(SECOND).await;
    assert_eq!(world.count("written"), 1);
    assert_eq!(world.get("a").await, ok("new"));
    assert_eq!(world.count("obtain"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_call_after_a_flight_begins_another() {
    let world = World::new();
    world.script.obtain(Reply::Fails(refused("first")));
    world.script.obtain(Reply::Fails(refused("second")));
    assert_eq!(world.get("a").await, err("first"));
    assert_eq!(world.get("a").await, err("second"));
    assert_eq!(world.count("obtain"), 2);
}
