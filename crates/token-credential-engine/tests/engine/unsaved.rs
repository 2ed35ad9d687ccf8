//! A result that the store does not hold answers from memory.

use std::time::Duration;

use token_credential_engine::{Freshness, Written};

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
async fn results_of_accounts_that_signed_out_are_dropped_before_the_look_is_used() {
    let world = World::new();
    world.script.write(Duration::ZERO, Written::NotStored);
    assert_eq!(world.get("a").await, ok("new 1"));
    world.script.with(|steps| steps.drops_signed_out = true);
    let change = |account: &str| {
        let account = Some(account.to_owned());
        world.store.change(|content| content.account = account);
    };
    change("eve");
    world.put("a", "of ada, unused", 3600);
    world
        .store
        .put(crate::store::Key::of("eve", "a"), token("of eve", 3600));
    world.asked();
    assert_eq!(world.get("a").await, ok("of eve"));
    assert_eq!(world.asked(), [&HIT[..], &FIRST_LOOK].concat());
    // The look is of the time after the drop, and so is the memo.
    assert_eq!(world.get("a").await, ok("of eve"));
    assert_eq!(world.asked(), HIT);
    // The results of ada do not come back with her.
    change("ada");
    world
        .store
        .change(|content| content.tokens = std::sync::Arc::default());
    assert_eq!(world.get("a").await, ok("new 2"));
}

#[tokio::test]
async fn a_look_sees_no_result_that_it_has_dropped() {
    let world = World::new();
    // The account of the look is ada's, and the result is another account's.
    world
        .store
        .change(|content| content.account = Some("eve".to_owned()));
    world.script.write(Duration::ZERO, Written::NotStored);
    assert_eq!(world.get("a").await, ok("new 1"));
    world
        .store
        .change(|content| content.account = Some("ada".to_owned()));
    world.script.with(|steps| steps.drops_signed_out = true);
    let seen = world.clone();
    world.script.journal.at_next("view", move || {
        // Dropped, and the view is not yet made: eve signs in again.
        seen.store
            .change(|content| content.account = Some("eve".to_owned()));
    });
    assert_eq!(world.get("a").await, ok("new 2"));
}

#[tokio::test]
async fn a_result_that_moves_into_the_store_during_a_look_is_found() {
    let world = World::new();
    world.script.write(Duration::from_secs(1), Written::Stored);
    // The write is still under way when the caller has its token.
    assert_eq!(world.get("a").await, ok("new 1"));
    assert_eq!(world.count("write ends"), 0);
    world.asked();
    assert_eq!(world.get("a").await, ok("new 1"));
    assert_eq!(world.asked(), [&["tick"], &FIRST_LOOK[..]].concat());
    tokio::time::sleep(Duration::from_secs(2)).await;
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
