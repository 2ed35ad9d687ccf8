//! What holds for any cache and any redemption.

use std::collections::BTreeSet;

use msal_token_cache::{
    Identity, MemoryPersistence, Merged, Origin, RedeemedToken, Redemption, SignIn, TokenCache,
};
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};
use token_credential::Secret;

use super::super::sample::{HOST, NEW_ACCESS_TOKEN, NOW, Store, at, section};

const ACCOUNTS: [&str; 2] = ["a.home", "b.home"];
/// Two of one cloud, and one of another.
const HOSTS: [&str; 3] = [HOST, "login.windows.net", "login.microsoftonline.us"];
const CLIENTS: [&str; 2] = ["c1", "c2"];
const REALMS: [&str; 2] = ["r1", "r2"];
/// Few, so that entries hold the same one.
const REFRESH_TOKENS: [&str; 3] = ["rt1", "rt2", "rt3"];
const SCOPES: [&str; 9] = [
    "x/read",
    "X/Read",
    "x/write",
    "x//read",
    "y/read",
    "user_impersonation",
    "read",
    "openid",
    "profile",
];
const SIGN_IN: [&str; 2] = ["openid", "profile"];

fn any_target() -> impl Strategy<Value = String> {
    prop::collection::vec(select(&SCOPES[..]), 1..5).prop_map(|scopes| scopes.join(" "))
}

/// Mostly of one account, cloud, client and tenant: what is far apart shows nothing.
fn mostly(all: &'static [&'static str]) -> impl Strategy<Value = &'static str> {
    prop_oneof![3 => Just(all[0]), 1 => select(all)]
}

fn any_time() -> impl Strategy<Value = Option<u64>> {
    let near = (0..8_u64).prop_map(|after| Some(NOW - 4 + after));
    prop_oneof![4 => near, 1 => Just(Some(NOW - 500)), 1 => Just(Some(NOW + 400)), 1 => Just(None)]
}

fn any_end() -> impl Strategy<Value = u64> {
    prop_oneof![6 => Just(NOW + 3_000), 1 => Just(NOW - 1), 1 => Just(NOW + 9 * 86_400)]
}

prop_compose! {
    fn any_owner()(id in mostly(&ACCOUNTS), host in mostly(&HOSTS), client in mostly(&CLIENTS))
        -> Value {
        json!({"home_account_id": id, "environment": host, "client_id": client})
    }
}

prop_compose! {
    fn any_access_token()(
        mut entry in any_owner(),
        realm in mostly(&REALMS),
        target in any_target(),
        cached_at in any_time(),
        expires_on in any_end(),
        refresh_on in any_time(),
        odd in 0..16_u8,
    ) -> Value {
        entry["credential_type"] = json!("AccessToken");
        entry["secret"] = json!("theirs");
        entry["realm"] = json!(realm);
        entry["target"] = json!(target);
        entry["expires_on"] = json!(expires_on.to_string());
        for (name, time) in [("cached_at", cached_at), ("refresh_on", refresh_on)] {
            if let Some(time) = time {
                entry[name] = json!(time.to_string());
            }
        }
        match odd {
            0 => entry["kid"] = json!("bound"),
            1 => entry["token_type"] = json!("pop"),
            2 => entry["secret"] = Value::Null,
            _ => {}
        }
        entry
    }
}

prop_compose! {
    fn any_refresh_token()(
        mut entry in any_owner(),
        secret in mostly(&REFRESH_TOKENS),
        family in prop::option::of(Just("1")),
        partitioned in prop::bool::weighted(0.1),
    ) -> Value {
        entry["credential_type"] = json!("RefreshToken");
        entry["secret"] = json!(secret);
        entry["target"] = json!("");
        if let Some(family) = family {
            entry["family_id"] = json!(family);
        }
        if partitioned {
            entry["user_assertion_hash"] = json!("h");
        }
        entry
    }
}

prop_compose! {
    fn any_of_the_rest()(
        mut entry in any_owner(),
        realm in mostly(&REALMS),
        secret in select(vec![json!("old"), Value::Null, json!("")]),
        name in select(vec![json!("ada"), Value::Null, json!(""), json!(7)]),
        source in prop::option::of(Just("broker")),
        family in select(vec![Value::Null, json!("1"), json!("")]),
    ) -> Value {
        entry["realm"] = json!(realm);
        entry["secret"] = secret;
        entry["username"] = name;
        entry["family_id"] = family;
        if let Some(source) = source {
            entry["account_source"] = json!(source);
        }
        entry
    }
}

/// A section: its entries under keys of which some are the same, and some those that the other
/// MSALs would choose.
fn any_section(
    entry: impl Strategy<Value = Value>,
    kind: &'static str,
) -> impl Strategy<Value = String> {
    prop::collection::vec((entry, 0..12_u8), 0..7).prop_map(move |entries| {
        let entries = entries.into_iter().map(|(entry, key)| {
            let part = |name: &str| entry[name].as_str().unwrap_or_default().to_owned();
            let key = if key < 3 {
                let parts = ["home_account_id", "environment"].map(part);
                let rest = ["client_id", "realm", "target"].map(part);
                let key = [&parts[..], &[kind.to_owned()], &rest].concat();
                key.join("-").to_lowercase()
            } else {
                format!("key {key}")
            };
            format!("{}: {entry}", json!(key))
        });
        format!("{{{}}}", entries.collect::<Vec<_>>().join(", "))
    })
}

prop_compose! {
    fn any_cache()(
        access_tokens in any_section(any_access_token(), "accesstoken"),
        refresh_tokens in any_section(any_refresh_token(), "refreshtoken"),
        id_tokens in any_section(any_of_the_rest(), "idtoken"),
        accounts in any_section(any_of_the_rest(), ""),
        apps in any_section(any_of_the_rest(), ""),
    ) -> String {
        format!(
            "{{\"AccessToken\": {access_tokens}, \"RefreshToken\": {refresh_tokens}, \"IdToken\": \
             {id_tokens}, \"Unknown\": [1], \"Account\": {accounts}, \"AppMetadata\": {apps}}}"
        )
    }
}

/// The refresh token of this entry.
fn refresh_token(entry: &Value) -> RedeemedToken {
    let cache = json!({"RefreshToken": {"k": entry}}).to_string();
    let cache = TokenCache::new(MemoryPersistence::holding(cache));
    let snapshot = cache.snapshot().unwrap();
    RedeemedToken::from(&snapshot.refresh_tokens().next().unwrap())
}

fn any_redeemed() -> impl Strategy<Value = Origin> {
    any_refresh_token().prop_map(|entry| Origin::Redeemed(refresh_token(&entry)))
}

fn any_elsewhere() -> impl Strategy<Value = Origin> {
    any_refresh_token().prop_map(|entry| Origin::RedeemedElsewhere(refresh_token(&entry)))
}

fn any_sign_in() -> impl Strategy<Value = Origin> {
    any_owner().prop_map(|owner| {
        let part = |name: &str| owner[name].as_str().unwrap().to_owned();
        Origin::SignedIn(SignIn {
            home_account_id: part("home_account_id"),
            environment: part("environment"),
            client_id: part("client_id"),
            grant_type: "authorization_code".to_owned(),
        })
    })
}

fn any_redemption() -> impl Strategy<Value = Redemption> {
    redemption_of(any_redeemed())
}

prop_compose! {
    fn redemption_of(origin: impl Strategy<Value = Origin>)(
        origin in origin,
        client in prop::option::weighted(0.2, select(&CLIENTS[..])),
        realm in mostly(&REALMS),
        target in any_target(),
        life in select(vec![3_600_u64, 60, 0]),
        extended in prop::option::of(Just(7_200_u64)),
        refresh_in in prop::option::of(Just(1_800_u64)),
        rotated in prop::option::weighted(0.8, select(vec!["rt1", "rt2", "rotated"])),
        family in prop::option::of(Just("1")),
        identity in prop::option::of(prop::option::of(Just("ada".to_owned()))),
    ) -> Redemption {
        let mut redemption = Redemption::new(
            origin,
            realm,
            target,
            Secret::new(NEW_ACCESS_TOKEN),
            at(NOW),
            at(NOW + life),
        );
        if let Some(client) = client {
            redemption = redemption.with_client_id(client);
        }
        if let Some(extended) = extended {
            redemption = redemption.with_extended_expires_on(at(NOW + extended));
        }
        if let Some(refresh_in) = refresh_in {
            redemption = redemption.with_refresh_on(at(NOW + refresh_in));
        }
        if let Some(rotated) = rotated {
            redemption = redemption.with_refresh_token(Secret::new(rotated));
        }
        if let Some(family) = family {
            redemption = redemption.with_family_id(family);
        }
        if let Some(name) = identity {
            let identity = Identity::new(Secret::new("an ID token"), None, name);
            redemption = redemption.with_identity(identity);
        }
        redemption
    }
}

/// The resources of a scope in a list: its own, else those that the list names, else the default
/// one, which has no name.
fn resources(scope: &str, list: &[String]) -> BTreeSet<Option<String>> {
    let of = |scope: &str| scope.rfind('/').map(|slash| scope[..slash].to_owned());
    let own = of(scope);
    let mut named: BTreeSet<_> = list.iter().map(|scope| of(scope)).collect();
    named.retain(Option::is_some);
    if own.is_some() || named.is_empty() {
        BTreeSet::from([own])
    } else {
        named
    }
}

/// Scopes without case, and without those of the sign-in, which no request is for.
fn scopes(entry: &Value) -> Vec<String> {
    let target = entry["target"].as_str().unwrap_or_default();
    let mut scopes: Vec<_> = target.split(' ').map(str::to_lowercase).collect();
    scopes.retain(|scope| !SIGN_IN.contains(&&**scope));
    scopes.sort_unstable();
    scopes.dedup();
    scopes
}

/// Whether a request of MSAL.NET, for some of the first one's scopes, finds both tokens, and means
/// the same resource with both.
fn one_request_finds_both(ours: &[String], theirs: &[String]) -> bool {
    (1..1_u32 << ours.len()).any(|chosen| {
        let is_chosen = |n: &usize| chosen >> n & 1 == 1;
        let request: Vec<_> = (0..ours.len())
            .filter(is_chosen)
            .map(|n| &ours[n])
            .collect();
        request.iter().all(|scope| theirs.contains(scope))
            && request.iter().any(|scope| {
                let (ours, theirs) = (resources(scope, ours), resources(scope, theirs));
                !ours.is_disjoint(&theirs)
            })
    })
}

fn is_plain(entry: &Value) -> bool {
    entry["secret"].is_string() && entry["token_type"] != "pop" && entry["kid"].is_null()
}

proptest! {
    // Where one entry of several that hold the redeemed refresh token is left out, one case in ten
    // fails.
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn merging_twice_is_merging_once(cache in any_cache(), redemption in any_redemption()) {
        let store = Store::holding(cache);
        let first = store.merge(&redemption).unwrap();
        let once = store.text();
        let second = store.merge(&redemption).unwrap();
        prop_assert_eq!(first, second);
        prop_assert_eq!(store.text(), once);
    }

    /// MSAL.NET throws `multiple_matching_tokens_detected` there.
    #[test]
    fn k14_after_a_merge_no_request_finds_our_token_and_another_one(
        cache in any_cache(),
        redemption in any_redemption(),
    ) {
        let store = Store::holding(cache);
        if store.merge(&redemption).unwrap() == Merged::SignedOut {
            return Ok(());
        }
        let after = store.value();
        let tokens: Vec<_> = after["AccessToken"].as_object().unwrap().values().collect();
        let is_ours = |token: &&&Value| token["secret"] == NEW_ACCESS_TOKEN;
        let Some(ours) = tokens.iter().find(is_ours) else {
            // A newer one that does as much is there.
            return Ok(());
        };
        for other in &tokens {
            let same = |name: &str| other[name] == ours[name];
            // Two hosts of one cloud, and one of another.
            let same_cloud = (other["environment"] == HOSTS[2]) == (ours["environment"] == HOSTS[2]);
            if std::ptr::eq(*other, *ours)
                || !is_plain(other)
                || !same_cloud
                || !["home_account_id", "client_id", "realm"].into_iter().all(same)
            {
                continue;
            }
            let both = one_request_finds_both(&scopes(ours), &scopes(other));
            prop_assert!(!both, "{} {}", ours["target"], other["target"]);
            prop_assert!(scopes(ours).is_empty() || scopes(ours) != scopes(other));
        }
    }

    /// And nothing goes that no such request finds, unless it has expired.
    #[test]
    fn k14_a_merge_removes_rivals_only_and_tells_which(
        cache in any_cache(),
        redemption in any_redemption(),
    ) {
        let before = Store::holding(cache);
        let _ = before.merge(&Redemption::new(
            // Nobody's: it only takes out duplicates of keys.
            redemption.origin().clone(), "r", "z/z", Secret::new("s"), at(0), at(1),
        ));
        let text = before.text();
        let of = |value: &Value| -> Vec<Value> {
            value["AccessToken"].as_object().into_iter().flatten().map(|(_, token)| token.clone()).collect()
        };
        let old = of(&before.value());
        let store = Store::holding(text);
        let mut told = Vec::new();
        store
            .cache
            .modify(|transaction| {
                transaction.merge_displacing(&redemption, |token| {
                    told.push(token.target().to_string());
                })
            })
            .unwrap();
        let new = of(&store.value());
        let mut gone: Vec<_> = old.iter().filter(|token| !new.contains(token)).collect();
        gone.retain(|token| {
            let end: u64 = token["expires_on"].as_str().unwrap().parse().unwrap();
            end >= NOW
        });
        let ours = json!({"target": redemption.target()});
        let targets: Vec<_> = gone.iter().filter_map(|token| token["target"].as_str()).collect();
        for token in gone {
            let is_rival = one_request_finds_both(&scopes(&ours), &scopes(token))
                || scopes(&ours) == scopes(token);
            prop_assert!(is_rival, "{} {}", ours["target"], token["target"]);
        }
        // Of those that were told, one may stand in several entries, and one of the same scopes
        // has become ours.
        for target in targets {
            let same = scopes(&json!({"target": target})) == scopes(&ours);
            prop_assert!(same || told.iter().any(|told| told == target), "{target} {told:?}");
        }
    }

    #[test]
    fn merging_a_sign_in_or_another_stores_tokens_twice_is_merging_them_once(
        cache in any_cache(),
        redemption in redemption_of(prop_oneof![any_sign_in(), any_elsewhere()]),
        is_refresh_token_only in prop::bool::weighted(0.2),
    ) {
        let mut redemption = redemption;
        if is_refresh_token_only {
            redemption = redemption.with_refresh_token_only();
        }
        let store = Store::holding(cache);
        let first = store.merge(&redemption).unwrap();
        let once = store.text();
        prop_assert_eq!(first, store.merge(&redemption).unwrap());
        prop_assert_eq!(store.text(), once);
        prop_assert_ne!(first, Merged::SignedOut);
    }

    #[test]
    fn a_sign_in_changes_entries_of_its_own_account_only(
        cache in any_cache(),
        redemption in redemption_of(any_sign_in()),
    ) {
        let store = Store::holding(cache);
        // The first merge also takes out duplicates of keys.
        store.merge(&redemption).unwrap();
        let before = store.value();
        let other = Redemption::new(
            SignIn {
                home_account_id: "c.home".to_owned(),
                environment: HOST.to_owned(),
                client_id: "c3".to_owned(),
                grant_type: "password".to_owned(),
            },
            REALMS[0], "x/read", Secret::new("s"), at(NOW), at(NOW + 60),
        );
        store.merge(&other.with_refresh_token(Secret::new("rt1"))).unwrap();
        let after = store.value();
        for name in ["AccessToken", "RefreshToken", "IdToken", "Account", "AppMetadata"] {
            for (key, entry) in before[name].as_object().unwrap() {
                prop_assert_eq!(entry, &after[name][key], "{} {}", name, key);
            }
        }
        prop_assert_eq!(section(&after, "RefreshToken").len(), section(&before, "RefreshToken").len() + 1);
        prop_assert_eq!(section(&after, "Account").len(), section(&before, "Account").len() + 1);
    }

    #[test]
    fn another_stores_tokens_leave_the_refresh_tokens_alone(
        cache in any_cache(),
        redemption in redemption_of(any_elsewhere()),
    ) {
        let nobodys = Redemption::new(
            redemption.origin().clone(), "r", "z/z", Secret::new("s"), at(0), at(1),
        );
        let store = Store::holding(cache);
        // The first merge also takes out duplicates of keys.
        store.merge(&nobodys).unwrap();
        let before = store.value();
        let merged = store.merge(&redemption).unwrap();
        prop_assert_eq!(&before["RefreshToken"], &store.value()["RefreshToken"]);
        let is_rotated = redemption.refresh_token().is_some();
        let expected = if is_rotated { Merged::StoredInPart } else { Merged::Stored };
        prop_assert_eq!(merged, expected);
    }
}
