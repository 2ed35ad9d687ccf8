//! The entries of the unified MSAL cache schema, as the other MSALs write them.
//!
//! An entry borrows from the snapshot it was read from and is decoded when it is asked for. One
//! that lacks what makes it usable is passed over by every query, and kept in the file.

mod access_token;
mod account;
mod app_metadata;
mod binding;
mod id_token;
mod members;
mod refresh_token;
mod resource;
mod target;
mod time;
mod usable;

pub use access_token::AccessToken;
pub use account::Account;
pub use app_metadata::AppMetadata;
pub(crate) use binding::is_bound;
pub use id_token::IdToken;
pub(crate) use members::{EntrySecret, Members, new_entry};
pub use refresh_token::RefreshToken;
pub use target::Target;
pub(crate) use time::seconds_text;
pub use usable::{LONGEST_SECRET, is_usable_secret};
