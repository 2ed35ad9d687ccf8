//! The door to the environment.

/// Returns the first of these variables that has a value, and the value. An empty value is as good
/// as a missing one.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the door to the environment"
)]
pub(crate) fn first_of(names: &[&'static str]) -> Option<(&'static str, String)> {
    names.iter().find_map(|name| {
        // A value that is not Unicode must not pass for a missing one.
        let value = std::env::var_os(name)?.to_string_lossy().into_owned();
        (!value.is_empty()).then_some((*name, value))
    })
}
