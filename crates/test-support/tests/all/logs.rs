//! The log capture where nothing leaks; where something does is `planted_leaks.rs`, for all tests
//! of a process see all its lines.

use test_support::logs;

use crate::client::Fixture;

#[tokio::test]
async fn a_redemption_leaves_a_clean_log_of_every_layer() {
    let capture = logs::capture();
    let f = Fixture::new();
    assert_eq!(f.redeem().await.status, 200);
    capture.assert_clean();

    let lines = capture.lines();
    for layer in ["hyper_util", "rustls"] {
        assert!(
            lines.iter().any(|line| line.target.starts_with(layer)),
            "no line of {layer}"
        );
    }
    assert!(lines.iter().any(|line| line.level == tracing::Level::TRACE));
}

#[test]
fn lines_hold_message_and_fields() {
    let capture = logs::capture();
    let mark = "a line to be found";
    tracing::info!(count = 3, name = %"x", "{mark}");
    let lines = capture.lines();
    let line = lines.iter().find(|line| line.text.contains(mark)).unwrap();
    assert_eq!(line.text, "a line to be found count=3 name=x");
    assert_eq!(line.level, tracing::Level::INFO);
    assert_eq!(line.target, module_path!());
}

#[tokio::test]
async fn every_token_that_is_issued_is_a_canary() {
    let f = Fixture::new();
    let answer = f.redeem().await.json();
    for name in ["access_token", "refresh_token", "id_token", "client_info"] {
        let secret = answer[name].as_str().unwrap();
        assert_eq!(logs::leaks_in(&format!("got {secret}!")), [name]);
    }
    let id_token = answer["id_token"].as_str().unwrap();
    let claims = id_token.split('.').nth(1).unwrap();
    assert_eq!(logs::leaks_in(claims), ["id_token"], "its claims alone");
    assert_eq!(logs::leaks_in(&f.refresh_token), ["refresh_token"]);
    let cut = &answer["access_token"].as_str().unwrap()[..20];
    assert_eq!(logs::leaks_in(cut), ["part of a canary"]);
}

#[test]
fn secrets_of_others_can_be_looked_for() {
    let secret = "a/secret+text/that+came/from+elsewhere";
    logs::remember("foreign", secret);
    logs::remember("foreign", secret);
    let encoded: String = form_urlencoded::byte_serialize(secret.as_bytes()).collect();
    assert_ne!(encoded, secret);
    assert_eq!(logs::leaks_in(&encoded), ["foreign"]);
    assert_eq!(
        logs::leaks_in(&format!("{:?}", secret.as_bytes())),
        ["foreign"]
    );
    assert_eq!(logs::leaks_in("a/secret"), [""; 0]);
}

#[test]
#[should_panic(expected = "too short")]
fn a_short_secret_cannot_be_looked_for() {
    logs::remember("short", "hunter2");
}

#[test]
fn canaries_are_unique_and_as_long_as_wanted() {
    let (one, two) = (logs::canary("one"), logs::canary("two"));
    assert_ne!(one, two);
    assert_eq!(logs::canary_of_length("long", 1_750).len(), 1_750);
    assert_eq!(logs::leaks_in(&format!("{two}{one}")), ["one", "two"]);
    assert_eq!(logs::leaks_in("nothing to see"), [""; 0]);
}
