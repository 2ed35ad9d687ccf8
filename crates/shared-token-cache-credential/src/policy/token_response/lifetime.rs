//! The lifetime of a granted token (K15).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use entra_token_endpoint::{Authority, Seconds, TokenResponse};
use msal_token_cache::AccessToken;
use token_credential::{Error, ErrorKind};
use token_credential_engine::{LAST_RESORT_MARGIN, MIN_TIME_BETWEEN_ATTEMPTS, time_left};

use super::context::Unusable;

#[cfg(test)]
mod tests;

/// The pause before a server is asked again that issues tokens of less than a minute.
pub(crate) const PAUSE: Duration = MIN_TIME_BETWEEN_ATTEMPTS;

/// The times of a token that can be handed out.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Lifetime {
    pub(super) expires_on: SystemTime,
    /// The end of its use while the server cannot be reached.
    pub(super) extended: Option<SystemTime>,
    pub(super) refresh_on: Option<SystemTime>,
}

/// The reason why a token has no time left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoLifetime {
    /// The response says no number.
    NotSaid,
    /// The number cannot be a lifetime.
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
        // A clock that was set back does not prolong it.
        if time_left(expires_on, now.max(at)).unwrap_or_default() < LAST_RESORT_MARGIN {
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
    /// Returns the fault of the response, or `None` if only the server's policy can mend it.
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

/// Returns the error of a server whose tokens are too short.
pub(crate) fn short_lived(authority: &Authority) -> Error {
    let text = format!(
        "the tokens of {authority} have less than a minute left when they arrive: try again later, \
         and check the lifetime that a policy gives them"
    );
    Error::new(ErrorKind::AuthenticationFailed, text).with_transient(true)
}
