//! K14: tokens of different resources are kept apart, and tokens whose scopes overlap do not evict
//! each other for ever.

use std::collections::BTreeSet;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use fastrand::Rng;
use msal_token_cache::{FilePersistence, MemoryPersistence, Persistence as _, TokenCache};
use serde_json::{Value, json};
use shared_token_cache_credential::{
    ErrorKind, HttpResponse, HyperTokenEndpoint, SharedTokenCacheCredential, TokenEndpoint,
    TokenRequest, TokenRequestOptions, TransportError,
};
use test_support::{AccessTokenSpec, CacheBuilder, Reply, logs};

use super::watched::{Journal, WatchedStore};
use super::{ARM, CLI, HOST, Stage, VAULT, challenge, content, entries, holding, token};

const MAIL: [&str; 2] = ["User.Read", "Mail.Read"];
const FILES: [&str; 2] = ["User.Read", "Files.Read"];
/// The token of another program whose scopes overlap with those of both.
const RIVAL: &str = "a-rival-of-both";
const DEVOPS: &str = "499b84ac-1321-427f-aa17-267ca6975798/.default";

/// Asks for a token, and returns its secret.
async fn secret(
    credential: &SharedTokenCacheCredential,
    scopes: &[&str],
    options: &TokenRequestOptions,
) -> String {
    let token = credential.get_token(scopes, options).await.unwrap();
    token.token().expose_secret().to_owned()
}

async fn plain(credential: &SharedTokenCacheCredential, scopes: &[&str]) -> String {
    secret(credential, scopes, &TokenRequestOptions::default()).await
}

/// The targets of the access tokens in a store.
fn targets(store: &MemoryPersistence) -> Vec<String> {
    let tokens = entries(store, "AccessToken");
    let targets = tokens.iter().map(|token| token["target"].as_str().unwrap());
    targets.map(str::to_owned).collect()
}

/// Answers that grant nothing but what was asked for, and `user_impersonation` for a `.default`.
fn short_form() -> Reply {
    Reply::success().with("scope", json!("user_impersonation"))
}

#[tokio::test]
async fn k14_calls_whose_scopes_overlap_do_not_evict_each_other() {
    let stage = Stage::new();
    let others = logs::canary("another resource's");
    let foreign = AccessTokenSpec {
        target: "User.Read Calendars.Read",
        ..token(RIVAL, 3_600)
    };
    let cache = stage
        .cache()
        .access_token(&stage.ada, token(&others, 3_600))
        .access_token(&stage.ada, foreign);
    let store = holding(&cache);
    let credential = stage.credential(store.clone());
    let mut secrets = BTreeSet::new();
    for scopes in [MAIL, FILES, MAIL, FILES, MAIL, FILES] {
        secrets.insert(plain(&credential, &scopes).await);
    }
    assert_eq!(stage.entra.request_count(), 2);
    assert_eq!(secrets.len(), 2);
    // MSAL.NET would throw if it found two in the file.
    let with_user_read = targets(&store)
        .iter()
        .filter(|t| t.contains("User.Read"))
        .count();
    assert_eq!(with_user_read, 1);
    // What another program put there answers as long as it lives, in the file or in memory.
    assert_eq!(plain(&credential, &[ARM]).await, others);
    let displaced = plain(&credential, &["Calendars.Read"]).await;
    assert_eq!(displaced, RIVAL);
    assert_eq!(stage.entra.request_count(), 2);
}

#[tokio::test]
async fn k14_overlapping_calls_make_a_request_each_where_nothing_can_be_stored() {
    let stage = Stage::new();
    let theirs = AccessTokenSpec {
        target: "User.Read Calendars.Read",
        ..token(RIVAL, 3_600)
    };
    let store = holding(&stage.cache().access_token(&stage.ada, theirs));
    let watched = WatchedStore::new(&store, &Journal::default());
    watched.fail(true);
    let credential = stage.credential(watched);
    for _ in 0..3 {
        for scopes in [MAIL, FILES] {
            plain(&credential, &scopes).await;
        }
        // It is still there, and better than a request.
        let theirs = plain(&credential, &["Calendars.Read"]).await;
        assert_eq!(theirs, RIVAL);
    }
    assert_eq!(stage.entra.request_count(), 2);
}

/// Each takes the other's token from the file, and remembers its own.
#[tokio::test]
async fn k14_overlapping_calls_of_two_processes_make_a_request_each() {
    let stage = Stage::new();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache");
    stage.cache().write_to(&path);
    let process = || {
        let store = FilePersistence::new(&path).with_strict_freshness(true);
        stage.credential(store)
    };
    let [one, other] = [process(), process()];
    let mut secrets = BTreeSet::new();
    for _ in 0..3 {
        secrets.insert(plain(&one, &MAIL).await);
        secrets.insert(plain(&other, &FILES).await);
    }
    assert_eq!(stage.entra.request_count(), 2);
    assert_eq!(secrets.len(), 2);
    // A process that starts now finds the one that is in the file.
    plain(&process(), &FILES).await;
    assert_eq!(stage.entra.request_count(), 2);
}

/// Azure DevOps answers with a scope that does not name it, and so may another resource.
#[tokio::test]
async fn k14_resources_that_answer_alike_have_tokens_of_their_own() {
    let stage = Stage::new();
    let store = holding(&stage.cache());
    let credential = stage.credential(store.clone());
    let mut secrets = BTreeSet::new();
    for scope in [DEVOPS, ARM] {
        stage.entra.push(short_form());
        secrets.insert(plain(&credential, &[scope]).await);
    }
    for _ in 0..3 {
        for scope in [DEVOPS, ARM] {
            secrets.insert(plain(&credential, &[scope]).await);
        }
    }
    assert_eq!(stage.entra.request_count(), 2);
    assert_eq!(secrets.len(), 2);
    let stored = [DEVOPS, ARM].map(|scope| format!("user_impersonation {scope}"));
    assert_eq!(targets(&store), stored);
    // A call that names the resource finds it by either scope.
    let devops = plain(&credential, &[DEVOPS]).await;
    let both = plain(&credential, &["user_impersonation", DEVOPS]).await;
    assert_eq!(both, devops);
    assert_eq!(stage.entra.request_count(), 2);
}

#[tokio::test]
async fn k14_a_bare_scope_alone_is_never_answered_by_another_resources_token() {
    for fails in [false, true] {
        let stage = Stage::new();
        let foreign = AccessTokenSpec {
            target: "user_impersonation https://vault.azure.net/.default",
            ..token("foreign", 3_600)
        };
        let store = holding(&stage.cache().access_token(&stage.ada, foreign));
        let watched = WatchedStore::new(&store, &Journal::default());
        watched.fail(fails);
        let credential = stage.credential(watched);
        // In the file, not yet in the file, and displaced from there.
        let mut others = vec!["foreign".to_owned()];
        let devops_read = DEVOPS.replace(".default", "read");
        for scopes in [&[DEVOPS][..], &[ARM], &[DEVOPS, &devops_read]] {
            stage.entra.push(short_form());
            others.push(plain(&credential, scopes).await);
        }
        stage.entra.push(Reply::success().with(
            "scope",
            json!("user_impersonation https://graph.microsoft.com/User.Read openid"),
        ));
        let own = plain(&credential, &["user_impersonation"]).await;
        assert!(!others.contains(&own));
        for _ in 0..2 {
            assert_eq!(plain(&credential, &["User_Impersonation"]).await, own);
            assert!(others.contains(&plain(&credential, &[ARM]).await));
            assert!(others.contains(&plain(&credential, &[DEVOPS]).await));
            assert_eq!(plain(&credential, &[VAULT]).await, "foreign");
        }
        assert_eq!(stage.entra.request_count(), 4);
        if !fails {
            // What names a resource would keep the next such call from finding it.
            assert!(targets(&store).contains(&"user_impersonation openid".to_owned()));
            assert_eq!(targets(&store).len(), 4);
        }
    }
}

#[tokio::test]
async fn k14_a_displaced_token_that_was_refused_does_not_come_back() {
    let forced = TokenRequestOptions::default().with_force_refresh(true);
    for (fails, refusing) in [
        (false, challenge()),
        (false, forced.clone()),
        (true, challenge()),
        (true, forced),
    ] {
        let stage = Stage::new();
        let foreign = AccessTokenSpec {
            target: "Mail.Read Calendars.Read",
            ..token("foreign", 3_600)
        };
        let store = holding(&stage.cache().access_token(&stage.ada, foreign));
        let watched = WatchedStore::new(&store, &Journal::default());
        watched.fail(fails);
        let credential = stage.credential(watched.clone());
        let mail = plain(&credential, &MAIL).await;
        plain(&credential, &FILES).await;
        assert_eq!(plain(&credential, &MAIL).await, mail);
        assert_eq!(plain(&credential, &["Calendars.Read"]).await, "foreign");
        assert_eq!(stage.entra.request_count(), 2);
        // The resource would have none of those that can read mail.
        let new = secret(&credential, &["Mail.Read"], &refusing).await;
        assert_eq!(plain(&credential, &["Mail.Read"]).await, new);
        assert_eq!(stage.entra.request_count(), 3);
        // Also when the new one is displaced in its turn.
        let again = plain(&credential, &MAIL).await;
        assert!(again != mail && again != new);
        assert_eq!(stage.entra.request_count(), 4);
        assert_ne!(plain(&credential, &["Calendars.Read"]).await, "foreign");
        assert_ne!(
            plain(&credential, &["Mail.Read", "Calendars.Read"]).await,
            "foreign"
        );
        for scopes in [&MAIL[..], &FILES, &["Mail.Read"], &["Calendars.Read"]] {
            let found = plain(&credential, scopes).await;
            assert!(found != mail && found != "foreign", "{scopes:?}");
        }
        assert_eq!(stage.entra.request_count(), 6, "{refusing:?}");
    }
}

#[tokio::test]
async fn k14_a_displaced_token_lives_no_longer_than_it_says() {
    let stage = Stage::new();
    let credential = stage.credential(holding(&stage.cache()));
    for lifetime in 1..=3 {
        for _ in 0..3 {
            for scopes in [MAIL, FILES] {
                plain(&credential, &scopes).await;
            }
        }
        assert_eq!(stage.entra.request_count(), 2 * lifetime);
        stage.clock.advance(Duration::from_secs(4_799));
    }
}

/// Which of an account's entries a sign-out leaves behind.
fn without(cache: &Value, sections: &[&str]) -> String {
    let mut cache = cache.clone();
    for section in sections {
        cache[section] = json!({});
    }
    cache.to_string()
}

#[tokio::test]
async fn k14_a_displaced_token_does_not_survive_a_sign_out() {
    for (what, gone) in [
        (
            "all",
            &["Account", "RefreshToken", "AccessToken", "IdToken"][..],
        ),
        ("the account", &["Account"]),
        ("its refresh tokens", &["RefreshToken"]),
        ("nothing but access tokens", &["AccessToken"]),
    ] {
        let stage = Stage::new();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cache");
        stage.cache().write_to(&path);
        let store = FilePersistence::new(&path).with_strict_freshness(true);
        let credential = stage.credential(store);
        let before = [
            plain(&credential, &MAIL).await,
            plain(&credential, &FILES).await,
        ];
        let signed_in: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        std::fs::write(&path, without(&signed_in, gone)).unwrap();
        let options = TokenRequestOptions::default();
        let meanwhile = credential.get_token(&MAIL, &options).await;
        let is_sign_out = gone != ["AccessToken"];
        if is_sign_out {
            let error = meanwhile.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::CredentialUnavailable, "{what}");
        } else {
            // Somebody wanted them gone from the file. That one had gone from there before.
            assert_eq!(meanwhile.unwrap().token().expose_secret(), before[0]);
        }
        std::fs::write(&path, without(&signed_in, &["AccessToken"])).unwrap();
        let files = plain(&credential, &FILES).await;
        assert_ne!(files, before[1], "{what}: it left no rival behind");
        let mail = plain(&credential, &MAIL).await;
        assert_eq!(mail != before[0], is_sign_out, "{what}");
        let requests = if is_sign_out { 4 } else { 3 };
        assert_eq!(stage.entra.request_count(), requests, "{what}");
    }
}

/// A write may be the only one to see it.
#[tokio::test]
async fn k14_a_sign_out_that_only_a_write_sees_ends_what_was_displaced() {
    let stage = Stage::new();
    let store = holding(&stage.cache());
    let gone = Arc::new(Mutex::new(None));
    let endpoint = SigningOut {
        entra: stage.endpoint().without_proxy(),
        store: store.clone(),
        leaves: Arc::clone(&gone),
    };
    let builder = stage.builder().token_cache(TokenCache::new(store.clone()));
    let credential = builder.token_endpoint(endpoint).build().unwrap();
    let mail = plain(&credential, &MAIL).await;
    let files = plain(&credential, &FILES).await;
    let signed_in = without(&content(&store), &["AccessToken"]);
    *gone.lock().unwrap() = Some(without(&content(&store), &["RefreshToken"]));
    plain(&credential, &[VAULT]).await;
    store.save(signed_in.as_bytes()).unwrap();
    assert_ne!(plain(&credential, &MAIL).await, mail);
    assert_ne!(plain(&credential, &FILES).await, files);
    assert_eq!(stage.entra.request_count(), 5);
}

/// Has somebody sign out while a request is under way.
#[derive(Debug)]
struct SigningOut {
    entra: HyperTokenEndpoint,
    store: MemoryPersistence,
    /// What the next request leaves in the store.
    leaves: Arc<Mutex<Option<String>>>,
}

#[async_trait]
impl TokenEndpoint for SigningOut {
    async fn send(&self, request: TokenRequest) -> Result<HttpResponse, TransportError> {
        let answer = self.entra.send(request).await;
        if let Some(content) = self.leaves.lock().unwrap().take() {
            self.store.save(content.as_bytes()).unwrap();
        }
        answer
    }
}

/// Grants in the ways in which Entra does, and in some in which it does not.
struct Granting {
    requests: Arc<AtomicUsize>,
    process: u64,
    seed: u64,
}

impl fmt::Debug for Granting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Granting")
    }
}

const SCOPES: [&str; 10] = [
    "x/read",
    "x/write",
    "x//read",
    "y/read",
    "y/.default",
    "read",
    "write",
    "user_impersonation",
    "openid",
    "email",
];

#[async_trait]
impl TokenEndpoint for Granting {
    async fn send(&self, request: TokenRequest) -> Result<HttpResponse, TransportError> {
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        let asked = request.form().find(|(name, _)| *name == "scope").unwrap().1;
        let asked: BTreeSet<_> = asked.expose_secret().split(' ').collect();
        // The same answer for the same scopes, from each process.
        let mut hasher = DefaultHasher::new();
        (self.seed, &asked).hash(&mut hasher);
        let mut rng = Rng::with_seed(hasher.finish());
        let short = |scope: &str| scope.rsplit('/').next().unwrap_or_default().to_owned();
        let mut granted: Vec<String> = match rng.u8(..4) {
            0 => Vec::new(),
            1 => asked.iter().map(|scope| short(scope)).collect(),
            2 => asked.iter().map(|scope| scope.to_uppercase()).collect(),
            _ => asked.iter().map(|scope| (*scope).to_owned()).collect(),
        };
        for _ in 0..rng.usize(..3) {
            granted.push(SCOPES[rng.usize(..SCOPES.len())].to_owned());
        }
        rng.shuffle(&mut granted);
        let mut answer = json!({
            "token_type": "Bearer",
            "expires_in": 3600,
            "access_token": format!("token{number}-{}", self.process),
        });
        if !granted.is_empty() {
            answer["scope"] = json!(granted.join(" "));
        }
        Ok(HttpResponse::new(200, answer.to_string()))
    }
}

/// A process that shares a store, the requests that it made, and the sets that it asked for.
struct Process {
    credential: SharedTokenCacheCredential,
    requests: Arc<AtomicUsize>,
    asked: BTreeSet<Vec<&'static str>>,
}

impl Process {
    fn new(stage: &Stage, store: &WatchedStore, process: u64, seed: u64) -> Self {
        let requests = Arc::new(AtomicUsize::new(0));
        let endpoint = Granting {
            requests: Arc::clone(&requests),
            process,
            seed,
        };
        let cache = TokenCache::new(store.clone());
        let builder = stage.builder().token_cache(cache).token_endpoint(endpoint);
        Self {
            credential: builder.build().unwrap(),
            requests,
            asked: BTreeSet::new(),
        }
    }

    fn requests(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }

    /// Asks for one to three scopes.
    async fn ask(&mut self, rng: &mut Rng) {
        let mut scopes: Vec<_> = (0..rng.usize(1..4))
            .map(|_| SCOPES[rng.usize(..SCOPES.len())])
            .collect();
        plain(&self.credential, &scopes).await;
        scopes.sort_unstable();
        scopes.dedup();
        self.asked.insert(scopes);
    }
}

fn shared_store(stage: &Stage) -> WatchedStore {
    let foreign = AccessTokenSpec {
        target: "read x/read",
        ..token("foreign", 3_600)
    };
    let cache = CacheBuilder::new()
        .signed_in(&stage.ada, HOST, CLI, "a-refresh-token")
        .access_token(&stage.ada, foreign);
    WatchedStore::new(&holding(&cache), &Journal::default())
}

/// Random calls, and answers of every form, whether the store can be written or not.
#[tokio::test]
async fn k14_no_sequence_of_calls_makes_more_requests_than_there_are_sets_of_scopes() {
    let stage = Stage::new();
    let (mut requests, mut sets) = (0, 0);
    for seed in 0..200 {
        let mut rng = Rng::with_seed(seed);
        let store = shared_store(&stage);
        let mut process = Process::new(&stage, &store, 0, seed);
        for _ in 0..40 {
            // Now and then it can be written for a while, or cannot.
            if rng.u8(..10) == 0 {
                store.fail(rng.bool());
            }
            process.ask(&mut rng).await;
            let (made, asked) = (process.requests(), &process.asked);
            assert!(
                made <= asked.len(),
                "seed {seed}: {made} requests for {asked:?}"
            );
        }
        requests += process.requests();
        sets += process.asked.len();
    }
    // Many calls are answered by a token that another one got, and many are not.
    assert!(
        requests * 3 > sets && requests * 3 < sets * 2,
        "{requests} {sets}"
    );
}

/// A token may be gone because others displaced it one after the other. Asking for it again then
/// displaces none, so that it comes to an end.
#[tokio::test]
async fn k14_processes_that_share_a_store_come_to_an_end_with_their_requests() {
    let stage = Stage::new();
    for seed in 0..100 {
        let mut rng = Rng::with_seed(seed);
        let store = shared_store(&stage);
        let mut processes: Vec<_> = (0..2 + seed % 3)
            .map(|n| Process::new(&stage, &store, n, seed))
            .collect();
        for _ in 0..40 {
            let process = rng.usize(..processes.len());
            processes[process].ask(&mut rng).await;
        }
        let requests = || processes.iter().map(Process::requests).sum::<usize>();
        let mut rounds = 0;
        loop {
            let before = requests();
            for process in &processes {
                for scopes in &process.asked {
                    plain(&process.credential, scopes).await;
                }
            }
            if requests() == before {
                break;
            }
            rounds += 1;
            assert!(rounds < 5, "seed {seed}: they go on");
        }
    }
}

/// Any token for the one is good for the other.
#[tokio::test]
async fn k14_the_same_scopes_in_any_order_and_case_share_a_request() {
    let stage = Stage::new();
    let credential = stage.credential(holding(&stage.cache()));
    stage
        .entra
        .push(Reply::success().delayed(Duration::from_millis(300)));
    let [mail, again, upper] = [
        &MAIL,
        &["Mail.Read", "User.Read"],
        &["USER.READ", "mail.read"],
    ];
    let (one, other, third) = tokio::join!(
        plain(&credential, mail),
        plain(&credential, again),
        plain(&credential, upper)
    );
    assert!(one == other && other == third);
    assert_eq!(stage.entra.request_count(), 1);
}
