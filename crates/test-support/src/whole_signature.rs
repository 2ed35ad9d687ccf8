use rcgen::Certificate;

/// Makes a certificate again until both numbers of its ECDSA P-256 signature fill their 32 bytes:
/// one in 128 does not, and Wine takes it for a forged one.
pub fn with_whole_signature(make: impl FnMut() -> Certificate) -> Certificate {
    let certificate = std::iter::repeat_with(make).find(|made| is_whole(made.der()));
    certificate.expect("the next one is made")
}

/// The signature is the last part of a certificate: a sequence of two integers, each with a zero
/// in front where its first bit is set.
fn is_whole(certificate: &[u8]) -> bool {
    (70..=72).any(|length| {
        let Some(start) = certificate.len().checked_sub(length) else {
            return false;
        };
        let [0x30, rest, 0x02, first, ref numbers @ ..] = certificate[start..] else {
            return false;
        };
        let [0x02, second] = numbers[usize::from(first).min(numbers.len() - 2)..][..2] else {
            return false;
        };
        usize::from(rest) + 2 == length
            && usize::from(first) + usize::from(second) + 6 == length
            && first >= 32
            && second >= 32
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_is_short_is_noticed() {
        let certificate = |first: u8, second: u8| {
            let mut bytes = vec![0; 300];
            bytes.extend([0x30, first + second + 4, 0x02, first]);
            bytes.extend(vec![7; first.into()]);
            bytes.extend([0x02, second]);
            bytes.extend(vec![7; second.into()]);
            bytes
        };
        for first in 28..=33 {
            for second in 28..=33 {
                let expected = first >= 32 && second >= 32;
                assert_eq!(is_whole(&certificate(first, second)), expected);
            }
        }
        assert!(!is_whole(&[]));
    }
}
