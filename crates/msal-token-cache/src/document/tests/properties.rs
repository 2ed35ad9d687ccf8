//! What holds for any text and any edits.

use proptest::prelude::*;
use serde_json::Value;
use serde_json::value::RawValue;

use super::*;

/// Any JSON text, laid out in any way.
fn any_json() -> impl Strategy<Value = String> {
    let scalar = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        Just("1e999".to_owned()),
        Just(r#""\ud800""#.to_owned()),
        any::<i64>().prop_map(|n| n.to_string()),
        any_name(),
    ];
    scalar.prop_recursive(4, 24, 4, |inner| {
        let list = proptest::collection::vec(inner.clone(), 0..4);
        let object = proptest::collection::vec((any_name(), inner), 0..4);
        prop_oneof![
            list.prop_map(|items| format!("[ {}]", items.join(","))),
            object.prop_map(|members| object_text(&members, "")),
        ]
    })
}

/// Any JSON string, written in one of the ways in which it may be.
fn any_name() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>().prop_map(|text| (*encode(&text)).clone()),
        "[a-d]{1,2}".prop_map(|text| text.chars().fold("\"".to_owned(), |json, c| format!(
            "{json}\\u{:04X}",
            u32::from(c)
        )) + "\""),
    ]
}

fn object_text(members: &[(String, String)], blank: &str) -> String {
    let members = members
        .iter()
        .map(|(name, value)| format!("{blank}{name}{blank}:{blank}{value}"));
    format!("{{{}{blank}}}", members.collect::<Vec<_>>().join(","))
}

/// Members whose decoded names differ from each other and from `reserved`.
fn any_members(
    value: impl Strategy<Value = String>,
    reserved: &'static [&'static str],
) -> impl Strategy<Value = Vec<(String, String)>> {
    proptest::collection::vec((any_name(), value), 0..6).prop_map(|mut members| {
        let mut seen: Vec<_> = reserved.iter().map(|name| (*name).to_owned()).collect();
        members.retain(|(name, _)| {
            let name = decode_name(name).into_owned();
            let is_new = !seen.contains(&name);
            seen.push(name);
            is_new
        });
        members
    })
}

const SECTIONS: &[&str] = &[
    "AccessToken",
    "RefreshToken",
    "IdToken",
    "Account",
    "AppMetadata",
];

proptest! {
    /// The document that comes out of an edit, written down from the parts that went in.
    #[test]
    fn an_edit_keeps_every_other_value(
        before in any_members(any_json(), SECTIONS),
        tokens in any_members(any_json(), &["new"]),
        accounts in any_members(any_json(), &[]),
        chosen in any::<prop::sample::Index>(),
        removes in any::<bool>(),
        blank in "[ \t\r\n]{0,2}",
    ) {
        let section = |name: &str, entries: &[(String, String)]| {
            (format!("{name:?}"), object_text(entries, &blank))
        };
        let mut members = before.clone();
        members.insert(chosen.index(before.len() + 1), section("AccessToken", &tokens));
        members.push(section("Account", &accounts));
        let document = parse(&object_text(&members, &blank));

        let mut edits = Edits::default();
        let mut expected_tokens = tokens.clone();
        if !tokens.is_empty() {
            let position = chosen.index(tokens.len());
            if removes {
                edits.remove(Section::AccessToken, position);
                expected_tokens.remove(position);
            } else {
                edits.replace(Section::AccessToken, position, json("{\"ours\": 1}"));
                expected_tokens[position].1 = "{\"ours\": 1}".to_owned();
            }
        }
        edits.add(Section::AccessToken, "new".to_owned(), json("{}"));
        expected_tokens.push((r#""new""#.to_owned(), "{}".to_owned()));

        let raw = |members: &[MemberSpan], text: &str| -> Vec<_> {
            let part = |range: &Range<usize>| text[range.clone()].to_owned();
            members.iter().map(|m| (part(&m.name), part(&m.value))).collect()
        };
        let edited = edited(&document, &edits);
        prop_assert_eq!(raw(edited.listed(Section::AccessToken), edited.text()), expected_tokens);
        prop_assert_eq!(raw(edited.listed(Section::Account), edited.text()), accounts);
        let other = |mut members: Vec<(String, String)>| {
            members.retain(|(name, _)| name != r#""AccessToken""#);
            members
        };
        prop_assert_eq!(other(raw(&edited.parts.members, edited.text())), other(members));
    }

    /// Any edits at all: each entry is kept, replaced or taken out, others are added, and what comes
    /// out is what its text says.
    #[test]
    fn any_edits_come_to_what_their_text_says(
        fates in proptest::collection::vec((any_name(), any_json(), 0..3_u8), 0..8),
        owner in proptest::option::of("[a-c\\\\]{0,2}"),
        added in 0..3_usize,
        blank in "[ \t\r\n]{0,9}",
    ) {
        let fates: Vec<_> = {
            let mut seen = std::collections::HashSet::new();
            let is_new = |(name, ..): &(String, String, u8)| {
                seen.insert(decode_name(name).into_owned()) && !name.contains("new")
            };
            fates.into_iter().filter(is_new).collect::<Vec<_>>()
        };
        let entry = |value: &str| match &owner {
            Some(owner) => {
                let owner = encode(owner);
                object_text(&[
                    (r#""v""#.to_owned(), value.to_owned()),
                    (r#""home_account_id""#.to_owned(), (*owner).clone()),
                    (r#""target""#.to_owned(), (*owner).clone()),
                ], &blank)
            }
            None => value.to_owned(),
        };
        let entries: Vec<_> = fates.iter().map(|(name, v, _)| (name.clone(), entry(v))).collect();
        let section = object_text(&entries, &blank);
        let document = parse(&format!(
            r#"{{{blank}"X":1,{blank}"IdToken"{blank}:{section},{blank}"Account": {{"k": {{}}}}{blank}}}"#
        ));
        let mut edits = Edits::default();
        let mut expected = Vec::new();
        for (position, ((name, value), (.., fate))) in entries.iter().zip(&fates).enumerate() {
            match fate {
                0 => expected.push((name.clone(), value.clone())),
                1 => {
                    let value = entry("42");
                    edits.replace(Section::IdToken, position, json(&value));
                    expected.push((name.clone(), value));
                }
                _ => edits.remove(Section::IdToken, position),
            }
        }
        for n in 0..added {
            let value = entry("1");
            for section in [Section::IdToken, Section::AccessToken] {
                edits.add(section, format!("new{n}"), json(&value));
            }
            expected.push((format!("\"new{n}\""), value));
        }
        let edited = edited(&document, &edits);
        let listed = edited.listed(Section::IdToken).iter().map(|member| {
            let part = |range: &Range<usize>| edited.text()[range.clone()].to_owned();
            (part(&member.name), part(&member.value))
        });
        prop_assert_eq!(listed.collect::<Vec<_>>(), expected);
        prop_assert_eq!(edited.entries(Section::AccessToken).len(), added);
        for position in 0..edited.entries(Section::IdToken).len() {
            let json = edited.entry(Section::IdToken, position).unwrap();
            let members = Entry::parse(json);
            let slow = members.and_then(|members| members.non_empty("home_account_id"));
            prop_assert_eq!(edited.owner(Section::IdToken, position), slow);
            let target = Entry::parse(json).and_then(|members| members.text("target"));
            let known = edited.known_target(Section::IdToken, position);
            // Only where it has to be decoded it is not known.
            let is_plain = target.as_ref().is_some_and(|target| {
                !target.is_empty() && !target.contains('\\')
            });
            prop_assert_eq!(known, target.as_deref().filter(|_| is_plain));
        }
    }

    /// What serde_json reads as an object, we read, and the other way round but for two things
    /// that only matter to who decodes them: numbers without bounds and lone surrogates.
    #[test]
    fn what_is_a_document_serde_json_decides(
        members in any_members(any_json(), &[]),
        at in any::<prop::sample::Index>(),
        wrong in proptest::option::of("[{}\\[\\]\",:\\\\0. ]"),
    ) {
        let mut text = object_text(&members, "");
        let places: Vec<_> = text.char_indices().map(|(place, _)| place).collect();
        if let Some(wrong) = wrong {
            text.insert_str(places[at.index(places.len())], &wrong);
        }
        let theirs = serde_json::from_str::<Value>(&text).is_ok_and(|value| value.is_object());
        let only_for_us = text.contains("\\u") || text.contains("e9");
        let ours = try_parse(&text).is_ok();
        let raw = serde_json::from_str::<&RawValue>(&text);
        let raw = raw.is_ok_and(|raw| raw.get().starts_with('{'));
        prop_assert_eq!(ours, raw);
        prop_assert!(ours == theirs || (ours && only_for_us), "ours {ours}, theirs {theirs}");
    }
}
