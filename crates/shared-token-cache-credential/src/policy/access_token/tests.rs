use std::sync::Arc;

use msal_token_cache::{RedeemedToken, Redemption};
use serde_json::{Value, json};
use test_support::{AccessTokenSpec, CacheBuilder, FakeAccount};

use super::*;
use crate::fixtures::{
    ARM, CLI, CLOUD, Memory, NOW, at, authority, redemption, refresh_tokens, snapshot,
};

fn ada() -> FakeAccount {
    FakeAccount::new("ada@contoso.example")
}

/// Ada's tokens under the clients `new` and `old`, of which the document names `old` first.
fn cache() -> CacheBuilder {
    CacheBuilder::new()
        .refresh_token(&ada(), CLOUD, "old", "r", None)
        .refresh_token(&ada(), CLOUD, "new", "r", None)
        .with("last_modification_time", json!((NOW - 60).to_string()))
        .app_metadata(CLOUD, "relative", Some("1"))
        .app_metadata(CLOUD, "no-relative", None)
}

fn token<'a>(client_id: &'a str, secret: &'a str, left: u64) -> AccessTokenSpec<'a> {
    AccessTokenSpec {
        client_id,
        secret,
        target: ARM,
        expires_on: NOW + left,
        cached_at: Some(NOW - 60),
        ..AccessTokenSpec::default()
    }
}

fn find_for(account: &FakeAccount, cache: &CacheBuilder, kept: &Memory, scopes: &[&str]) -> Found {
    let selected = SelectedAccount {
        home_account_id: account.home_account_id(),
        username: None,
        client_id: None,
    };
    let (snapshot, authority) = (snapshot(cache), authority());
    let criteria = Criteria::new(
        &CloudEntries::new(&snapshot, &authority, at(NOW)),
        &selected,
    );
    let query = Query {
        scopes,
        tenant: Tenant::Home(ORGANIZATIONS),
        tid: None,
    };
    let snapshot = CacheSnapshot {
        sign_in: snapshot,
        access_tokens: None,
    };
    criteria.find(&snapshot, kept.view().kept(), &query, at(NOW))
}

/// What is kept of these redemptions, of which some refuse what they replace.
fn keeping(redemptions: impl IntoIterator<Item = (Redemption, bool)>) -> Memory {
    let memory = Memory::default();
    for (redemption, refuses_rivals) in redemptions {
        memory.keep(&Arc::new(redemption), refuses_rivals);
    }
    memory
}

fn find(cache: &CacheBuilder) -> Found {
    find_for(&ada(), cache, &Memory::default(), &[ARM])
}

#[track_caller]
fn assert_hit(found: Found, secret: &str) {
    let Found::Hit(token) = found else {
        panic!("no hit: {found:?}");
    };
    assert_eq!(token.token().expose_secret(), secret);
}

#[track_caller]
fn assert_nothing(found: &Found, why: &str) {
    assert!(matches!(found, Found::Miss(None)), "{why}: {found:?}");
}

#[test]
fn more_than_five_minutes_are_a_hit_and_half_a_minute_a_last_resort() {
    for (left, hit, last_resort) in [
        (301, true, false),
        (300, false, true),
        (30, false, true),
        (29, false, false),
        (0, false, false),
    ] {
        let found = find(&cache().access_token(&ada(), token(CLI, "a", left)));
        let is = (
            matches!(found, Found::Hit(_)),
            matches!(found, Found::Miss(Some(_))),
        );
        assert_eq!(is, (hit, last_resort), "{left} s left: {found:?}");
    }
}

#[test]
fn a_short_token_is_a_hit_while_it_is_new() {
    for (age, left, hit, last_resort) in [
        (Some(0), 300, true, false),
        (Some(29), 300, true, false),
        (Some(29), 30, true, false),
        (Some(29), 29, false, false),
        (Some(30), 300, false, true),
        (Some(31), 300, false, true),
        (Some(31), 301, true, false),
        // Of a clock that is ahead, or of nobody knows when.
        (Some(-1), 300, false, true),
        (Some(-300), 300, false, true),
        (Some(-301), 300, false, false),
        (None, 300, false, true),
    ] {
        let spec = token(CLI, "a", left);
        let cached_at = age.map_or(Value::Null, |age: i64| {
            json!((NOW.checked_add_signed(-age).unwrap()).to_string())
        });
        let found = find(
            &cache()
                .access_token(&ada(), spec)
                .with("cached_at", cached_at),
        );
        let is = (
            matches!(found, Found::Hit(_)),
            matches!(found, Found::Miss(Some(_))),
        );
        assert_eq!(is, (hit, last_resort), "{age:?} {left}: {found:?}");
    }
}

#[test]
fn a_short_token_that_could_not_be_written_is_a_hit_while_it_is_new() {
    let [old, _] = refresh_tokens(&cache()).try_into().unwrap();
    for (age, hit) in [(0, true), (29, true), (30, false)] {
        let (_, home) = old.home_account_id().split_once('.').unwrap();
        let kept = Redemption::new(
            old.clone(),
            home,
            ARM,
            Secret::new("kept"),
            at(NOW - age),
            at(NOW + 200),
        );
        let found = find_for(&ada(), &cache(), &keeping([(kept, false)]), &[ARM]);
        assert_eq!(matches!(found, Found::Hit(_)), hit, "{age}: {found:?}");
    }
}

#[test]
fn a_token_of_anybody_or_anything_else_is_passed_over() {
    let good = || cache().access_token(&ada(), token(CLI, "a", 3600));
    assert_hit(find(&good()), "a");
    let bob = FakeAccount::new("bob@contoso.example");
    for (member, value) in [
        ("home_account_id", json!(bob.home_account_id())),
        ("home_account_id", json!("")),
        ("environment", json!("login.microsoftonline.us")),
        ("environment", json!("login.chinacloudapi.cn")),
        ("realm", json!("11111111-2222-3333-4444-555555555555")),
        ("realm", json!("")),
        ("client_id", json!("a stranger")),
        ("client_id", json!("no-relative")),
        ("token_type", json!("pop")),
        ("credential_type", json!("AccessToken_With_AuthScheme")),
        ("key_id", json!("k")),
        ("kid", json!("k")),
        ("keyid", json!("k")),
        ("ext_cache_key", json!("k")),
        ("ext", json!("k")),
        ("user_assertion_hash", json!("k")),
        ("userAssertionHash", json!("k")),
        ("additionalCacheKeyComponents", json!({"k": "v"})),
        ("requestedClaims", json!("k")),
        ("requestedClaimsHash", json!("k")),
        ("resource", json!("k")),
        ("persisted_cache_parameters", json!({"k": "v"})),
        ("unknown", json!({"a": [1]})),
        ("unknown", json!([null])),
        ("expires_on", json!((NOW + 7 * 24 * 3600 + 1).to_string())),
        ("expires_on", json!("99999999999999999999999")),
        ("expires_on", json!("soon")),
        ("expires_on", Value::Null),
        ("cached_at", json!((NOW + 301).to_string())),
        ("target", json!("https://management.azure.com//.default")),
        ("target", json!("")),
        ("target", json!(7)),
        ("secret", json!("")),
        ("secret", json!(["a"])),
        ("secret", json!("a\r\nb")),
        ("secret", json!("a\0")),
        ("secret", json!("a\u{7f}")),
        ("secret", json!("a b")),
        ("secret", json!("a\u{202e}")),
        ("secret", json!("a".repeat(64 * 1024 + 1))),
    ] {
        let what = format!("{member}: {value}");
        assert_nothing(&find(&good().with(member, value)), &what);
    }
    for member in [
        "home_account_id",
        "environment",
        "client_id",
        "realm",
        "target",
        "secret",
    ] {
        assert_nothing(&find(&good().without(member)), member);
    }
}

#[test]
fn what_does_not_matter_does_not_matter() {
    let good = || cache().access_token(&ada(), token(CLI, "a", 3600));
    for (member, value) in [
        ("environment", json!("sts.windows.net")),
        ("realm", json!("organizations")),
        ("realm", json!("common")),
        ("client_id", json!("relative")),
        ("token_type", json!("bearer")),
        ("token_type", json!("")),
        ("expires_on", json!(NOW + 7 * 24 * 3600)),
        ("cached_at", json!((NOW + 300).to_string())),
        ("cached_at", Value::Null),
        ("unknown", json!(1)),
        ("unknown", json!({})),
        ("user_assertion_hash", Value::Null),
        ("key_id", json!("")),
        ("ext", json!({})),
        // K16: identifiers compare without case.
        ("environment", json!("Login.MicrosoftOnline.com")),
        ("environment", json!("STS.WINDOWS.NET")),
        ("realm", json!(ada().utid.to_uppercase())),
        ("realm", json!("Organizations")),
        ("client_id", json!(CLI.to_uppercase())),
        (
            "home_account_id",
            json!(ada().home_account_id().to_uppercase()),
        ),
    ] {
        let what = format!("{member}: {value}");
        let found = find(&good().with(member, value));
        assert!(matches!(found, Found::Hit(_)), "{what}: {found:?}");
    }
}

#[test]
fn a_kept_token_that_cannot_be_sent_is_no_hit_and_hides_nothing() {
    let cached = cache().access_token(&ada(), token(CLI, "cached", 3600));
    let [old, _] = refresh_tokens(&cache()).try_into().unwrap();
    for bad in ["a b", "a\r\n", "a\0", "\u{202e}", ""] {
        let kept = keeping([(redemption(&old, ARM, bad), false)]);
        assert_nothing(&find_for(&ada(), &cache(), &kept, &[ARM]), bad);
        assert_hit(find_for(&ada(), &cached, &kept, &[ARM]), "cached");
    }
}

#[test]
fn scopes_compare_as_sets_without_case() {
    let cache = cache()
        .access_token(&ada(), token(CLI, "a", 3600))
        .with("target", json!("x/Read  x/Write\topenid"));
    for (hit, scopes) in [
        (true, &["x/read"][..]),
        (true, &["X/WRITE", "x/Read"]),
        (true, &["x/read", "X/Read", "openid"]),
        (false, &["x/read", "x/delete"]),
        (false, &["x"]),
        (false, &["x/rea"]),
    ] {
        let found = find_for(&ada(), &cache, &Memory::default(), scopes);
        assert_eq!(matches!(found, Found::Hit(_)), hit, "{scopes:?}");
    }
}

#[test]
fn applications_have_an_order_and_one_application_the_later_expiry() {
    let mut cache = cache();
    for (client_id, secret, left) in [
        ("relative", "of-a-relative", 50_000),
        (CLI, "of-the-class", 40_000),
        ("old", "of-the-older-sign-in", 30_000),
    ] {
        cache = cache.access_token(&ada(), token(client_id, secret, left));
        assert_hit(find(&cache), secret);
    }
    for (target, secret, left) in [
        ("y/.default", "sooner", 10_000),
        ("z/.default", "later", 20_000),
        ("w/.default", "soonest", 5_000),
    ] {
        let target = format!("{ARM} {target}");
        let spec = AccessTokenSpec {
            target: &target,
            ..token("new", secret, left)
        };
        cache = cache.access_token(&ada(), spec);
    }
    assert_hit(find(&cache), "later");
}

#[test]
fn a_time_to_refresh_is_the_stored_one_or_half_the_life_of_a_long_one() {
    let refresh_on = |life: u64, stored: Option<u64>| {
        let spec = AccessTokenSpec {
            cached_at: Some(NOW),
            ..token(CLI, "a", life)
        };
        let mut cache = cache().access_token(&ada(), spec);
        if let Some(stored) = stored {
            cache = cache.with("refresh_on", json!((NOW + stored).to_string()));
        }
        let Found::Hit(token) = find(&cache) else {
            panic!("no hit");
        };
        token.refresh_on()
    };
    assert_eq!(refresh_on(3600, Some(1000)), Some(at(NOW + 1000)));
    assert_eq!(refresh_on(90_000, Some(1000)), Some(at(NOW + 1000)));
    assert_eq!(refresh_on(7201, None), Some(at(NOW + 3600)));
    assert_eq!(refresh_on(7200, None), Some(at(NOW + 3600)));
    assert_eq!(refresh_on(7199, None), None);
}

#[test]
fn a_personal_account_is_at_home_in_three_tenants() {
    let eve = FakeAccount::personal("eve@outlook.example");
    for (hit, realm) in [
        (true, PERSONAL_TENANT),
        (true, PERSONAL_PASSTHROUGH_TENANT),
        (true, "organizations"),
        (false, "common"),
        (false, &*ada().utid),
    ] {
        let spec = AccessTokenSpec {
            realm: Some(realm),
            ..token(CLI, "a", 3600)
        };
        let cache = CacheBuilder::new().access_token(&eve, spec);
        let found = find_for(&eve, &cache, &Memory::default(), &[ARM]);
        assert_eq!(matches!(found, Found::Hit(_)), hit, "{realm}");
    }
}

#[test]
fn what_is_kept_in_memory_answers_in_place_of_what_it_replaces() {
    let [old, _] = refresh_tokens(&cache()).try_into().unwrap();
    let target = format!("{ARM} x/.default");
    let kept = keeping([(redemption(&old, &target, "kept"), true)]);
    let find = |cache: &CacheBuilder| find_for(&ada(), cache, &kept, &[ARM]);
    assert_hit(find(&cache()), "kept");
    // It lives longer, and its resource has refused it.
    let refused = cache().access_token(&ada(), token("old", "refused", 50_000));
    assert_hit(find(&refused), "kept");
    // Another program was there after us.
    let newer = refused
        .clone()
        .with("cached_at", json!((NOW + 1).to_string()));
    assert_hit(find(&newer), "refused");
    // Another scope was not refused.
    let other = cache()
        .access_token(&ada(), token("old", "other", 50_000))
        .with("target", json!("y/.default openid"));
    let found = find_for(&ada(), &other, &kept, &["y/.default"]);
    assert_hit(found, "other");
    // Whatever application it is of: another one's may have been refused as well.
    let others = cache().access_token(&ada(), token("new", "another's", 50_000));
    assert_hit(find(&others), "kept");
    // And nobody else is served from it.
    let bob = FakeAccount::new("bob@contoso.example");
    let cache = cache().refresh_token(&bob, CLOUD, "old", "r", None);
    assert_nothing(&find_for(&bob, &cache, &kept, &[ARM]), "Bob");
}

/// A challenge was answered under another application than the one whose token it refused.
#[test]
fn of_what_is_kept_in_memory_the_newest_is_handed_out() {
    let [old, new] = refresh_tokens(&cache()).try_into().unwrap();
    let kept = |token: RedeemedToken, secret: &str, left: u64| {
        let (secret, expires_on) = (Secret::new(secret), at(NOW + left));
        let home = ada().utid;
        Redemption::new(token, home, ARM, secret, at(NOW), expires_on)
    };
    let kept = keeping([
        (kept(old, "refused", 80_000), false),
        (kept(new, "newest", 3_600), true),
    ]);
    assert_hit(find_for(&ada(), &cache(), &kept, &[ARM]), "newest");
}

#[test]
fn k14_a_bare_scope_alone_is_for_no_token_that_names_a_resource() {
    let stored = cache()
        .access_token(&ada(), token(CLI, "stored", 3600))
        .with("target", json!("user_impersonation x/.default"));
    let [old, _] = refresh_tokens(&cache()).try_into().unwrap();
    let kept = keeping([
        (
            redemption(&old, "user_impersonation x/a y/b", "displaced"),
            false,
        ),
        (
            redemption(&old, "user_impersonation y/b y/c", "kept"),
            false,
        ),
    ]);
    let none = Memory::default();
    for kept in [&none, &kept] {
        let found = find_for(&ada(), &stored, kept, &["user_impersonation"]);
        assert_nothing(&found, "another resource's");
    }
    for (scopes, secret) in [
        (&["x/.default"][..], "stored"),
        (&["x/.default", "user_impersonation"], "stored"),
        (&["x/a", "user_impersonation"], "displaced"),
        (&["user_impersonation", "y/c"], "kept"),
    ] {
        assert_hit(find_for(&ada(), &stored, &kept, scopes), secret);
    }
}

#[test]
fn k14_a_displaced_token_stands_behind_all_others() {
    let [old, new] = refresh_tokens(&cache()).try_into().unwrap();
    let kept = keeping([
        (redemption(&old, "a b", "displaced"), false),
        (redemption(&old, "b c", "kept"), false),
        (redemption(&new, "d", "of another client"), false),
    ]);
    let find = |cache: &CacheBuilder, scopes: &[&str]| find_for(&ada(), cache, &kept, scopes);
    let with = |target: &str, cached_at: u64, left: u64| {
        let spec = AccessTokenSpec {
            target,
            cached_at: Some(cached_at),
            ..token("old", "stored", left)
        };
        cache().access_token(&ada(), spec)
    };
    for (target, cached_at, scopes, secret) in [
        ("x/y", NOW, &["a"][..], "displaced"),
        ("x/y", NOW, &["b"], "kept"),
        ("a", NOW, &["a"], "stored"),
        // The kept one will go there in its place.
        ("a b", NOW, &["b"], "kept"),
        ("a b d", NOW, &["a", "d"], "stored"),
        // It came later, and the kept one answers where it does not.
        ("a b", NOW + 1, &["b"], "stored"),
        ("a b", NOW + 1, &["c"], "kept"),
    ] {
        let cache = with(target, cached_at, 3600);
        assert_hit(find(&cache, scopes), secret);
    }
    // One that is good for longer is better than one that is about to end, wherever they are.
    let cache = with("a", NOW - 60, 200);
    assert_hit(find(&cache, &["a"]), "displaced");
    // And nobody else's.
    let bob = FakeAccount::new("bob@contoso.example");
    let cache = cache.refresh_token(&bob, CLOUD, "old", "r", None);
    assert_nothing(&find_for(&bob, &cache, &kept, &["a"]), "Bob");
}
