use msal_token_cache::RedeemedToken;
use std::time::Duration;
use test_support::{CacheBuilder, FakeAccount};

use super::*;
use crate::fixtures::{ARM, CLOUD, NOW, at, redemption, refresh_tokens};

const VAULT: &str = "https://vault.azure.net/.default";

/// Refresh tokens of Ada under `a` and `b` and of Bob under `a`, each named so.
fn tokens() -> [RedeemedToken; 3] {
    let [ada, bob] = ["ada@contoso.example", "bob@contoso.example"].map(FakeAccount::new);
    let cache = CacheBuilder::new()
        .refresh_token(&ada, CLOUD, "a", "ada a", None)
        .refresh_token(&ada, CLOUD, "b", "ada b", None)
        .refresh_token(&bob, CLOUD, "a", "bob a", None);
    refresh_tokens(&cache).try_into().unwrap()
}

fn kept(overlay: &Overlay, token: &RedeemedToken) -> Vec<String> {
    let kept = overlay.kept();
    let kept = kept.unsaved().iter().map(|kept| &kept.redemption);
    kept.filter(|kept| kept.redeemed().home_account_id() == token.home_account_id())
        .map(|kept| kept.access_token().expose_secret().to_owned())
        .collect()
}

#[test]
fn a_redemption_takes_the_place_of_those_that_it_replaces() {
    let [ada_a, ada_b, bob_a] = tokens();
    let overlay = Overlay::default();
    for (token, target, secret) in [
        (&ada_a, ARM, "1"),
        (&ada_b, ARM, "2"),
        (&bob_a, ARM, "3"),
        (&ada_a, VAULT, "4"),
        (&ada_a, ARM, "5"),
    ] {
        overlay.keep(Arc::new(redemption(token, target, secret)), false);
    }
    assert_eq!(kept(&overlay, &ada_a), ["2", "4", "5"]);
    assert_eq!(kept(&overlay, &bob_a), ["3"]);
}

#[test]
fn what_is_stored_is_forgotten_and_nothing_else() {
    let [ada_a, ..] = tokens();
    let overlay = Overlay::default();
    let [old, new] =
        ["old", "new"].map(|secret| overlay.keep(Arc::new(redemption(&ada_a, ARM, secret)), false));
    overlay.stored(&old);
    assert_eq!(kept(&overlay, &ada_a), ["new"]);
    overlay.stored(&new);
    assert!(kept(&overlay, &ada_a).is_empty());
}

#[test]
fn a_rotated_refresh_token_stands_in_for_the_stored_one() {
    let [ada_a, ada_b, _] = tokens();
    let overlay = Overlay::default();
    let rotated = |token: &RedeemedToken, now: u64| {
        let secret = overlay.rotated(token.secret(), at(now));
        secret.map(|secret| secret.expose_secret().to_owned())
    };
    assert_eq!(rotated(&ada_a, NOW), None);
    for (target, secret) in [(ARM, "older"), (VAULT, "newer")] {
        let redemption = redemption(&ada_a, target, "s").with_refresh_token(Secret::new(secret));
        overlay.keep(Arc::new(redemption), false);
    }
    // Not rotated by this one.
    overlay.keep(Arc::new(redemption(&ada_a, "x/.default", "s")), false);
    // A relative's rotated token is the relative's.
    let relatives = redemption(&ada_b, ARM, "s").with_client_id("a");
    let relatives = relatives.with_refresh_token(Secret::new("relative's"));
    overlay.keep(Arc::new(relatives), false);
    assert_eq!(rotated(&ada_a, NOW).as_deref(), Some("newer"));
    assert_eq!(rotated(&ada_b, NOW), None);
    assert_eq!(rotated(&ada_a, NOW + 3600), None);
}

#[test]
fn neither_expired_nor_too_many_are_kept() {
    let [ada_a, ..] = tokens();
    let overlay = Overlay::default();
    overlay.keep(Arc::new(redemption(&ada_a, ARM, "expires")), false);
    let (_, home) = ada_a.home_account_id().split_once('.').unwrap();
    for n in 0..=CAPACITY {
        let (start, target) = (at(NOW + 3600), format!("{n}/.default"));
        let end = start + Duration::from_secs(3600);
        let secret = Secret::new(n.to_string());
        let later = Redemption::new(ada_a.clone(), home, target, secret, start, end);
        overlay.keep(Arc::new(later), false);
    }
    let kept = kept(&overlay, &ada_a);
    assert_eq!((kept.len(), &*kept[0]), (CAPACITY, "1"));
}
