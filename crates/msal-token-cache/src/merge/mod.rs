//! Merges redeemed tokens into a cache that others share.
//!
//! Entries are matched by their members, never by the key they stand under; one that is rewritten
//! keeps its key and every member that is not ours. Merging the same redemption again changes
//! nothing, so it can be repeated on whatever a peer has put over it.
//!
//! What else may be written depends on the [`Origin`] of the tokens.

mod access_token;
mod account;
mod app_metadata;
mod edit;
mod id_token;
mod ids;
mod redemption;
mod refresh_token;

use std::sync::Arc;

pub use self::redemption::{Identity, Origin, RedeemedToken, Redemption, SignIn};
use crate::document::Edits;
use crate::error::Result;
use crate::schema::AccessToken;
use crate::transaction::Transaction;

/// The outcome of a merge: stored, stored in part, or not stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Merged {
    /// The cache holds the whole redemption.
    Stored,
    /// The cache holds all but the new refresh token, which belongs in
    /// [another store](Origin::RedeemedElsewhere).
    StoredInPart,
    /// Nothing was stored: the redeemed refresh token's entry is gone, because somebody signed the
    /// account out.
    SignedOut,
    /// Nothing was stored: the redemption is reduced to its refresh token, which belongs in
    /// [another store](Origin::RedeemedElsewhere).
    Dropped,
}

impl Transaction {
    /// Puts the result of a redemption into the cache.
    ///
    /// The access token takes the place of its [rivals](crate::Target::is_rival_of) of the same account,
    /// client and tenant. The rotated refresh token goes into its entry, and account and ID token
    /// are brought up to date. Expired access tokens of the account go. [`Origin`] has the rules for
    /// tokens of a sign-in, and for those of another store's refresh token.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt) if a section that has to be written is
    /// not an object.
    pub fn merge(&mut self, redemption: &Redemption) -> Result<Merged> {
        self.merge_displacing(redemption, |_| {})
    }

    /// [Merges](Self::merge) the result of a redemption, and calls `displaced` with each rival that
    /// is removed. They may be good for other scopes as well: a program that keeps them in memory
    /// does not have to redeem for those again.
    ///
    /// `displaced` is called before anything is written, and again where the merge is repeated.
    ///
    /// # Errors
    ///
    /// As [`merge`](Self::merge).
    pub fn merge_displacing(
        &mut self,
        redemption: &Redemption,
        displaced: impl FnMut(&AccessToken<'_>),
    ) -> Result<Merged> {
        let snapshot = Arc::clone(self.snapshot());
        let document = snapshot.document();
        let mut edits = Edits::default();
        let merged = match redemption.origin() {
            Origin::Redeemed(redeemed) => {
                if !refresh_token::rotate(document, redemption, redeemed, &mut edits) {
                    return Ok(Merged::SignedOut);
                }
                if redemption.is_refresh_token_only {
                    self.apply(&edits)?;
                    return Ok(Merged::Stored);
                }
                Merged::Stored
            }
            Origin::SignedIn(_) => {
                refresh_token::put(document, redemption, &mut edits);
                Merged::Stored
            }
            Origin::RedeemedElsewhere(_) if redemption.is_refresh_token_only => {
                return Ok(Merged::Dropped);
            }
            Origin::RedeemedElsewhere(_) if redemption.refresh_token().is_some() => {
                Merged::StoredInPart
            }
            Origin::RedeemedElsewhere(_) => Merged::Stored,
        };
        if !redemption.is_refresh_token_only {
            access_token::merge(document, redemption, &mut edits, displaced);
        }
        if redemption.identity().is_some() || redemption.sign_in().is_some() {
            account::merge(document, redemption, &mut edits);
        }
        if let Some(identity) = redemption.identity() {
            id_token::merge(document, redemption, identity, &mut edits);
        }
        app_metadata::merge(document, redemption, &mut edits);
        self.apply(&edits)?;
        Ok(merged)
    }
}
