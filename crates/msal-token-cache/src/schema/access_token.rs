use std::borrow::Cow;
use std::fmt;
use std::time::{Duration, SystemTime};

use token_credential::Secret;

use super::binding::is_bound;
use super::secret::EntrySecret;
use super::target::Target;
use super::time::time_of;
use crate::document::Entry;

/// An entry of the `AccessToken` section.
///
/// The caller decides by the accessors whether the token may be handed out: the section also holds
/// tokens that are bound to a proof-of-possession key or to another session.
pub struct AccessToken<'s> {
    entry: Entry<'s>,
    secret: EntrySecret<'s>,
    home_account_id: Cow<'s, str>,
    environment: Cow<'s, str>,
    client_id: Cow<'s, str>,
    realm: Cow<'s, str>,
    target: Target<'s>,
    expires_on: SystemTime,
}

/// The largest difference between this clock and that of another writer.
const CLOCK_SKEW: Duration = Duration::from_secs(300);

impl<'s> AccessToken<'s> {
    /// The longest lifetime that a token can have: seven days. Entra issues none that lives longer.
    pub const LONGEST_LIFE: Duration = Duration::from_secs(7 * 24 * 3600);

    pub(crate) fn parse(json: &'s str) -> Option<Self> {
        let entry = Entry::parse(json)?;
        Some(Self {
            secret: EntrySecret::of(&entry)?,
            home_account_id: entry.non_empty("home_account_id")?,
            environment: entry.non_empty("environment")?,
            client_id: entry.non_empty("client_id")?,
            realm: entry.non_empty("realm")?,
            target: entry.text("target")?.into(),
            expires_on: time_of(&entry, "expires_on")?,
            entry,
        })
    }

    /// Returns `true` if its secret can be sent. See
    /// [`is_usable_secret`](crate::is_usable_secret).
    pub fn is_usable(&self) -> bool {
        self.secret.is_usable()
    }

    /// Returns the entry, with the members that have no accessor here.
    pub(crate) fn entry(&self) -> &Entry<'s> {
        &self.entry
    }

    /// Returns the account of the token: `uid.utid` of its home tenant.
    pub fn home_account_id(&self) -> &str {
        &self.home_account_id
    }

    /// Returns the host of the authority that issued it.
    pub fn environment(&self) -> &str {
        &self.environment
    }

    /// Returns the application that it was issued to.
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// Returns the tenant in which it is valid.
    pub fn realm(&self) -> &str {
        &self.realm
    }

    /// Returns the scopes for which it is valid.
    pub fn target(&self) -> &Target<'s> {
        &self.target
    }

    /// Returns the way in which it is presented: `Bearer` if the entry has no `token_type`.
    pub fn token_type(&self) -> Cow<'s, str> {
        self.entry
            .non_empty("token_type")
            .unwrap_or(Cow::Borrowed("Bearer"))
    }

    /// Returns `true` for a plain bearer token: of this credential type, presented as it is, and
    /// without a member that binds it to a key, to an on-behalf-of assertion or to anything else.
    pub fn is_plain_bearer(&self) -> bool {
        self.entry
            .text("credential_type")
            .is_some_and(|kind| kind == "AccessToken")
            && self.is_bearer()
            && !is_bound(&self.entry)
    }

    /// Returns `true` if it is presented as it is. An entry without a `token_type` means that, too.
    fn is_bearer(&self) -> bool {
        match self.entry.text("token_type") {
            Some(kind) => kind.is_empty() || kind.eq_ignore_ascii_case("Bearer"),
            None => !self.entry.is_set("token_type"),
        }
    }

    /// Returns `true` if its times can be true at this time: a token lives for at most
    /// [`LONGEST_LIFE`](Self::LONGEST_LIFE), and no writer's clock is ahead by more than five
    /// minutes. Another token must not be handed out, and gives way to one with believable times.
    pub fn has_believable_times(&self, now: SystemTime) -> bool {
        Self::are_believable(self.cached_at(), self.expires_on, now)
    }

    /// Returns `true` if these can be the times of a token at this time, by the rules of
    /// [`has_believable_times`](Self::has_believable_times).
    pub fn are_believable(
        cached_at: Option<SystemTime>,
        expires_on: SystemTime,
        now: SystemTime,
    ) -> bool {
        // No sum: a clock may be near the last time that there is.
        let is_within =
            |time: SystemTime, ahead| time.duration_since(now).map_or(true, |left| left <= ahead);
        is_within(expires_on, Self::LONGEST_LIFE)
            && cached_at.is_none_or(|cached_at| is_within(cached_at, CLOCK_SKEW))
    }

    /// Returns the time at which it was stored, if the writer set it.
    pub fn cached_at(&self) -> Option<SystemTime> {
        time_of(&self.entry, "cached_at")
    }

    /// Returns the time of its expiry.
    pub fn expires_on(&self) -> SystemTime {
        self.expires_on
    }

    /// Returns the time from which it should be refreshed, if the server sent one.
    pub fn refresh_on(&self) -> Option<SystemTime> {
        time_of(&self.entry, "refresh_on")
    }

    /// Returns the token.
    pub fn secret(&self) -> &Secret {
        self.secret.get()
    }
}

impl fmt::Debug for AccessToken<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessToken")
            .field("home_account_id", &self.home_account_id)
            .field("environment", &self.environment)
            .field("client_id", &self.client_id)
            .field("realm", &self.realm)
            .field("target", &self.target)
            .field("expires_on", &self.expires_on)
            .finish_non_exhaustive()
    }
}
