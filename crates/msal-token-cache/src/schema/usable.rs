/// The greatest length of a token in bytes: 64 KiB.
pub const LONGEST_SECRET: usize = 64 * 1024;

/// Returns `true` if a text can be an access token, a refresh token or an ID token: ASCII that is
/// graphic, not empty, and at most 64 KiB of it.
///
/// Any other text fits in no header and in no form: handing it out can only fail later.
///
/// ```
/// use msal_token_cache::is_usable_secret;
///
/// assert!(is_usable_secret("0.AXoA-_~.eyJ0"));
/// assert!(!is_usable_secret("two words"));
/// assert!(!is_usable_secret(""));
/// ```
pub fn is_usable_secret(text: &str) -> bool {
    // Without a way out in the middle the bytes are looked at in large steps.
    !text.is_empty()
        && text.len() <= LONGEST_SECRET
        && text
            .bytes()
            .fold(true, |so_far, byte| so_far & byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_notion_of_a_usable_secret() {
        let longest = "t".repeat(LONGEST_SECRET);
        for text in ["t", "!", "~", "0.AXoA-_~.eyJ0\"\\", &longest] {
            assert!(is_usable_secret(text), "{text:?}");
        }
        let too_long = "t".repeat(LONGEST_SECRET + 1);
        let bad = [
            "",
            " ",
            "a b",
            "a ",
            " a",
            "a\r\nb",
            "a\0",
            "a\u{7F}",
            "a\t",
            "\u{202E}a",
            "\u{E9}",
            "a\u{FEFF}",
            &too_long,
        ];
        for text in bad {
            assert!(!is_usable_secret(text), "{text:?}");
        }
    }
}
