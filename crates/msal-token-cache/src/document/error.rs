//! The error for a text that is not a cache, with the words of `serde_json`.

use std::fmt;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// The reason why a text is not a cache.
#[derive(Debug)]
pub(crate) enum NotADocument {
    Syntax { line: usize, column: usize },
    NotAnObject,
    NotUtf8,
}

impl fmt::Display for NotADocument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syntax { line, column } => write!(f, "not JSON at line {line}, column {column}"),
            Self::NotAnObject => f.write_str("not a JSON object"),
            Self::NotUtf8 => f.write_str("not UTF-8 text"),
        }
    }
}

/// Returns the reason why a text is not a cache, after the scanner has rejected it.
pub(super) fn why_not(text: &str) -> NotADocument {
    struct AnyMembers;

    impl<'t> Visitor<'t> for AnyMembers {
        type Value = ();

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'t>>(self, mut map: A) -> Result<(), A::Error> {
            while map.next_entry::<&'t RawValue, &'t RawValue>()?.is_some() {}
            Ok(())
        }
    }

    let mut deserializer = serde_json::Deserializer::from_str(text);
    let read = deserializer
        .deserialize_map(AnyMembers)
        .and_then(|()| deserializer.end());
    match read {
        Err(error) if error.is_data() => NotADocument::NotAnObject,
        Err(error) => NotADocument::Syntax {
            line: error.line(),
            column: error.column(),
        },
        Ok(()) => NotADocument::Syntax { line: 0, column: 0 },
    }
}
