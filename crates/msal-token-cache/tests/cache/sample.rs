//! Small caches, and the redemptions that go into them.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use msal_token_cache::{
    FilePersistence, MemoryPersistence, Merged, Redemption, Result, TokenCache,
};
use serde_json::Value;
use tempfile::TempDir;
use test_support::{AccessTokenSpec, CacheBuilder, FakeAccount, logs};
use token_credential::Secret;

pub(crate) const HOST: &str = "login.microsoftonline.com";
pub(crate) const CLIENT: &str = "04b07795-8ddb-461a-bbee-02f9e1bf7b46";
pub(crate) const VAULT: &str = "https://vault.azure.net/.default";
// The secrets. No canaries, for a role's process must know those of the process that starts it.
pub(crate) const OLD_REFRESH_TOKEN: &str = "sample-old-refresh-token";
pub(crate) const ROTATED: &str = "sample-rotated-refresh-token";
pub(crate) const OLD_ACCESS_TOKEN: &str = "sample-old-access-token";
pub(crate) const NEW_ACCESS_TOKEN: &str = "sample-new-access-token";
/// When the sample redemptions happen.
pub(crate) const NOW: u64 = 1_700_000_000;

pub(crate) fn at(unix_seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(unix_seconds)
}

pub(crate) fn ada() -> FakeAccount {
    FakeAccount::new("ada@contoso.example")
}

pub(crate) fn bob() -> FakeAccount {
    FakeAccount::new("bob@fabrikam.example")
}

/// Ada has signed in.
pub(crate) fn signed_in() -> CacheBuilder {
    CacheBuilder::new().signed_in(&ada(), HOST, CLIENT, OLD_REFRESH_TOKEN)
}

/// An access token of hers for the vault that is still good.
pub(crate) fn vault_token() -> AccessTokenSpec<'static> {
    AccessTokenSpec {
        target: VAULT,
        secret: OLD_ACCESS_TOKEN,
        cached_at: Some(NOW - 600),
        expires_on: NOW + 3_000,
        ..AccessTokenSpec::default()
    }
}

/// What redeeming the cache's first refresh token gives: a token for the vault in Ada's tenant.
pub(crate) fn redeemed(cache: &CacheBuilder) -> Redemption {
    redeemed_for(cache, VAULT)
}

pub(crate) fn redeemed_for(cache: &CacheBuilder, target: &str) -> Redemption {
    let cache = TokenCache::new(MemoryPersistence::holding(cache.to_json()));
    let snapshot = cache.snapshot().unwrap();
    let refresh_token = snapshot.refresh_tokens().next().unwrap();
    Redemption::new(
        &refresh_token,
        ada().utid,
        target,
        Secret::new(NEW_ACCESS_TOKEN),
        at(NOW),
        at(NOW + 3_600),
    )
}

/// Searches all log lines of its time for the sample's secrets; every store, place and role has
/// one.
pub(crate) fn watch() -> logs::Watch {
    for secret in [
        OLD_REFRESH_TOKEN,
        ROTATED,
        OLD_ACCESS_TOKEN,
        NEW_ACCESS_TOKEN,
    ] {
        logs::remember(secret, secret);
    }
    logs::Watch::new()
}

/// A cache in memory, and its content as others see it.
pub(crate) struct Store {
    pub(crate) memory: MemoryPersistence,
    pub(crate) cache: TokenCache,
    _watch: logs::Watch,
}

impl Store {
    pub(crate) fn holding(text: impl Into<String>) -> Self {
        let watch = watch();
        let memory = MemoryPersistence::holding(text.into());
        let cache = TokenCache::new(memory.clone());
        Self {
            memory,
            cache,
            _watch: watch,
        }
    }

    pub(crate) fn merge(&self, redemption: &Redemption) -> Result<Merged> {
        self.cache
            .modify(|transaction| transaction.merge(redemption))
    }

    pub(crate) fn text(&self) -> String {
        let bytes = self.memory.content().expect("there is content").to_vec();
        String::from_utf8(bytes).expect("it is text")
    }

    pub(crate) fn value(&self) -> Value {
        serde_json::from_str(&self.text()).expect("it is JSON")
    }
}

/// What the cache holds after this redemption was merged into it.
pub(crate) fn merged(cache: &CacheBuilder, redemption: &Redemption) -> Value {
    let store = Store::holding(cache.to_json());
    assert_eq!(store.merge(redemption).unwrap(), Merged::Stored);
    store.value()
}

/// The entries of a section, in the order of their keys.
pub(crate) fn section<'v>(cache: &'v Value, name: &str) -> Vec<&'v Value> {
    cache[name]
        .as_object()
        .into_iter()
        .flat_map(|entries| entries.values())
        .collect()
}

#[cfg(unix)]
fn make_private(path: &Path) {
    use std::os::unix::fs::PermissionsExt;

    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

/// As private as its folder.
#[cfg(windows)]
fn make_private(_path: &Path) {}

/// A cache file in a folder of its own.
pub(crate) struct Place {
    folder: TempDir,
    pub(crate) path: PathBuf,
    _watch: logs::Watch,
}

impl Place {
    /// A place where no file is yet.
    pub(crate) fn empty() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("msal.cache.nocae");
        Self {
            folder,
            path,
            _watch: watch(),
        }
    }

    pub(crate) fn holding(content: impl AsRef<[u8]>) -> Self {
        let place = Self::empty();
        place.put(content);
        place
    }

    /// Ada has signed in here.
    pub(crate) fn signed_in() -> Self {
        Self::holding(signed_in().to_json())
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn lock_path(&self) -> PathBuf {
        self.folder.path().join("msal.cache.nocae.lockfile")
    }

    /// Writes in place, as nearly every peer does.
    pub(crate) fn put(&self, content: impl AsRef<[u8]>) {
        fs::write(&self.path, content).unwrap();
        make_private(&self.path);
    }

    pub(crate) fn content(&self) -> Vec<u8> {
        fs::read(&self.path).unwrap()
    }

    /// Every reader looks: what a test has just done to the file is there.
    pub(crate) fn persistence(&self) -> FilePersistence {
        FilePersistence::new(&self.path).with_strict_freshness(true)
    }

    pub(crate) fn cache(&self) -> TokenCache {
        TokenCache::new(self.persistence())
    }

    /// The names of what is in the folder, sorted.
    pub(crate) fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(self.folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort_unstable();
        names
    }
}
