//! The sections of the unified MSAL cache schema.

/// A section of a cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Section {
    AccessToken,
    RefreshToken,
    IdToken,
    Account,
    AppMetadata,
}

impl Section {
    pub(super) const ALL: [Self; 5] = [
        Self::AccessToken,
        Self::RefreshToken,
        Self::IdToken,
        Self::Account,
        Self::AppMetadata,
    ];

    /// Returns the name of the top-level member.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::AccessToken => "AccessToken",
            Self::RefreshToken => "RefreshToken",
            Self::IdToken => "IdToken",
            Self::Account => "Account",
            Self::AppMetadata => "AppMetadata",
        }
    }

    /// Returns the section whose top-level member has this name.
    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|section| section.name() == name)
    }
}
