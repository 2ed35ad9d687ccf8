//! Which texts can be used as a secret, at every door: the cache, the wire and what is kept in
//! memory.

/// No token of Entra's is as long as this, in bytes.
const LONGEST: usize = 64 * 1024;

/// Returns `true` if a text can be a token, or the id of an application: it is not empty, has at
/// most 64 KiB, and consists of printable ASCII characters other than the blank.
///
/// Nothing else gets into a header or a form as it is: a line break begins another header.
pub fn is_usable_secret(text: &str) -> bool {
    // Without a way out in the middle it is done in large steps.
    let are_graphic = |so_far, byte: u8| so_far & byte.is_ascii_graphic();
    (1..=LONGEST).contains(&text.len()) && text.bytes().fold(true, are_graphic)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_usable_secret_is_printable_ascii_of_at_most_64_kib() {
        for text in ["a", "eyJ0.e-_~+/=.x", "!\"\\", &"a".repeat(LONGEST)] {
            assert!(is_usable_secret(text), "{text}");
        }
        for c in [
            '\r', '\n', '\0', '\t', ' ', '\u{7f}', '\u{a0}', '\u{202e}', '\u{e9}',
        ] {
            for text in [
                format!("a{c}b"),
                format!("{c}a"),
                format!("a{c}"),
                c.to_string(),
            ] {
                assert!(!is_usable_secret(&text), "{text:?}");
            }
        }
        assert!(!is_usable_secret("") && !is_usable_secret(&"a".repeat(LONGEST + 1)));
    }
}
