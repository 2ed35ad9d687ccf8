//! The entries of the unified MSAL cache schema, as the other MSALs write them.
//!
//! An entry borrows from its snapshot, and is decoded on demand. Queries pass over an entry that
//! lacks a required member; the file keeps it.

mod access_token;
mod account;
mod app_metadata;
mod binding;
pub(crate) mod cloud;
mod id_token;
pub(crate) mod key;
mod refresh_token;
mod resource;
mod secret;
mod target;
mod time;
mod usable;

pub use self::access_token::AccessToken;
pub use self::account::Account;
pub use self::app_metadata::AppMetadata;
pub(crate) use self::binding::is_bound;
pub use self::id_token::IdToken;
pub use self::refresh_token::RefreshToken;
pub use self::target::Target;
pub(crate) use self::time::seconds_text;
pub use self::usable::{LONGEST_SECRET, is_usable_secret};
