//! Texts of servers and of the cache: whatever they hold, errors and logs stay short, and show what
//! they say.

use serde_json::json;
use shared_token_cache_credential::{Error, ErrorKind};
use test_support::{CacheBuilder, EntraError, FakeAccount, Reply, logs};

use super::{CLI, HOST, Stage, ask, holding, text};

/// Reorders, hides and breaks lines.
const HOSTILE: &str =
    "a\u{202E}b\u{2066}c\u{200B}d\u{FEFF}e\u{E0041}f\u{2028}g\r\nh\u{1B}[2Ji\u{AD}j";

fn is_shown_as_it_is(c: char) -> bool {
    !c.is_control()
        && !matches!(
            c,
            '\u{AD}' | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}'
                | '\u{FEFF}' | '\u{E0000}'..='\u{E0FFF}'
        )
}

/// The error's texts, and our lines that the test logged.
#[track_caller]
fn assert_clean(stage: &Stage, error: &Error) -> String {
    let shown = text(error);
    let oauth = format!("{:?}", error.oauth());
    for text in [&shown, &oauth, &format!("{error:?}")] {
        assert!(text.chars().all(is_shown_as_it_is), "{text:?}");
    }
    for line in stage.watch.lines() {
        let is_ours = ["msal_token_cache", "shared_token_cache_credential"]
            .iter()
            .any(|ours| line.target.starts_with(ours));
        let is_clean = line.text.chars().all(is_shown_as_it_is);
        assert!(!is_ours || is_clean, "{}: {:?}", line.target, line.text);
    }
    shown
}

#[tokio::test]
async fn no_text_of_a_server_hides_or_reorders() {
    let stage = Stage::new();
    let mut reply = Reply::error(EntraError::Revoked);
    for name in [
        "error",
        "suberror",
        "error_description",
        "trace_id",
        "correlation_id",
    ] {
        reply = reply.with(name, json!(HOSTILE));
    }
    stage.entra.push(reply);
    let error = ask(&stage.credential(holding(&stage.cache()))).await;
    let shown = assert_clean(&stage, &error.unwrap_err());
    assert!(shown.contains("a b c d e f g h [2Ji j"), "{shown}");
}

#[tokio::test]
async fn no_text_of_the_cache_hides_or_reorders() {
    let stage = Stage::new();
    let eve = FakeAccount::new("eve@contoso.example");
    let secret = |name: &str| logs::canary(name);
    // A name and a tenant; an application of such a name is never asked for.
    let one = CacheBuilder::new()
        .account(&stage.ada, HOST, &stage.ada.utid)
        .with("username", json!(HOSTILE))
        .refresh_token(&stage.ada, HOST, CLI, &secret("one"), None);
    let mut elsewhere = eve.clone();
    elsewhere.utid = HOSTILE.replace('.', "");
    let several = one.clone().signed_in(&elsewhere, HOST, CLI, &secret("two"));

    let error = ask(&stage.credential(holding(&several))).await.unwrap_err();
    let shown = assert_clean(&stage, &error);
    assert!(shown.starts_with("several accounts"), "{shown}");
    assert!(shown.contains("a b c d e f g h [2Ji j (tenant"), "{shown}");

    // What is remembered is told in a log line.
    stage.entra.push(Reply::error(EntraError::Revoked));
    let credential = stage.credential(holding(&one));
    for _ in 0..2 {
        let error = ask(&credential).await.unwrap_err();
        let shown = assert_clean(&stage, &error);
        assert!(shown.contains("as a b c d e f g h [2Ji j with"), "{shown}");
    }
    assert_eq!(stage.entra.request_count(), 1);
}

#[tokio::test]
async fn no_text_of_a_program_hides_or_reorders() {
    let stage = Stage::new();
    let builder = stage.builder().username(HOSTILE);
    let cache = msal_token_cache::TokenCache::new(holding(&stage.cache()));
    let error = ask(&builder.token_cache(cache).build().unwrap()).await;
    let shown = assert_clean(&stage, &error.unwrap_err());
    assert!(shown.contains("matches username a b c"), "{shown}");
    for error in [
        stage.builder().authority(HOSTILE).build().unwrap_err(),
        stage.builder().tenant_id(HOSTILE).build().unwrap_err(),
    ] {
        assert_clean(&stage, &error);
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    }
}

#[tokio::test]
async fn of_three_thousand_accounts_ten_are_listed() {
    let stage = Stage::new();
    let long = "x".repeat(2_000);
    let cache = (0..3_000).fold(CacheBuilder::new(), |cache, n| {
        let account = FakeAccount::new(&format!("{n}{long}@{n}.example"));
        cache.signed_in(&account, HOST, CLI, &logs::canary("refresh token"))
    });
    let error = ask(&stage.credential(holding(&cache))).await.unwrap_err();
    let shown = text(&error);
    assert!(shown.contains(" and 2990 more; say which"), "{shown}");
    assert!(shown.len() < 4_000, "{}", shown.len());
}
