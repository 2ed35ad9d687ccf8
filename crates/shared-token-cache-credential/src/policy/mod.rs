//! The decisions: which account, which token, which refresh token, and the meaning of a response.
//!
//! Pure: no input or output, no clock, no log, no lock, no runtime. A check in CI holds it to that.

pub(crate) mod access_token;
pub(crate) mod account;
pub(crate) mod authority;
pub(crate) mod cache_snapshot;
pub(crate) mod call_fields;
pub(crate) mod cloud_entries;
pub(crate) mod displaced;
pub(crate) mod domain;
pub(crate) mod home_account;
pub(crate) mod id_token;
pub(crate) mod refresh_token;
pub(crate) mod rejection;
pub(crate) mod tenant;
pub(crate) mod token_response;
pub(crate) mod unsaved;
pub(crate) mod view;
