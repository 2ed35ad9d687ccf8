//! K16: how identifiers compare, and how new entries spell them.

use super::clause::{Clause, Rules};

/// What an identifier names.
#[derive(Clone, Copy)]
pub(super) enum Id {
    Account,
    Client,
    Host,
    Tenant,
}

impl Id {
    /// The identifier as it compares: in lower case where its case does not count.
    pub(super) fn plain(self, text: &str, on: Rules) -> String {
        let lower = |is_one: bool| {
            if is_one && on.has(Clause::K16Identifiers) {
                text.to_ascii_lowercase()
            } else {
                text.to_owned()
            }
        };
        match self {
            Self::Account => {
                let parts: Vec<_> = text
                    .split('.')
                    .map(|part| {
                        if is_guid(part) {
                            Self::Client.plain(part, on)
                        } else {
                            part.to_owned()
                        }
                    })
                    .collect();
                parts.join(".")
            }
            Self::Client => lower(is_guid(text) || is_domain(text)),
            Self::Host => {
                let (host, port) = text.split_once(':').unwrap_or((text, "0"));
                lower(is_host(host) && port.chars().all(|c| c.is_ascii_digit()))
            }
            Self::Tenant => {
                let words = ["organizations", "common", "consumers"];
                let is_word = words.contains(&&*text.to_ascii_lowercase());
                lower(is_word || is_guid(text) || is_domain(text))
            }
        }
    }

    /// Whether both are there and the same.
    pub(super) fn is_same(self, one: Option<&str>, other: Option<&str>, on: Rules) -> bool {
        match (one, other) {
            (Some(one), Some(other)) => self.plain(one, on) == self.plain(other, on),
            _ => false,
        }
    }
}

fn is_guid(text: &str) -> bool {
    let groups: Vec<_> = text.split('-').collect();
    groups.iter().map(|group| group.len()).eq([8, 4, 4, 4, 12])
        && groups
            .concat()
            .chars()
            .all(|digit| digit.is_ascii_hexdigit())
}

fn is_host(text: &str) -> bool {
    text.len() < 254
        && text.split('.').all(|label| {
            let mut letters = label.chars();
            !label.is_empty()
                && !label.starts_with('-')
                && letters.all(|c| c.is_ascii_alphanumeric() || c == '-')
        })
}

fn is_domain(text: &str) -> bool {
    text.contains('.') && is_host(text)
}
