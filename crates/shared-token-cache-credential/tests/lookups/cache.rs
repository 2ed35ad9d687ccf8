//! A cache as the test makes it and as the judge reads it.

use serde_json::Value;

/// A section: its entries in their order, or something that is no section.
pub(crate) enum Section {
    Entries(Vec<Value>),
    Malformed(Value),
}

/// A cache, section by section.
pub(crate) struct Cache(pub(crate) Vec<(&'static str, Section)>);

impl Cache {
    fn entries(&self, name: &str) -> impl Iterator<Item = &Value> {
        self.0
            .iter()
            .filter(move |(own, _)| *own == name)
            .flat_map(|(_, section)| match section {
                Section::Entries(entries) => &entries[..],
                Section::Malformed(_) => &[],
            })
    }

    pub(crate) fn access_tokens(&self) -> impl Iterator<Item = &Value> {
        self.entries("AccessToken")
    }

    pub(crate) fn refresh_tokens(&self) -> impl Iterator<Item = &Value> {
        self.entries("RefreshToken")
    }

    pub(crate) fn accounts(&self) -> impl Iterator<Item = &Value> {
        self.entries("Account")
    }

    pub(crate) fn apps(&self) -> impl Iterator<Item = &Value> {
        self.entries("AppMetadata")
    }

    /// The text. Keys say nothing: they only differ.
    pub(crate) fn to_json(&self) -> String {
        let sections: Vec<String> = self
            .0
            .iter()
            .map(|(name, section)| {
                let content = match section {
                    Section::Malformed(value) => value.to_string(),
                    Section::Entries(entries) => {
                        let entries: Vec<String> = entries
                            .iter()
                            .enumerate()
                            .map(|(number, entry)| format!("\"entry {number}\": {entry}"))
                            .collect();
                        format!("{{{}}}", entries.join(",\n"))
                    }
                };
                format!("\"{name}\": {content}")
            })
            .collect();
        format!("{{{}}}", sections.join(",\n"))
    }
}
