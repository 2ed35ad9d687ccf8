//! The store in a file as Windows has it: no modes and inodes, but share modes and file ids.

#[cfg(feature = "dpapi")]
mod data_protection;
#[cfg(feature = "dpapi")]
mod dpapi;
mod file;
mod information;
mod open;
mod replace;
mod ticks;

#[cfg(feature = "dpapi")]
pub use dpapi::DpapiPersistence;
pub use file::FilePersistence;
pub(crate) use information::FileInformation;
pub(crate) use open::{Sharing, is_in_use, open_for_asking, open_for_reading};
