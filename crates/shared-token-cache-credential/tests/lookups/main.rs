//! A million look-ups in made-up caches, each judged by the rules: no token of another tenant,
//! cloud, account or application is handed out, and none that is good is held back.
//!
//! `LOOKUPS` sets their number and `LOOKUPS_SEED` where the random numbers begin. A failure prints
//! its seed and all that belongs to the case.
#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test reads the environment, tells what it saw and stops at the first surprise"
)]

mod cache;
mod judge;
mod maker;
mod query;
mod reading;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use std::{env, thread};

use async_trait::async_trait;
use msal_token_cache::{MemoryPersistence, TokenCache};
use shared_token_cache_credential::{
    AuthenticationRecord, ErrorKind, HttpResponse, Result, SharedTokenCacheCredential,
    TokenEndpoint, TokenRequest, TokenRequestOptions, TransportError, TransportErrorKind,
};
use token_credential::Clock;

use judge::{FAULTS, Judgement, Verdict, judge};
use maker::Maker;
use query::Query;

/// How a cache is used: so many credentials, with so many calls each, which repeat themselves.
const CREDENTIALS: usize = 8;
const CALLS: usize = 10;
const REPEATS: usize = 4;
/// The look-ups in one cache.
const ROUND: usize = CREDENTIALS * CALLS * REPEATS;

/// A clock that stands still.
#[derive(Debug)]
struct Frozen(SystemTime);

impl Clock for Frozen {
    fn now(&self) -> SystemTime {
        self.0
    }
}

/// Refuses every request, and counts them.
#[derive(Debug, Default)]
struct Refusing(AtomicUsize);

#[async_trait]
impl TokenEndpoint for Refusing {
    async fn send(&self, _request: TokenRequest) -> Result<HttpResponse, TransportError> {
        self.0.fetch_add(1, Ordering::Relaxed);
        let text = "nothing is sent anywhere";
        Err(TransportError::new(TransportErrorKind::Setup, text))
    }
}

/// How often what came out.
#[derive(Default)]
struct Tally {
    verdicts: BTreeMap<&'static str, usize>,
    /// Hits where several applications had a token.
    chosen: usize,
    held_back: BTreeMap<&'static str, usize>,
}

impl Tally {
    fn add(&mut self, other: &Self) {
        self.chosen += other.chosen;
        for (sum, part) in [
            (&mut self.verdicts, &other.verdicts),
            (&mut self.held_back, &other.held_back),
        ] {
            for (what, count) in part {
                *sum.entry(what).or_default() += count;
            }
        }
    }
}

#[test]
fn no_token_but_the_right_one_is_handed_out() {
    let number = |name: &str, default: u64| match env::var(name) {
        Ok(text) => text
            .parse()
            .unwrap_or_else(|_| panic!("{name} is a number")),
        Err(_) => default,
    };
    let (lookups, seed) = (number("LOOKUPS", 1_000_000), number("LOOKUPS_SEED", 1));
    let rounds = usize::try_from(lookups).unwrap().div_ceil(ROUND);
    let next = AtomicUsize::new(0);
    let endpoint = Arc::new(Refusing::default());
    let work = || {
        let mut tally = Tally::default();
        loop {
            let round = next.fetch_add(1, Ordering::Relaxed);
            if round >= rounds {
                return tally;
            }
            one_cache(seed + round as u64, &endpoint, &mut tally);
        }
    };
    let mut tally = Tally::default();
    thread::scope(|scope| {
        let threads: Vec<_> = (0..thread::available_parallelism().map_or(1, usize::from))
            .map(|_| scope.spawn(work))
            .collect();
        for thread in threads {
            match thread.join() {
                Ok(part) => tally.add(&part),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
    });
    let done: usize = tally.verdicts.values().sum();
    println!(
        "{done} look-ups in {rounds} caches from seed {seed}: {:?}",
        tally.verdicts
    );
    println!(
        "{} hits with several applications to choose from",
        tally.chosen
    );
    println!("tokens held back for one reason: {:?}", tally.held_back);
    assert_eq!(endpoint.0.load(Ordering::Relaxed), 0, "a request was made");
    assert!(done as u64 >= lookups, "{done}");
    // Each outcome and each reason has its share, or the look-ups prove nothing.
    let few = [
        ("hit", 6),
        ("miss", 20),
        ("unavailable", 20),
        ("refused", 100),
        ("invalid", 200),
    ]
    .into_iter()
    .filter(|(what, share)| tally.verdicts.get(what).unwrap_or(&0) * share < done)
    .map(|(what, _)| what)
    .chain(
        FAULTS
            .into_iter()
            .filter(|what| tally.held_back.get(what).unwrap_or(&0) * 2000 < done),
    );
    assert_eq!(few.collect::<Vec<_>>(), [""; 0]);
    assert!(tally.chosen * 100 > done, "{}", tally.chosen);
}

/// Look-ups in one cache, with several credentials.
fn one_cache(seed: u64, endpoint: &Arc<Refusing>, tally: &mut Tally) {
    let mut maker = Maker::new(seed);
    let cache = maker.cache();
    let json = cache.to_json();
    let store = TokenCache::new(MemoryPersistence::holding(json.clone()));
    let now = UNIX_EPOCH + Duration::from_millis(maker.now_millis());
    for _ in 0..CREDENTIALS {
        let settings = maker.credential();
        let built = build(&settings, &store, now, endpoint);
        let calls: Vec<(Query, Judgement)> = (0..CALLS)
            .map(|_| {
                let query = maker.call(&settings);
                let judgement = judge(&cache, &query, maker.now_millis().into());
                (query, judgement)
            })
            .collect();
        for _ in 0..REPEATS {
            for (query, judgement) in &calls {
                let got = look_up(built.as_ref(), query);
                assert!(
                    is_right(&judgement.verdict, got.as_ref()),
                    "seed {seed}, at {:?}: {query:#?}\ncame to {got:?}\nand not to {:?}, in\n{json}",
                    now.duration_since(UNIX_EPOCH).unwrap(),
                    judgement.verdict
                );
                *tally.verdicts.entry(judgement.verdict.name()).or_default() += 1;
                tally.chosen += usize::from(judgement.rivals > 1);
                for fault in &judgement.held_back {
                    *tally.held_back.entry(fault).or_default() += 1;
                }
            }
        }
    }
}

fn build(
    settings: &Query,
    store: &TokenCache,
    now: SystemTime,
    endpoint: &Arc<Refusing>,
) -> Option<SharedTokenCacheCredential> {
    let mut builder = SharedTokenCacheCredential::builder()
        .authority(&settings.authority)
        .additionally_allowed_tenants(&settings.allowed)
        .token_cache(store.clone())
        .token_endpoint(Arc::clone(endpoint))
        .clock(Frozen(now));
    if let Some(username) = &settings.username {
        builder = builder.username(username);
    }
    if let Some(tenant_id) = &settings.tenant_id {
        builder = builder.tenant_id(tenant_id);
    }
    if let Some(record) = &settings.record {
        let record = AuthenticationRecord::deserialize(&record.to_json()).unwrap();
        builder = builder.authentication_record(record);
    }
    builder.build().ok()
}

/// The secret that was handed out, or the kind of the error; `None` if there is no credential.
/// There is no runtime: what would need a request ends as an error at once.
fn look_up(
    credential: Option<&SharedTokenCacheCredential>,
    query: &Query,
) -> Option<Result<String, ErrorKind>> {
    let scopes: Vec<&str> = query.scopes.iter().map(String::as_str).collect();
    let mut options = TokenRequestOptions::default();
    if let Some(tenant) = &query.call_tenant {
        options = options.with_tenant_id(tenant);
    }
    let asking = std::pin::pin!(credential?.get_token(&scopes, &options));
    match asking.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Ok(token)) => Some(Ok(token.token().expose_secret().to_owned())),
        Poll::Ready(Err(error)) => Some(Err(error.kind())),
        Poll::Pending => panic!("it waits: {query:#?}"),
    }
}

fn is_right(verdict: &Verdict, got: Option<&Result<String, ErrorKind>>) -> bool {
    // Without a runtime nothing is redeemed.
    let expected = match verdict {
        Verdict::Hit(secrets) => {
            return matches!(got, Some(Ok(secret)) if secrets.contains(secret));
        }
        Verdict::Invalid if got.is_none() => return true,
        Verdict::Miss | Verdict::Invalid => ErrorKind::InvalidArgument,
        Verdict::Unavailable => ErrorKind::CredentialUnavailable,
        Verdict::Refused => ErrorKind::AuthenticationFailed,
    };
    matches!(got, Some(Err(kind)) if *kind == expected)
}
