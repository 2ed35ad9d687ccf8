//! The door to the environment.

/// Returns the value of this variable. An empty one counts as missing.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the door to the environment"
)]
pub(crate) fn value_of(name: &str) -> Option<String> {
    // A value that is not Unicode must not pass for a missing one.
    std::env::var_os(name)
        .map(|value| value.to_string_lossy().into_owned())
        .filter(|value| !value.is_empty())
}
