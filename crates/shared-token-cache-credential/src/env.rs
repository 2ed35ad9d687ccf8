//! The door to the environment.

/// The value of this variable; an empty one is as none.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the door to the environment"
)]
pub(crate) fn value_of(name: &str) -> Option<String> {
    // What is not Unicode must not pass for an absent one.
    std::env::var_os(name)
        .map(|value| value.to_string_lossy().into_owned())
        .filter(|value| !value.is_empty())
}
