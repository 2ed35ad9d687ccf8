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
        let [0x30, rest, ref numbers @ ..] = certificate[start..] else {
            return false;
        };
        let Some((first, numbers)) = number(numbers) else {
            return false;
        };
        let Some((second, [])) = number(numbers) else {
            return false;
        };
        usize::from(rest) + 2 == length && first == 32 && second == 32
    })
}

/// How many bytes the integer has that begins here, and what comes behind it.
fn number(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let [0x02, length, bytes @ ..] = bytes else {
        return None;
    };
    let (number, behind) = bytes.split_at_checked(usize::from(*length))?;
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    Some((number.len() - zeros, behind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_is_short_is_noticed() {
        let integer = |length: u8, begin: u8| {
            let mut bytes = vec![begin; usize::from(length)];
            if begin >= 0x80 {
                bytes.insert(0, 0);
            }
            let mut integer = vec![0x02, u8::try_from(bytes.len()).unwrap()];
            integer.extend(bytes);
            integer
        };
        for (first, second) in [(32, 32), (31, 32), (32, 31), (30, 32), (31, 31)] {
            for (one, other) in [(7, 7), (7, 0x87), (0x87, 7), (0x87, 0x87)] {
                let numbers = [integer(first, one), integer(second, other)].concat();
                let mut certificate = vec![0; 300];
                certificate.extend([0x30, u8::try_from(numbers.len()).unwrap()]);
                certificate.extend(numbers);
                let expected = (first, second) == (32, 32);
                assert_eq!(is_whole(&certificate), expected, "{first} {second}");
            }
        }
        assert!(!is_whole(&[]));
    }
}
