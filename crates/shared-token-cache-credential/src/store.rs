use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwapOption;
use msal_token_cache::{Clock, ErrorKind as CacheErrorKind, Merged, Redemption, TokenCache};
use token_credential::{Error, ErrorKind, Result};

use crate::account::{Filter, NotChosen};
use crate::authority::Authority;
use crate::overlay::Overlay;
use crate::view::{Account, View};

/// A cache as this credential uses it: with the account that it chose there, and with what could
/// not be written.
#[derive(Debug)]
pub(crate) struct Store {
    cache: Result<TokenCache, NoCache>,
    pub(crate) overlay: Overlay,
    view: ArcSwapOption<View>,
    warned: Mutex<Vec<CacheErrorKind>>,
}

/// Why there is no cache to look into, and what to do about it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum NoCache {
    NoHome,
    EncryptionRequired,
    #[cfg(not(target_os = "linux"))]
    Unsupported,
}

impl Store {
    pub(crate) fn new(cache: Result<TokenCache, NoCache>) -> Self {
        Self {
            cache,
            overlay: Overlay::default(),
            view: ArcSwapOption::empty(),
            warned: Mutex::default(),
        }
    }

    fn cache(&self) -> Result<&TokenCache> {
        self.cache.as_ref().map_err(|why| {
            Error::new(ErrorKind::CredentialUnavailable, match why {
                NoCache::NoHome => {
                    "there is no home folder to look for the token cache in: set HOME to an \
                     absolute path, or give a cache with the builder's token_cache"
                }
                NoCache::EncryptionRequired => {
                    "an encrypted token cache is required and cannot be read here: allow plain \
                     text with TokenCachePersistenceOptions::with_allow_unencrypted_storage"
                }
                #[cfg(not(target_os = "linux"))]
                NoCache::Unsupported => {
                    "the token cache of this platform cannot be read yet: give a cache with the \
                     builder's token_cache"
                }
            })
        })
    }

    /// The view of the cache as it is now.
    pub(crate) async fn view(
        &self,
        authority: &Authority,
        filter: &Filter,
        clock: &dyn Clock,
    ) -> Result<Arc<View>> {
        let snapshot = self.cache()?.snapshot_async().await.map_err(|error| {
            let next = next_step(error.kind());
            let text = format!("the token cache cannot be used: {error}{next}");
            Error::new(ErrorKind::CredentialUnavailable, text).with_source(error)
        })?;
        let kept = self.overlay.kept();
        if let Some(view) = &*self.view.load()
            && view.is_of(&snapshot, &kept)
        {
            return Ok(Arc::clone(view));
        }
        let view = Arc::new(View::new(snapshot, kept, authority, filter, clock.now()));
        self.view.store(Some(Arc::clone(&view)));
        Ok(view)
    }

    /// The account that is meant, or why there is none.
    pub(crate) fn account<'v>(
        &self,
        view: &'v View,
        authority: &Authority,
        filter: &Filter,
    ) -> Result<&'v Account> {
        view.account.as_ref().map_err(|why| {
            let place = self
                .cache
                .as_ref()
                .map_or_else(|_| String::new(), TokenCache::location);
            let text = why.explain(&place, authority, filter);
            Error::new(ErrorKind::CredentialUnavailable, text)
        })
    }

    /// Puts a redemption into the cache. Where that cannot be done the overlay answers instead,
    /// and one warning per cause is given.
    pub(crate) async fn persist(&self, redemption: Arc<Redemption>) {
        let Ok(cache) = &self.cache else { return };
        let merged = {
            let redemption = Arc::clone(&redemption);
            cache
                .modify_async(move |transaction| transaction.merge(&redemption))
                .await
        };
        match merged {
            Ok(merged) => {
                if merged == Merged::SignedOut {
                    tracing::debug!("the account was signed out meanwhile; nothing was stored");
                }
                self.overlay.forget(&redemption);
            }
            Err(error) => {
                let mut warned = self.warned.lock().unwrap_or_else(PoisonError::into_inner);
                if !warned.contains(&error.kind()) {
                    warned.push(error.kind());
                    tracing::warn!(%error, "the token is kept in memory, because the token cache cannot be written");
                }
            }
        }
    }
}

/// What to do about a cache that cannot be read, where its own error does not say so.
fn next_step(kind: CacheErrorKind) -> &'static str {
    match kind {
        CacheErrorKind::Foreign => {
            "; sign in with a developer tool that keeps its token cache in plain text, or give \
             another one with the builder's token_cache"
        }
        CacheErrorKind::Insecure | CacheErrorKind::Io => {
            "; make it a file that this user owns and may read"
        }
        _ => "",
    }
}

impl NotChosen {
    fn explain(&self, place: &str, authority: &Authority, filter: &Filter) -> String {
        let filter = filter.explain();
        match self {
            Self::None => format!(
                "the token cache {place} is missing or holds no account with a refresh token for \
                 {authority}: sign in with a developer tool that keeps its token cache there"
            ),
            Self::NoMatch => format!(
                "no account in the token cache {place} matches{filter}: correct it, or sign in with \
                 that account"
            ),
            Self::Several(accounts) => {
                let accounts: Vec<_> = accounts
                    .iter()
                    .map(|(username, tenant)| {
                        let username = username.as_deref().unwrap_or("an account without a name");
                        format!(
                            "{username} (tenant {})",
                            tenant.as_deref().unwrap_or("unknown")
                        )
                    })
                    .collect();
                format!(
                    "several accounts in the token cache {place} match{filter}: {}; say which with \
                     the builder's username and tenant_id",
                    accounts.join(", ")
                )
            }
        }
    }
}

impl Filter {
    fn explain(&self) -> String {
        let username = self
            .username
            .as_ref()
            .map(|username| format!(" username {username}"));
        let tenant_id = self
            .tenant_id
            .as_ref()
            .map(|tenant_id| format!(" tenant {tenant_id}"));
        [username, tenant_id].into_iter().flatten().collect()
    }
}
