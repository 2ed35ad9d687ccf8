use std::borrow::Cow;
use std::fmt;

/// The scopes that an access token is good for: a list separated by blanks.
///
/// Scopes compare without regard to ASCII case and to their order.
///
/// ```
/// use msal_token_cache::Target;
///
/// let target = Target::from("https://vault.azure.net/.default openid");
/// assert!(target.contains(["https://VAULT.azure.net/.default"]));
/// assert!(!target.contains(["https://vault.azure.net"]));
/// ```
#[derive(Clone)]
pub struct Target<'s>(Cow<'s, str>);

/// What every sign-in asks for; it says nothing about what a token is good for.
const SIGN_IN_SCOPES: [&str; 4] = ["openid", "profile", "offline_access", "email"];

impl Target<'_> {
    /// The scopes, in their order.
    pub fn scopes(&self) -> impl Iterator<Item = &str> {
        self.0.split_whitespace()
    }

    /// Whether all of these scopes are among them.
    pub fn contains<'q>(&self, scopes: impl IntoIterator<Item = &'q str>) -> bool {
        scopes.into_iter().all(|scope| self.has(scope))
    }

    /// Whether they have a scope in common, not counting those that every sign-in asks for:
    /// `openid`, `profile`, `offline_access` and `email`.
    pub fn intersects(&self, other: &Target<'_>) -> bool {
        self.scopes()
            .filter(|scope| {
                !SIGN_IN_SCOPES
                    .iter()
                    .any(|common| common.eq_ignore_ascii_case(scope))
            })
            .any(|scope| other.has(scope))
    }

    /// Whether they are the same scopes.
    pub(crate) fn is_same_as(&self, other: &Target<'_>) -> bool {
        self.0 == other.0 || (self.contains(other.scopes()) && other.contains(self.scopes()))
    }

    fn has(&self, scope: &str) -> bool {
        if !self.0.is_ascii() {
            return self.scopes().any(|own| own.eq_ignore_ascii_case(scope));
        }
        // The same by bytes: most look-ups pass many targets by.
        let mut scopes = self.0.as_bytes().split(|byte| is_blank(*byte));
        !scope.is_empty() && scopes.any(|own| own.eq_ignore_ascii_case(scope.as_bytes()))
    }
}

/// What `char::is_whitespace` says of an ASCII character.
fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

impl<'s, T: Into<Cow<'s, str>>> From<T> for Target<'s> {
    fn from(scopes: T) -> Self {
        Self(scopes.into())
    }
}

impl fmt::Debug for Target<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.scopes()).finish()
    }
}

impl fmt::Display for Target<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_blanks_separate_and_none_is_part_of_a_scope() {
        for byte in 0..=0x7F {
            assert_eq!(is_blank(byte), char::from(byte).is_whitespace(), "{byte}");
        }
        for target in [
            "a\u{b}B\t c",
            " a\n\nb\rc ",
            "a\u{2003}b\u{a0}c",
            "\u{e9} a B c",
        ] {
            let target = Target::from(target);
            assert!(target.contains(["A", "b", "c"]), "{target:?}");
            for other in ["", " ", "a b", "a\u{b}B", "a\u{2003}b", "ab", "\u{c9}"] {
                assert!(!target.contains([other]), "{target:?} {other:?}");
            }
        }
    }

    #[test]
    fn common_sign_in_scopes_do_not_intersect() {
        let one = Target::from("a/.default openid profile");
        assert!(!one.intersects(&Target::from("b/.default OpenID profile email")));
        assert!(one.intersects(&Target::from("openid A/.default")));
    }
}
