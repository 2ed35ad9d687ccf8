//! One redemption for all calls that want the same token at the same time.

use std::process;
use std::sync::Arc;

use token_credential::{AccessTokenInfo, Error, ErrorKind, Result};
use tokio::runtime::{self, Handle};
use tracing::Instrument;

use crate::credential::Inner;
use crate::flight::{End, Waiter};
use crate::redeem::Purpose;
use crate::request::Request;

/// How often a caller joins a redemption whose runtime ends.
const MOST_JOINED: usize = 3;

/// What makes two calls the same, so that one redemption answers both.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    /// A task of one runtime must not wait for one of another, which may end; and a child that was
    /// forked has the numbers of its parent's runtimes.
    runtime: (u32, runtime::Id),
    /// Whoever signs in meanwhile is somebody else.
    home_account_id: String,
    request: Arc<Request>,
}

impl Key {
    fn new(runtime: &Handle, home_account_id: String, request: Arc<Request>) -> Self {
        Self {
            runtime: (process::id(), runtime.id()),
            home_account_id,
            request,
        }
    }
}

impl Inner {
    /// Joins the redemption for this request, or begins one.
    pub(crate) async fn join(
        self: &Arc<Self>,
        home_account_id: String,
        request: Request,
    ) -> Result<AccessTokenInfo> {
        let failed = |text: &str| Err(Error::new(ErrorKind::AuthenticationFailed, text));
        let request = Arc::new(request);
        for _ in 0..MOST_JOINED {
            let runtime = Handle::try_current().map_err(|error| {
                let text = "no token is cached, and redeeming one needs a tokio runtime: call from \
                            within one";
                Error::new(ErrorKind::InvalidArgument, text).with_source(error)
            })?;
            let key = Key::new(&runtime, home_account_id.clone(), Arc::clone(&request));
            match self.begin(&runtime, key, Purpose::Answer)?.await {
                End::Done(redeemed) => return redeemed,
                End::Panicked => {
                    return failed(
                        "the token endpoint or the token cache panicked during the redemption: \
                         call again",
                    );
                }
                End::Abandoned => {}
            }
        }
        failed("the tokio runtime ended before the redemption did: call from one that lasts")
    }

    /// Begins a redemption that nobody waits for; one that is under way will do.
    pub(crate) fn begin_ahead(
        self: &Arc<Self>,
        runtime: &Handle,
        home_account_id: String,
        request: Arc<Request>,
    ) -> Result<()> {
        let key = Key::new(runtime, home_account_id, request);
        self.begin(runtime, key, Purpose::Refresh).map(drop)
    }

    /// Begins the work of this key, unless it is under way, in a task of its own: a caller that goes
    /// away takes nothing with it.
    fn begin(
        self: &Arc<Self>,
        runtime: &Handle,
        key: Key,
        purpose: Purpose,
    ) -> Result<Waiter<Result<AccessTokenInfo>>> {
        // Only the work counts: a caller that waits for it and is not polled holds up nothing.
        let under_way = self.lifecycle.begin()?;
        let request = Arc::clone(&key.request);
        let (leader, waiter) = self.flights.join(key);
        if let Some(leader) = leader {
            let inner = Arc::clone(self);
            let redemption = async move {
                let redeem = inner.redeem(&request, purpose);
                let redeemed = inner.lifecycle.unless_cut(redeem).await;
                leader.done(redeemed.unwrap_or_else(|| {
                    Err(Error::new(
                        ErrorKind::AuthenticationFailed,
                        "the credential was closed during the call: build another one",
                    ))
                }));
                drop(under_way);
            };
            runtime.spawn(redemption.in_current_span());
        }
        Ok(waiter)
    }
}
