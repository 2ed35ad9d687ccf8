use std::ffi::OsString;
use std::path::PathBuf;

/// Where the Python packages keep the cache of this name: `~/.IdentityService/<name>`.
///
/// `None` if there is no home folder, that is: `HOME` is unset, empty or relative.
pub fn default_path(name: &str) -> Option<PathBuf> {
    path_in(home(), name)
}

/// The door to the environment.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the door to the environment"
)]
fn home() -> Option<OsString> {
    std::env::var_os("HOME")
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
        assert_eq!(path_in(None, "n"), None);
        assert_eq!(path_in(Some("".into()), "n"), None);
        assert_eq!(path_in(Some("home".into()), "n"), None);
        let path = path_in(Some("/srv/ada".into()), "msal.cache.nocae");
        assert_eq!(
            path,
            Some("/srv/ada/.IdentityService/msal.cache.nocae".into())
        );
    }
}
