//! Whose turn it is to redeem: one process of the machine asks for all.

use std::time::Duration;

use msal_token_cache::{Lease, Leases};
use token_credential::{AccessTokenInfo, Result};
use tokio::time::Instant;

use crate::credential::Inner;
use crate::redeem::Purpose;
use crate::request::Request;
use crate::store::Store;

/// How long a process looks on while another one, which may be stopped, has the lease; then one of
/// those who wait goes on without it.
const SUCCESSION: Duration = Duration::from_secs(2);
/// How long it is from one look to the next; each is spread from half to one and a half of it.
const LOOK_EVERY: Duration = Duration::from_millis(30);

/// What came of waiting.
pub(crate) enum Turn {
    /// To redeem, and to hold this until the result is stored. Without it others may as well.
    Ours(Option<Lease>),
    /// To hand out what somebody else has stored meanwhile.
    Stored(AccessTokenInfo),
}

impl Inner {
    /// Waits until nobody else on this machine redeems for the same, or until they have.
    pub(crate) async fn turn(
        &self,
        store: &Store,
        request: &Request,
        home_account_id: &str,
        purpose: Purpose,
    ) -> Result<Turn> {
        // What has to be new is nobody else's.
        let Some(leases) = store.leases().filter(|_| request.allows_cached()) else {
            return Ok(Turn::Ours(None));
        };
        let work = self.work(store, request, home_account_id);
        let begin = Instant::now();
        loop {
            // Who has just come gives the holder its time, however long it has had the lease.
            let has_waited = begin.elapsed() >= SUCCESSION;
            match look(leases.clone(), work.clone(), has_waited).await {
                Ok(Look::Held) => {}
                Ok(Look::Ours(lease)) => {
                    return self
                        .unless_stored(store, request, purpose, Some(lease))
                        .await;
                }
                Ok(Look::Stuck) => {
                    tracing::debug!("who has the lease makes no progress: going on without");
                    return self.unless_stored(store, request, purpose, None).await;
                }
                Err(error) => {
                    tracing::debug!(%error, "no lease: other processes may redeem as well");
                    return Ok(Turn::Ours(None));
                }
            }
            tokio::time::sleep(LOOK_EVERY.mul_f64(0.5 + fastrand::f64())).await;
            if let Some(stored) = self.good(store, request, purpose).await? {
                return Ok(Turn::Stored(stored));
            }
        }
    }

    /// Ours, if nobody was faster.
    async fn unless_stored(
        &self,
        store: &Store,
        request: &Request,
        purpose: Purpose,
        lease: Option<Lease>,
    ) -> Result<Turn> {
        let stored = self.good(store, request, purpose).await?;
        Ok(stored.map_or(Turn::Ours(lease), Turn::Stored))
    }

    /// What tells this work from all other on the machine.
    fn work(&self, store: &Store, request: &Request, home_account_id: &str) -> Vec<String> {
        let mut work = vec![
            store.place(),
            self.authority.to_string(),
            home_account_id.to_owned(),
            request.tenant().to_owned(),
        ];
        work.extend_from_slice(request.scope_set());
        work
    }
}

/// What a look at the lease came to.
enum Look {
    Held,
    Ours(Lease),
    /// Held, and it is up to us to go on without.
    Stuck,
}

/// Takes the lease if it is free. A file system may take its time, so not on the executor.
async fn look(leases: Leases, work: Vec<String>, has_waited: bool) -> std::io::Result<Look> {
    let look = move || {
        let work: Vec<_> = work.iter().map(String::as_str).collect();
        if let Some(lease) = leases.take(&work)? {
            return Ok(Look::Ours(lease));
        }
        let is_stuck = has_waited && leases.try_take_over(&work, SUCCESSION)?;
        Ok(if is_stuck { Look::Stuck } else { Look::Held })
    };
    tokio::task::spawn_blocking(look).await?
}
