//! Which resource a scope belongs to. Pure, and the only place that knows the rule.
//!
//! Entra issues a token for one resource, and writes scopes in a long form, which names it, and in a
//! short form, which does not. Read as mere text, `user_impersonation` of one resource is that of
//! any other. So the scopes of a list, of a token or of a call, are read together: a short one
//! belongs to the resources that the long ones beside it name. The rule only tells apart what the
//! texts call the same; it never makes two texts the same.

/// The scopes that every sign-in asks for. They say nothing about what a token is good for.
const SIGN_IN_SCOPES: [&str; 4] = ["openid", "profile", "offline_access", "email"];

/// The part that a scope's text says about its resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind<'s> {
    /// A scope of the sign-in, which belongs to no resource.
    SignIn,
    /// A scope with the resource before its last `/`, as it is written: `x//.default` and
    /// `x/.default` differ.
    Of(&'s str),
    /// A scope without a resource. Alone it belongs to the default one of the cloud, which equals
    /// no other.
    Bare,
}

impl<'s> Kind<'s> {
    pub(crate) fn of(scope: &'s str) -> Self {
        if SIGN_IN_SCOPES
            .iter()
            .any(|common| common.eq_ignore_ascii_case(scope))
        {
            return Self::SignIn;
        }
        match scope.rsplit_once('/') {
            Some((resource, _)) => Self::Of(resource),
            None => Self::Bare,
        }
    }
}

/// Returns the resources that the scopes of a list name, in their order and as often.
pub(crate) fn named<'s>(
    scopes: impl IntoIterator<Item = &'s str>,
) -> impl Iterator<Item = &'s str> {
    let kinds = scopes.into_iter().map(Kind::of);
    kinds.filter_map(|kind| match kind {
        Kind::Of(resource) => Some(resource),
        Kind::SignIn | Kind::Bare => None,
    })
}

/// Returns `true` if a list has a bare scope and names no resource, so that its bare scopes are
/// those of the cloud's default one.
pub(crate) fn is_default<'s>(scopes: impl IntoIterator<Item = &'s str>) -> bool {
    let mut has_bare = false;
    for scope in scopes {
        match Kind::of(scope) {
            Kind::SignIn => {}
            Kind::Of(_) => return false,
            Kind::Bare => has_bare = true,
        }
    }
    has_bare
}

/// Returns `true` if a bare scope that stands in both lists is of the same resource in both.
pub(crate) fn bare_scopes_meet<'s, 'o>(
    one: impl Iterator<Item = &'s str> + Clone,
    other: impl Iterator<Item = &'o str> + Clone,
) -> bool {
    let mut ours = named(one).peekable();
    if ours.peek().is_none() {
        return named(other).next().is_none();
    }
    ours.any(|resource| named(other.clone()).any(|theirs| theirs.eq_ignore_ascii_case(resource)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GUID: &str = "499b84ac-1321-427f-aa17-267ca6975798";

    #[test]
    fn k14_a_resource_is_the_text_before_the_last_slash() {
        let of_guid = format!("{GUID}/.default");
        let of_api = format!("api://{GUID}/a/read");
        for (scope, kind) in [
            (
                "https://graph.microsoft.com/User.Read",
                Kind::Of("https://graph.microsoft.com"),
            ),
            ("https://x//.default", Kind::Of("https://x/")),
            ("https://x/.default", Kind::Of("https://x")),
            (&of_guid, Kind::Of(GUID)),
            (&of_api, Kind::Of(&of_api[..of_api.len() - 5])),
            ("/read", Kind::Of("")),
            ("read/", Kind::Of("read")),
            ("user_impersonation", Kind::Bare),
            (".default", Kind::Bare),
            ("openid", Kind::SignIn),
            ("OpenID", Kind::SignIn),
            ("profile", Kind::SignIn),
            ("offline_access", Kind::SignIn),
            ("EMAIL", Kind::SignIn),
            // Not the sign-in's: the Kelvin sign is no k, and the other has a resource.
            ("emai\u{212A}", Kind::Bare),
            (
                "https://graph.microsoft.com/openid",
                Kind::Of("https://graph.microsoft.com"),
            ),
        ] {
            assert_eq!(Kind::of(scope), kind, "{scope}");
        }
    }

    #[test]
    fn k14_bare_scopes_alone_are_of_the_default_resource() {
        for (is, scopes) in [
            (true, &["User.Read"][..]),
            (true, &["openid", "User.Read"]),
            (false, &["User.Read", "x/read"]),
            (false, &["x/read", "User.Read"]),
            (false, &["openid", "profile"]),
            (false, &["x/read"]),
            (false, &[]),
        ] {
            assert_eq!(is_default(scopes.iter().copied()), is, "{scopes:?}");
        }
    }

    #[test]
    fn k14_bare_scopes_meet_where_their_lists_name_a_resource_in_common_or_both_name_none() {
        for (meet, one, other) in [
            (true, &["a"][..], &["a", "openid"][..]),
            (true, &["a", "X/b"], &["x/c", "a"]),
            (true, &["a", "x/b", "y/b"], &["y/c", "a"]),
            (false, &["a", "x/b"], &["a", "y/b"]),
            (false, &["a", "x//b"], &["a", "x/b"]),
            (false, &["a", "x/b"], &["a"]),
            (false, &["a"], &["a", "x/b"]),
        ] {
            let scopes = |list: &'static [&'static str]| list.iter().copied();
            assert_eq!(bare_scopes_meet(scopes(one), scopes(other)), meet);
            assert_eq!(bare_scopes_meet(scopes(other), scopes(one)), meet);
        }
    }
}
