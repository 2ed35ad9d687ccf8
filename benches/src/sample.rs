//! The caches that everything is measured on.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use msal_token_cache::{FilePersistence, TokenCache};
use serde_json::Value;
use shared_token_cache_credential::SharedTokenCacheCredential;
use tempfile::TempDir;
use test_support::{CacheBuilder, FakeAccount};

/// Where the accounts of the caches sign in.
const AUTHORITY: &str = "https://login.microsoftonline.com";

/// The names of the caches, with their accounts and the access tokens of each.
pub const SIZES: [(&str, [usize; 2]); 3] =
    [("small", [1, 5]), ("medium", [5, 20]), ("large", [100, 50])];

/// A cache file, and the token in the middle of it that is asked for.
#[derive(Debug)]
pub struct Sample {
    /// `small`, `medium` or `large`.
    pub name: &'static str,
    /// The content of the file.
    pub text: String,
    /// Whose token it is.
    pub account: FakeAccount,
    /// What it is good for.
    pub scope: String,
    /// The token.
    pub token: String,
    folder: TempDir,
}

impl Sample {
    /// The small, the medium and the large cache, under this folder, with tokens that are good for
    /// an hour.
    pub fn all_in(folder: impl AsRef<Path>) -> [Self; 3] {
        SIZES.map(|(name, counts)| Self::new(folder.as_ref(), name, counts))
    }

    fn new(folder: &Path, name: &'static str, [accounts, tokens_each]: [usize; 2]) -> Self {
        let now = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
        let cache = CacheBuilder::many(accounts, tokens_each, now + 3_600);
        let number = accounts / 2;
        let account = FakeAccount::new(&format!("user{number}@tenant{number}.example"));
        let scope = format!("https://resource{}.example/.default", tokens_each / 2);
        let text = cache.to_json();
        let token = find(&text, &account.home_account_id(), &scope);
        let sample = Self {
            name,
            text,
            account,
            scope,
            token,
            folder: tempfile::tempdir_in(folder).unwrap(),
        };
        cache.write_to(sample.path());
        sample
    }

    /// The cache file.
    pub fn path(&self) -> PathBuf {
        self.folder.path().join("msal.cache.nocae")
    }

    /// The folder of the file, for copies of it.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A cache that has read nothing yet.
    pub fn cache(&self) -> TokenCache {
        TokenCache::new(FilePersistence::new(self.path()))
    }

    /// The same, looking at the file for every caller.
    pub fn strict_cache(&self) -> TokenCache {
        TokenCache::new(FilePersistence::new(self.path()).with_strict_freshness(true))
    }

    /// A credential for the account on this cache.
    pub fn credential(&self, cache: TokenCache) -> SharedTokenCacheCredential {
        SharedTokenCacheCredential::builder()
            .authority(AUTHORITY)
            .username(&self.account.username)
            .token_cache(cache)
            .build()
            .unwrap()
    }

    /// Stops the run unless a side found the token that was asked for.
    #[track_caller]
    pub fn check(&self, side: &str, token: &str) {
        let (name, same) = (self.name, token == self.token);
        assert!(same, "{side} has another token of the {name} cache");
    }
}

/// The token as a plain walk through the JSON finds it.
fn find(text: &str, home_account_id: &str, scope: &str) -> String {
    let cache: Value = serde_json::from_str(text).unwrap();
    let entries = cache["AccessToken"].as_object().unwrap().values();
    let mut ours = entries
        .filter(|entry| entry["home_account_id"] == home_account_id && entry["target"] == scope);
    let secret = ours.next().expect("the cache holds the token")["secret"].as_str();
    assert!(ours.next().is_none(), "the cache holds one such token");
    secret.unwrap().to_owned()
}
