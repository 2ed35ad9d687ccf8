use std::fmt;
use std::sync::Arc;

use zeroize::Zeroize;

/// A text that must not be seen: an access token, a refresh token, an ID token.
///
/// Cloning shares the text; its memory is overwritten when the last clone is dropped. `Debug`
/// prints a constant. There is deliberately no `Display`, no `PartialEq` and no serialisation.
///
/// # Limitations
///
/// A `String` that grew before it came here may have left copies behind in freed memory, and
/// nothing can be promised about what a consumer does with the exposed text.
///
/// ```
/// let secret = token_credential::Secret::new("eyJ0eXAi");
/// assert_eq!(secret.expose_secret(), "eyJ0eXAi");
/// assert_eq!(format!("{secret:?}"), "Secret");
/// ```
#[derive(Clone)]
pub struct Secret(Arc<Text>);

struct Text(String);

impl Secret {
    /// Takes a text into custody.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Arc::new(Text(text.into())))
    }

    /// The text itself. Do not log it, print it or put it into an error.
    pub fn expose_secret(&self) -> &str {
        &self.0.0
    }
}

impl Drop for Text {
    /// In large steps: a `String` that zeroizes itself goes byte by byte.
    fn drop(&mut self) {
        let mut bytes = std::mem::take(&mut self.0).into_bytes();
        bytes.as_mut_slice().zeroize();
        bytes.spare_capacity_mut().zeroize();
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_is_constant() {
        let secret = Secret::new("canary");
        assert_eq!(format!("{secret:?} {secret:#?}"), "Secret Secret");
    }

    #[test]
    fn a_clone_shares_the_text() {
        let secret = Secret::new("canary");
        let clone = secret.clone();
        assert!(std::ptr::eq(secret.expose_secret(), clone.expose_secret()));
    }
}
