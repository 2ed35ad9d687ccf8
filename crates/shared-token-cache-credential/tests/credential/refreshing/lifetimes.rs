//! When a token is due, by its lifetime and by what the server says.

use std::time::Duration;

use shared_token_cache_credential::{AccessTokenInfo, TokenRequestOptions};
use token_credential::Clock;

use super::super::{ARM, NOW, Stage, ask, ask_with, at, at_once, challenge};
use super::scripted::{Scripted, issued};
use super::{WINDOW, builder, settle, until};

/// Moves the clock to each of these seconds after the start and asks; after each, how many requests
/// there were in all, and whether the last one was answered by the call itself.
async fn refreshes_at(
    options: &TokenRequestOptions,
    expires_in: u64,
    refresh_in: Option<u64>,
    steps: &[(u64, usize)],
) -> AccessTokenInfo {
    let stage = Stage::new();
    let answer = move |number| issued(number, expires_in, refresh_in);
    let endpoint = Scripted::new(&stage, answer);
    let asked = endpoint.asked();
    let credential = builder(&stage, &stage.cache(), endpoint).build().unwrap();
    let first = ask_with(&credential, options).await.unwrap();
    // Its write, too.
    settle().await;
    for (second, requests) in steps {
        stage.clock.set(NOW + second);
        let token = at_once(credential.get_token(&[ARM], options)).unwrap();
        assert_eq!(token.token().expose_secret(), "token-1", "{second}");
        if *requests > 1 {
            until(|| asked().len() > 1).await;
        }
        settle().await;
        assert_eq!(asked().len(), *requests, "{second}");
    }
    first
}

#[tokio::test]
async fn a_long_lived_token_is_refreshed_when_the_server_says() {
    let options = TokenRequestOptions::default().with_enable_cae(true);
    let (life, half) = (28 * 3600, 14 * 3600);
    let steps = [(1, 1), (half - 1, 1), (half + WINDOW, 2)];
    let token = refreshes_at(&options, life, Some(half), &steps).await;
    assert_eq!(token.expires_on(), at(NOW + life));
    assert_eq!(token.refresh_on(), Some(at(NOW + half)));
}

#[tokio::test]
async fn from_two_hours_on_a_token_is_refreshed_at_half_its_life() {
    let options = TokenRequestOptions::default();
    let steps = [(3_599, 1), (3_600 + WINDOW, 2)];
    let token = refreshes_at(&options, 7_200, None, &steps).await;
    assert_eq!(token.refresh_on(), Some(at(NOW + 3_600)));
    let steps = [(3_599, 1), (3_600 + WINDOW, 1), (6_898, 1)];
    let token = refreshes_at(&options, 7_199, None, &steps).await;
    assert_eq!(token.refresh_on(), None);
}

/// A server whose tokens are never good for five minutes is not asked at every call.
#[tokio::test]
async fn a_server_of_short_tokens_is_asked_twice_a_minute() {
    for refresh_in in [None, Some(10)] {
        let stage = Stage::new();
        let endpoint = Scripted::new(&stage, move |number| issued(number, 200, refresh_in));
        let asked = endpoint.asked();
        let credential = builder(&stage, &stage.cache(), endpoint).build().unwrap();
        for _ in 0..10_000 {
            let token = ask(&credential).await.unwrap();
            assert!(token.expires_on() >= stage.clock.now() + Duration::from_secs(30));
            stage.clock.advance(Duration::from_millis(6));
            // To what is done in the background, if anything is.
            tokio::task::yield_now().await;
        }
        settle().await;
        let asked = asked();
        assert!((2..=3).contains(&asked.len()), "{asked:?}");
        // A challenge and force still reach it.
        let forced = TokenRequestOptions::default().with_force_refresh(true);
        for (n, options) in [challenge(), forced].iter().enumerate() {
            let token = ask_with(&credential, options).await.unwrap();
            let name = format!("token-{}", asked.len() + n + 1);
            assert_eq!(token.token().expose_secret(), name);
        }
    }
}
