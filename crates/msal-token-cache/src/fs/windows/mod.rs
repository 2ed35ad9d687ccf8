//! Files on Windows: share modes and file ids in place of modes and inodes.

pub(crate) mod delete;
pub(crate) mod information;
pub(crate) mod open;
pub(crate) mod replace;
