//! The memory between calls, apart from the engine's.

pub(crate) mod cache;
pub(crate) mod refusal_keys;
pub(crate) mod tenant_aliases;
