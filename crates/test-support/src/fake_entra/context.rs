//! The circumstances of an answer.

/// Everything that an answer depends on besides the request.
pub(super) struct Context<'a> {
    pub(super) authority: &'a str,
    pub(super) correlation_id: String,
    /// The time of day, in Unix seconds.
    pub(super) now: u64,
}
