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
        self.scopes().any(|own| own.eq_ignore_ascii_case(scope))
    }
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
    fn common_sign_in_scopes_do_not_intersect() {
        let one = Target::from("a/.default openid profile");
        assert!(!one.intersects(&Target::from("b/.default OpenID profile email")));
        assert!(one.intersects(&Target::from("openid A/.default")));
    }
}
