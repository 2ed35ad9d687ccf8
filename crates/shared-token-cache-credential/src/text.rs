//! Showing texts of others: a server's, or what stands in a file.

/// No such text is shown beyond this many characters.
pub(crate) const LONGEST_TEXT: usize = 512;

/// A foreign text as it may be shown: capped, on one line, without control characters.
pub(crate) fn clean(text: &str) -> String {
    // As most names are.
    if text.len() <= LONGEST_TEXT && text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return text.to_owned();
    }
    let printable = |c: char| {
        if c.is_control() || c == '\u{2028}' || c == '\u{2029}' {
            ' '
        } else {
            c
        }
    };
    let capped: String = text.chars().take(LONGEST_TEXT).map(printable).collect();
    capped.split_whitespace().collect::<Vec<_>>().join(" ")
}
