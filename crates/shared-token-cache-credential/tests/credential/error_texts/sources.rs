//! The texts that stand in the sources, to find those that the table does not have.

use std::fs;
use std::path::{Path, PathBuf};

/// The crates whose errors a call of the credential ends with, word for word.
const CRATES: [&str; 2] = ["shared-token-cache-credential", "entra-token-endpoint"];

/// Texts in the sources that no call of the credential ends with.
const OTHERS: [&str; 11] = [
    // Who builds the crate without either.
    "TLS needs one of the features `ring` (the default) and `aws-lc-rs`",
    // A header.
    "retry-after, h429",
    // On another platform.
    "cannot be looked for, because there is no folder for it: set LOCALAPPDATA to an absolute path, \
     or give a cache with the builder's token_cache",
    // Where the platform's encrypted store was left out.
    "is required to be encrypted, which cannot be read here: build with the feature for this \
     platform's store, or allow plain text with \
     TokenCachePersistenceOptions::with_allow_unencrypted_storage",
    // Only to whoever uses the endpoint alone: the credential asks from within a task, for a checked
    // authority, under an id of its own, and is gone with its runtime.
    "a token endpoint can only be asked from within a tokio runtime",
    "the address of the token endpoint is not a URL",
    "the address of the token endpoint is not https://",
    "the request cannot be written",
    "{proxy} cannot be asked for this host",
    "the proxy that was set",
    "loading the trust roots was cut short: call again",
];

/// Asserts that every text in the sources is one of these errors' or of the others.
#[track_caller]
pub(super) fn assert_listed(errors: &[&str]) {
    let sample = r##"#[expect(a, reason = "no error")] fn f<'a>(c: &'a str) { // "no error"
        tracing::warn!(c = g('"', "no error"), "no error");
        h("word", '\'', "an \"error\" of \
            {c:?}, {{no}} more", r#"a "raw" one"#)
    }
    #[cfg(test)]
    mod tests { "no error" }"##;
    let found = ["an \"error\" of {c:?}, {{no}} more", "a \"raw\" one"];
    assert_eq!(texts(sample), found);
    assert_eq!(parts(found[0]), ["an \"error\" of", ", {no} more"]);

    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let files = CRATES.map(|name| files(&crates.join(name).join("src")));
    assert!(files.iter().all(|files| files.len() > 10), "{files:?}");
    let files = files.concat();
    let in_sources: Vec<_> = files.iter().flat_map(|file| texts(&read(file))).collect();
    let is_listed = |text: &&String| {
        let is_said = |part: &String| errors.iter().any(|error| error.contains(part));
        OTHERS.contains(&text.as_str()) || parts(text).iter().all(is_said)
    };
    let unlisted: Vec<_> = in_sources.iter().filter(|text| !is_listed(text)).collect();
    assert!(unlisted.is_empty(), "errors without a row: {unlisted:#?}");
    for other in OTHERS {
        let is_there = in_sources.iter().any(|text| text == other);
        assert!(is_there, "{other:?} is not in the sources any more");
    }
}

fn read(file: &Path) -> String {
    fs::read_to_string(file).unwrap()
}

/// The sources that are not tests' alone.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if !path.ends_with("tests.rs") && !path.ends_with("fixtures.rs") {
            found.push(path);
        }
    }
    found
}

/// The string literals with words in them, but for those of comments, attributes, events and unit
/// tests.
fn texts(source: &str) -> Vec<String> {
    let source = source.split("#[cfg(test)]").filter(|part| {
        // A module that stands in another file takes nothing of this one along.
        !part.trim_start().starts_with("mod tests {")
    });
    let source: String = source.collect();
    let mut texts = Vec::new();
    let mut rest = source.as_str();
    // The code so far, without literals, and for each bracket that is open whether to look inside.
    let (mut code, mut brackets) = (String::new(), Vec::new());
    while let Some(c) = rest.chars().next() {
        let is_looked_at = brackets.last().copied().unwrap_or(true);
        let mut length = c.len_utf8();
        if rest.starts_with("//") {
            length = rest.find('\n').unwrap_or(rest.len());
        } else if rest.starts_with("r\"") || rest.starts_with("r#") {
            let hashes = rest[1..].chars().take_while(|c| *c == '#').count();
            let (start, end) = (2 + hashes, format!("\"{}", "#".repeat(hashes)));
            let text = rest[start..].split(&end).next().unwrap();
            length = start + text.len() + end.len();
            texts.extend(is_looked_at.then(|| text.to_owned()));
        } else if c == '"' {
            let text;
            (text, length) = literal(rest);
            texts.extend(is_looked_at.then_some(text));
        } else if c == '\'' {
            length = character(rest);
        } else if matches!(c, '(' | '[' | '{') {
            let is_attribute = code.ends_with('#') || code.ends_with("#!");
            let is_event = code.ends_with('!') && code.contains("tracing::");
            brackets.push(is_looked_at && !is_attribute && !is_event);
        } else if matches!(c, ')' | ']' | '}') {
            brackets.pop().unwrap();
        }
        if matches!(c, ';' | ',' | '=' | '{' | '}') || c.is_whitespace() {
            code.clear();
        } else {
            code.push(c);
        }
        rest = &rest[length..];
    }
    assert!(brackets.is_empty(), "brackets are left open");
    texts.retain(|text| text.trim().contains(' ') && text.contains(char::is_alphabetic));
    texts
}

/// The value of a string literal, and the length of the literal.
fn literal(source: &str) -> (String, usize) {
    let mut text = String::new();
    let mut characters = source.char_indices().skip(1).peekable();
    while let Some((at, c)) = characters.next() {
        match c {
            '"' => return (text, at + 1),
            '\\' => match characters.next().unwrap().1 {
                '\n' => while characters.next_if(|(_, c)| c.is_whitespace()).is_some() {},
                escaped => text.push(escaped),
            },
            _ => text.push(c),
        }
    }
    panic!("a literal without an end");
}

/// The length of a character literal, or of the sign that a lifetime begins with.
fn character(source: &str) -> usize {
    let mut characters = source.char_indices().skip(1);
    match characters.next().unwrap().1 {
        '\\' => 3 + source[3..].find('\'').unwrap(),
        _ if characters.next().is_some_and(|(_, c)| c == '\'') => {
            let (end, _) = source.char_indices().nth(2).unwrap();
            end
        }
        _ => 0,
    }
    .saturating_add(1)
}

/// What a text says between the places where others' words stand.
fn parts(text: &str) -> Vec<String> {
    let text = text.replace("{{", "\u{1}").replace("}}", "\u{2}");
    let parts = text.split('{').map(|part| part.rsplit('}').next().unwrap());
    parts
        .map(|part| part.replace('\u{1}', "{").replace('\u{2}', "}"))
        .map(|part| part.trim().to_owned())
        .filter(|part| part.contains(char::is_alphabetic))
        .collect()
}
