//! The entries of the unified MSAL cache schema, as the other MSALs write them.
//!
//! An entry borrows from the snapshot it was read from and is decoded when it is asked for. One
//! that lacks what makes it usable is passed over by every query, and kept in the file.

mod access_token;
mod account;
mod app_metadata;
mod binding;
pub(crate) mod cloud;
mod id_token;
pub(crate) mod key;
mod refresh_token;
mod resource;
mod target;
pub(crate) mod time;
mod usable;

pub(crate) use crate::document::entry::{EntrySecret, Members, new_entry};
pub use access_token::AccessToken;
pub use account::Account;
pub use app_metadata::AppMetadata;
pub(crate) use binding::is_bound;
pub use id_token::IdToken;
pub use refresh_token::RefreshToken;
pub use target::Target;
pub(crate) use time::seconds_text;
pub use usable::{LONGEST_SECRET, is_usable_secret};
