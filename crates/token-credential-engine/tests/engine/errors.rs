//! The errors of the source pass through unchanged, in the order of the questions.

use std::error::Error as _;
use std::fmt;
use std::time::Duration;

use token_credential::{Error, ErrorKind, OAuthError, TokenRequestOptions};

use crate::script::refused;
use crate::world::{FIRST_LOOK, World, at_once, err, ok};

#[derive(Debug)]
struct Cause;

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("cause")
    }
}

impl std::error::Error for Cause {}

#[test]
fn the_first_question_that_fails_ends_a_call() {
    // Outside a runtime: none of these needs one.
    let world = World::new();
    world.store.change(|content| content.account = None);
    world.script.with(|steps| {
        steps.plan = Err(refused("plan"));
        steps.check = Err(refused("check"));
        steps.snapshot = Err(refused("snapshot"));
        steps.find = Err(refused("find"));
    });
    let get = || at_once(world.get("a"));
    assert_eq!(get(), err("plan"));
    assert_eq!(world.asked(), FIRST_LOOK[..1]);
    let plan = std::sync::Arc::new(crate::script::TestPlan("plan"));
    world.script.with(|steps| steps.plan = Ok(plan));
    assert_eq!(get(), err("check"));
    assert_eq!(world.asked(), FIRST_LOOK[..2]);
    world.script.with(|steps| steps.check = Ok(()));
    assert_eq!(get(), err("snapshot"));
    assert_eq!(world.asked(), FIRST_LOOK[..3]);
    world.script.with(|steps| steps.snapshot = Ok(()));
    assert_eq!(get(), err("no account"));
    assert_eq!(world.asked(), FIRST_LOOK[..6]);
    let account = Some("ada".to_owned());
    world.store.change(|content| content.account = account);
    assert_eq!(get(), err("find"));
    // The memo has a look, and no token to ask about.
    assert_eq!(world.asked(), [&["tick"], &FIRST_LOOK[..]].concat());
    world.script.with(|steps| steps.find = Ok(()));
    world.put("a", "cached", 3600);
    assert_eq!(get(), ok("cached"));
}

/// Returns an error with everything that one can have.
fn full(text: &str) -> Error {
    Error::new(ErrorKind::InvalidArgument, text)
        .with_source(Cause)
        .with_transient(true)
        .with_retry_after(Duration::from_secs(7))
        .with_oauth(OAuthError::new("invalid_scope"))
}

/// Asserts that this is the error of [`full`].
fn assert_full(error: &Error, text: &str) {
    assert_eq!(error.to_string(), text);
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    assert!(error.source().unwrap().is::<Cause>());
    assert!(error.is_transient());
    assert_eq!(error.retry_after(), Some(Duration::from_secs(7)));
    assert_eq!(error.oauth().unwrap().error(), "invalid_scope");
}

#[tokio::test]
async fn errors_of_every_stage_pass_through_unchanged() {
    for stage in ["plan", "check", "snapshot", "find", "obtain"] {
        let world = World::new();
        world.script.with(|steps| match stage {
            "plan" => steps.plan = Err(full(stage)),
            "check" => steps.check = Err(full(stage)),
            "snapshot" => steps.snapshot = Err(full(stage)),
            "find" => steps.find = Err(full(stage)),
            _ => (),
        });
        world
            .script
            .obtain(crate::script::Reply::Fails(full("obtain")));
        let options = TokenRequestOptions::default();
        let error = world.engine.get_token_info(&["a"], &options).await;
        assert_full(&error.unwrap_err(), stage);
        assert_eq!(world.count("error"), 0, "{stage}");
        world
            .script
            .obtain(crate::script::Reply::Fails(full("obtain")));
        let error = world.engine.get_token(&["a"], &options).await;
        assert_full(&error.unwrap_err(), stage);
    }
}

#[tokio::test]
async fn a_failure_is_not_remembered() {
    let world = World::new();
    world
        .script
        .obtain(crate::script::Reply::Fails(refused("refused")));
    assert_eq!(world.get("a").await, err("refused"));
    assert_eq!(world.get("a").await, ok("new 2"));
}
