use std::collections::BTreeSet;
use std::fmt::Write as _;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;

/// How a text may look in a log: as it is, percent-encoded, within a base64 text, in hex, and as
/// the `Debug` of its bytes.
pub(super) fn forms(text: &str) -> Vec<String> {
    let bytes = text.as_bytes();
    let mut forms = BTreeSet::from([text.to_owned()]);
    forms.insert(form_urlencoded::byte_serialize(bytes).collect());
    for offset in 0..3 {
        let standard = within_base64(bytes, offset);
        forms.insert(standard.replace('+', "-").replace('/', "_"));
        forms.insert(standard);
    }
    forms.insert(hex(bytes));
    forms.insert(hex(bytes).to_uppercase());
    forms.insert(
        bytes
            .iter()
            .map(u8::to_string)
            .collect::<Vec<_>>()
            .join(", "),
    );
    forms.into_iter().collect()
}

/// The base64 characters that depend on `bytes` alone when `offset` bytes stand before them and
/// unknown ones behind.
fn within_base64(bytes: &[u8], offset: usize) -> String {
    let padded = [&[0; 2][..offset], bytes].concat();
    let mut text = STANDARD_NO_PAD.encode(&padded);
    if padded.len() % 3 != 0 {
        text.pop();
    }
    // One byte before reaches into the second character, two reach into the third.
    let foreign = if offset == 0 { 0 } else { offset + 1 };
    text.split_off(foreign)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").expect("a String takes everything");
        hex
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(form: &str, text: &str) -> bool {
        forms(text).iter().any(|known| form.contains(known))
    }

    #[test]
    fn base64_is_found_at_every_offset_and_with_every_rest() {
        for before in ["", "u", "us", "usr", "user"] {
            for behind in ["", ":", ":p", ":pw"] {
                let whole = STANDARD_NO_PAD.encode(format!("{before}s3cr3t~~?{behind}"));
                assert!(found(&whole, "s3cr3t~~?"), "{before} {behind}");
                let url_safe = whole.replace('+', "-").replace('/', "_");
                assert!(found(&url_safe, "s3cr3t~~?"), "{before} {behind}");
            }
        }
    }

    #[test]
    fn other_forms_are_found() {
        assert!(found("refresh_token=a%2Fb%2Bc&x=1", "a/b+c"));
        assert!(found("payload 612f622b63", "a/b+c"));
        assert!(found("payload 612F622B63", "a/b+c"));
        assert!(found(&format!("{:?}", b"(a/b+c)"), "a/b+c"));
        assert!(!found("a/b", "a/b+c"));
    }
}
