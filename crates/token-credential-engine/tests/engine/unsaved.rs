//! A result that the store does not hold answers from memory.

use std::time::Duration;

use token_credential_engine::{Freshness, Written};
use tokio::time::sleep;

use crate::clock::at;
use crate::script::Reply;
use crate::store::token;
use crate::world::{FIRST_LOOK, HIT, World, ok};

#[tokio::test]
async fn a_result_that_was_not_stored_answers_the_next_call() {
    let world = World::new();
    world.script.write(Duration::ZERO, Written::NotStored);
    assert_eq!(world.get("a").await, ok("new 1"));
    assert_eq!(world.count("written"), 0);
    assert!(world.store.content(Freshness::Latest).tokens.is_empty());
    world.asked();
    for expected in [[["tick"].as_slice(), &FIRST_LOOK].concat(), HIT.to_vec()] {
        assert_eq!(world.get("a").await, ok("new 1"));
        assert_eq!(world.asked(), expected);
    }
}

#[tokio::test]
async fn unsaved_results_of_several_calls_add_up() {
    let world = World::new();
    for n in 1..=3 {
        world.script.write(Duration::ZERO, Written::NotStored);
        let scope = format!("scope {n}");
        assert_eq!(world.get(&scope).await, ok(&format!("new {n}")));
    }
    for n in 1..=3 {
        let scope = format!("scope {n}");
        assert_eq!(world.get(&scope).await, ok(&format!("new {n}")));
    }
    assert_eq!(world.count("obtain"), 3);
}

#[tokio::test]
async fn every_write_that_did_not_fail_is_reported() {
    for (outcome, obtains) in [
        (Written::Stored, 1),
        (Written::InPart, 1),
        (Written::SignedOut, 2),
    ] {
        let world = World::new();
        world.script.write(Duration::ZERO, outcome);
        assert_eq!(world.get("a").await, ok("new 1"));
        let last = world.asked().pop();
        assert_eq!(last, Some(format!("written({outcome:?})")));
        // Its result ends in memory after a sign-out, and is in the store else.
        let next = if obtains == 1 { "new 1" } else { "new 2" };
        assert_eq!(world.get("a").await, ok(next), "{outcome:?}");
        assert_eq!(world.count("obtain"), obtains - 1, "{outcome:?}");
    }
}

#[tokio::test]
async fn a_look_is_made_without_the_results_that_it_drops() {
    let world = World::new();
    world.script.write(Duration::ZERO, Written::NotStored);
    assert_eq!(world.get("a").await, ok("new 1"));
    world.script.with(|steps| steps.signed_out = Some("ada"));
    // The results are dropped by a look at another content, and none of them answers.
    world.put("b", "cached", 3600);
    world.asked();
    assert_eq!(world.get("b").await, ok("cached"));
    let mut expected = vec!["tick", "plan", "check", "snapshot(Recent)"];
    expected.extend(["drop_signed_out", "snapshot(Recent)"]);
    expected.extend(["drop_signed_out", "view", "subject", "find"]);
    assert_eq!(world.asked(), expected);
    // The look is of the time after the drop, and so is the memo.
    assert_eq!(world.get("b").await, ok("cached"));
    assert_eq!(world.asked(), HIT);
    assert_eq!(world.get("a").await, ok("new 2"));
}

#[tokio::test]
async fn no_token_is_found_among_dropped_results() {
    let world = World::new();
    world.script.write(Duration::ZERO, Written::NotStored);
    assert_eq!(world.get("a").await, ok("new 1"));
    world.script.with(|steps| steps.signed_out = Some("ada"));
    assert_eq!(world.get("a").await, ok("new 2"));
}

#[tokio::test]
async fn results_of_other_accounts_are_not_dropped() {
    let world = World::new();
    world.script.write(Duration::ZERO, Written::NotStored);
    assert_eq!(world.get("a").await, ok("new 1"));
    world.script.with(|steps| steps.signed_out = Some("eve"));
    assert_eq!(world.get("a").await, ok("new 1"));
}

#[tokio::test(start_paused = true)]
async fn a_result_is_found_while_and_after_it_moves_into_the_store() {
    let world = World::new();
    world.script.write(Duration::from_secs(1), Written::Stored);
    // The write is still under way when the caller has its token.
    assert_eq!(world.get("a").await, ok("new 1"));
    assert_eq!(world.count("write ends"), 0);
    world.asked();
    assert_eq!(world.get("a").await, ok("new 1"));
    assert_eq!(world.asked(), [&["tick"], &FIRST_LOOK[..]].concat());
    sleep(Duration::from_secs(2)).await;
    world.asked();
    assert_eq!(world.get("a").await, ok("new 1"));
    assert_eq!(world.count("obtain"), 0);
}

#[tokio::test]
async fn the_rest_of_a_result_in_part_stays_in_memory() {
    let world = World::new();
    world.script.write(Duration::ZERO, Written::InPart);
    world
        .script
        .obtain(Reply::Token(token("new", 3600).with_refresh_on(at(1800))));
    assert_eq!(world.get("a").await, ok("new"));
    // The token is in the store alone.
    world
        .store
        .change(|content| content.tokens = std::sync::Arc::default());
    assert_eq!(world.get("a").await, ok("new 2"));
}

#[tokio::test(start_paused = true)]
async fn a_result_that_moves_into_the_store_during_a_look_is_found() {
    let world = World::new();
    world
        .script
        .write(Duration::from_secs(3600), Written::Stored);
    assert_eq!(world.get("a").await, ok("new 1"));
    let unmoved = world.store.content(Freshness::Recent);
    assert!(unmoved.tokens.is_empty());
    // Read before the write ends, and concluded from afterwards: the result is among those from
    // before the look.
    world
        .script
        .with(|steps| steps.snapshot_takes = Duration::from_secs(7200));
    world.asked();
    assert_eq!(world.get("a").await, ok("new 1"));
    let asked = world.asked();
    let mut expected = vec!["tick", "plan", "check", "snapshot(Recent)"];
    expected.extend(["write ends(plain)", "lease ends", "written(Stored)"]);
    expected.extend(["drop_signed_out", "view", "subject", "find"]);
    assert_eq!(asked, expected);
}

#[tokio::test(start_paused = true)]
async fn a_result_that_is_kept_during_a_look_is_found() {
    let world = World::new();
    world.script.write(Duration::ZERO, Written::NotStored);
    world.script.token_after(Duration::from_secs(5), "new");
    let (one, other) = tokio::join!(world.get("a"), async {
        sleep(Duration::from_secs(4)).await;
        let takes = Duration::from_secs(2);
        world.script.with(|steps| steps.snapshot_takes = takes);
        // Another content, so that the former look does not answer.
        world.store.change(|_| ());
        world.asked();
        world.get("a").await
    });
    assert_eq!((one, other), (ok("new"), ok("new")));
    // The result was not there when the store was read.
    let mut expected = vec!["tick", "plan", "check", "snapshot(Recent)"];
    expected.extend([
        "token",
        "keep",
        "write(plain)",
        "write ends(plain)",
        "lease ends",
    ]);
    expected.extend(["drop_signed_out", "view", "subject", "find"]);
    assert_eq!(world.asked(), expected);
}

#[tokio::test(start_paused = true)]
async fn a_result_that_moves_into_the_store_while_another_is_dropped_is_found() {
    let world = World::new();
    let account = |account: &str| {
        let account = Some(account.to_owned());
        world.store.change(|content| content.account = account);
    };
    account("eve");
    world.script.write(Duration::ZERO, Written::NotStored);
    assert_eq!(world.get("a").await, ok("new 1"));
    account("ada");
    let hour = Duration::from_secs(3600);
    world.script.write(hour, Written::Stored);
    assert_eq!(world.get("a").await, ok("new 2"));
    // The store is read before the write ends, and eve's result is dropped afterwards.
    world.script.with(|steps| {
        steps.signed_out = Some("eve");
        steps.snapshot_takes = 2 * hour;
    });
    world.asked();
    assert_eq!(world.get("a").await, ok("new 2"));
    let mut expected = vec!["tick", "plan", "check", "snapshot(Recent)"];
    expected.extend(["write ends(plain)", "lease ends", "written(Stored)"]);
    expected.extend(["drop_signed_out", "snapshot(Recent)"]);
    expected.extend(["drop_signed_out", "view", "subject", "find"]);
    assert_eq!(world.asked(), expected);
}
