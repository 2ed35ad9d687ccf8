//! What can go wrong on a desktop: each time a typed error soon, and afterwards a token.

use std::time::{Duration, Instant};

use shared_token_cache_credential::{AccessToken, ErrorKind, Result, SharedTokenCacheCredential};

use super::{ARM, Stage, ask, failed_soon};

const CYCLES: usize = 100;
/// What every error begins with.
const READING: &str = "the token cache cannot be used: msal.cache.nocae in the Secret Service \
                       cannot be read:";
/// Longer than a service that did not answer is left alone.
const REST: Duration = Duration::from_millis(1100);

/// Asks for a token with the service in disorder, so many times: each time an error that says
/// this. In between the service works, and there is a token.
struct Cycles<'s> {
    stage: &'s Stage,
    credential: SharedTokenCacheCredential,
    /// What the error says behind that.
    says: &'static str,
}

impl Cycles<'_> {
    async fn expect_failure(&self) {
        self.stage.desktop.touch();
        let since = Instant::now();
        self.is_as_expected(ask(&self.credential, ARM).await, since);
    }

    #[track_caller]
    fn is_as_expected(&self, result: Result<AccessToken>, since: Instant) {
        let error = failed_soon(result, since);
        assert_eq!(error.kind(), ErrorKind::CredentialUnavailable, "{error}");
        let text = error.to_string();
        assert_eq!(text, format!("{READING} {}", self.says));
    }

    async fn expect_token(&self) {
        self.stage.desktop.touch();
        let token = ask(&self.credential, ARM).await.unwrap();
        assert!(!token.token().expose_secret().is_empty());
    }
}

/// A stage with the cache in the keyring, and a credential that uses it.
async fn signed_in() -> Stage {
    let stage = Stage::new().await;
    let content = stage.cache_of(&stage.ada);
    stage.desktop.put(&content, &[]).await;
    stage
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_bus() {
    let stage = signed_in().await;
    let cycles = Cycles {
        credential: stage.credential(stage.store()),
        stage: &stage,
        says: "no D-Bus session answers; run this in the user's session, where \
               DBUS_SESSION_BUS_ADDRESS is set",
    };
    // Of a store that was there before, nobody is told to do without.
    cycles.expect_token().await;
    let mut slowest = Duration::ZERO;
    for _ in 0..CYCLES {
        stage.desktop.hide_bus();
        let since = Instant::now();
        cycles.expect_failure().await;
        slowest = slowest.max(since.elapsed());
        stage.desktop.show_bus();
        cycles.expect_token().await;
    }
    assert!(slowest < Duration::from_secs(1), "{slowest:?}");
    assert_eq!(stage.entra.request_count(), 0);
    stage.log.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_service() {
    let mut stage = signed_in().await;
    let credential = stage.credential(stage.store());
    stage.desktop.kill_keyring();
    let cycles = Cycles {
        credential,
        stage: &stage,
        says: "no Secret Service runs in this D-Bus session; start one, as gnome-keyring is, or \
               allow plain text with \
               TokenCachePersistenceOptions::with_allow_unencrypted_storage",
    };
    cycles.expect_failure().await;
    let credential = cycles.credential.clone();
    restart(&mut stage, &credential).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_locked_keyring_nobody_is_asked() {
    let stage = signed_in().await;
    let cycles = Cycles {
        credential: stage.credential(stage.store()),
        stage: &stage,
        says: "the keyring is locked; unlock it, by signing in to the desktop or with Seahorse",
    };
    for _ in 0..CYCLES {
        stage.desktop.lock().await;
        cycles.expect_failure().await;
        assert!(stage.desktop.is_locked().await);
        stage.desktop.unlock().await;
        cycles.expect_token().await;
    }
    stage.log.assert_clean();
}

/// Nobody can be asked on this desktop, which is as if the user declined.
#[tokio::test(flavor = "multi_thread")]
async fn with_a_dismissed_prompt() {
    let stage = signed_in().await;
    let store = stage.store().with_unlock_prompt(Duration::from_secs(3));
    let cycles = Cycles {
        credential: stage.credential(store),
        stage: &stage,
        says: "the request to unlock the keyring was dismissed; unlock it, by signing in to the \
               desktop or with Seahorse",
    };
    for _ in 0..CYCLES {
        stage.desktop.lock().await;
        cycles.expect_failure().await;
        stage.desktop.unlock().await;
        cycles.expect_token().await;
    }
    stage.log.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_prompt_that_nobody_answers() {
    let stage = signed_in().await;
    let _prompter = stage.desktop.start_silent_prompter().await;
    let store = stage.store().with_unlock_prompt(Duration::from_secs(3));
    let cycles = Cycles {
        credential: stage.credential(store),
        stage: &stage,
        says: "the request to unlock the keyring was not answered within 3s; unlock it, by signing \
               in to the desktop or with Seahorse",
    };
    for _ in 0..10 {
        stage.desktop.lock().await;
        cycles.expect_failure().await;
        stage.desktop.unlock().await;
        tokio::time::sleep(REST).await;
        cycles.expect_token().await;
    }
    stage.log.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_keyring_that_is_killed_in_the_middle_of_a_call() {
    let mut stage = signed_in().await;
    let credential = stage.credential(stage.store());
    let mut ended = 0;
    for _ in 0..CYCLES {
        // Stopped first, so that the call is under way when its time has come.
        stage.desktop.stop_keyring();
        let since = Instant::now();
        let asking = start_to_ask(&stage, &credential);
        tokio::time::sleep(Duration::from_millis(150)).await;
        assert!(!asking.is_finished());
        stage.desktop.kill_keyring();
        let error = failed_soon(asking.await.unwrap(), since);
        assert_eq!(error.kind(), ErrorKind::CredentialUnavailable, "{error}");
        let text = error.to_string();
        ended += usize::from(text.contains("ended before it had answered; try again"));
        restart(&mut stage, &credential).await;
    }
    // On a busy machine the call may come too late.
    assert!(ended > CYCLES / 2, "{ended}");
    stage.log.assert_clean();
}

/// At whatever moment it is killed, there is a token or an error of ours.
#[tokio::test(flavor = "multi_thread")]
async fn with_a_keyring_that_is_killed_at_some_moment() {
    let mut stage = signed_in().await;
    let credential = stage.credential(stage.store());
    let (mut tokens, mut errors) = (0, 0);
    for cycle in 0..40 {
        let since = Instant::now();
        let asking = start_to_ask(&stage, &credential);
        tokio::time::sleep(Duration::from_millis(cycle * 5)).await;
        stage.desktop.kill_keyring();
        match asking.await.unwrap() {
            Ok(_) => tokens += 1,
            failed => {
                let error = failed_soon(failed, since);
                assert_eq!(error.kind(), ErrorKind::CredentialUnavailable, "{error}");
                errors += 1;
            }
        }
        restart(&mut stage, &credential).await;
    }
    assert!(tokens > 0 && errors > 0, "{tokens} tokens, {errors} errors");
}

/// Asks for a token when the store seems to have changed.
fn start_to_ask(
    stage: &Stage,
    credential: &SharedTokenCacheCredential,
) -> tokio::task::JoinHandle<Result<AccessToken>> {
    stage.desktop.touch();
    let credential = credential.clone();
    tokio::spawn(async move { ask(&credential, ARM).await })
}

/// Starts the keyring again, and the credential works.
async fn restart(stage: &mut Stage, credential: &SharedTokenCacheCredential) {
    stage.desktop.restart_keyring().await;
    stage.desktop.touch();
    ask(credential, ARM).await.unwrap();
}

/// Many callers at the moment when the service does not answer wait for it once, not each in turn.
#[tokio::test(flavor = "multi_thread")]
async fn with_a_keyring_that_does_not_answer_all_callers_fail_together() {
    let stage = signed_in().await;
    let cycles = Cycles {
        credential: stage.credential(stage.store()),
        stage: &stage,
        says: "the Secret Service did not answer within 3s; if that goes on, restart it",
    };
    cycles.expect_token().await;
    stage.desktop.stop_keyring();
    stage.desktop.touch();
    let since = Instant::now();
    let askers: Vec<_> = (0..50)
        .map(|_| {
            let credential = cycles.credential.clone();
            tokio::spawn(async move { ask(&credential, ARM).await })
        })
        .collect();
    for asker in askers {
        cycles.is_as_expected(asker.await.unwrap(), since);
    }
    stage.desktop.continue_keyring();
    tokio::time::sleep(REST).await;
    cycles.expect_token().await;
    stage.log.assert_clean();
}

/// The cached token of a view that needs no look at the store is there whatever the service does.
#[tokio::test(flavor = "multi_thread")]
async fn a_hit_asks_nobody() {
    let mut stage = signed_in().await;
    stage.desktop.touch();
    let credential = stage.credential(stage.store());
    ask(&credential, ARM).await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    ask(&credential, ARM).await.unwrap();
    stage.desktop.kill_keyring();
    for _ in 0..1_000 {
        ask(&credential, ARM).await.unwrap();
    }
    stage.desktop.restart_keyring().await;
}
