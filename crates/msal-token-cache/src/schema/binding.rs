//! The members that bind a token to more than account, application, tenant and scopes.
//!
//! A bound token is never handed out or sent, and never makes way for another.

use crate::document::Entry;

/// Members that bind a token when they are set, in lower case and without underscores: the
/// libraries spell them in several ways.
const BINDING: [&str; 10] = [
    // A proof-of-possession key.
    "keyid",
    "kid",
    // An extended cache key.
    "extcachekey",
    "ext",
    "additionalcachekeycomponents",
    "persistedcacheparameters",
    // An on-behalf-of assertion.
    "userassertionhash",
    // Claims, or a resource, that the token was asked for with.
    "requestedclaims",
    "requestedclaimshash",
    "resource",
];

/// The members of plain tokens.
const PLAIN: [&str; 14] = [
    "credential_type",
    "secret",
    "home_account_id",
    "environment",
    "client_id",
    "target",
    "realm",
    "token_type",
    "cached_at",
    "expires_on",
    "extended_expires_on",
    "refresh_on",
    "last_modification_time",
    "family_id",
];

/// Returns `true` if a token is bound: by a member that is known to bind, or by an unknown object or
/// list. The library that added such a member may tell tokens apart by it. A null or empty member
/// binds nothing.
pub(crate) fn is_bound(members: &Entry<'_>) -> bool {
    members.any_set(|name, is_compound| {
        let is_binding = BINDING.iter().any(|known| is_spelling_of(name, known));
        is_binding || (is_compound && !PLAIN.contains(&name))
    })
}

/// Returns `true` if a name is this one in any case and with any underscores.
fn is_spelling_of(name: &str, known: &str) -> bool {
    // Most are not, and mostly the first letter tells.
    let mut letters = name.bytes().filter(|byte| *byte != b'_');
    let mut known = known.bytes();
    loop {
        match (letters.next(), known.next()) {
            (None, None) => return true,
            (Some(letter), Some(known)) if letter.to_ascii_lowercase() == known => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn is_bound_with(name: &str, value: &Value) -> bool {
        let mut entry = json!({
            "credential_type": "AccessToken", "secret": "s", "expires_on": "1", "ext_expires": "1",
            "requested": "r", "kind": "k", "resources": "r", "x_number": 1, "x_flag": true,
        });
        entry[name] = value.clone();
        is_bound(&Entry::parse(&entry.to_string()).expect("an object"))
    }

    #[test]
    fn a_set_binding_member_binds_in_every_spelling() {
        for name in [
            "key_id",
            "keyid",
            "keyId",
            "kid",
            "KID",
            "ext",
            "ext_cache_key",
            "extCacheKey",
            "user_assertion_hash",
            "userAssertionHash",
            "additionalCacheKeyComponents",
            "additional_cache_key_components",
            "persisted_cache_parameters",
            "requestedClaims",
            "requested_claims",
            "requestedClaimsHash",
            "requested_claims_hash",
            "resource",
        ] {
            for value in [
                json!("x"),
                json!(" "),
                json!(0),
                json!(false),
                json!({"a": 1}),
            ] {
                assert!(is_bound_with(name, &value), "{name} {value}");
            }
            for value in [Value::Null, json!(""), json!({}), json!([])] {
                assert!(!is_bound_with(name, &value), "{name} {value}");
            }
        }
    }

    #[test]
    fn an_unknown_object_or_list_binds_and_nothing_else_does() {
        for value in [json!({"a": null}), json!(["x"]), json!([[]])] {
            assert!(is_bound_with("x_unknown", &value), "{value}");
            // Malformed, and not unknown.
            assert!(!is_bound_with("refresh_on", &value), "{value}");
        }
        for value in [json!("x"), json!(1), json!({}), json!([]), Value::Null] {
            assert!(!is_bound_with("x_unknown", &value), "{value}");
        }
        for name in ["ke_yi", "k_i", "kidd", "ext_", "", "_"] {
            let is_ext = name == "ext_";
            assert_eq!(is_bound_with(name, &json!("x")), is_ext, "{name}");
        }
    }

    #[test]
    fn blanks_escapes_and_duplicates_are_seen_through() {
        let is_bound = |text: &str| is_bound(&Entry::parse(text).expect("an object"));
        assert!(!is_bound(
            r#"{"ext": { }, "kid": [
            ], "k": "v"}"#
        ));
        assert!(is_bound("{\"ex\\u0074\": \"x\"}"));
        // The last one counts.
        assert!(!is_bound(r#"{"ext": "x", "ext": null}"#));
        assert!(is_bound(r#"{"ext": null, "ext": "x"}"#));
        assert!(is_bound(r#"{"ext": "x", "EXT": null}"#));
    }
}
