use std::borrow::Cow;

/// A foreign text is cut after this many characters,
const MAX_TEXT: usize = 512;
/// and the whole text of an error after this many.
const MAX_ERROR: usize = 8 * 1024;

/// Makes a foreign text fit to be shown in an error or a log: a server's, a file's, or one that
/// another program wrote.
///
/// Control characters, format characters (bidirectional overrides, zero-width characters, tags),
/// line separators, unassigned and private-use characters become a blank, one for a run of them.
/// With them a text could forge lines, reorder what surrounds it, or hide something. At most 512
/// characters are kept.
///
/// ```
/// use token_credential::sanitize;
///
/// assert_eq!(sanitize("ada@contoso.com\r\n\u{202E}admin\u{200B}"), "ada@contoso.com admin");
/// ```
pub fn sanitize(text: &str) -> String {
    cleaned(text, MAX_TEXT).into_owned()
}

/// The same for the whole text of an error, which may hold several foreign texts: at most 8,192
/// characters are kept. For the error types of this crate and of those built upon it.
#[doc(hidden)]
pub fn sanitize_error(text: String) -> String {
    match cleaned(&text, MAX_ERROR) {
        Cow::Borrowed(clean) if clean.len() == text.len() => text,
        clean => clean.into_owned(),
    }
}

fn cleaned(text: &str, max: usize) -> Cow<'_, str> {
    let is_plain = |byte: u8| byte == b' ' || byte.is_ascii_graphic();
    // As most texts are.
    if text.len() <= max && text.bytes().all(is_plain) {
        return Cow::Borrowed(text.trim());
    }
    let mut clean = String::with_capacity(text.len().min(max));
    let mut is_replaced = false;
    for c in text.chars().take(max) {
        let is_visible = is_visible(c);
        // One blank for a run.
        is_replaced = !is_visible || (is_replaced && c == ' ');
        if is_visible && !is_replaced {
            clean.push(c);
        } else if !clean.ends_with(' ') {
            clean.push(' ');
        }
    }
    Cow::Owned(clean.trim().to_owned())
}

/// Whether a character shows what it is.
fn is_visible(c: char) -> bool {
    if c.is_ascii() {
        return !c.is_ascii_control();
    }
    // Behind a letter, std escapes what Unicode has in the categories C and Z. A mark is the letter's.
    let mut text = [b'a', 0, 0, 0, 0];
    let length = c.encode_utf8(&mut text[1..]).len();
    let is_printable =
        str::from_utf8(&text[..=length]).is_ok_and(|text| text.escape_debug().count() == 2);
    is_printable && !is_ignorable(c)
}

/// Whether a character is a letter or mark that is drawn as nothing: those of Unicode's
/// `Default_Ignorable_Code_Point` that are in no category of C.
fn is_ignorable(c: char) -> bool {
    matches!(
        c,
        '\u{34F}'
            | '\u{115F}'..='\u{1160}'
            | '\u{17B4}'..='\u{17B5}'
            | '\u{180B}'..='\u{180F}'
            | '\u{3164}'
            | '\u{FE00}'..='\u{FE0F}'
            | '\u{FFA0}'
            | '\u{E0100}'..='\u{E01EF}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_shows_what_it_is() {
        for same in [
            "",
            "ada@contoso.example",
            "two  blanks stay",
            "\u{C4}da \u{3042} \u{5D0} \u{1F600}",
            // Letters with marks of their own.
            "e\u{301} n\u{303} \u{915}\u{94D}\u{937}",
            "\"quoted\" 'so' C:\\folder",
        ] {
            assert_eq!(sanitize(same), same);
            assert_eq!(sanitize_error(same.to_owned()), same);
        }
        for (text, shown) in [
            (" a ", "a"),
            ("a\r\n\t\0b", "a b"),
            ("a \u{7F} b", "a b"),
            ("\u{1B}[2Ja", "[2Ja"),
            ("a\u{A0}\u{2003}b", "a b"),
            ("\u{202E}\u{2066}", ""),
            ("\n", ""),
        ] {
            assert_eq!(sanitize(text), shown, "{text:?}");
            assert_eq!(sanitize_error(text.to_owned()), shown, "{text:?}");
        }
    }

    /// The categories Cc, Cf, Zl, Zp and Co, and some of Cn and of what is drawn as nothing.
    #[test]
    fn foreign_text_hides_and_reorders_nothing() {
        for range in [
            0..=0x1F,
            0x7F..=0x9F,
            0xAD..=0xAD,
            0x34F..=0x34F,
            0x600..=0x605,
            0x61C..=0x61C,
            0x6DD..=0x6DD,
            0x70F..=0x70F,
            0x890..=0x891,
            0x8E2..=0x8E2,
            0x115F..=0x1160,
            0x17B4..=0x17B5,
            0x180B..=0x180F,
            0x200B..=0x200F,
            0x2028..=0x202E,
            0x2060..=0x206F,
            0x3164..=0x3164,
            0xE000..=0xF8FF,
            0xFE00..=0xFE0F,
            0xFEFF..=0xFEFF,
            0xFFA0..=0xFFA0,
            0xFFF0..=0xFFFB,
            0xFFFE..=0xFFFF,
            0x110BD..=0x110BD,
            0x110CD..=0x110CD,
            0x13430..=0x1343F,
            0x1BCA0..=0x1BCA3,
            0x1D173..=0x1D17A,
            0xE0000..=0xE0FFF,
            0xF0000..=0x10_FFFF,
        ] {
            for c in range.filter_map(char::from_u32) {
                assert_eq!(sanitize(&format!("a{c}b")), "a b", "{c:?}");
                assert_eq!(sanitize_error(format!("a{c}b")), "a b", "{c:?}");
            }
        }
    }

    #[test]
    fn foreign_text_is_cut() {
        for c in ["x", "\u{E9}", "\u{202E}a"] {
            let long = c.repeat(100_000);
            assert!(sanitize(&long).chars().count() <= MAX_TEXT, "{c:?}");
            assert!(sanitize_error(long).chars().count() <= MAX_ERROR, "{c:?}");
        }
        assert_eq!(sanitize(&"x".repeat(MAX_TEXT)).len(), MAX_TEXT);
    }
}
