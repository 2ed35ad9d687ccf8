use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;

use crate::{
    AccessToken, AccessTokenInfo, Error, ErrorKind, Result, TokenCredential, TokenRequestOptions,
};

/// Asks several sources in order and takes the first token.
///
/// The next source is asked only when one is *unavailable*
/// ([`ErrorKind::CredentialUnavailable`]); one that *failed* ends the call, because going on would
/// hide a refusal behind another identity. The source that gave a token is asked first from then
/// on, until it is unavailable. An error lists every source that was asked, with its reason.
///
/// ```
/// # use token_credential::{ChainedTokenCredential, TokenCredential};
/// # fn compose(shared: impl TokenCredential + 'static, managed: impl TokenCredential + 'static) {
/// let chain = ChainedTokenCredential::new().with(shared).with(managed);
/// # }
/// ```
#[derive(Default)]
pub struct ChainedTokenCredential {
    sources: Vec<Arc<dyn TokenCredential>>,
    /// The source that worked last; 0 before any did.
    preferred: AtomicUsize,
}

type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>;

impl ChainedTokenCredential {
    /// A chain without sources; asking it is an [`ErrorKind::InvalidArgument`].
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a source behind those that are there.
    pub fn with(self, source: impl TokenCredential + 'static) -> Self {
        self.with_shared(Arc::new(source))
    }

    /// Adds a source that others use too behind those that are there.
    pub fn with_shared(mut self, source: Arc<dyn TokenCredential>) -> Self {
        self.sources.push(source);
        self
    }

    /// The sources with their positions, the preferred one first.
    fn in_turn(&self) -> impl Iterator<Item = (usize, &dyn TokenCredential)> {
        let first = self.preferred.load(Ordering::Relaxed);
        let others = (0..self.sources.len()).filter(move |&n| n != first);
        std::iter::once(first)
            .chain(others)
            .filter_map(|n| self.sources.get(n).map(|source| (n, &**source)))
    }

    async fn first_answer<'a, T>(
        &'a self,
        ask: impl Fn(&'a dyn TokenCredential) -> Answer<'a, T> + Send,
    ) -> Result<T> {
        if self.sources.is_empty() {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                "the chain has no sources: add one with ChainedTokenCredential::with",
            ));
        }
        let mut reasons = Vec::new();
        let mut last = None;
        for (position, source) in self.in_turn() {
            match ask(source).await {
                Ok(answer) => {
                    self.preferred.store(position, Ordering::Relaxed);
                    return Ok(answer);
                }
                Err(error) => {
                    let go_on = error.kind() == ErrorKind::CredentialUnavailable;
                    reasons.push(format!("{}: {error}", name_of(source)));
                    last = Some(error);
                    if !go_on {
                        break;
                    }
                }
            }
        }
        let reasons = reasons.join("; ");
        Err(match last {
            Some(error) if error.kind() != ErrorKind::CredentialUnavailable => {
                error.wrapped(format!("a source of the chain failed ({reasons})"))
            }
            _ => Error::new(
                ErrorKind::CredentialUnavailable,
                format!("no source of the chain is available ({reasons})"),
            ),
        })
    }
}

/// The type's name, which is where a `Debug` text begins. No more of that text is shown: what a
/// foreign `Debug` prints is not ours to vouch for.
fn name_of(source: &dyn TokenCredential) -> String {
    let debug = format!("{source:?}");
    let end = debug
        .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .unwrap_or(debug.len());
    debug[..end.min(64)].to_owned()
}

#[async_trait]
impl TokenCredential for ChainedTokenCredential {
    async fn get_token_info(
        &self,
        scopes: &[&str],
        options: &TokenRequestOptions,
    ) -> Result<AccessTokenInfo> {
        self.first_answer(|source| source.get_token_info(scopes, options))
            .await
    }

    async fn get_token(
        &self,
        scopes: &[&str],
        options: &TokenRequestOptions,
    ) -> Result<AccessToken> {
        self.first_answer(|source| source.get_token(scopes, options))
            .await
    }

    /// Closes every source, also after one could not be closed; the first such error is returned.
    async fn close(&self) -> Result<()> {
        let mut result = Ok(());
        for source in &self.sources {
            result = result.and(source.close().await);
        }
        result
    }
}

impl fmt::Debug for ChainedTokenCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChainedTokenCredential")
            .field("sources", &self.sources)
            .finish_non_exhaustive()
    }
}
