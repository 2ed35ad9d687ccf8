//! A checked call, borrowed for as long as it can be answered on the spot, or owned by a task.

use std::borrow::Cow;
use std::hash::{Hash, Hasher};

/// A call whose parts a [`Source`](crate::Source) has checked.
#[derive(Clone, Debug)]
pub struct Call<'a> {
    /// The scopes in the caller's order, at least one.
    pub scopes: &'a [&'a str],
    /// The tenant to get a token of, in the spelling that makes equal tenants equal texts.
    pub tenant: Cow<'a, str>,
    /// The claims of a challenge, as JSON text.
    pub claims: Option<&'a str>,
    /// Whether the caller handles Continuous Access Evaluation.
    pub enable_cae: bool,
    /// Whether a new token is asked for although one is cached.
    pub force_refresh: bool,
}

impl Call<'_> {
    /// Returns `true` if a cached token answers the call.
    pub fn allows_cached(&self) -> bool {
        self.claims.is_none() && !self.force_refresh
    }

    /// Returns the same call for a task that outlives the caller.
    pub fn to_owned_call(&self) -> OwnedCall {
        OwnedCall {
            scopes: Scopes::new(self.scopes),
            tenant: self.tenant.clone().into_owned(),
            claims: self.claims.map(str::to_owned),
            enable_cae: self.enable_cae,
            force_refresh: self.force_refresh,
        }
    }
}

/// A [`Call`] that a task answers. Two are equal if one request answers both.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OwnedCall {
    scopes: Scopes,
    tenant: String,
    claims: Option<String>,
    enable_cae: bool,
    force_refresh: bool,
}

impl OwnedCall {
    /// Returns the scopes in the caller's order.
    pub fn scopes(&self) -> impl Iterator<Item = &str> + Clone {
        self.scopes.as_given.iter().map(String::as_str)
    }

    /// Returns the scopes in lower case, sorted, each once: the part of them that tells one call
    /// from another.
    pub fn scope_set(&self) -> &[String] {
        &self.scopes.set
    }

    /// Returns the tenant to get a token of.
    pub fn tenant(&self) -> &str {
        &self.tenant
    }

    /// Returns the claims of the challenge, as JSON text.
    pub fn claims(&self) -> Option<&str> {
        self.claims.as_deref()
    }

    /// Returns `true` if the caller handles Continuous Access Evaluation.
    pub fn enable_cae(&self) -> bool {
        self.enable_cae
    }

    /// Returns `true` if a cached token answers the call.
    pub fn allows_cached(&self) -> bool {
        self.claims.is_none() && !self.force_refresh
    }

    /// Returns `true` if a cached token answers the call when no new one is to be had. After a
    /// challenge none does: the resource has just refused it.
    pub fn allows_last_resort(&self) -> bool {
        self.claims.is_none()
    }

    /// Lends the call to a function that takes it borrowed.
    pub(crate) fn lend<T>(&self, take: impl FnOnce(&Call<'_>) -> T) -> T {
        let scopes: Vec<_> = self.scopes().collect();
        take(&Call {
            scopes: &scopes,
            tenant: Cow::Borrowed(&self.tenant),
            claims: self.claims(),
            enable_cae: self.enable_cae,
            force_refresh: self.force_refresh,
        })
    }
}

/// The scopes of a call. Their order and case do not count: a token for the one answers the other.
#[derive(Clone, Debug)]
struct Scopes {
    as_given: Vec<String>,
    /// In lower case, sorted, each once.
    set: Vec<String>,
}

impl Scopes {
    fn new(scopes: &[&str]) -> Self {
        let mut set: Vec<_> = scopes
            .iter()
            .map(|scope| scope.to_ascii_lowercase())
            .collect();
        set.sort_unstable();
        set.dedup();
        Self {
            as_given: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
            set,
        }
    }
}

impl PartialEq for Scopes {
    fn eq(&self, other: &Self) -> bool {
        self.set == other.set
    }
}

impl Eq for Scopes {}

impl Hash for Scopes {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.set.hash(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call<'a>(scopes: &'a [&'a str], tenant: &'a str) -> Call<'a> {
        Call {
            scopes,
            tenant: Cow::Borrowed(tenant),
            claims: None,
            enable_cae: false,
            force_refresh: false,
        }
    }

    #[test]
    fn order_case_and_repetition_of_scopes_make_no_other_call() {
        let one = call(&["a", "B"], "t").to_owned_call();
        assert_eq!(one, call(&["b", "A", "a"], "t").to_owned_call());
        assert_eq!(one.scope_set(), ["a", "b"]);
        assert_eq!(one.scopes().collect::<Vec<_>>(), ["a", "B"]);
        for other in [call(&["a"], "t"), call(&["a", "b"], "u")] {
            assert_ne!(one, other.to_owned_call());
        }
    }

    #[test]
    fn every_option_makes_another_call() {
        let plain = call(&["a"], "t");
        let claims = Call {
            claims: Some("{}"),
            ..plain.clone()
        };
        let cae = Call {
            enable_cae: true,
            ..plain.clone()
        };
        let forced = Call {
            force_refresh: true,
            ..plain.clone()
        };
        let owned = [plain, claims, cae, forced].map(|call| call.to_owned_call());
        for (n, one) in owned.iter().enumerate() {
            assert!(owned.iter().skip(n + 1).all(|other| one != other));
            assert!(one.lend(|call| call.to_owned_call() == *one));
        }
        let [plain, claims, cae, forced] = &owned;
        assert!(plain.allows_cached() && cae.allows_cached());
        assert!(!claims.allows_cached() && !claims.allows_last_resort());
        assert!(!forced.allows_cached() && forced.allows_last_resort());
    }
}
