//! A source that answers as the test says, and notes each call in its journal.

use std::borrow::Cow;
use std::future;
use std::panic;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use token_credential::{AccessTokenInfo, Error, ErrorKind, Result, TokenRequestOptions};
use token_credential_engine::{
    Call, Failure, Found, Freshness, Held, LAST_RESORT_MARGIN, LeaseAttempt, OwnedCall, Seen,
    Source, Unsaved, UnsavedView, Written, time_left,
};
use tokio::time::{Instant, sleep};

use crate::journal::Journal;
use crate::script::{Lease, Obtain, Obtained, Reply, Script, TestPlan, Write, refused};
use crate::store::{Content, Key, TestStore, token};

/// The source.
#[derive(Debug)]
pub(crate) struct Scripted(pub(crate) Arc<Script>);

/// The lease, whose end is noted.
#[derive(Debug)]
pub(crate) struct TestLease(Arc<Journal>);

impl Drop for TestLease {
    fn drop(&mut self) {
        self.0.note("lease ends");
    }
}

/// The unsaved results, in the order in which they were obtained.
pub(crate) type Kept = Vec<Arc<Obtained>>;

/// Waits for this time, and needs no runtime if it is zero.
async fn pause(time: Duration) {
    if !time.is_zero() {
        sleep(time).await;
    }
}

impl Scripted {
    fn note(&self, line: impl Into<String>) {
        self.0.journal.note(line);
    }
}

impl Source for Scripted {
    type Store = Arc<TestStore>;
    type Plan = TestPlan;
    type Snapshot = Content;
    type View = Option<String>;
    type Unsaved = Kept;
    type Obtained = Obtained;
    type Lease = TestLease;

    fn tick(&self, _: &Self::Store) -> Option<u64> {
        self.note("tick");
        self.0.with(|steps| steps.tick)
    }

    fn is_current(
        &self,
        store: &Self::Store,
        plan: &Arc<TestPlan>,
        snapshot: &Content,
        tick: Option<u64>,
    ) -> bool {
        self.note("is_current");
        assert_eq!(tick, self.0.with(|steps| steps.tick));
        let has_plan = |current: &Arc<TestPlan>| Arc::ptr_eq(current, plan);
        self.0.with(|steps| steps.plan.as_ref().is_ok_and(has_plan))
            && store.content(Freshness::Recent) == *snapshot
    }

    fn plan(&self) -> Result<Arc<TestPlan>> {
        self.note("plan");
        self.0.with(|steps| steps.plan.clone())
    }

    fn check<'c>(
        &self,
        _: &'c TestPlan,
        scopes: &'c [&'c str],
        options: &'c TokenRequestOptions,
    ) -> Result<Call<'c>> {
        self.note("check");
        self.0.with(|steps| steps.check.clone())?;
        Ok(Call {
            scopes,
            tenant: Cow::Borrowed(options.tenant_id().unwrap_or("home")),
            claims: options.claims(),
            enable_cae: options.enable_cae(),
            force_refresh: options.force_refresh(),
        })
    }

    async fn snapshot(&self, store: &Self::Store, freshness: Freshness) -> Result<Content> {
        self.note(format!("snapshot({freshness:?})"));
        self.0.with(|steps| steps.snapshot.clone())?;
        let content = store.content(freshness);
        pause(self.0.with(|steps| steps.snapshot_takes)).await;
        Ok(content)
    }

    fn drop_signed_out(
        &self,
        _: &TestPlan,
        _: &Content,
        unsaved: &Unsaved<Kept>,
        view: &UnsavedView<Kept>,
        _: SystemTime,
    ) -> bool {
        self.note("drop_signed_out");
        let signed_out = self.0.with(|steps| steps.signed_out);
        let is_out = |kept: &Arc<Obtained>| Some(kept.key.account.as_str()) == signed_out;
        if !view.after_reading().iter().any(is_out) {
            return false;
        }
        unsaved.change(|kept| kept.iter().filter(|kept| !is_out(kept)).cloned().collect());
        true
    }

    fn view(&self, _: &TestPlan, snapshot: &Content, _: SystemTime) -> Option<String> {
        self.note("view");
        snapshot.account.clone()
    }

    fn subject<'v>(&self, _: &Self::Store, seen: &'v Seen<Self>) -> Result<&'v str> {
        self.note("subject");
        seen.view
            .as_deref()
            .ok_or_else(|| Error::new(ErrorKind::CredentialUnavailable, "no account"))
    }

    fn find(
        &self,
        _: &Self::Store,
        seen: &Seen<Self>,
        call: &Call<'_>,
        now: SystemTime,
    ) -> Result<Found> {
        self.note("find");
        self.0.with(|steps| steps.find.clone())?;
        let margin = self.0.with(|steps| steps.margin);
        let account = seen.view.as_deref().unwrap();
        let key = Key::new(account, &call.to_owned_call());
        let [before, after] = [seen.unsaved.before_reading(), seen.unsaved.after_reading()];
        let unsaved = before.iter().chain(after);
        let unsaved =
            unsaved.map(|kept| (&kept.key, kept.token.as_ref().filter(|_| kept.is_usable)));
        let stored = seen.snapshot.tokens.iter();
        let all = stored.map(|(key, token)| (key, Some(token))).chain(unsaved);
        let of_call = all.filter(|(other, _)| **other == key);
        let best = of_call
            .filter_map(|(_, token)| token)
            .max_by_key(|token| token.expires_on());
        Ok(match best {
            Some(token) if time_left(token.expires_on(), now) > Some(margin) => {
                Found::Hit(token.clone())
            }
            _ => Found::Miss(
                best.cloned()
                    .filter(|token| time_left(token.expires_on(), now) >= Some(LAST_RESORT_MARGIN)),
            ),
        })
    }

    async fn try_lease(
        &self,
        _: &Self::Store,
        _: &TestPlan,
        subject: &str,
        _: &OwnedCall,
        take_over: Option<Duration>,
    ) -> LeaseAttempt<TestLease> {
        self.note(match take_over {
            Some(after) => format!("try_lease({subject}, {after:?})"),
            None => format!("try_lease({subject})"),
        });
        match self.0.with(|steps| steps.lease) {
            Lease::Free => LeaseAttempt::Acquired(TestLease(Arc::clone(&self.0.journal))),
            Lease::Stalled if take_over.is_some() => LeaseAttempt::TakenOver,
            Lease::Held | Lease::Stalled => LeaseAttempt::Held,
            Lease::Unsupported => LeaseAttempt::Unsupported,
            Lease::Panics => panic::panic_any("the lease panics, as the test says"),
            Lease::Never => future::pending().await,
        }
    }

    async fn obtain(
        &self,
        _: &Self::Store,
        _: &Unsaved<Kept>,
        seen: &Seen<Self>,
        call: &OwnedCall,
        deadline: Instant,
    ) -> Result<Obtained> {
        self.note("obtain");
        let step = self.0.with(|steps| {
            steps.deadlines.push(deadline);
            let number = steps.deadlines.len();
            steps.obtains.pop_front().unwrap_or_else(|| Obtain {
                after: Duration::ZERO,
                reply: Reply::Token(token(&format!("new {number}"), 3600)),
                has_rest: true,
            })
        });
        pause(step.after).await;
        let (token, is_usable) = match step.reply {
            Reply::Token(token) => (token, true),
            Reply::Unusable(token) => (token, false),
            Reply::Fails(error) => return Err(error),
            Reply::Panics => panic::panic_any("the request panics, as the test says"),
            Reply::Never => future::pending().await,
        };
        Ok(Obtained {
            key: Key::new(seen.view.as_deref().unwrap(), call),
            token: Some(token),
            is_usable,
            has_rest: step.has_rest,
            journal: Arc::clone(&self.0.journal),
        })
    }

    fn token(obtained: &Obtained) -> Result<AccessTokenInfo> {
        obtained.journal.note("token");
        let token = obtained.token.clone().filter(|_| obtained.is_usable);
        token.ok_or_else(|| refused("unusable"))
    }

    fn without_token(obtained: &Obtained) -> Option<Obtained> {
        obtained.journal.note("without_token");
        let mut rest = obtained.clone();
        rest.token = None;
        Some(rest).filter(|rest| rest.has_rest)
    }

    fn keep(unsaved: &Kept, obtained: &Arc<Obtained>) -> Kept {
        obtained.journal.note("keep");
        let mut kept = unsaved.clone();
        kept.push(Arc::clone(obtained));
        kept
    }

    async fn write(
        &self,
        store: &Self::Store,
        unsaved: &Arc<Unsaved<Kept>>,
        obtained: Arc<Obtained>,
        held: Held<TestLease>,
    ) -> Written {
        self.note(format!("write({})", store.name));
        let is_kept = |kept: &Arc<Obtained>| Arc::ptr_eq(kept, &obtained);
        assert!(unsaved.load().iter().any(is_kept), "kept before written");
        let step = self.0.with(|steps| steps.writes.pop_front());
        let step = step.unwrap_or(Write {
            takes: Duration::ZERO,
            written: Some(Written::Stored),
        });
        pause(step.takes).await;
        let Some(written) = step.written else {
            panic::panic_any("the write panics, as the test says");
        };
        if let (Written::Stored | Written::InPart, Some(token)) = (written, &obtained.token)
            && obtained.is_usable
        {
            store.put(obtained.key.clone(), token.clone());
        }
        self.note(format!("write ends({})", store.name));
        drop(held);
        written
    }

    fn written(unsaved: &Kept, obtained: &Arc<Obtained>, written: Written) -> Kept {
        obtained.journal.note(format!("written({written:?})"));
        let others = unsaved.iter().filter(|kept| !Arc::ptr_eq(kept, obtained));
        let mut kept: Kept = others.cloned().collect();
        if written == Written::InPart {
            let mut rest = Obtained::clone(obtained);
            rest.token = None;
            kept.push(Arc::new(rest));
        }
        kept
    }

    fn error(&self, plan: &TestPlan, failure: Failure) -> Error {
        self.note("error");
        refused(&format!("{}: {failure:?}", plan.0))
    }

    async fn close(&self) {
        self.note("close");
        let takes = self.0.with(|steps| steps.close_takes);
        pause(takes).await;
        self.note("close ends");
    }
}
