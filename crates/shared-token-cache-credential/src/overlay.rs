use std::sync::Arc;
use std::time::SystemTime;

use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use msal_token_cache::identifier::{
    is_same_client_id, is_same_environment, is_same_home_account_id, is_same_tenant,
};
use msal_token_cache::{Redemption, Target, is_usable_secret};
use token_credential::Secret;

/// What was redeemed and is not in the store yet, or cannot be written there: it answers until it
/// expires, so that a store that is read-only costs no second redemption.
#[derive(Debug, Default)]
pub(crate) struct Overlay {
    kept: ArcSwap<Vec<Arc<Redemption>>>,
    /// Counts the changes, each after it was made.
    changes: AtomicU64,
}

/// What an overlay held at some time.
#[derive(Debug)]
pub(crate) struct Kept {
    /// The oldest first.
    pub(crate) redemptions: Arc<Vec<Arc<Redemption>>>,
    changes: u64,
}

impl Kept {
    /// Whether nothing has changed in between.
    pub(crate) fn is_of_same_time(&self, other: &Self) -> bool {
        self.changes == other.changes
    }
}

/// More than a process asks for; beyond it the oldest go.
const CAPACITY: usize = 1024;

impl Overlay {
    /// What is kept now.
    pub(crate) fn kept(&self) -> Kept {
        // The count first: a change in between then shows.
        let changes = self.changes.load(Ordering::Acquire);
        Kept {
            redemptions: self.kept.load_full(),
            changes,
        }
    }

    /// Whether nothing has changed since.
    pub(crate) fn is_at(&self, kept: &Kept) -> bool {
        self.changes.load(Ordering::Acquire) == kept.changes
    }

    /// Keeps the result of a redemption, in place of what it replaces.
    pub(crate) fn keep(&self, new: &Arc<Redemption>) {
        self.change(|kept| {
            let stays =
                |old: &&Arc<Redemption>| old.expires_on() > new.cached_at() && !replaces(new, old);
            let mut kept: Vec<_> = kept.iter().filter(stays).cloned().collect();
            if kept.len() >= CAPACITY {
                kept.remove(0);
            }
            kept.push(Arc::clone(new));
            kept
        });
    }

    /// Lets go of what the store holds by now.
    pub(crate) fn forget(&self, stored: &Arc<Redemption>) {
        self.change(|kept| {
            kept.iter()
                .filter(|kept| !Arc::ptr_eq(kept, stored))
                .cloned()
                .collect()
        });
    }

    fn change(&self, change: impl Fn(&[Arc<Redemption>]) -> Vec<Arc<Redemption>>) {
        self.kept.rcu(|kept| change(kept));
        self.changes.fetch_add(1, Ordering::Release);
    }

    /// The refresh token that has replaced this one although the store does not show it.
    pub(crate) fn rotated(&self, redeemed: &Secret, now: SystemTime) -> Option<Secret> {
        let kept = self.kept.load();
        let newest_first = kept.iter().rev().filter(|kept| kept.expires_on() > now);
        newest_first
            .filter(|kept| {
                kept.redeemed().secret().expose_secret() == redeemed.expose_secret()
                    && is_same_client_id(kept.redeemed().client_id(), kept.client_id())
            })
            .filter_map(|kept| kept.refresh_token())
            .find(|rotated| is_usable_secret(rotated.expose_secret()))
            .cloned()
    }
}

/// Whether the store would not hold both either.
fn replaces(new: &Redemption, old: &Redemption) -> bool {
    let (one, other) = (new.redeemed(), old.redeemed());
    is_same_home_account_id(one.home_account_id(), other.home_account_id())
        && is_same_environment(one.environment(), other.environment())
        && is_same_client_id(new.client_id(), old.client_id())
        && is_same_tenant(new.realm(), old.realm())
        && Target::from(new.target()).intersects(&Target::from(old.target()))
}

#[cfg(test)]
mod tests {
    use msal_token_cache::RedeemedToken;
    use std::time::Duration;
    use test_support::{CacheBuilder, FakeAccount};

    use super::*;
    use crate::fixtures::{ARM, CLOUD, NOW, at, redemption, refresh_tokens};

    const VAULT: &str = "https://vault.azure.net/.default";

    /// Refresh tokens of Ada under `a` and `b` and of Bob under `a`, each named so.
    fn tokens() -> [RedeemedToken; 3] {
        let [ada, bob] = ["ada@contoso.example", "bob@contoso.example"].map(FakeAccount::new);
        let cache = CacheBuilder::new()
            .refresh_token(&ada, CLOUD, "a", "ada-a", None)
            .refresh_token(&ada, CLOUD, "b", "ada-b", None)
            .refresh_token(&bob, CLOUD, "a", "bob-a", None);
        refresh_tokens(&cache).try_into().unwrap()
    }

    fn kept(overlay: &Overlay, token: &RedeemedToken) -> Vec<String> {
        let kept = overlay.kept();
        kept.redemptions
            .iter()
            .filter(|kept| kept.redeemed().home_account_id() == token.home_account_id())
            .map(|kept| kept.access_token().expose_secret().to_owned())
            .collect()
    }

    #[test]
    fn a_redemption_takes_the_place_of_those_that_it_replaces() {
        let [ada_a, ada_b, bob_a] = tokens();
        let overlay = Overlay::default();
        for (token, target, secret) in [
            (&ada_a, ARM, "1"),
            (&ada_b, ARM, "2"),
            (&bob_a, ARM, "3"),
            (&ada_a, VAULT, "4"),
            (&ada_a, ARM, "5"),
        ] {
            overlay.keep(&Arc::new(redemption(token, target, secret)));
        }
        assert_eq!(kept(&overlay, &ada_a), ["2", "4", "5"]);
        assert_eq!(kept(&overlay, &bob_a), ["3"]);
    }

    #[test]
    fn k16_what_differs_in_case_alone_is_replaced() {
        let ada = FakeAccount::new("ada@contoso.example");
        let upper = FakeAccount {
            uid: ada.uid.to_uppercase(),
            utid: ada.utid.to_uppercase(),
            ..ada.clone()
        };
        let client = crate::fixtures::CLI;
        let cache = CacheBuilder::new()
            .refresh_token(&ada, CLOUD, client, "one", None)
            .refresh_token(
                &upper,
                &CLOUD.to_uppercase(),
                &client.to_uppercase(),
                "two",
                None,
            )
            .keyed("another key");
        let [one, two] = refresh_tokens(&cache).try_into().unwrap();
        let overlay = Overlay::default();
        overlay.keep(&Arc::new(redemption(&one, ARM, "1")));
        overlay.keep(&Arc::new(redemption(&two, ARM, "2")));
        assert_eq!(kept(&overlay, &one), [""; 0]);
        assert_eq!(kept(&overlay, &two), ["2"]);
    }

    #[test]
    fn what_cannot_be_sent_is_no_rotated_refresh_token() {
        let [ada_a, ..] = tokens();
        let overlay = Overlay::default();
        for (target, secret) in [(ARM, "good"), (VAULT, "bad\r\n")] {
            let redemption =
                redemption(&ada_a, target, "s").with_refresh_token(Secret::new(secret));
            overlay.keep(&Arc::new(redemption));
        }
        let rotated = overlay.rotated(ada_a.secret(), at(NOW)).unwrap();
        assert_eq!(rotated.expose_secret(), "good");
    }

    #[test]
    fn what_is_stored_is_forgotten_and_nothing_else() {
        let [ada_a, ..] = tokens();
        let overlay = Overlay::default();
        let [old, new] = ["old", "new"].map(|secret| Arc::new(redemption(&ada_a, ARM, secret)));
        overlay.keep(&old);
        overlay.keep(&new);
        overlay.forget(&old);
        assert_eq!(kept(&overlay, &ada_a), ["new"]);
        overlay.forget(&new);
        assert!(kept(&overlay, &ada_a).is_empty());
    }

    #[test]
    fn a_rotated_refresh_token_stands_in_for_the_stored_one() {
        let [ada_a, ada_b, _] = tokens();
        let overlay = Overlay::default();
        let rotated = |token: &RedeemedToken, now: u64| {
            let secret = overlay.rotated(token.secret(), at(now));
            secret.map(|secret| secret.expose_secret().to_owned())
        };
        assert_eq!(rotated(&ada_a, NOW), None);
        for (target, secret) in [(ARM, "older"), (VAULT, "newer")] {
            let redemption =
                redemption(&ada_a, target, "s").with_refresh_token(Secret::new(secret));
            overlay.keep(&Arc::new(redemption));
        }
        // Not rotated by this one.
        overlay.keep(&Arc::new(redemption(&ada_a, "x/.default", "s")));
        // A relative's rotated token is the relative's.
        let relatives = redemption(&ada_b, ARM, "s").with_client_id("a");
        overlay.keep(&Arc::new(
            relatives.with_refresh_token(Secret::new("relative's")),
        ));
        assert_eq!(rotated(&ada_a, NOW).as_deref(), Some("newer"));
        assert_eq!(rotated(&ada_b, NOW), None);
        assert_eq!(rotated(&ada_a, NOW + 3600), None);
    }

    #[test]
    fn neither_expired_nor_too_many_are_kept() {
        let [ada_a, ..] = tokens();
        let overlay = Overlay::default();
        overlay.keep(&Arc::new(redemption(&ada_a, ARM, "expires")));
        let (_, home) = ada_a.home_account_id().split_once('.').unwrap();
        for n in 0..=CAPACITY {
            let (start, target) = (at(NOW + 3600), format!("{n}/.default"));
            let end = start + Duration::from_secs(3600);
            let secret = Secret::new(n.to_string());
            let later = Redemption::new(ada_a.clone(), home, target, secret, start, end);
            overlay.keep(&Arc::new(later));
        }
        let kept = kept(&overlay, &ada_a);
        assert_eq!((kept.len(), &*kept[0]), (CAPACITY, "1"));
    }
}
