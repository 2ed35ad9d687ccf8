use std::borrow::Cow;
use std::fmt;

use super::resource::{self, Kind};

/// The scopes for which an access token is valid: a list separated by blanks.
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
///
/// # Resources
///
/// A scope belongs to the resource before its last `/`, as it is written. One without a `/`
/// belongs to the resources that the others in the list name. If they name no resource, it is of
/// the cloud's default one, which equals no other. `openid`, `profile`, `offline_access` and `email`
/// have no resource. A call's scopes are read as a token's are. A call then finds the token that it
/// got:
///
/// ```
/// # use msal_token_cache::Target;
/// let target = Target::from("user_impersonation https://vault.azure.net/.default");
/// assert!(target.contains(["user_impersonation"]));
/// // Another resource's.
/// assert!(!target.answers(["user_impersonation"]));
/// assert!(target.answers(["user_impersonation", "https://vault.azure.net/.default"]));
/// ```
#[derive(Clone)]
pub struct Target<'s>(Cow<'s, str>);

impl Target<'static> {
    /// Returns the target of a token that was asked for with these scopes and issued for `granted`.
    /// It has the scopes that were granted, then those asked for that are missing there.
    ///
    /// Where only scopes without a resource were asked for, only such are in it. A qualified one
    /// would give the others its resource, and the next such call would not find the token.
    ///
    /// ```
    /// use msal_token_cache::Target;
    ///
    /// let target = Target::issued(["r/.default"], Some("user_impersonation"));
    /// assert_eq!(target.to_string(), "user_impersonation r/.default");
    /// let target = Target::issued(["User.Read"], Some("User.Read r/User.Read openid"));
    /// assert_eq!(target.to_string(), "User.Read openid");
    /// ```
    pub fn issued<'q>(
        asked: impl IntoIterator<Item = &'q str> + Clone,
        granted: Option<&str>,
    ) -> Self {
        let is_default = resource::is_default(asked.clone());
        let granted = granted.unwrap_or_default().split_whitespace();
        let mut target: Vec<&str> = granted
            .filter(|scope| !is_default || !matches!(Kind::of(scope), Kind::Of(_)))
            .collect();
        for scope in asked {
            if !target.iter().any(|known| known.eq_ignore_ascii_case(scope)) {
                target.push(scope);
            }
        }
        target.join(" ").into()
    }
}

impl Target<'_> {
    /// Returns the scopes, in their order.
    pub fn scopes(&self) -> impl Iterator<Item = &str> + Clone {
        self.0.split_whitespace()
    }

    /// Returns `true` if all of these scopes are among them.
    pub fn contains<'q>(&self, scopes: impl IntoIterator<Item = &'q str>) -> bool {
        scopes.into_iter().all(|scope| self.has(scope))
    }

    /// Returns `true` if a token with this target answers a call for these scopes. All of them must
    /// be in it, and each of the same [resource](Self#resources) as in the call.
    pub fn answers<'q>(&self, scopes: impl IntoIterator<Item = &'q str> + Clone) -> bool {
        // What is in it brings its resources along, so only the default one can differ.
        self.contains(scopes.clone())
            && (!resource::is_default(scopes) || resource::named(self.scopes()).next().is_none())
    }

    /// Returns `true` if they share a scope of the same [resource](Self#resources). The scopes of
    /// every sign-in do not count: `openid`, `profile`, `offline_access` and `email`.
    pub fn intersects(&self, other: &Target<'_>) -> bool {
        let mut shares_bare = false;
        for scope in self.scopes() {
            match Kind::of(scope) {
                Kind::Of(_) if other.has(scope) => return true,
                Kind::Bare => shares_bare = shares_bare || other.has(scope),
                Kind::Of(_) | Kind::SignIn => {}
            }
        }
        shares_bare && resource::bare_scopes_meet(self.scopes(), other.scopes())
    }

    /// Returns `true` if a cache must not hold tokens of both targets for one account, client and
    /// tenant: one call could find either. They [intersect](Self::intersects), or are the same
    /// scopes.
    pub fn is_rival_of(&self, other: &Target<'_>) -> bool {
        self.intersects(other) || self.is_same_as(other)
    }

    /// Returns `true` if they are the same scopes.
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

    /// A target, a call, and whether the one answers the other.
    #[test]
    fn k14_a_target_answers_calls_for_its_resource_only() {
        for (answers, target, call) in [
            (true, "User.Read Mail.Read openid", "user.read"),
            (true, "User.Read openid", "openid User.Read"),
            (false, "User.Read", "User.Read Mail.Read"),
            // A bare scope beside qualified ones is theirs, in a target as in a call.
            (false, "user_impersonation x/.default", "user_impersonation"),
            (
                false,
                "user_impersonation x/.default openid",
                "user_impersonation openid",
            ),
            (
                true,
                "user_impersonation x/.default",
                "user_impersonation X/.default",
            ),
            (true, "user_impersonation x/.default", "x/.default"),
            (
                false,
                "user_impersonation x/.default",
                "user_impersonation y/.default",
            ),
            (false, "user_impersonation", "user_impersonation x/.default"),
            (true, "a x/.default y/.default", "a y/.default"),
            // As it is written.
            (false, "x//.default", "x/.default"),
            (false, "x/.default", "x//.default"),
            // Scopes of the sign-in have no resource.
            (true, "openid x/.default", "openid"),
            (true, "openid a", "openid"),
            // An empty target has no scope.
            (false, "", "a"),
        ] {
            let call: Vec<_> = call.split(' ').collect();
            let target = Target::from(target);
            assert_eq!(
                target.answers(call.iter().copied()),
                answers,
                "{target:?} {call:?}"
            );
        }
    }

    #[test]
    fn k14_rivals_share_a_scope_of_one_resource() {
        for (rivals, one, other) in [
            (true, "User.Read Mail.Read", "Files.Read User.Read"),
            (true, "x/a x/b", "X/B x/c"),
            (false, "x/a", "y/a"),
            (false, "x/a", "x//a"),
            (
                false,
                "user_impersonation x/.default",
                "user_impersonation y/.default",
            ),
            (false, "user_impersonation x/.default", "user_impersonation"),
            (true, "user_impersonation x/a", "user_impersonation x/b"),
            (true, "user_impersonation x/a y/a", "user_impersonation y/b"),
            (false, "openid profile", "openid email"),
            (true, "openid profile", "PROFILE openid"),
            (true, "", " "),
            (false, "", "a"),
        ] {
            let [one, other] = [one, other].map(Target::from);
            assert_eq!(one.is_rival_of(&other), rivals, "{one:?} {other:?}");
            assert_eq!(other.is_rival_of(&one), rivals, "{other:?} {one:?}");
        }
    }

    #[test]
    fn k14_a_call_of_bare_scopes_alone_stores_bare_scopes_alone() {
        for (asked, granted, target) in [
            (
                &["r/.default", "A"][..],
                Some("r/user_impersonation  a"),
                "r/user_impersonation a r/.default",
            ),
            (&["r/.default", "A"], None, "r/.default A"),
            (
                &["r/.default"],
                Some("user_impersonation"),
                "user_impersonation r/.default",
            ),
            (&["a"], Some("r/a a b openid"), "a b openid"),
            (&["a", "openid"], Some("r/a"), "a openid"),
            (&["openid"], Some("openid r/a"), "openid r/a"),
        ] {
            let stored = Target::issued(asked.iter().copied(), granted);
            assert_eq!(stored.to_string(), target);
            assert!(
                stored.answers(asked.iter().copied()),
                "{asked:?} {granted:?}"
            );
        }
    }
}
