//! The hash of names.

/// Returns the hash of a name. Names of the same hash are compared.
pub(crate) fn hash(name: &[u8]) -> u64 {
    hash_of(name, |chunk| *chunk)
}

/// Returns a hash that is the same in any ASCII case.
pub(crate) fn hash_without_case(name: &[u8]) -> u64 {
    hash_of(name, |chunk| chunk.map(|byte| byte.to_ascii_lowercase()))
}

#[inline]
fn hash_of(name: &[u8], seen: impl Fn(&[u8; 16]) -> [u8; 16]) -> u64 {
    let (chunks, rest) = name.as_chunks::<16>();
    let mix = |hash, chunk: &[u8; 16]| mix(hash, &seen(chunk));
    let hash = chunks.iter().fold(name.len() as u64, mix);
    match name.last_chunk::<16>() {
        _ if rest.is_empty() => hash,
        // Some of it for the second time.
        Some(end) => mix(hash, end),
        None => {
            let mut padded = [0; 16];
            padded[..rest.len()].copy_from_slice(rest);
            mix(hash, &padded)
        }
    }
}

/// The first words of the fraction of the golden ratio.
const SALT: [u64; 2] = [0x9E37_79B9_7F4A_7C15, 0xF39C_C060_5CED_C834];

#[expect(clippy::cast_possible_truncation, reason = "both halves are meant")]
fn mix(hash: u64, chunk: &[u8; 16]) -> u64 {
    let word = u128::from_le_bytes(*chunk);
    let (low, high) = (word as u64, (word >> 64) as u64);
    let product = u128::from(low ^ SALT[0] ^ hash) * u128::from(high ^ SALT[1]);
    product as u64 ^ (product >> 64) as u64
}

/// Two texts of 32 bytes with this at each end that have the same hash, with their case and without:
/// what is multiplied by nothing does not count.
#[cfg(test)]
pub(crate) fn twins(end: &str) -> [String; 2] {
    let room = 16 - end.len();
    let is_lower = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let is_name = |bytes: &[u8]| bytes.iter().all(is_lower);
    let begin = (0..).find_map(|number: u32| {
        let begin = format!("{end}{number:0room$}");
        let chunk = begin.as_bytes().first_chunk().expect("16 bytes");
        let nothing = (mix(32, chunk) ^ SALT[0]).to_le_bytes();
        is_name(&nothing).then(|| begin + &String::from_utf8_lossy(&nothing))
    });
    let begin = begin.expect("such a number");
    let twins = ["one", "two"].map(|text| format!("{begin}{text:x>0$}{end}", 8 - end.len()));
    for hash in [hash, hash_without_case] {
        assert_eq!(hash(twins[0].as_bytes()), hash(twins[1].as_bytes()));
    }
    twins
}
