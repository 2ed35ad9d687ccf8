//! A writer keeps to the readers' limit.

use msal_token_cache::{ErrorKind, Merged, Redemption, Result, TokenCache};
use serde_json::json;
use test_support::{AccessTokenSpec, CacheBuilder};
use token_credential::Secret;

use super::sample::{NOW, Place, ada, at, bob, redeemed_for, signed_in, vault_token};

const LIMIT: u64 = 32 * 1024;

/// A cache of exactly so many bytes in which Ada is signed in, with an expired token of each.
fn cache_of(length: usize) -> (CacheBuilder, String) {
    let expired = AccessTokenSpec {
        target: "https://expired.example/.default",
        expires_on: NOW - 1,
        ..vault_token()
    };
    let cache = signed_in()
        .access_token(&ada(), expired)
        .access_token(&bob(), expired);
    let filled = |filling: usize| {
        let filling = json!("x".repeat(filling));
        cache.clone().raw("Other", "k", filling).to_json()
    };
    let text = filled(length - filled(0).len());
    (cache, text)
}

fn merge(place: &Place, redemption: &Redemption) -> Result<Merged> {
    let cache = TokenCache::new(place.persistence().with_max_bytes(LIMIT));
    cache.modify(|transaction| transaction.merge(redemption))
}

/// A reader with the same limit, that has seen nothing of it yet.
fn read(place: &Place) -> Result<usize> {
    let cache = TokenCache::new(place.persistence().with_max_bytes(LIMIT));
    Ok(cache.snapshot()?.access_tokens().count())
}

#[test]
fn no_write_makes_a_cache_that_later_readers_refuse() {
    let place = Place::signed_in();
    let (mut stored, mut refused) = (0, 0);
    for n in 0..60 {
        let target = format!("https://resource{n}.example/.default");
        let redemption = redeemed_for(&signed_in(), &target);
        let before = place.content();
        match merge(&place, &redemption) {
            Ok(merged) => {
                assert_eq!(merged, Merged::Stored);
                stored += 1;
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::TooLarge);
                let text = error.to_string();
                assert!(text.contains("msal.cache.nocae"), "{text}");
                assert!(text.contains("FilePersistence::with_max_bytes"), "{text}");
                assert_eq!(place.content(), before);
                refused += 1;
            }
        }
        assert_eq!(read(&place).unwrap(), stored);
    }
    assert!(stored > 10 && refused > 10, "{stored} {refused}");
    // A margin is left for others, who know no limit.
    assert!(place.content().len() as u64 <= LIMIT / 16 * 15);
    assert_eq!(place.names(), ["msal.cache.nocae"]);
}

#[test]
fn expired_tokens_of_the_account_make_room_before_a_write_is_refused() {
    let limit = usize::try_from(LIMIT / 16 * 15).unwrap();
    let (cache, text) = cache_of(limit);
    let place = Place::holding(text);
    let redemption = redeemed_for(&cache, "https://new.example/.default");
    assert_eq!(merge(&place, &redemption).unwrap(), Merged::Stored);
    // Bob's has to stay: nobody redeemed for him.
    assert_eq!(read(&place).unwrap(), 2);
    let before = place.content();
    let next = redeemed_for(&cache, "https://one.more.example/.default");
    let error = merge(&place, &next).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert_eq!(place.content(), before);
}

#[test]
fn a_cache_above_the_writers_limit_is_written_while_it_does_not_grow() {
    let (cache, text) = cache_of(usize::try_from(LIMIT).unwrap());
    let place = Place::holding(&text);
    // In place of one that has expired.
    let redemption = redeemed_for(&cache, "x/y");
    assert_eq!(merge(&place, &redemption).unwrap(), Merged::Stored);
    assert!(place.content().len() <= text.len());
    let longer = Secret::new("a-longer-access-token-than-the-one-before-".repeat(20));
    let longer = Redemption::new(
        redemption.origin().clone(),
        ada().utid,
        "x/y",
        longer,
        at(NOW + 1),
        at(NOW + 3_600),
    );
    let before = place.content();
    assert_eq!(
        merge(&place, &longer).unwrap_err().kind(),
        ErrorKind::TooLarge
    );
    assert_eq!(place.content(), before);
    // A sign-out takes something out.
    let cache = TokenCache::new(place.persistence().with_max_bytes(LIMIT));
    let id = ada().home_account_id();
    cache
        .modify(|transaction| transaction.remove_account(&id, super::sample::HOST))
        .unwrap();
    assert_eq!(read(&place).unwrap(), 1);
}
