//! Files on Unix: names in open folders, checked paths, owners and modes.

pub(crate) mod directory;
pub(crate) mod file_system;
pub(crate) mod file_time;
mod follow;
pub(crate) mod owner;
#[cfg(test)]
mod power_loss;
pub(crate) mod replace;
mod replace_steps;
pub(crate) mod safe_open;
pub(crate) mod walk;
pub(crate) mod writable;
