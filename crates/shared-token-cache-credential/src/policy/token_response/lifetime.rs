//! How long a granted token lives (K15).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use entra_token_endpoint::{Seconds, TokenResponse};
use msal_token_cache::AccessToken;
use token_credential::{Error, ErrorKind};

use super::Unusable;
use crate::access::{LAST_RESORT_MARGIN, NEW_FOR};
use crate::authority::Authority;

#[cfg(test)]
mod tests;

/// How long a server is left alone that issues tokens of less than a minute.
pub(crate) const PAUSE: Duration = NEW_FOR;
/// With this much left, a token can be handed out until the pause is over.
const OUTLASTS_PAUSE: Duration = PAUSE.saturating_add(LAST_RESORT_MARGIN);

/// The times of a token that can be handed out.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Lifetime {
    pub(super) expires_on: SystemTime,
    /// Until when it may be used while the server cannot be reached.
    pub(super) extended: Option<SystemTime>,
    pub(super) refresh_on: Option<SystemTime>,
}

/// Why a token has no time left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoLifetime {
    /// The answer says nothing of it, or nothing that can be read.
    NotSaid,
    /// What it says cannot be.
    Unbelievable,
    /// It is too short.
    TooShort,
}

impl Lifetime {
    /// Reads the lifetime of a token that was asked for `at` that time and is there `now`.
    ///
    /// The server's clock may differ from ours, so `expires_in` counts first. A time that cannot be
    /// is passed over, for the token could not be used or would never be given up.
    pub(super) fn of(
        response: &TokenResponse,
        at: SystemTime,
        now: SystemTime,
    ) -> Result<Self, NoLifetime> {
        let latest = at.checked_add(AccessToken::LONGEST_LIFE);
        let latest = latest.ok_or(NoLifetime::Unbelievable)?;
        let within = |time: &SystemTime| (at..=latest).contains(time);
        let after = |said: Seconds| {
            let seconds = said.get().filter(|seconds| *seconds > 0)?;
            at.checked_add(Duration::from_secs(seconds)).filter(within)
        };
        let expires_on = after(response.expires_in()).or_else(|| {
            let since_1970 = Duration::from_secs(response.expires_on().get()?);
            UNIX_EPOCH.checked_add(since_1970).filter(within)
        });
        let expires_on = expires_on.ok_or_else(|| {
            if response.expires_in().is_number() || response.expires_on().is_number() {
                NoLifetime::Unbelievable
            } else {
                NoLifetime::NotSaid
            }
        })?;
        if left(expires_on, at, now) < LAST_RESORT_MARGIN {
            return Err(NoLifetime::TooShort);
        }
        Ok(Self {
            expires_on,
            extended: after(response.ext_expires_in()),
            // With nothing left then it would be due for ever.
            refresh_on: after(response.refresh_in()).filter(|refresh_on| *refresh_on < expires_on),
        })
    }
}

impl NoLifetime {
    /// What the answer lacks. `None` if it says all, and the token is the server's to prolong.
    pub(super) fn in_answer(self) -> Option<Unusable> {
        match self {
            Self::NotSaid => Some("does not say when the token expires".into()),
            Self::Unbelievable => Some(Unusable {
                why: "does not have the token expire within seven days".into(),
                next: Some("check this machine's clock, then the builder's authority"),
            }),
            Self::TooShort => None,
        }
    }
}

/// Whether the next token is asked for only after a pause: this one is too old before that ends.
pub(crate) fn is_pause_due(expires_on: SystemTime, at: SystemTime, now: SystemTime) -> bool {
    left(expires_on, at, now) < OUTLASTS_PAUSE
}

/// The error of a server whose tokens are too short.
pub(crate) fn short_lived(authority: &Authority) -> Error {
    let text = format!(
        "the tokens of {authority} have less than a minute left when they arrive: try again later, \
         and check the lifetime that a policy gives them"
    );
    Error::new(ErrorKind::AuthenticationFailed, text).with_transient(true)
}

/// The time left. A clock that was set back does not prolong it.
fn left(expires_on: SystemTime, at: SystemTime, now: SystemTime) -> Duration {
    expires_on.duration_since(now.max(at)).unwrap_or_default()
}
