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
        let mut successions = 0;
        loop {
            // A later slot is tried once in a while only, so that a successor that fails is not
            // followed by all the others at once.
            let is_time = begin.elapsed() >= SUCCESSION * (successions + 1);
            successions += u32::from(is_time);
            let last_slot = if is_time { successions } else { 0 };
            match take(leases.clone(), work.clone(), last_slot).await {
                Ok(None) => {}
                Ok(Some(lease)) => {
                    let stored = self.good(store, request, purpose).await?;
                    return Ok(stored.map_or(Turn::Ours(Some(lease)), Turn::Stored));
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

    /// What tells this work from all other on the machine.
    fn work(&self, store: &Store, request: &Request, home_account_id: &str) -> Vec<String> {
        let mut work = vec![
            store.place(),
            self.authority.to_string(),
            home_account_id.to_owned(),
            request.tenant().to_owned(),
        ];
        work.extend(request.scopes().map(str::to_owned));
        work
    }
}

/// The first of these slots that is free. A file system may take its time, so not on the executor.
async fn take(leases: Leases, work: Vec<String>, last_slot: u32) -> std::io::Result<Option<Lease>> {
    let take = move || {
        let work: Vec<_> = work.iter().map(String::as_str).collect();
        for slot in 0..=last_slot {
            if let Some(lease) = leases.take(&work, slot)? {
                return Ok(Some(lease));
            }
        }
        Ok(None)
    };
    tokio::task::spawn_blocking(take).await?
}
