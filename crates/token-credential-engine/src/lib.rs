//! Serves access tokens from a cache.
//!
//! An [`Engine`] answers calls for tokens: from its memo, else from a store, else by one request
//! for all callers, whose result it keeps, writes and refreshes ahead of its expiry. A [`Source`]
//! says which account, which token and which request. The engine knows no file format and no wire.
//!
//! ```text
//! call -> memo -> look-up -> single flight -> lease -> obtain -> keep -> write
//! ```
//!
//! A token is looked for three times before a request is sent: in the caller's look, which may be a
//! tick old; in the latest content before the lease is asked for; and under the lease, because its
//! former holder may have stored one. A store without leases needs the first two.
//!
//! ```
//! # use std::{borrow::Cow, sync::Arc, time::{Duration, SystemTime, UNIX_EPOCH}};
//! # use token_credential::{AccessTokenInfo, Error, ErrorKind, Result, Secret, TokenRequestOptions};
//! # use token_credential_engine::*;
//! # use tokio::time::Instant;
//! /// Gets tokens for one account and keeps them in memory.
//! #[derive(Debug, Default)]
//! struct InMemory {
//!     plan: Arc<()>,
//! }
//!
//! impl Source for InMemory {
//!     // The scopes and the token. Without a store each result stays unsaved.
//!     type Obtained = (Vec<String>, AccessTokenInfo);
//!     type Unsaved = Vec<Arc<Self::Obtained>>;
//! #   type Store = ();
//! #   type Plan = ();
//! #   type Snapshot = ();
//! #   type View = ();
//! #   type Lease = ();
//! #   fn tick(&self, _: &()) -> Option<u64> { None }
//! #   fn is_current(&self, _: &(), _: &Arc<()>, _: &(), _: Option<u64>) -> bool { true }
//! #   fn plan(&self) -> Result<Arc<()>> { Ok(Arc::clone(&self.plan)) }
//! #   fn check<'c>(&self, _: &'c (), scopes: &'c [&'c str], options: &'c TokenRequestOptions)
//! #       -> Result<Call<'c>> {
//! #       Ok(Call {
//! #           scopes,
//! #           tenant: Cow::Borrowed("organizations"),
//! #           claims: options.claims(),
//! #           enable_cae: options.enable_cae(),
//! #           force_refresh: options.force_refresh(),
//! #       })
//! #   }
//! #   async fn snapshot(&self, _: &(), _: Freshness) -> Result<()> { Ok(()) }
//! #   fn drop_signed_out(&self, _: &(), _: &(), _: &Unsaved<Self::Unsaved>,
//! #       _: &UnsavedView<Self::Unsaved>, _: SystemTime) -> bool { false }
//! #   fn view(&self, _: &(), _: &(), _: SystemTime) {}
//! #   fn subject<'v>(&self, _: &(), _: &'v Seen<Self>) -> Result<&'v str> { Ok("ada") }
//!
//!     fn find(&self, _: &(), seen: &Seen<Self>, call: &Call<'_>, now: SystemTime) -> Result<Found> {
//!         let call = call.to_owned_call();
//!         let mut kept = seen.unsaved.after_reading().iter();
//!         let found = kept.rfind(|kept| kept.0 == call.scope_set());
//!         let fresh = found.filter(|found| is_fresh(found.1.expires_on(), now));
//!         Ok(fresh.map_or(Found::Miss(None), |fresh| Found::Hit(fresh.1.clone())))
//!     }
//!
//!     async fn obtain(
//!         &self,
//!         _: &(),
//!         _: &Unsaved<Self::Unsaved>,
//!         _: &Seen<Self>,
//!         call: &OwnedCall,
//!         _: Instant,
//!     ) -> Result<Self::Obtained> {
//!         // Here a request is sent.
//!         let expires_on = UNIX_EPOCH + Duration::from_secs(4_000_000_000);
//!         let token = AccessTokenInfo::new(Secret::new("token"), expires_on);
//!         Ok((call.scope_set().to_vec(), token))
//!     }
//!
//!     fn keep(unsaved: &Self::Unsaved, obtained: &Arc<Self::Obtained>) -> Self::Unsaved {
//!         let others = unsaved.iter().filter(|kept| kept.0 != obtained.0);
//!         others.chain([obtained]).cloned().collect()
//!     }
//!
//!     // There is nothing to look at, to lease or to write to: the other functions are a line each.
//! #   async fn try_lease(&self, _: &(), _: &(), _: &str, _: &OwnedCall, _: Option<Duration>)
//! #       -> LeaseAttempt<()> { LeaseAttempt::Unsupported }
//! #   async fn write(&self, _: &(), _: &Arc<Unsaved<Self::Unsaved>>, _: Arc<Self::Obtained>,
//! #       _: Held<()>) -> Written { Written::NotStored }
//! #   fn token(obtained: &Self::Obtained) -> Result<AccessTokenInfo> { Ok(obtained.1.clone()) }
//! #   fn without_token(_: &Self::Obtained) -> Option<Self::Obtained> { None }
//! #   fn written(unsaved: &Self::Unsaved, _: &Arc<Self::Obtained>, _: Written) -> Self::Unsaved {
//! #       unsaved.clone()
//! #   }
//! #   fn error(&self, _: &(), failure: Failure) -> Error {
//! #       Error::new(ErrorKind::AuthenticationFailed, format!("{failure:?}"))
//! #   }
//! #   async fn close(&self) {}
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<()> {
//! let settings = Settings {
//!     clock: EngineClock::new(None),
//!     timeout: Duration::from_secs(60),
//!     close_grace: Duration::from_secs(5),
//!     background_refresh: true,
//! };
//! let engine = Engine::new(InMemory::default(), (), None, settings);
//! let options = TokenRequestOptions::default();
//! let token = engine.get_token(&["https://vault.azure.net/.default"], &options).await?;
//! assert_eq!(token.token().expose_secret(), "token");
//! engine.close().await;
//! // The token is still handed out, and no request is sent any more.
//! engine.get_token(&["https://vault.azure.net/.default"], &options).await?;
//! engine.get_token(&["https://storage.azure.com/.default"], &options).await.unwrap_err();
//! # Ok(())
//! # }
//! ```

#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

mod background;
mod call;
mod clock;
mod engine;
mod lease;
mod lookup;
mod memo;
mod negative_cache;
mod redeemer;
mod refresh_schedule;
mod shelf;
mod shutdown;
mod single_flight;
#[cfg(test)]
#[path = "single_flight/tests.rs"]
mod single_flight_tests;
mod source;
mod sync;
mod unsaved;

pub use call::{Call, OwnedCall};
pub use clock::EngineClock;
pub use engine::{Engine, Settings};
pub use negative_cache::NegativeCache;
pub use refresh_schedule::{
    EXPIRY_MARGIN, LAST_RESORT_MARGIN, MIN_TIME_BETWEEN_ATTEMPTS, is_fresh, is_short_lived,
    time_left,
};
pub use source::{Failure, Found, Freshness, Held, LeaseAttempt, Seen, Source, Written};
pub use unsaved::{Unsaved, UnsavedView};
