//! K14: the resource that a scope is of, among the scopes that it stands with.

use std::collections::BTreeSet;

/// The resources that a scope may be of in a list; none for the scopes of every sign-in. A name is
/// in lower case, and the cloud's default resource has none.
fn resources(scope: &str, list: &[&str]) -> BTreeSet<Option<String>> {
    let lower = scope.to_ascii_lowercase();
    if ["openid", "profile", "offline_access", "email"].contains(&&*lower) {
        return BTreeSet::new();
    }
    let named = |scope: &str| {
        let end = scope.rfind('/')?;
        Some(scope[..end].to_ascii_lowercase())
    };
    if let Some(own) = named(&lower) {
        return BTreeSet::from([Some(own)]);
    }
    let of_others: BTreeSet<_> = list.iter().filter_map(|other| named(other)).collect();
    if of_others.is_empty() {
        BTreeSet::from([None])
    } else {
        of_others.into_iter().map(Some).collect()
    }
}

/// Whether a scope in both lists is of the same resource in both.
fn is_of_same(scope: &str, one: &[&str], other: &[&str]) -> bool {
    let (one, other) = (resources(scope, one), resources(scope, other));
    one.is_empty() || !one.is_disjoint(&other)
}

/// Whether each of these scopes is of the resource that it is of in a target that holds them all.
pub(super) fn agree(target: &str, scopes: &[String]) -> bool {
    let target: Vec<_> = target.split_whitespace().collect();
    let scopes: Vec<_> = scopes.iter().map(String::as_str).collect();
    scopes
        .iter()
        .all(|scope| is_of_same(scope, &scopes, &target))
}

/// Whether a scope that is in both targets, and not one of every sign-in, is of one resource there.
pub(super) fn share(one: &str, other: &str) -> bool {
    let one: Vec<_> = one.split_whitespace().collect();
    let other: Vec<_> = other.split_whitespace().collect();
    one.iter().any(|scope| {
        other
            .iter()
            .any(|theirs| theirs.eq_ignore_ascii_case(scope))
            && !resources(scope, &one).is_empty()
            && is_of_same(scope, &one, &other)
    })
}

/// The scopes of an answer that are stored: for a call of bare scopes alone, those without a `/`.
pub(super) fn stored<'g>(granted: &[&'g str], asked: &[String]) -> Vec<&'g str> {
    let asked: Vec<_> = asked.iter().map(String::as_str).collect();
    let is_default = |scope: &&str| resources(scope, &asked).contains(&None);
    let are_bare = asked.iter().any(is_default);
    let mut stored = granted.to_vec();
    stored.retain(|scope| !are_bare || !scope.contains('/'));
    stored
}
