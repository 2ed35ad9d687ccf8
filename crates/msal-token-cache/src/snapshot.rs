use std::fmt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use zeroize::Zeroizing;

use crate::document::{Document, NotADocument, Section};
use crate::identifier::is_same_home_account_id;
use crate::index::Index;
use crate::schema::{AccessToken, Account, AppMetadata, IdToken, RefreshToken, Target};

/// The content of a cache at one moment; it never changes.
///
/// Entries borrow from it, in document order. Queries pass over an entry that lacks a required
/// member; a later write keeps it.
///
/// Its [version](Self::version) tells it from every other one of this process.
pub struct Snapshot {
    version: u64,
    document: Document,
    index: OnceLock<Index>,
}

/// The version of the next snapshot.
static NEXT_VERSION: AtomicU64 = AtomicU64::new(1);

impl Snapshot {
    pub(crate) fn empty() -> Self {
        Self::of(Document::empty())
    }

    pub(crate) fn parse(text: Zeroizing<String>) -> Result<Self, NotADocument> {
        Document::parse(text).map(Self::of)
    }

    pub(crate) fn of(document: Document) -> Self {
        Self {
            version: NEXT_VERSION.fetch_add(1, Ordering::Relaxed),
            document,
            index: OnceLock::new(),
        }
    }

    /// Returns the number of this snapshot: unique in this process and never 0.
    ///
    /// Two snapshots of one version are the same. Two versions may have the same content.
    #[inline]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Returns `true` if there was no content, not even that of an empty cache.
    pub(crate) fn is_nothing(&self) -> bool {
        self.document.text().is_empty()
    }

    pub(crate) fn document(&self) -> &Document {
        &self.document
    }

    /// Returns the accounts: one entry for each account and tenant.
    pub fn accounts(&self) -> impl Iterator<Item = Account<'_>> {
        self.document
            .entries(Section::Account)
            .filter_map(Account::parse)
    }

    /// Returns the refresh tokens.
    pub fn refresh_tokens(&self) -> impl Iterator<Item = RefreshToken<'_>> {
        self.document
            .entries(Section::RefreshToken)
            .filter_map(RefreshToken::parse)
    }

    /// Returns the access tokens.
    pub fn access_tokens(&self) -> impl Iterator<Item = AccessToken<'_>> {
        self.document
            .entries(Section::AccessToken)
            .filter_map(AccessToken::parse)
    }

    /// Returns the access tokens of an account. Reads only that account's entries; the first such
    /// call on a snapshot indexes all of them.
    pub fn access_tokens_of<'s>(
        &'s self,
        home_account_id: &str,
    ) -> impl Iterator<Item = AccessToken<'s>> {
        self.index()
            .near(home_account_id)
            .filter_map(|position| self.document.entry(Section::AccessToken, position))
            .filter_map(AccessToken::parse)
            .filter(move |token| is_same_home_account_id(token.home_account_id(), home_account_id))
    }

    /// Returns the access tokens of an account that [answer](Target::answers) a call for these scopes.
    /// Reads only their entries.
    pub fn access_tokens_for<'s>(
        &'s self,
        home_account_id: &str,
        scopes: &'s [&'s str],
    ) -> impl Iterator<Item = AccessToken<'s>> {
        let answers = move |target: &Target<'_>| target.answers(scopes.iter().copied());
        self.index()
            .near(home_account_id)
            .filter(move |position| {
                let target = self.document.known_target(Section::AccessToken, *position);
                target.is_none_or(|target| answers(&target.into()))
            })
            .filter_map(|position| self.document.entry(Section::AccessToken, position))
            .filter_map(AccessToken::parse)
            .filter(move |token| {
                is_same_home_account_id(token.home_account_id(), home_account_id)
                    && answers(token.target())
            })
    }

    fn index(&self) -> &Index {
        self.index.get_or_init(|| Index::of(&self.document))
    }

    /// Returns the ID tokens.
    pub fn id_tokens(&self) -> impl Iterator<Item = IdToken<'_>> {
        self.document
            .entries(Section::IdToken)
            .filter_map(IdToken::parse)
    }

    /// Returns the metadata of applications.
    pub fn app_metadata(&self) -> impl Iterator<Item = AppMetadata<'_>> {
        self.document
            .entries(Section::AppMetadata)
            .filter_map(AppMetadata::parse)
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entries = |section| self.document.entries(section).len();
        f.debug_struct("Snapshot")
            .field("version", &self.version)
            .field("accounts", &entries(Section::Account))
            .field("refresh_tokens", &entries(Section::RefreshToken))
            .field("access_tokens", &entries(Section::AccessToken))
            .finish_non_exhaustive()
    }
}
