//! The bytes of a JSON string that need no escape.

/// Returns `true` if no byte of a text needs an escape in a JSON string.
pub(super) fn is_plain(text: &str) -> bool {
    plain_length(text.as_bytes()) == text.len()
}

/// Returns the number of bytes before the next quote, backslash or control character.
#[expect(
    clippy::inline_always,
    reason = "it is what takes most of a scan's time, and mostly ends in the first step"
)]
#[inline(always)]
pub(super) fn plain_length(bytes: &[u8]) -> usize {
    let mut rest = bytes;
    while let Some((chunk, behind)) = rest.split_first_chunk::<16>() {
        if has_special(chunk) {
            return bytes.len() - rest.len() + first_special(chunk);
        }
        rest = behind;
        // Most strings are short; the others are tokens of a kilobyte or two.
        if bytes.len() - rest.len() == 96 {
            while let Some((chunk, behind)) = rest.split_first_chunk::<64>()
                && !has_special(chunk)
            {
                rest = behind;
            }
        }
    }
    let plain = rest.iter().take_while(|byte| !is_special(**byte)).count();
    bytes.len() - rest.len() + plain
}

/// Returns `true` for a quote, a backslash or a control character.
fn is_special(byte: u8) -> bool {
    // So that the quote follows the control characters.
    byte ^ 2 <= b'"' ^ 2 || byte == b'\\'
}

/// Returns `true` if there is a special byte. It does not stop early, so that it is vectorized.
fn has_special<const N: usize>(chunk: &[u8; N]) -> bool {
    let special = chunk.iter().map(|byte| is_special(*byte));
    special.fold(false, |found, is_special| found | is_special)
}

/// Returns the position of the first special byte, of which there is one.
fn first_special(chunk: &[u8; 16]) -> usize {
    const ONES: u128 = u128::MAX / 255;
    let repeated = |byte: u8| ONES * u128::from(byte);
    // Marks bytes in their highest bit. Exact for the first one: only behind it is there a carry.
    let below = |word: u128, limit: u8| word.wrapping_sub(repeated(limit)) & !word;
    let word = u128::from_le_bytes(*chunk);
    let special = below(word ^ repeated(2), (b'"' ^ 2) + 1) | below(word ^ repeated(b'\\'), 1);
    (special & repeated(0x80)).trailing_zeros() as usize / 8
}

#[cfg(test)]
mod tests {
    use super::plain_length;

    #[test]
    fn the_first_special_byte_is_found_wherever_it_stands() {
        let plain = || b"plain, \xC3\xA9 ".iter().copied().cycle();
        for length in (0..=130).chain((131..=260).step_by(3)) {
            let mut bytes: Vec<u8> = plain().take(length).collect();
            assert_eq!(plain_length(&bytes), length);
            for position in 0..length {
                let before = bytes[position];
                for byte in 0..0x80 {
                    bytes[position] = byte;
                    let is_special = matches!(byte, b'"' | b'\\' | ..b' ');
                    // Every plain byte in every place would take its time, and does in short texts.
                    if is_special || length <= 100 {
                        let first = if is_special { position } else { length };
                        assert_eq!(plain_length(&bytes), first, "{byte} in {length}");
                    }
                }
                bytes[position] = before;
            }
        }
    }
}
