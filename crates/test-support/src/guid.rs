use std::hash::{DefaultHasher, Hash, Hasher};

/// 128 bits in the shape of a GUID.
pub(crate) fn from_bits(bits: u128) -> String {
    let hex = format!("{bits:032x}");
    [
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..],
    ]
    .join("-")
}

/// The same GUID for the same text, so that a test can name what it expects.
pub(crate) fn from_text(text: &str) -> String {
    let half = |part: u8| {
        let mut hasher = DefaultHasher::new();
        (part, text).hash(&mut hasher);
        u128::from(hasher.finish())
    };
    from_bits(half(0) << 64 | half(1))
}

pub(crate) fn random() -> String {
    from_bits(fastrand::u128(..))
}

pub(crate) fn is_guid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_gives_one_guid() {
        let guid = from_text("contoso.example");
        assert!(is_guid(&guid));
        assert_eq!(guid, from_text("contoso.example"));
        assert_ne!(guid, from_text("fabrikam.example"));
    }

    #[test]
    fn what_a_guid_is() {
        assert!(is_guid("9188040d-6c67-4c5b-b112-36a304b66dad"));
        assert!(is_guid(&random()));
        assert!(!is_guid("organizations"));
        assert!(!is_guid("9188040d-6c67-4c5b-b112-36a304b66dag"));
        assert!(!is_guid("9188040d06c67-4c5b-b112-36a304b66dad"));
    }
}
