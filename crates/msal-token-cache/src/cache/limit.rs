//! The size up to which a cache is written. Pure.

use crate::error::{Error, ErrorKind, Result};

/// The part of the readers' limit that a writer leaves free. Other programs have no limit: what the
/// next one adds must not lock every reader out.
const MARGIN: u64 = 16;

/// Checks that content of `after` bytes, in place of `before` bytes, leaves a margin below the limit
/// of its readers. Content that does not grow may be written in any case: it was read before.
///
/// # Errors
///
/// Returns [`ErrorKind::TooLarge`] otherwise.
pub(super) fn check(
    before: usize,
    after: usize,
    max_bytes: Option<u64>,
    location: impl FnOnce() -> String,
) -> Result<()> {
    let Some(max_bytes) = max_bytes else {
        return Ok(());
    };
    let limit = max_bytes - max_bytes / MARGIN;
    if after <= before || after as u64 <= limit {
        return Ok(());
    }
    let text = format!(
        "{} would have {after} bytes, and is written up to {limit}, because readers take \
         {max_bytes}; it was left as it is (FilePersistence::with_max_bytes sets their limit, in \
         each program that reads it)",
        location()
    );
    Err(Error::new(ErrorKind::TooLarge, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_grows_up_to_a_margin_below_the_limit_of_its_readers() {
        for (is_allowed, before, after, max_bytes) in [
            (true, 0, 15_000, Some(16_000)),
            (false, 0, 15_001, Some(16_000)),
            (false, 14_999, 15_001, Some(16_000)),
            // What is there already may become smaller, and other.
            (true, 15_500, 15_500, Some(16_000)),
            (true, 15_500, 15_400, Some(16_000)),
            (false, 15_500, 15_501, Some(16_000)),
            (true, 0, usize::MAX, None),
            (false, 0, 1, Some(0)),
            (true, 0, 1, Some(1)),
            (true, 0, usize::MAX / 2, Some(u64::MAX)),
        ] {
            let checked = check(before, after, max_bytes, || "the test".to_owned());
            assert_eq!(
                checked.is_ok(),
                is_allowed,
                "{before} {after} {max_bytes:?}"
            );
            if let Err(error) = checked {
                assert_eq!(error.kind(), ErrorKind::TooLarge);
                let text = error.to_string();
                assert!(
                    text.contains("the test") && text.contains("with_max_bytes"),
                    "{text}"
                );
            }
        }
    }
}
