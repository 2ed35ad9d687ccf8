//! How identifiers compare, one comparison each. Pure.
//!
//! Entra means the same by a GUID, a host or a domain name in any case, and writers spell them as
//! they please. So these compare in ASCII lower case, and everything else as it is written: the
//! subject that stands for a user elsewhere is a text whose case counts. Names compare by ASCII
//! case only, because further folding makes one of two names: the Kelvin sign is not a `k`.
//!
//! Texts that compare equal are equal in the lower case of these functions, which keys are made of.
//!
//! ```
//! use msal_token_cache::identifier;
//!
//! let [guid, upper] = ["04b07795-8ddb-461a-bbee-02f9e1bf7b46", "04B07795-8DDB-461A-BBEE-02F9E1BF7B46"];
//! assert!(identifier::is_same_client_id(guid, upper));
//! assert!(!identifier::is_same_client_id("subject", "Subject"));
//! assert_eq!(identifier::lower_client_id(upper), guid);
//! ```

use std::borrow::Cow;

/// The words that stand for a tenant in the address of an authority.
const TENANT_WORDS: [&str; 3] = ["organizations", "common", "consumers"];

/// Returns `true` if both are the id of one application.
pub fn is_same_client_id(one: &str, other: &str) -> bool {
    is_same(one, other, is_guid_or_domain)
}

/// Returns `true` if both are the `uid.utid` of one account. The parts between the dots compare
/// each for itself.
pub fn is_same_home_account_id(one: &str, other: &str) -> bool {
    let parts = |text| <str>::split(text, '.');
    one == other
        || (one.eq_ignore_ascii_case(other)
            && parts(one)
                .zip(parts(other))
                .all(|(one, other)| is_same(one, other, is_guid)))
}

/// Returns `true` if both name one tenant: by its id, by a domain name, or by a word like
/// `organizations`.
pub fn is_same_tenant(one: &str, other: &str) -> bool {
    is_same(one, other, is_tenant_of_any_case)
}

/// Returns `true` if both are one host, with the same port or without. See
/// [`same_cloud`](crate::same_cloud) for hosts that are aliases of each other.
pub fn is_same_environment(one: &str, other: &str) -> bool {
    is_same(one, other, is_environment_of_any_case)
}

/// Returns `true` if both are one name that somebody signs in with.
pub fn is_same_username(one: &str, other: &str) -> bool {
    one.eq_ignore_ascii_case(other)
}

/// Returns the id of an application as new entries and keys have it.
pub fn lower_client_id(client_id: &str) -> Cow<'_, str> {
    lower(client_id, is_guid_or_domain)
}

/// Returns the id of an account as new entries and keys have it.
pub fn lower_home_account_id(home_account_id: &str) -> Cow<'_, str> {
    if !has_upper_case(home_account_id) {
        return Cow::Borrowed(home_account_id);
    }
    let parts: Vec<_> = home_account_id
        .split('.')
        .map(|part| lower(part, is_guid))
        .collect();
    Cow::Owned(parts.join("."))
}

/// Returns a tenant as new entries and keys have it.
pub fn lower_tenant(tenant: &str) -> Cow<'_, str> {
    lower(tenant, is_tenant_of_any_case)
}

/// Returns a host as new entries and keys have it.
pub fn lower_environment(environment: &str) -> Cow<'_, str> {
    lower(environment, is_environment_of_any_case)
}

/// Returns `true` for a GUID with its hyphens and without braces.
pub fn is_guid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

/// Returns `true` for a host: labels of letters, digits and hyphens, with dots between them. No
/// user, port, path, query, fragment or blank gets through.
pub fn is_host(text: &str) -> bool {
    (1..=253).contains(&text.len())
        && text.split('.').all(|label| {
            !label.is_empty()
                && !label.starts_with('-')
                && label
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        })
}

/// A host of one label may be any text.
fn is_guid_or_domain(text: &str) -> bool {
    is_guid(text) || (text.contains('.') && is_host(text))
}

fn is_tenant_of_any_case(text: &str) -> bool {
    is_guid_or_domain(text) || TENANT_WORDS.iter().any(|w| w.eq_ignore_ascii_case(text))
}

fn is_environment_of_any_case(text: &str) -> bool {
    match text.split_once(':') {
        Some((host, port)) => is_host(host) && port.bytes().all(|byte| byte.is_ascii_digit()),
        None => is_host(text),
    }
}

/// Whether the case of a text counts does not depend on its case, so one of the two will do.
#[inline]
fn is_same(one: &str, other: &str, is_of_any_case: impl Fn(&str) -> bool) -> bool {
    one == other || (one.eq_ignore_ascii_case(other) && is_of_any_case(one))
}

fn lower(text: &str, is_of_any_case: impl Fn(&str) -> bool) -> Cow<'_, str> {
    if has_upper_case(text) && is_of_any_case(text) {
        Cow::Owned(text.to_ascii_lowercase())
    } else {
        Cow::Borrowed(text)
    }
}

fn has_upper_case(text: &str) -> bool {
    text.bytes().any(|byte| byte.is_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    const GUID: &str = "04b07795-8ddb-461a-bbee-02f9e1bf7b46";
    const OTHER_GUID: &str = "9188040d-6c67-4c5b-b112-36a304b66dad";

    type Same = fn(&str, &str) -> bool;
    type Lower = fn(&str) -> Cow<'_, str>;

    const ALL: [(&str, Same, Lower); 4] = [
        ("client", is_same_client_id, lower_client_id),
        ("account", is_same_home_account_id, lower_home_account_id),
        ("tenant", is_same_tenant, lower_tenant),
        ("environment", is_same_environment, lower_environment),
    ];

    #[test]
    fn k16_guids_and_hosts_compare_without_case_and_other_texts_with_it() {
        let upper = GUID.to_uppercase();
        for (what, is_same, lower) in ALL {
            // A GUID is a host as well.
            assert!(
                is_same(GUID, &upper) && !is_same(GUID, OTHER_GUID),
                "{what}"
            );
            assert_eq!(lower(&upper), GUID, "{what}");
            for odd in [
                "Some_Subject",
                "UID=",
                "a b",
                "",
                "K\u{212a}",
                "\u{130}x.Example",
            ] {
                let other = odd.to_ascii_lowercase();
                assert_eq!(is_same(odd, &other), odd == other, "{what} {odd:?}");
                assert_eq!(lower(odd), odd, "{what}");
            }
        }
        for (text, expected) in [
            // By client, account, tenant, environment.
            ("Contoso.Example", [true, false, true, true]),
            ("Organizations", [false, false, true, true]),
            ("LocalHost:8443", [false, false, false, true]),
            ("LocalHost:x", [false; 4]),
            ("LocalHost", [false, false, false, true]),
            ("Contoso..Example", [false; 4]),
            ("0000000048093EE3", [false, false, false, true]),
        ] {
            for ((what, is_same, lower), expected) in ALL.into_iter().zip(expected) {
                let other = text.to_ascii_lowercase();
                assert_eq!(is_same(text, &other), expected, "{what} {text}");
                assert_eq!(lower(text) == other, expected, "{what} {text}");
            }
        }
    }

    #[test]
    fn k16_an_account_compares_part_by_part() {
        let [uid, utid] = [GUID, OTHER_GUID].map(str::to_uppercase);
        let lower = format!("{GUID}.{OTHER_GUID}");
        for upper in [
            format!("{uid}.{OTHER_GUID}"),
            format!("{GUID}.{utid}"),
            format!("{uid}.{utid}"),
        ] {
            assert!(is_same_home_account_id(&lower, &upper));
            assert_eq!(lower_home_account_id(&upper), lower);
        }
        let subject = |text: &str| format!("{text}.{OTHER_GUID}");
        assert!(!is_same_home_account_id(&subject("sUb"), &subject("sub")));
        assert!(is_same_home_account_id(
            &subject("sUb"),
            &format!("sUb.{utid}")
        ));
        assert_eq!(
            lower_home_account_id(&format!("sUb.{utid}")),
            subject("sUb")
        );
        assert!(!is_same_home_account_id(&lower, &lower[..lower.len() - 1]));
        assert!(!is_same_home_account_id(&lower.replace('.', "-"), &lower));
    }

    #[test]
    fn k16_what_is_the_same_has_one_lower_case() {
        let texts = [
            GUID,
            &GUID.to_uppercase(),
            "A.b",
            "a.B",
            "uid",
            "UID",
            "common",
            "COMMON",
            "x:1",
            "X:1",
        ]
        .map(str::to_owned);
        for (what, is_same, lower) in ALL {
            for one in &texts {
                for other in &texts {
                    let same = lower(one) == lower(other);
                    assert_eq!(is_same(one, other), same, "{what} {one} {other}");
                }
            }
        }
    }

    #[test]
    fn k16_names_compare_by_ascii_case_only() {
        assert!(is_same_username(
            "Kim@Contoso.example",
            "kim@contoso.EXAMPLE"
        ));
        assert!(!is_same_username(
            "\u{212a}im@contoso.example",
            "kim@contoso.example"
        ));
        assert!(!is_same_username("J\u{d6}RG@x", "j\u{f6}rg@x"));
    }

    #[test]
    fn a_guid_is_sixteen_bytes_in_five_groups() {
        for text in ["", "04b07795", &GUID.replace('-', "0"), &format!("{GUID}0")] {
            assert!(!is_guid(text), "{text}");
        }
        assert!(!is_guid(&GUID.replace('b', "g")) && !is_guid(&GUID.replace('0', "\u{e9}")));
    }
}
