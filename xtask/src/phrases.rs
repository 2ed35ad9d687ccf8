//! Looks for turns of phrase that the project does not use: it says things as std does.

use std::fs;

use crate::Result;
use crate::command::output;

/// What std would say in other words. It grows with what readers find.
const TURNS: &[&str] = &[
    "whoever",
    "is none",
    "are none",
    "as none",
    "one's own",
    "ones own",
    "is at it",
    "by now",
    "so long as",
];

/// The files that were not read for style yet, one path a line. It only ever gets shorter.
const UNREAD: &str = include_str!("phrases/unread.txt");

/// Checks the comments, documents and error texts of every file that was read for style.
///
/// # Errors
///
/// Names each place with such a turn, and each unread file that is not there any more.
pub(crate) fn check() -> Result {
    let tracked = output(std::process::Command::new("git").args(["ls-files"]))?;
    let tracked: Vec<_> = tracked.lines().collect();
    let unread: Vec<_> = UNREAD.lines().collect();
    let gone = unread.iter().filter(|path| !tracked.contains(path));
    let mut faults: Vec<_> = gone
        .map(|path| format!("{path} is in xtask/src/phrases/unread.txt and is not there"))
        .collect();
    let is_prose = |path: &&&str| {
        let extension = path.rsplit_once('.').map_or("", |(_, extension)| extension);
        matches!(extension, "rs" | "md" | "toml" | "py" | "mjs") && **path != THIS_FILE
    };
    for path in tracked.iter().filter(is_prose) {
        if !unread.contains(path) {
            // A file may be deleted and not committed yet.
            let text = fs::read_to_string(path).unwrap_or_default();
            faults.extend(found_in(path, &text));
        }
    }
    if faults.is_empty() {
        println!("phrases: none of {} turns", TURNS.len());
        return Ok(());
    }
    Err(format!("say it as std does:\n  {}", faults.join("\n  ")).into())
}

/// It holds the list.
const THIS_FILE: &str = "xtask/src/phrases.rs";

/// Returns the places of banned turns, also of such that a line break parts.
fn found_in(path: &str, text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let lines: Vec<_> = text.lines().map(words_of).collect();
    for (number, line) in lines.iter().enumerate() {
        let next = lines.get(number + 1).map_or("", String::as_str);
        let both = format!(" {line} {next} ");
        // Not in lower case: `None` is a value.
        let is_here = |turn: &str| {
            both.find(&format!(" {turn} "))
                .is_some_and(|at| at <= line.len())
        };
        for turn in TURNS {
            let (first, rest) = turn.split_at(1);
            if is_here(turn) || is_here(&(first.to_uppercase() + rest)) {
                faults.push(format!("{path}:{}: \"{turn}\"", number + 1));
            }
        }
    }
    faults
}

/// Returns a line's words with single blanks between them, without the marks of a comment.
fn words_of(line: &str) -> String {
    let words = line.split(|c: char| !(c.is_alphanumeric() || matches!(c, '\'' | '_')));
    let words: Vec<_> = words.filter(|word| !word.is_empty()).collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_is_found_in_one_line_and_over_two() {
        for (text, places) in [
            ("/// For whoever asks.", &["f:1: \"whoever\""][..]),
            ("// a tenant that\n// is\n// none", &["f:2: \"is none\""]),
            ("//! a tenant that is\n//! none.", &["f:1: \"is none\""]),
            (
                "Whoever\nwhoever",
                &["f:1: \"whoever\"", "f:2: \"whoever\""],
            ),
            ("# whoever's; is nonetheless; it is `None`", &[]),
        ] {
            assert_eq!(found_in("f", text), places, "{text}");
        }
    }
}
