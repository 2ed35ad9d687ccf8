//! What Windows does in its own way: who shares which file, and whose data is encrypted.

#[cfg(feature = "dpapi")]
mod dpapi;
mod files;
pub(crate) mod killed;
pub(crate) mod leases;
