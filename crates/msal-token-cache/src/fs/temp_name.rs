//! The names of a cache's temporaries.

/// The ending of the names of our temporaries, which no other program uses.
pub(super) const SUFFIX: &str = ".msal-token-cache-tmp";

/// Returns a new random name for a temporary of the file `base`.
pub(super) fn name(base: &str) -> String {
    format!("{base}.{:016x}{SUFFIX}", fastrand::u64(..))
}

/// Returns `true` if this is the name of a temporary of the file `base`. The name of one cache may
/// begin with that of another, and each has its own lock.
pub(super) fn is_of(base: &str, name: &str) -> bool {
    name.strip_prefix(base)
        .and_then(|rest| rest.strip_prefix('.'))
        .and_then(|rest| rest.strip_suffix(SUFFIX))
        .is_some_and(|random| random.len() == 16 && random.bytes().all(is_digit))
}

/// Returns `true` for the hexadecimal digits that [`name`] writes, which are in lower case.
fn is_digit(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHOUTED: &str = "msal.cache.0123456789ABCDEF.msal-token-cache-tmp";

    #[test]
    fn a_temporary_is_its_own_files_and_nobody_elses() {
        let temporary = name("msal.cache");
        assert!(is_of("msal.cache", &temporary));
        assert_ne!(temporary, name("msal.cache"));
        for other in ["msal", "msal.cache.nocae", "x.msal.cache"] {
            assert!(!is_of(other, &temporary), "{other}");
        }
        for other in [
            "",
            "msal.cache",
            &temporary[..20],
            &format!("{temporary}x"),
            SHOUTED,
        ] {
            assert!(!is_of("msal.cache", other), "{other}");
        }
    }
}
