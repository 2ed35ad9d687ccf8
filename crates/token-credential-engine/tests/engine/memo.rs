//! A hit is memoized: an identical call asks for the tick and for changes, and nothing else.

use std::sync::Arc;
use std::time::Duration;

use token_credential::TokenRequestOptions;
use token_credential_engine::{EngineClock, Written};

use crate::clock::at;
use crate::script::TestPlan;
use crate::store::{Key, token};
use crate::world::{FIRST_LOOK, HIT, LOOK_AGAIN, World, cae, claims, forced, ok};

/// Returns the lines of several lists in one.
fn all(parts: &[&[&'static str]]) -> Vec<&'static str> {
    parts.concat()
}

/// Makes a world in which scope "a" is memoized.
async fn memoized() -> World {
    let world = World::new();
    world.put("a", "cached", 3600);
    assert_eq!(world.get("a").await, ok("cached"));
    assert_eq!(world.asked(), FIRST_LOOK);
    assert_eq!(world.get("a").await, ok("cached"));
    assert_eq!(world.asked(), HIT);
    world
}

#[tokio::test]
async fn an_identical_call_asks_for_the_tick_and_for_changes_only() {
    let world = memoized().await;
    for _ in 0..1_000 {
        world.get("a").await.unwrap();
    }
    assert_eq!(world.asked(), HIT.repeat(1_000));
    // The other function of the engine, and a clone of it, share the memo.
    let options = TokenRequestOptions::default();
    let engine = world.engine.clone();
    let got = engine.get_token(&["a"], &options).await.unwrap();
    assert_eq!(got.token().expose_secret(), "cached");
    assert_eq!(got.expires_on(), at(3600));
    assert_eq!(world.asked(), HIT);
}

#[tokio::test]
async fn a_store_without_ticks_is_asked_at_every_hit() {
    let world = memoized().await;
    world.script.with(|steps| steps.tick = None);
    for _ in 0..2 {
        assert_eq!(world.get("a").await, ok("cached"));
        assert_eq!(world.asked(), HIT);
    }
}

#[tokio::test]
async fn with_the_clock_of_the_machine_a_hit_is_memoized_in_and_after_a_tick() {
    let world = World::with(|settings| settings.clock = EngineClock::new(None));
    world.put("a", "cached", 5_000_000_000);
    world.get("a").await.unwrap();
    world.asked();
    for tick in [Some(1), Some(1), Some(2), None, Some(u64::MAX)] {
        world.script.with(|steps| steps.tick = tick);
        assert_eq!(world.get("a").await, ok("cached"));
        assert_eq!(world.asked(), HIT, "{tick:?}");
    }
}

#[tokio::test]
async fn a_changed_store_ends_the_memo() {
    let world = memoized().await;
    world.put("a", "changed", 3600);
    assert_eq!(world.get("a").await, ok("changed"));
    assert_eq!(world.asked(), all(&[&HIT, &FIRST_LOOK]));
    assert_eq!(world.get("a").await, ok("changed"));
    assert_eq!(world.asked(), HIT);
}

#[tokio::test]
async fn another_plan_ends_the_memo() {
    let world = memoized().await;
    // Equal to the former one in all but its address.
    let plan = Arc::new(TestPlan("plan"));
    world.script.with(|steps| steps.plan = Ok(plan));
    assert_eq!(world.get("a").await, ok("cached"));
    assert_eq!(world.asked(), all(&[&HIT, &FIRST_LOOK]));
    assert_eq!(world.get("a").await, ok("cached"));
    assert_eq!(world.asked(), HIT);
}

#[tokio::test]
async fn a_changed_unsaved_result_ends_the_memo() {
    let world = memoized().await;
    world.script.write(Duration::ZERO, Written::NotStored);
    assert_eq!(world.get("b").await, ok("new 1"));
    world.asked();
    assert_eq!(world.get("a").await, ok("cached"));
    // The store is as before: the engine has no need to ask about it.
    assert_eq!(world.asked(), all(&[&["tick"], &FIRST_LOOK]));
    assert_eq!(world.get("a").await, ok("cached"));
    assert_eq!(world.asked(), HIT);
}

#[tokio::test]
async fn a_clock_that_was_set_back_ends_the_memo() {
    let world = World::new();
    world.clock.set(10);
    world.put("a", "cached", 3600);
    world.get("a").await.unwrap();
    world.asked();
    world.clock.set(9);
    assert_eq!(world.get("a").await, ok("cached"));
    // The conclusions from the store are still valid.
    assert_eq!(world.asked(), all(&[&["tick"], &LOOK_AGAIN]));
    assert_eq!(world.get("a").await, ok("cached"));
    assert_eq!(world.asked(), HIT);
}

#[tokio::test]
async fn a_token_that_becomes_too_old_is_memoized_up_to_the_second() {
    let world = memoized().await;
    world.clock.set(3299);
    assert_eq!(world.get("a").await, ok("cached"));
    assert_eq!(world.asked(), HIT);
    world.clock.set(3300);
    world.script.token_after(Duration::ZERO, "new");
    assert_eq!(world.get("a").await, ok("new"));
    assert_eq!(world.asked()[..6], all(&[&["tick"], &LOOK_AGAIN]));
}

#[tokio::test]
async fn a_token_that_becomes_due_is_not_memoized() {
    let world = World::new();
    let due = token("cached", 3600).with_refresh_on(at(1800));
    world.store.put(Key::of("ada", "a"), due);
    world.get("a").await.unwrap();
    world.asked();
    // This process refreshes at its own point between 1800 and 2100.
    world.clock.set(1799);
    assert_eq!(world.get("a").await, ok("cached"));
    assert_eq!(world.asked(), HIT);
    world.clock.set(2101);
    for _ in 0..2 {
        assert_eq!(world.get("a").await, ok("cached"));
        assert_eq!(world.asked()[..6], all(&[&["tick"], &LOOK_AGAIN]));
    }
}

#[tokio::test]
async fn scopes_and_tenants_have_their_own_entries() {
    let world = memoized().await;
    let tenant = |tenant: &str| TokenRequestOptions::default().with_tenant_id(tenant);
    let mut other = Key::of("ada", "a");
    other.tenant = "other".to_owned();
    world.store.put(other, token("other tenant", 3600));
    world.put("b", "other scope", 3600);
    for _ in 0..2 {
        assert_eq!(world.get("a").await, ok("cached"));
        assert_eq!(world.get("b").await, ok("other scope"));
        let other = world.get_with("a", tenant("other")).await;
        assert_eq!(other, ok("other tenant"));
        // The same tenant, and another text.
        assert_eq!(world.get_with("a", tenant("home")).await, ok("cached"));
    }
    // The first round looks, and the second one is memoized.
    let lines = HIT.len() + FIRST_LOOK.len() + 3 * (1 + LOOK_AGAIN.len());
    let asked = world.asked();
    assert_eq!(asked.len(), lines + 4 * HIT.len());
    assert_eq!(asked[lines..], HIT.repeat(4));
}

#[tokio::test]
async fn the_33rd_entry_pushes_out_the_oldest() {
    let world = World::new();
    let scopes: Vec<_> = (0..33).map(|n| format!("scope {n}")).collect();
    for scope in &scopes {
        world.put(scope, scope, 3600);
    }
    for scope in &scopes[..32] {
        world.get(scope).await.unwrap();
    }
    world.asked();
    for scope in &scopes[..32] {
        assert_eq!(world.get(scope).await, ok(scope));
    }
    assert_eq!(world.asked(), HIT.repeat(32));
    world.get(&scopes[32]).await.unwrap();
    world.asked();
    for scope in &scopes[1..] {
        assert_eq!(world.get(scope).await, ok(scope));
    }
    assert_eq!(world.asked(), HIT.repeat(32));
    assert_eq!(world.get(&scopes[0]).await, ok(&scopes[0]));
    assert_eq!(world.asked(), all(&[&["tick"], &LOOK_AGAIN]));
}

#[tokio::test]
async fn claims_and_forced_calls_do_not_use_the_memo() {
    let world = memoized().await;
    for (options, text) in [(claims(), "new 1"), (forced(), "new 2")] {
        assert_eq!(world.get_with("a", options).await, ok(text));
        let asked = world.asked();
        assert_eq!(asked[0], "plan");
        let of_memo = |line: &&String| HIT.contains(&line.as_str());
        assert_eq!(asked.iter().filter(of_memo).count(), 0);
    }
}

#[tokio::test]
async fn callers_with_continuous_access_evaluation_have_their_own_memo() {
    let world = World::with_two_stores();
    world.put("a", "plain", 3600);
    let cached = token("cae", 3600);
    world.cae_store.put(Key::of("ada", "a"), cached);
    assert_eq!(world.get("a").await, ok("plain"));
    assert_eq!(world.get_with("a", cae()).await, ok("cae"));
    assert_eq!(world.asked(), all(&[&FIRST_LOOK, &FIRST_LOOK]));
    assert_eq!(world.get("a").await, ok("plain"));
    assert_eq!(world.get_with("a", cae()).await, ok("cae"));
    assert_eq!(world.asked(), HIT.repeat(2));
    // A change of one store does not end the memo of the other.
    world.put("a", "changed", 3600);
    assert_eq!(world.get_with("a", cae()).await, ok("cae"));
    assert_eq!(world.asked(), HIT);
}

#[tokio::test]
async fn a_look_during_which_the_store_changes_is_not_memoized() {
    let world = World::new();
    world.put("a", "cached", 3600);
    let changing = world.clone();
    // Between the look and its answer another caller sees a new version.
    world.script.journal.at_next("find", move || {
        changing.put("a", "changed", 3600);
        assert_eq!(crate::world::at_once(changing.get("a")), ok("changed"));
    });
    assert_eq!(world.get("a").await, ok("cached"));
    world.asked();
    assert_eq!(world.get("a").await, ok("changed"));
    assert_eq!(world.asked(), HIT);
}
