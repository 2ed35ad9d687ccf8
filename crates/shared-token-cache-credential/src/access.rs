//! Which cached access token may be handed out. Pure: it reads a snapshot and decides.

use std::time::{Duration, SystemTime};

use msal_token_cache::{AccessToken, Redemption, Snapshot, Target};
use token_credential::{AccessTokenInfo, Secret};

use crate::account::Chosen;
use crate::authority::Authority;
use crate::candidates::newest_first;
use crate::overlay::Overlay;

/// The application in whose name the original class signs in: the Azure CLI.
const OWN_CLIENT_ID: &str = "04b07795-8ddb-461a-bbee-02f9e1bf7b46";
/// The tenant of all personal accounts.
const PERSONAL_TENANT: &str = "9188040d-6c67-4c5b-b112-36a304b66dad";
/// The tenant in which personal accounts use Azure.
const PERSONAL_PASSTHROUGH_TENANT: &str = "f8cdef31-a31e-4b4a-93e4-5f571e91255a";

/// A token with less time left than this is not worth handing out: the caller's request may reach
/// the resource too late. The same five minutes as in every MSAL.
const MARGIN: Duration = Duration::from_secs(300);
/// A token with this much time left is better than none.
const LAST_RESORT_MARGIN: Duration = Duration::from_secs(30);
/// Nothing that Entra issues lives longer; an entry that says so is wrong.
pub(crate) const LONGEST_LIFE: Duration = Duration::from_secs(7 * 24 * 3600);
/// How far another writer's clock may be ahead of ours.
const CLOCK_SKEW: Duration = Duration::from_secs(300);
/// From this lifetime on a token is refreshed at half of it when the server named no time.
const HALF_LIFE_FROM: Duration = Duration::from_secs(2 * 3600);

/// Which tokens of the chosen account will do, whatever their scopes.
#[derive(Debug)]
pub(crate) struct Terms<'a> {
    authority: &'a Authority,
    home_account_id: &'a str,
    /// Applications in the order in which their tokens are preferred.
    client_ids: Vec<String>,
    realms: Vec<&'a str>,
    now: SystemTime,
}

/// What a look-up found.
#[derive(Clone, Debug)]
pub(crate) enum Found {
    /// A token to hand out.
    Hit(AccessTokenInfo),
    /// None, or one that is better than nothing.
    Miss(Option<AccessTokenInfo>),
}

/// What is asked of a token, wherever it is kept.
struct Offer<'o> {
    environment: &'o str,
    client_id: &'o str,
    realm: &'o str,
    token_type: &'o str,
    target: &'o Target<'o>,
    cached_at: Option<SystemTime>,
    expires_on: SystemTime,
    refresh_on: Option<SystemTime>,
    secret: &'o Secret,
}

impl<'a> Terms<'a> {
    pub(crate) fn new(
        snapshot: &Snapshot,
        authority: &'a Authority,
        chosen: &'a Chosen,
        now: SystemTime,
    ) -> Self {
        let mut client_ids: Vec<String> = Vec::new();
        let mut know = |client_id: &str| {
            if !client_ids
                .iter()
                .any(|known| known.eq_ignore_ascii_case(client_id))
            {
                client_ids.push(client_id.to_owned());
            }
        };
        // The client that redeemed last comes first: its token is not hidden behind another
        // client's, which the resource may have refused.
        for token in newest_first(snapshot, authority, chosen, now) {
            know(token.client_id());
        }
        know(OWN_CLIENT_ID);
        for app in snapshot.app_metadata() {
            if authority.knows(app.environment()) && app.family_id().is_some() {
                know(app.client_id());
            }
        }
        let mut realms = vec!["organizations", "common"];
        match chosen.home_tenant() {
            Some(home) if home.eq_ignore_ascii_case(PERSONAL_TENANT) => {
                realms = vec![
                    PERSONAL_TENANT,
                    PERSONAL_PASSTHROUGH_TENANT,
                    "organizations",
                ];
            }
            home => realms.extend(home),
        }
        Self {
            authority,
            home_account_id: &chosen.home_account_id,
            client_ids,
            realms,
            now,
        }
    }

    /// Looks for a token that is good for all of these scopes.
    pub(crate) fn find(&self, snapshot: &Snapshot, overlay: &Overlay, scopes: &[&str]) -> Found {
        let kept = overlay.of_account(self.home_account_id);
        let mut best = Best::default();
        for token in snapshot.access_tokens_of(self.home_account_id) {
            if token.is_bound() || kept.iter().any(|kept| supersedes(kept, &token)) {
                continue;
            }
            let offer = Offer {
                environment: token.environment(),
                client_id: token.client_id(),
                realm: token.realm(),
                token_type: &token.token_type(),
                target: token.target(),
                cached_at: token.cached_at(),
                expires_on: token.expires_on(),
                refresh_on: token.refresh_on(),
                secret: token.secret(),
            };
            self.consider(&offer, scopes, &mut best);
        }
        for kept in &kept {
            let offer = Offer {
                environment: kept.redeemed().environment(),
                client_id: kept.client_id(),
                realm: kept.realm(),
                token_type: kept.token_type(),
                target: &Target::from(kept.target()),
                cached_at: Some(kept.cached_at()),
                expires_on: kept.expires_on(),
                refresh_on: kept.refresh_on(),
                secret: kept.access_token(),
            };
            self.consider(&offer, scopes, &mut best);
        }
        match best.hit {
            Some((_, hit)) => Found::Hit(hit),
            None => Found::Miss(best.last_resort.map(|(_, token)| token)),
        }
    }

    fn consider(&self, offer: &Offer<'_>, scopes: &[&str], best: &mut Best) {
        let Some(rank) = self.rank(offer, scopes) else {
            return;
        };
        let left = offer
            .expires_on
            .duration_since(self.now)
            .unwrap_or_default();
        let place = if left > MARGIN {
            &mut best.hit
        } else if left >= LAST_RESORT_MARGIN {
            &mut best.last_resort
        } else {
            return;
        };
        let is_better = place
            .as_ref()
            .is_none_or(|(known, token)| (rank, token.expires_on()) < (*known, offer.expires_on));
        if is_better {
            *place = Some((rank, offer.to_info()));
        }
    }

    /// The place of the token's application in the order of preference, if the token will do.
    fn rank(&self, offer: &Offer<'_>, scopes: &[&str]) -> Option<usize> {
        let will_do = self.authority.knows(offer.environment)
            && offer.token_type.eq_ignore_ascii_case("Bearer")
            && self
                .realms
                .iter()
                .any(|realm| realm.eq_ignore_ascii_case(offer.realm))
            && offer.expires_on <= self.now + LONGEST_LIFE
            && offer
                .cached_at
                .is_none_or(|cached_at| cached_at <= self.now + CLOCK_SKEW)
            && offer.target.contains(scopes.iter().copied());
        if !will_do {
            return None;
        }
        self.client_ids
            .iter()
            .position(|client_id| client_id.eq_ignore_ascii_case(offer.client_id))
    }
}

/// The best of what was considered, with the rank of its application.
#[derive(Default)]
struct Best {
    hit: Option<(usize, AccessTokenInfo)>,
    last_resort: Option<(usize, AccessTokenInfo)>,
}

impl Offer<'_> {
    fn to_info(&self) -> AccessTokenInfo {
        let info = AccessTokenInfo::new(self.secret.clone(), self.expires_on)
            .with_token_type(self.token_type);
        match self
            .refresh_on
            .or_else(|| half_life(self.cached_at?, self.expires_on))
        {
            Some(refresh_on) => info.with_refresh_on(refresh_on),
            None => info,
        }
    }
}

/// From when on a token should be refreshed for which the server named no such time.
pub(crate) fn half_life(cached_at: SystemTime, expires_on: SystemTime) -> Option<SystemTime> {
    let life = expires_on.duration_since(cached_at).ok()?;
    // Whole seconds, as everything in the cache.
    (life >= HALF_LIFE_FROM).then(|| cached_at + Duration::from_secs(life.as_secs() / 2))
}

/// Whether a token that could not be written yet stands in for an entry: the one that it would
/// replace. After a claims challenge the resource has refused that one.
fn supersedes(kept: &Redemption, entry: &AccessToken<'_>) -> bool {
    entry.client_id().eq_ignore_ascii_case(kept.client_id())
        && entry.realm().eq_ignore_ascii_case(kept.realm())
        && entry.target().intersects(&Target::from(kept.target()))
        && entry
            .cached_at()
            .is_none_or(|cached_at| cached_at <= kept.cached_at())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::{Value, json};
    use test_support::{AccessTokenSpec, CacheBuilder, FakeAccount};

    use super::*;
    use crate::fixtures::{
        ARM, CLI, CLOUD, NOW, at, authority, redemption, refresh_tokens, snapshot,
    };

    fn ada() -> FakeAccount {
        FakeAccount::new("ada@contoso.example")
    }

    /// Ada's tokens under the clients `new` and `old`, of which the document names `old` first.
    fn cache() -> CacheBuilder {
        CacheBuilder::new()
            .refresh_token(&ada(), CLOUD, "old", "r", None)
            .refresh_token(&ada(), CLOUD, "new", "r", None)
            .with("last_modification_time", json!((NOW - 60).to_string()))
            .app_metadata(CLOUD, "relative", Some("1"))
            .app_metadata(CLOUD, "no relative", None)
    }

    fn token<'a>(client_id: &'a str, secret: &'a str, left: u64) -> AccessTokenSpec<'a> {
        AccessTokenSpec {
            client_id,
            secret,
            target: ARM,
            expires_on: NOW + left,
            cached_at: Some(NOW - 60),
            ..AccessTokenSpec::default()
        }
    }

    fn find_for(
        account: &FakeAccount,
        cache: &CacheBuilder,
        kept: &Overlay,
        scopes: &[&str],
    ) -> Found {
        let chosen = Chosen {
            home_account_id: account.home_account_id(),
            username: None,
        };
        let (snapshot, authority) = (snapshot(cache), authority());
        Terms::new(&snapshot, &authority, &chosen, at(NOW)).find(&snapshot, kept, scopes)
    }

    fn find(cache: &CacheBuilder) -> Found {
        find_for(&ada(), cache, &Overlay::default(), &[ARM])
    }

    #[track_caller]
    fn assert_hit(found: Found, secret: &str) {
        let Found::Hit(token) = found else {
            panic!("no hit: {found:?}");
        };
        assert_eq!(token.token().expose_secret(), secret);
    }

    #[track_caller]
    fn assert_nothing(found: &Found, why: &str) {
        assert!(matches!(found, Found::Miss(None)), "{why}: {found:?}");
    }

    #[test]
    fn more_than_five_minutes_are_a_hit_and_half_a_minute_a_last_resort() {
        for (left, hit, last_resort) in [
            (301, true, false),
            (300, false, true),
            (30, false, true),
            (29, false, false),
            (0, false, false),
        ] {
            let found = find(&cache().access_token(&ada(), token(CLI, "a", left)));
            let is = (
                matches!(found, Found::Hit(_)),
                matches!(found, Found::Miss(Some(_))),
            );
            assert_eq!(is, (hit, last_resort), "{left} s left: {found:?}");
        }
    }

    #[test]
    fn a_token_of_anybody_or_anything_else_is_passed_over() {
        let good = || cache().access_token(&ada(), token(CLI, "a", 3600));
        assert_hit(find(&good()), "a");
        let bob = FakeAccount::new("bob@contoso.example");
        for (member, value) in [
            ("home_account_id", json!(bob.home_account_id())),
            ("home_account_id", json!("")),
            ("environment", json!("login.microsoftonline.us")),
            ("environment", json!("login.chinacloudapi.cn")),
            ("realm", json!("11111111-2222-3333-4444-555555555555")),
            ("realm", json!("")),
            ("client_id", json!("a stranger")),
            ("client_id", json!("no relative")),
            ("token_type", json!("pop")),
            ("credential_type", json!("AccessToken_With_AuthScheme")),
            ("key_id", json!("k")),
            ("kid", json!("k")),
            ("keyid", json!("k")),
            ("ext_cache_key", json!("k")),
            ("ext", json!("k")),
            ("user_assertion_hash", json!("k")),
            ("expires_on", json!((NOW + 7 * 24 * 3600 + 1).to_string())),
            ("expires_on", json!("99999999999999999999999")),
            ("expires_on", json!("soon")),
            ("expires_on", Value::Null),
            ("cached_at", json!((NOW + 301).to_string())),
            ("target", json!("https://management.azure.com//.default")),
            ("target", json!("")),
            ("target", json!(7)),
            ("secret", json!("")),
            ("secret", json!(["a"])),
        ] {
            let what = format!("{member}: {value}");
            assert_nothing(&find(&good().with(member, value)), &what);
        }
        for member in [
            "home_account_id",
            "environment",
            "client_id",
            "realm",
            "target",
            "secret",
        ] {
            assert_nothing(&find(&good().without(member)), member);
        }
    }

    #[test]
    fn what_does_not_matter_does_not_matter() {
        let good = || cache().access_token(&ada(), token(CLI, "a", 3600));
        for (member, value) in [
            ("environment", json!("STS.windows.net")),
            ("realm", json!(ada().utid.to_uppercase())),
            ("realm", json!("organizations")),
            ("realm", json!("common")),
            ("client_id", json!(CLI.to_uppercase())),
            ("client_id", json!("relative")),
            ("token_type", json!("bearer")),
            ("token_type", json!("")),
            ("expires_on", json!(NOW + 7 * 24 * 3600)),
            ("cached_at", json!((NOW + 300).to_string())),
            ("cached_at", Value::Null),
            ("unknown", json!({"a": [1]})),
        ] {
            let what = format!("{member}: {value}");
            let found = find(&good().with(member, value));
            assert!(matches!(found, Found::Hit(_)), "{what}: {found:?}");
        }
    }

    #[test]
    fn scopes_compare_as_sets_without_case() {
        let cache = cache()
            .access_token(&ada(), token(CLI, "a", 3600))
            .with("target", json!("x/Read  x/Write\topenid"));
        for (hit, scopes) in [
            (true, &["x/read"][..]),
            (true, &["X/WRITE", "x/Read"]),
            (true, &["x/read", "X/Read", "openid"]),
            (false, &["x/read", "x/delete"]),
            (false, &["x"]),
            (false, &["x/rea"]),
        ] {
            let found = find_for(&ada(), &cache, &Overlay::default(), scopes);
            assert_eq!(matches!(found, Found::Hit(_)), hit, "{scopes:?}");
        }
    }

    #[test]
    fn applications_have_an_order_and_one_application_the_later_expiry() {
        let mut cache = cache();
        for (client_id, secret, left) in [
            ("relative", "of a relative", 50_000),
            (CLI, "of the class", 40_000),
            ("old", "of the older sign-in", 30_000),
        ] {
            cache = cache.access_token(&ada(), token(client_id, secret, left));
            assert_hit(find(&cache), secret);
        }
        for (target, secret, left) in [
            ("y/.default", "sooner", 10_000),
            ("z/.default", "later", 20_000),
            ("w/.default", "soonest", 5_000),
        ] {
            let target = format!("{ARM} {target}");
            let spec = AccessTokenSpec {
                target: &target,
                ..token("new", secret, left)
            };
            cache = cache.access_token(&ada(), spec);
        }
        assert_hit(find(&cache), "later");
    }

    #[test]
    fn a_time_to_refresh_is_the_stored_one_or_half_the_life_of_a_long_one() {
        let refresh_on = |life: u64, stored: Option<u64>| {
            let spec = AccessTokenSpec {
                cached_at: Some(NOW),
                ..token(CLI, "a", life)
            };
            let mut cache = cache().access_token(&ada(), spec);
            if let Some(stored) = stored {
                cache = cache.with("refresh_on", json!((NOW + stored).to_string()));
            }
            let Found::Hit(token) = find(&cache) else {
                panic!("no hit");
            };
            token.refresh_on()
        };
        assert_eq!(refresh_on(3600, Some(1000)), Some(at(NOW + 1000)));
        assert_eq!(refresh_on(90_000, Some(1000)), Some(at(NOW + 1000)));
        assert_eq!(refresh_on(7201, None), Some(at(NOW + 3600)));
        assert_eq!(refresh_on(7200, None), Some(at(NOW + 3600)));
        assert_eq!(refresh_on(7199, None), None);
    }

    #[test]
    fn a_personal_account_is_at_home_in_three_tenants() {
        let eve = FakeAccount::personal("eve@outlook.example");
        for (hit, realm) in [
            (true, PERSONAL_TENANT),
            (true, PERSONAL_PASSTHROUGH_TENANT),
            (true, "organizations"),
            (false, "common"),
            (false, &*ada().utid),
        ] {
            let spec = AccessTokenSpec {
                realm: Some(realm),
                ..token(CLI, "a", 3600)
            };
            let cache = CacheBuilder::new().access_token(&eve, spec);
            let found = find_for(&eve, &cache, &Overlay::default(), &[ARM]);
            assert_eq!(matches!(found, Found::Hit(_)), hit, "{realm}");
        }
    }

    #[test]
    fn what_is_kept_in_memory_answers_in_place_of_what_it_replaces() {
        let [old, _] = refresh_tokens(&cache()).try_into().unwrap();
        let overlay = Overlay::default();
        overlay.keep(Arc::new(redemption(
            &old,
            &format!("{ARM} x/.default"),
            "kept",
        )));
        let find = |cache: &CacheBuilder| find_for(&ada(), cache, &overlay, &[ARM]);
        assert_hit(find(&cache()), "kept");
        // It lives longer, and its resource has refused it.
        let refused = cache().access_token(&ada(), token("old", "refused", 50_000));
        assert_hit(find(&refused), "kept");
        // Another program was there after us.
        let newer = refused
            .clone()
            .with("cached_at", json!((NOW + 1).to_string()));
        assert_hit(find(&newer), "refused");
        // Another scope was not refused.
        let other = cache()
            .access_token(&ada(), token("old", "other", 50_000))
            .with("target", json!("y/.default openid"));
        let found = find_for(&ada(), &other, &overlay, &["y/.default"]);
        assert_hit(found, "other");
        // And nobody else is served from it.
        let bob = FakeAccount::new("bob@contoso.example");
        let cache = cache().refresh_token(&bob, CLOUD, "old", "r", None);
        assert_nothing(&find_for(&bob, &cache, &overlay, &[ARM]), "Bob");
    }
}
