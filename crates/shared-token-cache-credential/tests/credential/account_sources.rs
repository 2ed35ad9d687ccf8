//! A credential over an account source of its own: the account changes, access tokens have a cache
//! apart.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use msal_token_cache::{MemoryPersistence, Persistence, TokenCache};
use shared_token_cache_credential::{
    Account, AccountSelector, AccountSource, Authority, Caches, Error, ErrorKind, Result,
    SilentCredential, SilentCredentialBuilder, Tenants, TokenRequestOptions,
};
use test_support::{CacheBuilder, FakeAccount, logs};

use super::watched::{Journal, WatchedStore};
use super::{ARM, CLI, HOST, Stage, VAULT, entries, holding, token};

/// A tool's notion of who is signed in, which a test changes.
#[derive(Clone, Debug)]
struct Tool(Arc<State>);

#[derive(Debug)]
struct State {
    account: Mutex<Result<Arc<Account>>>,
    /// How often it was begun to set another account.
    sets: AtomicU64,
    stamp: AtomicU64,
    asked: AtomicUsize,
}

impl Tool {
    fn signed_in(account: Account) -> Self {
        Self(Arc::new(State {
            account: Mutex::new(Ok(Arc::new(account))),
            sets: AtomicU64::new(0),
            stamp: AtomicU64::new(0),
            asked: AtomicUsize::new(0),
        }))
    }

    fn set(&self, account: Result<Account>) {
        self.0.sets.fetch_add(1, Ordering::SeqCst);
        *self.0.account.lock().unwrap() = account.map(Arc::new);
        self.0.stamp.fetch_add(1, Ordering::SeqCst);
    }

    /// Returns how often the account was asked for.
    fn asked(&self) -> usize {
        self.0.asked.load(Ordering::SeqCst)
    }
}

impl AccountSource for Tool {
    fn account(&self) -> Result<Arc<Account>> {
        self.0.asked.fetch_add(1, Ordering::SeqCst);
        self.0.account.lock().unwrap().clone()
    }

    fn stamp(&self, _tick: Option<u64>) -> u64 {
        self.0.stamp.load(Ordering::SeqCst)
    }
}

impl Stage {
    fn account(&self, account: &FakeAccount) -> Account {
        let authority = Authority::parse(&self.entra.authority()).unwrap();
        Account::new(
            authority,
            AccountSelector::matching(Some(account.username.clone()), None),
        )
    }

    fn silent(&self, tool: &Tool, caches: Caches) -> SilentCredentialBuilder {
        SilentCredential::builder(Arc::new(tool.clone()), caches)
            .token_endpoint(self.endpoint().without_proxy())
            .clock(self.clock.clone())
    }
}

async fn secret(credential: &SilentCredential) -> Result<String> {
    let plain = TokenRequestOptions::default();
    let token = credential.get_token_info(&[ARM], &plain).await?;
    Ok(token.token().expose_secret().to_owned())
}

/// Ada and Bob are signed in, each with an access token.
fn both(stage: &Stage, bob: &FakeAccount) -> (MemoryPersistence, [String; 2]) {
    let [adas, bobs] = ["Ada's", "Bob's"].map(logs::canary);
    let cache = stage
        .cache_with_token(3600)
        .signed_in(
            bob,
            HOST,
            CLI,
            &stage.entra.issue_refresh_token(bob, CLI, false),
        )
        .access_token(bob, token(&bobs, 3600))
        .access_token(&stage.ada, token(&adas, 3700));
    (holding(&cache), [adas, bobs])
}

#[tokio::test]
async fn an_account_that_changes_takes_its_tokens_with_it() {
    let stage = Stage::new();
    let bob = FakeAccount::new("bob@fabrikam.example");
    let (store, [adas, bobs]) = both(&stage, &bob);
    let tool = Tool::signed_in(stage.account(&stage.ada));
    let caches = Caches::new(TokenCache::new(store));
    let credential = stage.silent(&tool, caches).build();
    for _ in 0..3 {
        assert_eq!(secret(&credential).await.unwrap(), adas);
        assert_eq!(tool.asked(), 1, "a hit asks for the stamp alone");
    }
    tool.set(Ok(stage.account(&bob)));
    for _ in 0..2 {
        assert_eq!(secret(&credential).await.unwrap(), bobs);
    }
    assert_eq!(tool.asked(), 2);
    let gone = Error::new(ErrorKind::CredentialUnavailable, "nobody is signed in");
    tool.set(Err(gone));
    let error = secret(&credential).await.unwrap_err();
    assert_eq!(error.to_string(), "nobody is signed in");
    tool.set(Ok(stage.account(&stage.ada)));
    assert_eq!(secret(&credential).await.unwrap(), adas);
    assert_eq!(stage.entra.request_count(), 0);
}

/// A stamp that changes costs a look-up, and no more.
#[tokio::test]
async fn a_stamp_alone_makes_no_other_account() {
    let stage = Stage::new();
    let bob = FakeAccount::new("bob@fabrikam.example");
    let (store, [adas, _]) = both(&stage, &bob);
    let tool = Tool::signed_in(stage.account(&stage.ada));
    let credential = stage
        .silent(&tool, Caches::new(TokenCache::new(store)))
        .build();
    for looks in 1..=3 {
        assert_eq!(secret(&credential).await.unwrap(), adas);
        assert_eq!(tool.asked(), looks);
        tool.0.stamp.fetch_add(1, Ordering::SeqCst);
    }
}

/// A token is of the account that was signed in at some time of the call.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_call_gets_a_token_of_an_account_that_was_gone_before() {
    const CHANGES: u64 = 500;
    let stage = Stage::new();
    let bob = FakeAccount::new("bob@fabrikam.example");
    let (store, tokens) = both(&stage, &bob);
    let tool = Tool::signed_in(stage.account(&stage.ada));
    let credential = stage
        .silent(&tool, Caches::new(TokenCache::new(store)))
        .build();
    let answered = Arc::new(AtomicU64::new(0));
    let callers: Vec<_> = (0..3)
        .map(|_| {
            let (credential, tool, tokens) = (credential.clone(), tool.clone(), tokens.clone());
            let answered = Arc::clone(&answered);
            tokio::spawn(async move {
                loop {
                    // Even numbers are Ada's, odd ones Bob's.
                    let before = tool.0.stamp.load(Ordering::SeqCst);
                    if before == CHANGES {
                        return;
                    }
                    let secret = secret(&credential).await.unwrap();
                    if tool.0.sets.load(Ordering::SeqCst) == before {
                        assert_eq!(secret, tokens[usize::from(before % 2 == 1)], "{before}");
                        answered.fetch_add(1, Ordering::SeqCst);
                    }
                }
            })
        })
        .collect();
    let accounts = [stage.account(&stage.ada), stage.account(&bob)];
    for n in 1..=CHANGES {
        // Look-ups and hits.
        while answered.load(Ordering::SeqCst) < 10 * n {
            assert!(!callers.iter().any(tokio::task::JoinHandle::is_finished));
            tokio::task::yield_now().await;
        }
        tool.set(Ok(accounts[usize::from(n % 2 == 1)].clone()));
    }
    for caller in callers {
        caller.await.unwrap();
    }
    assert_eq!(stage.entra.request_count(), 0);
}

/// Ada is signed in but for the moment in which the account is first asked for: then it is Bob.
#[derive(Debug)]
struct Flickering {
    ada: Arc<Account>,
    bob: Arc<Account>,
    asked: AtomicUsize,
}

impl AccountSource for Flickering {
    fn account(&self) -> Result<Arc<Account>> {
        let is_first = self.asked.fetch_add(1, Ordering::SeqCst) == 0;
        Ok(Arc::clone(if is_first { &self.bob } else { &self.ada }))
    }

    /// The account's own number, which it has again whenever it is signed in.
    fn stamp(&self, _tick: Option<u64>) -> u64 {
        u64::from(self.asked.load(Ordering::SeqCst) == 1)
    }
}

#[tokio::test]
async fn an_account_that_changes_between_stamp_and_account_is_not_memoized() {
    let stage = Stage::new();
    let bob = FakeAccount::new("bob@fabrikam.example");
    let (store, [adas, bobs]) = both(&stage, &bob);
    let source = Flickering {
        ada: Arc::new(stage.account(&stage.ada)),
        bob: Arc::new(stage.account(&bob)),
        asked: AtomicUsize::new(0),
    };
    let source = Arc::new(source);
    let credential = SilentCredential::builder(
        Arc::clone(&source) as Arc<dyn AccountSource>,
        Caches::new(TokenCache::new(store)),
    )
    .token_endpoint(stage.endpoint().without_proxy())
    .clock(stage.clock.clone())
    .build();
    assert_eq!(secret(&credential).await.unwrap(), bobs);
    // Ada again, with her number.
    source.asked.store(2, Ordering::SeqCst);
    for _ in 0..2 {
        assert_eq!(secret(&credential).await.unwrap(), adas);
    }
    assert_eq!(
        source.asked.load(Ordering::SeqCst),
        3,
        "the last one is a hit"
    );
}

/// An account of one cloud is in no entry of another one, and yet it has not signed out.
#[tokio::test]
async fn an_account_of_another_cloud_ends_no_unsaved_results() {
    const GOVERNMENT: &str = "login.microsoftonline.us";
    let stage = Stage::new();
    let bob = FakeAccount::new("bob@fabrikam.example");
    let bobs = logs::canary("Bob's");
    let spec = test_support::AccessTokenSpec {
        environment: GOVERNMENT,
        ..token(&bobs, 3600)
    };
    let refresh_token = logs::canary("Bob's refresh token");
    let cache = stage
        .cache()
        .signed_in(&bob, GOVERNMENT, CLI, &refresh_token)
        .access_token(&bob, spec);
    let store = WatchedStore::new(&holding(&cache), &Journal::default());
    store.fail(true);
    let tool = Tool::signed_in(stage.account(&stage.ada));
    let credential = stage
        .silent(&tool, Caches::new(TokenCache::new(store)))
        .build();
    let adas = secret(&credential).await.unwrap();
    let government = Authority::parse(&format!("https://{GOVERNMENT}")).unwrap();
    let selector = AccountSelector::matching(Some(bob.username.clone()), None);
    tool.set(Ok(Account::new(government, selector)));
    assert_eq!(secret(&credential).await.unwrap(), bobs);
    tool.set(Ok(stage.account(&stage.ada)));
    assert_eq!(secret(&credential).await.unwrap(), adas);
    assert_eq!(stage.entra.request_count(), 1);
}

#[tokio::test]
async fn tenants_and_cp1_are_those_of_account_and_caches() {
    let stage = Stage::new();
    let tenants = Tenants::of_tenant(&stage.ada.utid, ["*"]).unwrap();
    let tool = Tool::signed_in(stage.account(&stage.ada).with_tenants(tenants));
    let cache = || TokenCache::new(holding(&stage.cache()));
    let caches = Caches::new(cache());
    let cae = Caches::new(cache()).with_cp1(true);
    let credential = stage.silent(&tool, caches).cae_caches(cae).build();
    for (enable_cae, claims) in [
        (false, None),
        (
            true,
            Some(r#"{"access_token":{"xms_cc":{"values":["cp1"]}}}"#),
        ),
    ] {
        let options = TokenRequestOptions::default().with_enable_cae(enable_cae);
        credential.get_token(&[ARM], &options).await.unwrap();
        let request = stage.entra.requests().pop().unwrap();
        assert_eq!(request.tenant, stage.ada.utid);
        assert_eq!(request.field("claims"), claims);
    }
}

#[tokio::test]
async fn with_a_cache_for_access_tokens_the_sign_in_cache_is_only_read() {
    let stage = Stage::new();
    let (sign_in, apart) = (holding(&stage.cache()), MemoryPersistence::new());
    let before = sign_in.content();
    let tool = Tool::signed_in(stage.account(&stage.ada));
    let credential = || {
        let caches = Caches::new(TokenCache::new(sign_in.clone()))
            .with_access_tokens(TokenCache::new(apart.clone()));
        stage.silent(&tool, caches).build()
    };
    let first = credential();
    let token = secret(&first).await.unwrap();
    assert_eq!(secret(&first).await.unwrap(), token);
    assert_eq!(sign_in.content(), before);
    assert_eq!(entries(&apart, "AccessToken").len(), 1);
    assert!(entries(&apart, "RefreshToken").is_empty());
    // Another process finds it there.
    assert_eq!(secret(&credential()).await.unwrap(), token);
    assert_eq!(stage.entra.request_count(), 1);
    // The rotated refresh token lasts in memory, for the process that has it.
    let plain = TokenRequestOptions::default();
    first.get_token(&[VAULT], &plain).await.unwrap();
    let requests = stage.entra.requests();
    let sent = |n: usize| requests[n].field("refresh_token").unwrap();
    assert_ne!(sent(0), sent(1));
    assert_eq!(sign_in.content(), before);
    assert_eq!(entries(&apart, "AccessToken").len(), 2);
    // Without the account there is no token, whatever the other cache holds.
    let emptied = CacheBuilder::new().to_json();
    let lock = sign_in.lock().unwrap();
    let saved = sign_in.save_if(emptied.as_bytes(), &|| lock.is_held());
    assert!(saved.unwrap().is_some());
    drop(lock);
    for credential in [&first, &credential()] {
        let error = secret(credential).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::CredentialUnavailable, "{error}");
    }
    assert_eq!(stage.entra.request_count(), 2);
}

#[tokio::test]
async fn access_tokens_come_from_both_caches() {
    let stage = Stage::new();
    let [here, there] = ["here", "there"].map(logs::canary);
    let with = |cache: CacheBuilder, secret: &str, target: &'static str| {
        let spec = test_support::AccessTokenSpec {
            target,
            ..token(secret, 3600)
        };
        TokenCache::new(holding(&cache.access_token(&stage.ada, spec)))
    };
    let caches = Caches::new(with(stage.cache(), &here, ARM)).with_access_tokens(with(
        CacheBuilder::new(),
        &there,
        VAULT,
    ));
    let tool = Tool::signed_in(stage.account(&stage.ada));
    let credential = stage.silent(&tool, caches).build();
    let plain = TokenRequestOptions::default();
    for (scope, secret) in [(ARM, &here), (VAULT, &there), (ARM, &here)] {
        let token = credential.get_token(&[scope], &plain).await.unwrap();
        assert_eq!(token.token().expose_secret(), secret);
    }
    assert_eq!(stage.entra.request_count(), 0);
}

/// The sign-in is all that a token needs.
#[tokio::test]
async fn a_cache_for_access_tokens_that_cannot_be_read_is_left_out() {
    for content in ["[]", "no cache"] {
        let stage = Stage::new();
        let cached = logs::canary("cached");
        let sign_in = holding(&stage.cache().access_token(&stage.ada, token(&cached, 3600)));
        let apart = MemoryPersistence::holding(content);
        let caches = Caches::new(TokenCache::new(sign_in.clone()))
            .with_access_tokens(TokenCache::new(apart.clone()));
        let tool = Tool::signed_in(stage.account(&stage.ada));
        let credential = stage.silent(&tool, caches).build();
        for _ in 0..2 {
            assert_eq!(secret(&credential).await.unwrap(), cached);
        }
        let mut vaults = Vec::new();
        for _ in 0..2 {
            let plain = TokenRequestOptions::default();
            let token = credential.get_token(&[VAULT], &plain).await.unwrap();
            vaults.push(token.token().expose_secret().to_owned());
        }
        assert_eq!(vaults[0], vaults[1]);
        assert_eq!(stage.entra.request_count(), 1, "it lasts in memory");
        assert_eq!(**apart.content().unwrap(), *content.as_bytes());
        assert_eq!(stage.warnings("cannot be read, and is left out"), 1);
    }
}

/// Each rotated refresh token is redeemed next, though the sign-in cache shows the first one.
#[tokio::test]
async fn a_refresh_token_is_rotated_twice_without_being_stored() {
    let stage = Stage::new();
    let caches = Caches::new(TokenCache::new(holding(&stage.cache())))
        .with_access_tokens(TokenCache::new(MemoryPersistence::new()));
    let tool = Tool::signed_in(stage.account(&stage.ada));
    let credential = stage.silent(&tool, caches).build();
    let plain = TokenRequestOptions::default();
    for scope in [ARM, VAULT, "https://storage.azure.com/.default"] {
        credential.get_token(&[scope], &plain).await.unwrap();
    }
    let requests = stage.entra.requests();
    let sent = requests
        .iter()
        .map(|request| request.field("refresh_token").unwrap());
    let sent: std::collections::HashSet<_> = sent.collect();
    assert_eq!((requests.len(), sent.len()), (3, 3));
}

/// Panics in one of its functions, at the call of this number.
#[derive(Debug)]
struct Panicking {
    account: Arc<Account>,
    calls: AtomicUsize,
    at: usize,
}

impl Panicking {
    fn enter(&self) {
        if self.calls.fetch_add(1, Ordering::SeqCst) == self.at {
            std::panic::panic_any("the account source panics, as the test says");
        }
    }
}

impl AccountSource for Panicking {
    fn account(&self) -> Result<Arc<Account>> {
        self.enter();
        Ok(Arc::clone(&self.account))
    }

    fn stamp(&self, _tick: Option<u64>) -> u64 {
        self.enter();
        0
    }
}

#[tokio::test]
async fn a_source_that_panics_harms_its_caller_alone() {
    // A look-up asks for stamp, account and stamp, a hit for the stamp.
    for at in 0..4 {
        let stage = Stage::new();
        let cache = TokenCache::new(holding(&stage.cache()));
        let source = Panicking {
            account: Arc::new(stage.account(&stage.ada)),
            calls: AtomicUsize::new(0),
            at,
        };
        let credential = SilentCredential::builder(Arc::new(source), Caches::new(cache))
            .token_endpoint(stage.endpoint().without_proxy())
            .clock(stage.clock.clone())
            .build();
        let mut panics = 0;
        for _ in 0..5 {
            let credential = credential.clone();
            let call = tokio::spawn(async move { secret(&credential).await });
            match call.await {
                Ok(token) => drop(token.unwrap()),
                Err(error) => panics += usize::from(error.is_panic()),
            }
        }
        assert_eq!((panics, stage.entra.request_count()), (1, 1), "{at}");
        credential.close().await.unwrap();
    }
}
