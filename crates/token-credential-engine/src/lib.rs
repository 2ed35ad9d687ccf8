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
