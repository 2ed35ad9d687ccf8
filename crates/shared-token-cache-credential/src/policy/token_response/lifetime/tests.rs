use entra_token_endpoint::HttpResponse;
use msal_token_cache::{MemoryPersistence, Merged, TokenCache};
use serde_json::{Value, json};

use super::super::Granted;
use super::super::tests::{ada, body_with, cache, id_token, read_at, read_with, spent, token};
use super::*;
use crate::fixtures::{ARM, CLI, NOW, at};

const WEEK: u64 = 7 * 24 * 3600;

fn response(body: &str) -> TokenResponse {
    TokenResponse::parse(&HttpResponse::new(200, body)).unwrap()
}

#[test]
fn k15_a_lifetime_is_what_the_server_counts_from_now_else_its_time() {
    for (members, life) in [
        (json!({ "expires_in": 3600 }), 3600),
        (json!({ "expires_in": "3600" }), 3600),
        (json!({ "expires_in": " 3599.9 " }), 3599),
        (json!({ "expires_in": 3599.9 }), 3599),
        (json!({ "expires_in": "003600" }), 3600),
        (json!({ "expires_in": 36e2 }), 3600),
        (json!({ "expires_in": WEEK }), WEEK),
        (json!({ "expires_in": WEEK.to_string() + ".9" }), WEEK),
        // Its clock is not ours.
        (json!({ "expires_in": 60, "expires_on": NOW + 3600 }), 60),
        (json!({ "expires_in": 3600, "expires_on": 3600 }), 3600),
        (
            json!({ "expires_in": 3600, "expires_on": NOW * 1000 }),
            3600,
        ),
        (json!({ "expires_in": 3600, "expires_on": NOW - 1 }), 3600),
        (json!({ "expires_in": 3600, "expires_on": "never" }), 3600),
        // What cannot be is passed over.
        (json!({ "expires_in": 0, "expires_on": NOW + 60 }), 60),
        (json!({ "expires_in": -1, "expires_on": NOW + 60 }), 60),
        (json!({ "expires_in": "-1", "expires_on": NOW + 60 }), 60),
        (json!({ "expires_in": 0.9, "expires_on": NOW + 60 }), 60),
        (
            json!({ "expires_in": WEEK + 1, "expires_on": NOW + 60 }),
            60,
        ),
        (json!({ "expires_in": 1e300, "expires_on": NOW + 60 }), 60),
        (json!({ "expires_in": "1e3", "expires_on": NOW + 60 }), 60),
        (json!({ "expires_in": "inf", "expires_on": NOW + 60 }), 60),
        (json!({ "expires_in": "+60", "expires_on": NOW + 60 }), 60),
        (json!({ "expires_in": "", "expires_on": NOW + 60 }), 60),
        (json!({ "expires_in": ".5", "expires_on": NOW + 60 }), 60),
        (json!({ "expires_in": "6 0", "expires_on": NOW + 60 }), 60),
        (json!({ "expires_in": "6_0", "expires_on": NOW + 60 }), 60),
        (json!({ "expires_in": [60], "expires_on": NOW + 60 }), 60),
        (
            json!({ "expires_in": null, "expires_on": (NOW + 60).to_string() }),
            60,
        ),
        (
            json!({ "expires_in": null, "expires_on": NOW + WEEK }),
            WEEK,
        ),
    ] {
        let answer = token(read_with(&members));
        assert_eq!(answer.expires_on(), at(NOW + life), "{members}");
        assert_eq!(answer.refresh_on(), None);
    }
}

#[test]
fn k15_a_token_without_a_lifetime_that_can_be_is_not_handed_out() {
    let week = "does not have the token expire within seven days: check this machine's clock";
    let said = "does not say when the token expires: check the builder's authority";
    for (members, why) in [
        (json!({ "expires_in": null }), said),
        (json!({ "expires_in": "soon" }), said),
        (json!({ "expires_in": [3600] }), said),
        (json!({ "expires_in": null, "expires_on": {} }), said),
        (json!({ "expires_in": 0 }), week),
        (json!({ "expires_in": "0" }), week),
        (json!({ "expires_in": -1 }), week),
        (json!({ "expires_in": "-1" }), week),
        (json!({ "expires_in": -1e300 }), week),
        (json!({ "expires_in": u64::MAX }), week),
        (json!({ "expires_in": 1e300 }), week),
        (json!({ "expires_in": "inf" }), week),
        (json!({ "expires_in": "99999999999999999999999999" }), week),
        (json!({ "expires_in": WEEK + 1 }), week),
        (json!({ "expires_in": null, "expires_on": NOW - 1 }), week),
        (json!({ "expires_in": null, "expires_on": 3600 }), week),
        (
            json!({ "expires_in": null, "expires_on": NOW * 1000 }),
            week,
        ),
        (
            json!({ "expires_in": 0, "expires_on": NOW + WEEK + 1 }),
            week,
        ),
        (json!({ "expires_in": null, "expires_on": u64::MAX }), week),
    ] {
        let text = spent(read_with(&members));
        assert!(text.contains(why), "{members}: {text}");
    }
    let nothing = r#"{"access_token":"canary"}"#;
    let text = spent(read_at("organizations", 200, nothing));
    assert!(text.contains(said), "{text}");
}

#[test]
fn k15_less_than_thirty_seconds_are_too_little() {
    for (seconds, is_enough) in [(1, false), (29, false), (30, true), (31, true)] {
        for members in [
            json!({ "expires_in": seconds }),
            json!({ "expires_in": null, "expires_on": NOW + seconds }),
        ] {
            let answer = read_with(&members);
            if is_enough {
                assert_eq!(token(answer).expires_on(), at(NOW + seconds), "{members}");
            } else {
                let text = spent(answer);
                assert!(text.contains("less than a minute left"), "{text}");
            }
        }
    }
    let lifetime = |members: Value, sent, now| {
        Lifetime::of(&response(&body_with(&members)), at(sent), at(now))
            .map(|lifetime| lifetime.expires_on)
    };
    let minute = json!({ "expires_in": 60 });
    // From when the request was sent; what is left when the answer has come.
    assert_eq!(lifetime(minute.clone(), NOW, NOW + 30), Ok(at(NOW + 60)));
    let too_late = lifetime(minute.clone(), NOW, NOW + 31);
    assert_eq!(too_late, Err(NoLifetime::TooShort));
    // The clock was set back meanwhile.
    let short = json!({ "expires_in": 29 });
    assert_eq!(lifetime(short, NOW, NOW - 60), Err(NoLifetime::TooShort));
    assert_eq!(lifetime(minute, NOW, NOW - 60), Ok(at(NOW + 60)));
}

#[test]
fn k15_no_clock_is_too_far_for_a_lifetime() {
    let response = response(&body_with(&json!({ "expires_in": 3600, "refresh_in": 60 })));
    let mut latest = UNIX_EPOCH;
    // The last time that this platform can tell.
    for bits in (0..63).rev() {
        let step = Duration::from_secs(1 << bits);
        latest = latest.checked_add(step).unwrap_or(latest);
    }
    let lifetime = Lifetime::of(&response, latest, latest);
    assert_eq!(lifetime.unwrap_err(), NoLifetime::Unbelievable);
}

#[test]
fn k15_other_times_of_an_answer_have_the_same_bounds() {
    for (value, extended, refresh) in [
        (json!(1800), Some(1800), Some(1800)),
        (json!("1800.9"), Some(1800), Some(1800)),
        (json!(1), Some(1), Some(1)),
        (json!(3599), Some(3599), Some(3599)),
        // Never due, or due for ever.
        (json!(3600), Some(3600), None),
        (json!(WEEK), Some(WEEK), None),
        (json!(WEEK + 1), None, None),
        (json!(u64::MAX), None, None),
        (json!(1e300), None, None),
        (json!(0), None, None),
        (json!(0.9), None, None),
        (json!(-1), None, None),
        (json!("-1"), None, None),
        (json!({}), None, None),
        (json!(null), None, None),
    ] {
        let body = body_with(&json!({ "ext_expires_in": value, "refresh_in": value }));
        let lifetime = Lifetime::of(&response(&body), at(NOW), at(NOW)).unwrap();
        let after = |seconds: Option<u64>| seconds.map(|seconds| at(NOW + seconds));
        assert_eq!(lifetime.extended, after(extended), "{value}");
        assert_eq!(lifetime.refresh_on, after(refresh), "{value}");
    }
}

/// The server may have revoked the one that was redeemed; the access token may not take the place
/// of one that is still good.
#[test]
fn k15_of_a_token_that_is_not_handed_out_the_refresh_token_is_stored() {
    for (expires_in, secret) in [
        (json!(29), "rotated"),
        (json!(0), "rotated"),
        (json!(-1e300), "rotated"),
        // Nothing of an answer that lacks what it must say.
        (json!(null), "refresh-token"),
        (json!("soon"), "refresh-token"),
    ] {
        let info = ada().client_info();
        let id_token = id_token(&json!({ "tid": ada().utid, "preferred_username": "other" }));
        let answer = read_with(&json!({
            "expires_in": expires_in, "refresh_token": "rotated", "client_info": info,
            "id_token": id_token,
        }));
        let Ok(Granted::Spent(redemption, _)) = answer else {
            panic!("{answer:?}");
        };
        let spec = test_support::AccessTokenSpec {
            client_id: CLI,
            target: ARM,
            secret: "still-good",
            expires_on: NOW + 200,
            ..Default::default()
        };
        let before = cache().access_token(&ada(), spec);
        let store = MemoryPersistence::holding(before.to_json());
        let merged = TokenCache::new(store.clone()).modify(|edit| edit.merge(&redemption));
        assert_eq!(merged.unwrap(), Merged::Stored);
        let after: Value = serde_json::from_slice(&store.content().unwrap()).unwrap();
        let mut expected = before.to_value();
        if secret == "rotated" {
            let tokens = expected["RefreshToken"].as_object_mut().unwrap();
            let token = tokens.values_mut().next().unwrap();
            token["secret"] = json!(secret);
            token["last_modification_time"] = json!(NOW.to_string());
        }
        assert_eq!(after, expected, "{expires_in}");
    }
}
