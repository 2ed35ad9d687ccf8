use super::text::encode;
use super::*;

mod properties;

/// A cache as a peer writes it, with something of everything that we do not know.
const REALISTIC: &str = r#"{
    "Unknown": {"b": [1, 2.50, null], "a": {"x": true}},
    "AccessToken": {
        "u.t-login.microsoftonline.com-accesstoken-c-t-s": {
            "credential_type": "AccessToken",
            "secret": "s\u00e9cret",
            "expires_on": "1700003600",
            "unknown": 1e999
        },
        "\u006Bey \"two\"": {"secret":"tight"}
    },
    "RefreshToken": {"r": {"secret": "r", "lone": "\ud800"}},
    "AppMetadata": {},
    "Account": {"a": {"username": "ada@contoso.example"}}
}"#;

fn parse(text: &str) -> Document {
    try_parse(text).unwrap_or_else(|why| panic!("{text}: {why}"))
}

fn try_parse(text: &str) -> Result<Document, NotADocument> {
    Document::parse(Zeroizing::new(text.to_owned()))
}

/// The edited document, which must be what its text is when it is read.
fn edited(document: &Document, edits: &Edits) -> Document {
    let edited = document.edited(edits).expect("it stays a document");
    let read = parse(edited.text());
    assert_eq!(
        edited.parts.members,
        read.parts.members,
        "{}",
        edited.text()
    );
    assert_eq!(
        edited.parts.sections,
        read.parts.sections,
        "{}",
        edited.text()
    );
    assert!(
        !read.parts.has_duplicates
            && (edited.parts.has_escaped_keys || !read.parts.has_escaped_keys)
    );
    edited
}

fn json(text: &str) -> Zeroizing<String> {
    Zeroizing::new(text.to_owned())
}

fn entries(document: &Document, section: Section) -> Vec<(String, String)> {
    let names = document.listed(section).iter();
    let keys = names.map(|entry| decode_name(&document.text[entry.name.clone()]).into_owned());
    keys.zip(document.entries(section).map(str::to_owned))
        .collect()
}

fn pair(key: &str, value: &str) -> (String, String) {
    (key.to_owned(), value.to_owned())
}

#[test]
fn an_edit_leaves_every_other_byte_of_a_value_and_the_order() {
    let document = parse(REALISTIC);
    let mut edits = Edits::default();
    edits.replace(Section::Account, 0, json(r#"{"username": "bob"}"#));
    let edited = edited(&document, &edits);

    let names = |document: &Document| -> Vec<_> {
        let names = document
            .parts
            .members
            .iter()
            .map(|m| &document.text[m.name.clone()]);
        names.map(str::to_owned).collect()
    };
    assert_eq!(names(&edited), names(&document));
    for section in [
        Section::AccessToken,
        Section::RefreshToken,
        Section::AppMetadata,
    ] {
        assert_eq!(entries(&edited, section), entries(&document, section));
    }
    for untouched in [
        r#""Unknown": {"b": [1, 2.50, null], "a": {"x": true}}"#,
        r#""\u006Bey \"two\"": {"secret":"tight"}"#,
        r#""unknown": 1e999"#,
        r#""lone": "\ud800""#,
        r#""secret": "s\u00e9cret""#,
    ] {
        assert!(edited.text().contains(untouched), "{untouched}");
    }
    assert_eq!(
        entries(&edited, Section::Account),
        [pair("a", r#"{"username": "bob"}"#)]
    );
}

#[test]
fn entries_are_replaced_removed_and_added() {
    let document = parse(r#"{"IdToken": {"a": {}, "b": {}, "c": {}}}"#);
    let mut edits = Edits::default();
    edits.replace(Section::IdToken, 0, json("{\"n\":1}"));
    edits.remove(Section::IdToken, 1);
    edits.add(Section::IdToken, "d\"\u{1}".to_owned(), json("{}"));
    edits.add(Section::RefreshToken, "r".to_owned(), json("{}"));
    let edited = edited(&document, &edits);
    let expected = [
        pair("a", "{\"n\":1}"),
        pair("c", "{}"),
        pair("d\"\u{1}", "{}"),
    ];
    assert_eq!(entries(&edited, Section::IdToken), expected);
    assert_eq!(entries(&edited, Section::RefreshToken), [pair("r", "{}")]);
    assert_eq!(
        edits.sections().collect::<Vec<_>>(),
        [Section::RefreshToken, Section::IdToken]
    );
}

#[test]
fn the_last_entry_leaves_an_empty_section() {
    let mut edits = Edits::default();
    edits.remove(Section::Account, 0);
    let edited = edited(&parse(r#"{"Account": { "a": {} }}"#), &edits);
    assert_eq!(edited.text(), r#"{"Account": {}}"#);
}

#[test]
fn a_cache_begins_with_its_first_entry() {
    for empty in [Document::empty(), parse("{}"), parse(" {\n} ")] {
        assert_eq!(edited(&empty, &Edits::default()).text(), "{}");
        let mut edits = Edits::default();
        edits.add(Section::Account, "k".to_owned(), json("{}"));
        let expected = "{\n    \"Account\": {\n        \"k\": {}\n    }\n}";
        assert_eq!(edited(&empty, &edits).text(), expected);
    }
}

#[test]
fn names_of_one_hash_are_told_apart() {
    let [one, two] = twins("\"");
    for (text, has_duplicates) in [
        (format!("{{{one}: {{}}, {two}: {{}}}}"), false),
        (format!("{{{one}: {{}}, {two}: {{}}, {one}: {{}}}}"), true),
    ] {
        let document = parse(&format!(r#"{{"Account": {text}}}"#));
        assert_eq!(document.entries(Section::Account).len(), 2, "{text}");
        assert_eq!(document.parts.has_duplicates, has_duplicates, "{text}");
    }
}

#[test]
fn of_duplicates_the_first_place_and_the_last_value_count() {
    let document = parse(
        r#"{"Account": {"lost": {}}, "X": 1, "Account": {"k": {"v":1}, "l": {}, "k": {"v":2}}, "X": 2}"#,
    );
    assert_eq!(
        entries(&document, Section::Account),
        [pair("k", "{\"v\":2}"), pair("l", "{}")]
    );
    let mut edits = Edits::default();
    edits.remove(Section::Account, 1);
    let expected = "{\n    \"Account\": {\n        \"k\": {\"v\":2}\n    },\n    \"X\": 2\n}";
    assert_eq!(edited(&document, &edits).text(), expected);
}

#[test]
fn a_name_is_the_same_however_it_is_escaped() {
    let document = parse(r#"{"\u0041ccount": {"k": 1, "\u006b": 2}}"#);
    assert_eq!(entries(&document, Section::Account), [pair("k", "2")]);
}

#[test]
fn a_section_that_is_no_object_is_malformed_and_reads_as_empty() {
    for value in ["null", "[]", "\"text\"", "1", "true"] {
        let document = parse(&format!(
            r#"{{"Account": {value}, "IdToken": {{"k": {{}}}}}}"#
        ));
        assert!(document.is_malformed(Section::Account), "{value}");
        assert!(!document.is_malformed(Section::IdToken));
        assert!(
            !document.is_malformed(Section::RefreshToken),
            "absent is not malformed"
        );
        assert_eq!(document.entries(Section::Account).len(), 0);
        assert_eq!(document.entries(Section::IdToken).len(), 1);
    }
}

#[test]
fn no_part_of_a_text_is_a_cache() {
    for end in 0..REALISTIC.len() {
        let Some(part) = REALISTIC.get(..end) else {
            continue;
        };
        assert!(
            matches!(try_parse(part), Err(NotADocument::Syntax { .. })),
            "cut at {end}"
        );
    }
}

#[test]
fn what_is_no_object_is_no_document() {
    for text in ["null", "[]", "1", "\"x\"", "[{}]"] {
        assert!(
            matches!(try_parse(text), Err(NotADocument::NotAnObject)),
            "{text}"
        );
    }
}

/// Whatever one wrong byte does to a text: reading it fails or succeeds, and what can be read can
/// be edited and read again.
#[test]
fn no_single_wrong_byte_brings_it_down() {
    let mut read = 0;
    for at in 0..REALISTIC.len() {
        for wrong in [b'"', b'\\', b'{', b'}', b',', b'0', b' ', 0x00, 0x7F] {
            let mut bytes = REALISTIC.as_bytes().to_vec();
            bytes[at] = wrong;
            let Ok(document) = try_parse(std::str::from_utf8(&bytes).unwrap()) else {
                continue;
            };
            read += 1;
            let mut edits = Edits::default();
            if !document.is_malformed(Section::Account) {
                edits.add(Section::Account, "new".to_owned(), json("{}"));
            }
            edited(&document, &edits);
        }
    }
    assert!(read > REALISTIC.len(), "only {read} of them could be read");
}

#[test]
fn nesting_is_bounded_by_memory_not_by_the_stack() {
    for depth in [126, 127, 128, 129, 100_000] {
        let deep = "[".repeat(depth) + &"]".repeat(depth);
        let text = format!(r#"{{"Unknown": {deep}, "Account": {{"k": {{"m": {deep}}}}}}}"#);
        let document = parse(&text);
        let mut edits = Edits::default();
        edits.add(Section::Account, "new".to_owned(), json("{}"));
        let edited = edited(&document, &edits);
        assert_eq!(edited.text().matches(&deep).count(), 2, "depth {depth}");
        assert_eq!(edited.entries(Section::Account).len(), 2);
    }
}

#[test]
fn debug_shows_no_content() {
    assert_eq!(
        format!("{:?}", parse(r#"{"k": "a secret"}"#)),
        "Document { len: 17, .. }"
    );
}
