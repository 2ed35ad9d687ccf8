//! The mutex of [`single_flight`](crate::single_flight), which its model test replaces by loom's.

pub(crate) use std::sync::{Arc, Mutex, MutexGuard};
