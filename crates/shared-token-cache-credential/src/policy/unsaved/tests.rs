use msal_token_cache::RedeemedToken;
use std::time::Duration;
use test_support::{AccessTokenSpec, CacheBuilder, FakeAccount};

use super::*;
use crate::fixtures::{ARM, CLOUD, Memory, NOW, at, redemption, refresh_tokens, snapshot};

const VAULT: &str = "https://vault.azure.net/.default";

/// Refresh tokens of Ada under `a` and `b` and of Bob under `a`, each named so.
fn tokens() -> [RedeemedToken; 3] {
    let [ada, bob] = ["ada@contoso.example", "bob@contoso.example"].map(FakeAccount::new);
    let cache = CacheBuilder::new()
        .refresh_token(&ada, CLOUD, "a", "ada-a", None)
        .refresh_token(&ada, CLOUD, "b", "ada-b", None)
        .refresh_token(&bob, CLOUD, "a", "bob-a", None);
    refresh_tokens(&cache).try_into().unwrap()
}

fn kept(memory: &Memory, token: &RedeemedToken) -> Vec<String> {
    let kept = memory.view();
    let kept = kept.unsaved().iter().map(|kept| &kept.redemption);
    kept.filter(|kept| kept.home_account_id() == token.home_account_id())
        .map(|kept| kept.access_token().expose_secret().to_owned())
        .collect()
}

#[test]
fn a_redemption_takes_the_place_of_those_that_it_replaces() {
    let [ada_a, ada_b, bob_a] = tokens();
    let memory = Memory::default();
    for (token, target, secret) in [
        (&ada_a, ARM, "1"),
        (&ada_b, ARM, "2"),
        (&bob_a, ARM, "3"),
        (&ada_a, VAULT, "4"),
        (&ada_a, ARM, "5"),
    ] {
        memory.keep(&Arc::new(redemption(token, target, secret)), false);
    }
    assert_eq!(kept(&memory, &ada_a), ["2", "4", "5"]);
    assert_eq!(kept(&memory, &bob_a), ["3"]);
}

#[test]
fn what_is_stored_is_forgotten_and_nothing_else() {
    let [ada_a, ..] = tokens();
    let memory = Memory::default();
    let [old, new] =
        ["old", "new"].map(|secret| memory.keep(&Arc::new(redemption(&ada_a, ARM, secret)), false));
    memory.written(&old, Written::Stored);
    assert_eq!(kept(&memory, &ada_a), ["new"]);
    memory.written(&new, Written::Stored);
    assert!(kept(&memory, &ada_a).is_empty());
}

#[test]
fn a_rotated_refresh_token_stands_in_for_the_stored_one() {
    let [ada_a, ada_b, _] = tokens();
    let memory = Memory::default();
    let rotated = |token: &RedeemedToken, now: u64| {
        let secret = memory.rotated(token.secret(), at(now));
        secret.map(|secret| secret.expose_secret().to_owned())
    };
    assert_eq!(rotated(&ada_a, NOW), None);
    for (target, secret) in [(ARM, "older"), (VAULT, "newer")] {
        let redemption = redemption(&ada_a, target, "s").with_refresh_token(Secret::new(secret));
        memory.keep(&Arc::new(redemption), false);
    }
    // Not rotated by this one.
    memory.keep(&Arc::new(redemption(&ada_a, "x/.default", "s")), false);
    // A relative's rotated token is the relative's.
    let relatives = redemption(&ada_b, ARM, "s").with_client_id("a");
    let relatives = relatives.with_refresh_token(Secret::new("relative's"));
    memory.keep(&Arc::new(relatives), false);
    assert_eq!(rotated(&ada_a, NOW).as_deref(), Some("newer"));
    assert_eq!(rotated(&ada_b, NOW), None);
    assert_eq!(rotated(&ada_a, NOW + 3600), None);
}

#[test]
fn neither_expired_nor_too_many_are_kept() {
    let [ada_a, ..] = tokens();
    let memory = Memory::default();
    memory.keep(&Arc::new(redemption(&ada_a, ARM, "expires")), false);
    let (_, home) = ada_a.home_account_id().split_once('.').unwrap();
    for n in 0..=CAPACITY {
        let (start, target) = (at(NOW + 3600), format!("{n}/.default"));
        let end = start + Duration::from_secs(3600);
        let secret = Secret::new(n.to_string());
        let later = Redemption::new(ada_a.clone(), home, target, secret, start, end);
        memory.keep(&Arc::new(later), false);
    }
    let kept = kept(&memory, &ada_a);
    assert_eq!((kept.len(), &*kept[0]), (CAPACITY, "1"));
}

/// The secrets of the tokens that are kept apart, the oldest first.
fn displaced(memory: &Memory) -> Vec<String> {
    let kept = memory.view();
    let kept = kept.displaced().iter();
    kept.map(|kept| kept.secret.expose_secret().to_owned())
        .collect()
}

/// Keeps the result of redeeming a token of Ada's.
fn keep(memory: &Memory, target: &str, secret: &str) -> Arc<UnsavedResult> {
    let [ada_a, ..] = tokens();
    memory.keep(&Arc::new(redemption(&ada_a, target, secret)), false)
}

#[test]
fn k14_results_of_different_resources_do_not_replace_each_other() {
    let [ada_a, ..] = tokens();
    let memory = Memory::default();
    for (target, secret) in [
        ("user_impersonation x/.default", "1"),
        ("user_impersonation y/.default", "2"),
        ("user_impersonation", "3"),
        ("User_Impersonation", "4"),
        ("openid profile", "5"),
        ("openid", "6"),
        ("profile OpenID", "7"),
    ] {
        keep(&memory, target, secret);
    }
    assert_eq!(kept(&memory, &ada_a), ["1", "2", "4", "6", "7"]);
    // Nothing of what the newer ones are as good for.
    assert_eq!(displaced(&memory), [""; 0]);
}

#[test]
fn k14_what_a_result_replaces_and_does_not_cover_is_displaced() {
    let [ada_a, ..] = tokens();
    let memory = Memory::default();
    keep(&memory, "a b", "ab");
    keep(&memory, "b c", "bc");
    keep(&memory, "c", "c");
    assert_eq!(kept(&memory, &ada_a), ["c"]);
    assert_eq!(displaced(&memory), ["ab", "bc"]);
    keep(&memory, "b a openid", "ba");
    assert_eq!(kept(&memory, &ada_a), ["c", "ba"]);
    assert_eq!(displaced(&memory), ["bc"]);
}

#[test]
fn k14_a_call_that_would_have_no_other_leaves_no_rival() {
    let [ada_a, ada_b, _] = tokens();
    let memory = Memory::default();
    memory.keep(
        &Arc::new(redemption(&ada_b, "b d", "another client's")),
        false,
    );
    memory.keep(&Arc::new(redemption(&ada_b, "d", "in its place")), false);
    for (target, secret) in [("a b", "ab"), ("b c", "bc"), ("c d", "cd")] {
        keep(&memory, target, secret);
    }
    assert_eq!(displaced(&memory), ["another client's", "ab", "bc"]);
    let new = memory.keep(&Arc::new(redemption(&ada_a, "b c", "new")), true);
    assert_eq!(displaced(&memory), [""; 0]);
    // What the store held of them is as bad, but for what came later.
    let going = |secret: &str, cached_at: u64| Displaced {
        secret: Secret::new(secret),
        cached_at: Some(at(cached_at)),
        ..new.displaced_by_us()
    };
    memory.displace(&[
        going("older", NOW - 1),
        going("as old", NOW),
        going("newer", NOW + 1),
    ]);
    assert_eq!(displaced(&memory), ["newer"]);
    // A result that covers it goes on with that, though its own call would have had them.
    let other = keep(&memory, "c e", "other");
    assert_eq!(other.refuses_until, None);
    let again = keep(&memory, "c f b", "again");
    assert_eq!(again.refuses_until, Some(at(NOW)));
}

#[test]
fn k14_a_stored_result_is_displaced_where_a_rival_is_in_its_place() {
    let memory = Memory::default();
    let stored = keep(&memory, "a b", "ab");
    memory.written(&stored, Written::Stored);
    let found = |cache: &CacheBuilder| {
        let snapshot = snapshot(cache);
        let kept = memory.view();
        let [token] = kept.displaced() else {
            panic!("one token is kept");
        };
        token.is_displaced_by(snapshot.access_tokens_of(&token.home_account_id))
    };
    let ada = FakeAccount::new("ada@contoso.example");
    let spec = AccessTokenSpec {
        client_id: "a",
        target: "b c",
        secret: "rival",
        expires_on: NOW + 3600,
        ..AccessTokenSpec::default()
    };
    let with = |spec| CacheBuilder::new().access_token(&ada, spec);
    assert!(found(&with(spec)));
    assert!(!found(&CacheBuilder::new()));
    for other in [
        AccessTokenSpec {
            target: "c",
            ..spec
        },
        AccessTokenSpec {
            target: "b x/c",
            ..spec
        },
        AccessTokenSpec {
            client_id: "b",
            ..spec
        },
        AccessTokenSpec {
            realm: Some("elsewhere"),
            ..spec
        },
    ] {
        assert!(!found(&with(other)), "{}", other.target);
    }
    assert!(!found(&with(spec).with("kid", "bound".into())));
    // Ours displaces it for good.
    let going = memory.view().displaced()[0].clone();
    keep(&memory, "b c", "bc");
    memory.displace(&[Displaced {
        is_by_us: true,
        ..Displaced::clone(&going)
    }]);
    assert!(found(&CacheBuilder::new()));
}

#[test]
fn k14_of_a_store_only_usable_tokens_that_are_believable_are_displaced() {
    let ada = FakeAccount::new("ada@contoso.example");
    let spec = AccessTokenSpec {
        secret: "good",
        target: "a",
        cached_at: Some(NOW - 60),
        expires_on: NOW + 3600,
        ..AccessTokenSpec::default()
    };
    let good = || CacheBuilder::new().access_token(&ada, spec);
    let will_do = |cache: &CacheBuilder| {
        let snapshot = snapshot(cache);
        let token = snapshot.access_tokens().next().unwrap();
        Displaced::of_entry(&token, at(NOW)).is_some()
    };
    assert!(will_do(&good()));
    for (member, value) in [
        ("secret", "two words"),
        ("secret", "line\r\nbreak"),
        ("kid", "k"),
        ("ext", "e"),
        ("token_type", "pop"),
        ("credential_type", "AccessToken_With_AuthScheme"),
        ("expires_on", &NOW.to_string()),
        ("expires_on", &(NOW + 8 * 24 * 3600).to_string()),
        ("cached_at", &(NOW + 301).to_string()),
    ] {
        let cache = good().with(member, value.into());
        assert!(!will_do(&cache), "{member}: {value}");
    }
}

#[test]
fn k14_neither_expired_nor_too_many_are_displaced() {
    let memory = Memory::default();
    let kept = keep(&memory, "a", "a");
    let token = |n: usize, expires_on: u64| Displaced {
        secret: Secret::new(n.to_string()),
        target: n.to_string(),
        expires_on: at(expires_on),
        ..kept.displaced_by_us()
    };
    let many: Vec<_> = (0..=CAPACITY).map(|n| token(n, NOW + 60)).collect();
    memory.displace(&many);
    let held = displaced(&memory);
    assert_eq!((held.len(), &*held[0]), (CAPACITY, "1"));
    // The same one again takes no place.
    memory.displace(&many[5..6]);
    assert_eq!(displaced(&memory).len(), CAPACITY);
    memory.displace(&[token(0, NOW)]);
    keep(&memory, "b", "b");
    assert_eq!(displaced(&memory).len(), CAPACITY - 1);
}

#[test]
fn k14_nothing_is_kept_of_accounts_that_have_signed_out() {
    let [ada_a, ada_b, bob_a] = tokens();
    let memory = Memory::default();
    let fill = || {
        for (token, target, secret) in [
            (&ada_a, "a b", "ada's, displaced"),
            (&ada_a, "b c", "ada's"),
            (&ada_b, "b c", "ada's of another client"),
            (&bob_a, "a b", "bob's, displaced"),
            (&bob_a, "b c", "bob's"),
        ] {
            memory.keep(&Arc::new(redemption(token, target, secret)), false);
        }
    };
    fill();
    let before = memory.view();
    assert!(!memory.drop_signed_out(&before, |_| true));
    assert!(memory.is_at(&before));
    assert!(memory.drop_signed_out(&before, |id| id == bob_a.home_account_id()));
    assert!(!memory.is_at(&before));
    assert!(kept(&memory, &ada_a).is_empty());
    assert_eq!(kept(&memory, &bob_a), ["bob's"]);
    assert_eq!(displaced(&memory), ["bob's, displaced"]);
    // What came later than the look is of a later sign-in.
    fill();
    assert!(memory.drop_signed_out(&before, |_| false));
    assert_eq!(kept(&memory, &ada_a).len(), 2);

    let found = memory.view().unsaved()[0].clone();
    assert_eq!(found.redemption.access_token().expose_secret(), "ada's");
    memory.written(&found, Written::SignedOut);
    assert_eq!(kept(&memory, &ada_a), ["ada's of another client"]);
    assert_eq!(displaced(&memory), ["bob's, displaced"]);
}

#[test]
fn k14_a_token_on_its_way_is_seen_in_one_of_two_places_at_least() {
    let memory = Memory::default();
    let token = keep(&memory, "a", "a");
    let before = memory.view();
    // While the store was read, one moved there and another one from there.
    memory.written(&token, Written::Stored);
    let going = Displaced {
        secret: Secret::new("going"),
        ..token.displaced_by_us()
    };
    memory.displace(&[going]);
    let after = memory.complete(before);
    assert_eq!(after.unsaved().len(), 1);
    assert_eq!(after.displaced().len(), 2);
    assert!(!memory.is_at(&after), "the next look sees where they are");
}

#[test]
fn k14_a_stored_result_goes_on_refusing_what_it_replaced() {
    let [ada_a, ..] = tokens();
    let memory = Memory::default();
    let new = memory.keep(&Arc::new(redemption(&ada_a, "b c", "new")), true);
    memory.written(&new, Written::Stored);
    // Another process has put them into the store meanwhile.
    let going = |secret: &str, cached_at: u64| Displaced {
        secret: Secret::new(secret),
        cached_at: Some(at(cached_at)),
        refuses_until: None,
        ..new.displaced_by_us()
    };
    memory.displace(&[going("older", NOW - 1), going("newer", NOW + 1)]);
    assert_eq!(displaced(&memory), ["new", "newer"]);
}

#[test]
fn k14_rivals_are_of_one_cloud_under_whatever_host() {
    let ada = FakeAccount::new("ada@contoso.example");
    let cache = CacheBuilder::new()
        .refresh_token(&ada, CLOUD, "a", "one", None)
        .refresh_token(&ada, "login.windows.net", "a", "other", None);
    let [one, other] = refresh_tokens(&cache).try_into().unwrap();
    let memory = Memory::default();
    memory.keep(&Arc::new(redemption(&one, "a b", "refused")), false);
    memory.keep(&Arc::new(redemption(&other, "a", "new")), true);
    assert_eq!(kept(&memory, &one), ["new"]);
    assert_eq!(displaced(&memory), [""; 0]);
}

#[test]
fn debug_shows_no_secret() {
    let [ada_a, ..] = tokens();
    let redemption = redemption(&ada_a, ARM, "canary").with_refresh_token(Secret::new("canary"));
    let obtained = Obtained {
        redemption: Arc::new(redemption),
        access_token: Usefulness::Usable,
        refuses_rivals: false,
    };
    let unsaved = UnsavedResults::default().with(&obtained);
    let stored = unsaved.after_write(&obtained, Written::InPart);
    assert!(!unsaved.results.is_empty() && !stored.displaced.is_empty());
    assert!(!stored.rotated.is_empty());
    let shown = format!("{obtained:?} {unsaved:?} {stored:#?}");
    assert!(!shown.contains("canary"), "{shown}");
}
