use std::ffi::OsString;
#[cfg(any(unix, windows))]
use std::path::Path;
use std::path::PathBuf;

/// The variable that names the folder in which each user has a folder for caches.
#[cfg(not(windows))]
const HOME: &str = "HOME";
#[cfg(windows)]
const HOME: &str = "LOCALAPPDATA";

/// Returns the path at which the Python packages keep the cache of this name:
/// `~/.IdentityService/<name>`, on Windows `%LOCALAPPDATA%\.IdentityService\<name>`.
///
/// Returns `None` if `HOME`, on Windows `LOCALAPPDATA`, is unset, empty or relative.
pub fn default_path(name: &str) -> Option<PathBuf> {
    path_in(variable(HOME), name)
}

/// Returns the folder of the leases on the cache at this path. It is in the user's runtime folder,
/// which no other machine shares and which ends with the session, else beside the cache.
#[cfg(unix)]
pub(crate) fn lease_folder(cache: &Path) -> Option<PathBuf> {
    lease_folder_in(variable("XDG_RUNTIME_DIR"), cache)
}

/// Returns the folder of the leases on the cache at this path, beside the cache: no other machine
/// shares `%LOCALAPPDATA%`.
#[cfg(windows)]
pub(crate) fn lease_folder(cache: &Path) -> Option<PathBuf> {
    Some(cache.parent()?.join(".leases"))
}

#[cfg(unix)]
fn lease_folder_in(runtime: Option<OsString>, cache: &Path) -> Option<PathBuf> {
    let runtime = runtime.map(PathBuf::from);
    match runtime.filter(|folder| folder.is_absolute() && folder.is_dir()) {
        Some(runtime) => Some(runtime.join(env!("CARGO_PKG_NAME"))),
        None => Some(cache.parent()?.join(".leases")),
    }
}

/// The door to the environment.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the door to the environment"
)]
fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name)
}

fn path_in(home: Option<OsString>, name: &str) -> Option<PathBuf> {
    let home = PathBuf::from(home?);
    home.is_absolute()
        .then(|| home.join(".IdentityService").join(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_home_that_leads_nowhere_is_none() {
        for home in [None, Some(""), Some("home"), Some("./home")] {
            assert_eq!(path_in(home.map(Into::into), "n"), None, "{home:?}");
        }
    }

    #[cfg(not(windows))]
    #[test]
    fn the_cache_is_in_the_home_folder() {
        let path = path_in(Some("/srv/ada".into()), "msal.cache.nocae");
        assert_eq!(
            path,
            Some("/srv/ada/.IdentityService/msal.cache.nocae".into())
        );
    }

    #[cfg(windows)]
    #[test]
    fn the_cache_is_among_the_users_local_data() {
        let path = path_in(Some(r"C:\Users\ada\AppData\Local".into()), "msal.cache.cae");
        let wanted = r"C:\Users\ada\AppData\Local\.IdentityService\msal.cache.cae";
        assert_eq!(path, Some(wanted.into()));
        // Without a drive it is relative to the one that the program happens to be on.
        assert_eq!(path_in(Some(r"\Users\ada".into()), "n"), None);
    }

    #[cfg(unix)]
    #[test]
    fn leases_are_in_the_runtime_folder_or_beside_the_cache() {
        let cache = Path::new("/srv/ada/.IdentityService/msal.cache.nocae");
        let beside = Some("/srv/ada/.IdentityService/.leases".into());
        for runtime in [None, Some(""), Some("run"), Some("/no/such/folder")] {
            assert_eq!(lease_folder_in(runtime.map(Into::into), cache), beside);
        }
        let runtime = tempfile::tempdir().unwrap();
        let leases = lease_folder_in(Some(runtime.path().into()), cache);
        assert_eq!(leases, Some(runtime.path().join("msal-token-cache")));
    }
}
