//! The log capture must catch what it is there for. Each way for a secret to get into a line has a
//! test; they run one at a time, for a capture sees the lines of all threads.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test that fails here should fail loudly"
)]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use test_support::logs;

static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// The text of the panic when the log is examined after `write`.
fn verdict(write: impl FnOnce()) -> Option<String> {
    let _turn = ONE_AT_A_TIME.lock().unwrap();
    let capture = logs::capture();
    write();
    let panic = catch_unwind(AssertUnwindSafe(|| capture.assert_clean())).err()?;
    let constant = || panic.downcast_ref::<&str>().map(ToString::to_string);
    Some(panic.downcast_ref().cloned().or_else(constant).unwrap())
}

/// What is written is found, and what is said about it names target and canary and nothing more.
fn assert_caught(target: &str, write: impl FnOnce(&str)) {
    let secret = logs::canary("planted");
    let said = verdict(|| write(&secret)).expect("the leak is caught");
    assert_eq!(
        said,
        format!("secrets in the log: target {target} shows planted (1 times)")
    );
    assert_eq!(logs::leaks_in(&said), [""; 0]);
}

#[test]
fn in_a_message() {
    assert_caught(module_path!(), |secret| tracing::info!("got {secret}"));
}

#[test]
fn in_a_field_at_the_quietest_level() {
    assert_caught("wire", |secret| {
        tracing::trace!(target: "wire", authorization = secret, "sending");
    });
}

#[test]
fn in_a_debug_field() {
    assert_caught(module_path!(), |secret| {
        tracing::debug!(form = ?vec![("refresh_token", secret)], "sending");
    });
}

#[test]
fn in_an_error_field() {
    assert_caught(module_path!(), |secret| {
        let error = std::io::Error::other(secret.to_owned());
        tracing::warn!(error = &error as &dyn std::error::Error, "failed");
    });
}

#[test]
fn in_a_span_that_no_event_is_written_in() {
    assert_caught(module_path!(), |secret| {
        drop(tracing::trace_span!("call", token = secret));
    });
}

#[test]
fn in_a_field_that_a_span_gets_later() {
    assert_caught(module_path!(), |secret| {
        let span = tracing::info_span!("call", token = tracing::field::Empty);
        span.record("token", secret);
    });
}

#[test]
fn through_the_log_crate() {
    assert_caught(
        "other",
        |secret| log::trace!(target: "other", "got {secret}"),
    );
}

#[test]
fn in_base64() {
    assert_caught(module_path!(), |secret| {
        let header = STANDARD.encode(format!("user:{secret}"));
        tracing::info!("authorization: Basic {header}");
    });
}

#[test]
fn on_another_thread() {
    assert_caught(module_path!(), |secret| {
        std::thread::scope(|scope| {
            scope.spawn(|| tracing::info!(secret));
        });
    });
}

#[test]
fn a_watch_finds_it_when_it_ends() {
    let _turn = ONE_AT_A_TIME.lock().unwrap();
    let secret = logs::canary("watched");
    let watch = logs::Watch::new();
    tracing::debug!("{secret}");
    let panic = catch_unwind(AssertUnwindSafe(|| drop(watch)));
    assert!(panic.is_err());
    drop(logs::Watch::new());
}

#[test]
fn before_the_capture_is_somebody_elses() {
    let secret = logs::canary("planted before");
    assert!(verdict(|| tracing::info!("{secret}")).is_some());
    assert_eq!(verdict(|| tracing::info!("harmless")), None);
}

#[test]
fn an_empty_capture_is_no_proof() {
    let said = verdict(|| {}).expect("nothing was checked");
    assert!(said.contains("nothing was checked"));
}
