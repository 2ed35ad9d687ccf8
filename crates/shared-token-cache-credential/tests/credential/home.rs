//! The shared cache of a user, as this platform keeps it: in plain text where that is allowed, on
//! Windows encrypted.

use std::path::{Path, PathBuf};
use std::process::Command;

use msal_token_cache::Persistence;
use test_support::CacheBuilder;

/// The variable that names the folder in which it is.
#[cfg(not(windows))]
pub(super) const VARIABLE: &str = "HOME";
#[cfg(windows)]
pub(super) const VARIABLE: &str = "LOCALAPPDATA";

#[cfg(not(windows))]
use msal_token_cache::FilePersistence as Store;

#[cfg(windows)]
use msal_token_cache::DpapiPersistence as Store;

/// Where the cache of this name is below that folder.
pub(super) fn path(home: &Path, name: &str) -> PathBuf {
    home.join(".IdentityService").join(name)
}

/// Puts a cache there; on Unix its folder must be private.
pub(super) fn write(path: &Path, cache: &CacheBuilder) {
    Store::new(path).save(cache.to_json().as_bytes()).unwrap();
}

/// What the cache holds.
pub(super) fn read(path: &Path) -> String {
    let loaded = Store::new(path).load().unwrap().unwrap();
    String::from_utf8(loaded.bytes.to_vec()).unwrap()
}

/// Takes all variables from a command but those without which the system starts nothing.
pub(super) fn clear_environment(command: &mut Command) {
    command.env_clear();
    for name in ["SystemRoot", "WINEPREFIX"] {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
}
