//! Where [`flight`](crate::flight) takes its mutex from, so that its test can put another in place.

pub(crate) use std::sync::{Arc, Mutex, MutexGuard};
