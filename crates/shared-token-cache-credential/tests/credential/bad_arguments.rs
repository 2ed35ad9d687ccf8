//! What a program gets wrong is told before anything is read or sent.

use std::ffi::OsString;

use msal_token_cache::{Loaded, Persistence, Result, Stamp, StoreLock, TokenCache};
use shared_token_cache_credential::{
    ErrorKind, SharedTokenCacheCredential, TokenCachePersistenceOptions, TokenRequestOptions,
};
use test_support::logs;

use super::rerun::{is_rerun, rerun, this_binary};
use super::{ARM, Stage, at_once, text};

/// A store that nobody may touch.
#[derive(Debug)]
struct Untouchable;

impl Persistence for Untouchable {
    fn location(&self) -> String {
        panic!("it was asked where it is")
    }

    fn stamp(&self) -> Result<Option<Stamp>> {
        panic!("it was looked at")
    }

    fn load(&self) -> Result<Option<Loaded>> {
        panic!("it was read")
    }

    fn load_quickly(&self) -> Option<Result<Option<Loaded>>> {
        panic!("it was about to be read")
    }

    fn lock(&self) -> Result<Box<dyn StoreLock>> {
        panic!("it was locked")
    }

    fn save(&self, _: &[u8]) -> Result<Stamp> {
        panic!("it was written")
    }
}

#[test]
fn a_bad_call_touches_nothing() {
    let stage = Stage::new();
    let credential = stage.credential(Untouchable);
    let plain = TokenRequestOptions::default;
    for (scopes, options) in [
        (&[][..], plain()),
        (&[""], plain()),
        (&[ARM, ""], plain()),
        (&[" "], plain()),
        (&["a b"], plain()),
        (&["a "], plain()),
        (&["a\tb"], plain()),
        (&["a\u{2003}b"], plain()),
        (&["a\nb"], plain()),
        (&["a\0"], plain()),
        (&["a\u{7f}"], plain()),
        (&["a\u{85}"], plain()),
        (&[ARM], plain().with_tenant_id("..")),
        (&[ARM], plain().with_tenant_id("../common")),
        (&[ARM], plain().with_tenant_id("a/b")),
        (&[ARM], plain().with_tenant_id("a b")),
        (&[ARM], plain().with_tenant_id("a%2fb")),
        (&[ARM], plain().with_tenant_id("a\n")),
        (&[ARM], plain().with_tenant_id("x".repeat(256))),
        (&[ARM], plain().with_claims("not JSON")),
        (&[ARM], plain().with_claims("[]")),
        (&[ARM], plain().with_claims("\"text\"")),
        (&[ARM], plain().with_claims("{} {}")),
        (&[ARM], plain().with_claims(r#"{"access_token":"x"}"#)),
    ] {
        for options in [options.clone(), options.with_enable_cae(true)] {
            let error = at_once(credential.get_token(scopes, &options)).unwrap_err();
            let what = format!("{scopes:?} {options:?} {error}");
            assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{what}");
            assert!(!text(&error).contains(char::is_control), "{what}");
            let error = at_once(credential.get_token_info(scopes, &options)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{what}");
        }
    }
    assert_eq!(stage.entra.connections(), 0);
}

#[test]
fn bad_settings_are_told_by_build() {
    let stage = Stage::new();
    let password = logs::canary("password");
    let builder = SharedTokenCacheCredential::builder;
    for builder in [
        builder().authority("http://login.microsoftonline.com"),
        builder().authority("login.microsoftonline.com/organizations"),
        builder().authority("https://login.microsoftonline.com:8443"),
        builder().authority("https://login.microsoftonline.com?x=y"),
        builder().authority("https://login.micros\u{43e}ftonline.com"),
        builder().authority("https:// login.microsoftonline.com"),
        builder().authority(format!("https://ada:{password}@login.microsoftonline.com")),
        builder().authority(format!("ada:{password}@login.microsoftonline.com")),
        builder().tenant_id("../common"),
        builder().tenant_id("a b"),
        builder().tenant_id("."),
        builder().extra_root_certificates("not PEM"),
    ] {
        assert_eq!(logs::leaks_in(&format!("{builder:?}")), [""; 0]);
        let error = builder
            .token_cache(TokenCache::new(Untouchable))
            .build()
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
        assert!(!text(&error).contains(char::is_control), "{error}");
    }
    assert_eq!(stage.entra.connections(), 0);
}

#[test]
fn the_name_of_a_cache_is_a_file_name() {
    let _stage = Stage::new();
    for name in ["", "../msal.cache", "a/b", "a\\b", "a\0b", "a\nb"] {
        let options = TokenCachePersistenceOptions::default().with_name(name);
        let builder = SharedTokenCacheCredential::builder();
        let error = builder
            .cache_persistence_options(options)
            .build()
            .unwrap_err();
        assert_eq!(
            error.kind(),
            ErrorKind::InvalidArgument,
            "{name:?}: {error}"
        );
        assert!(!text(&error).contains(char::is_control), "{error}");
    }
}

/// An authority that is no Unicode.
#[cfg(unix)]
fn no_text() -> OsString {
    use std::os::unix::ffi::OsStringExt;

    OsString::from_vec(b"login.microsoftonline.us\xff".to_vec())
}

#[cfg(windows)]
fn no_text() -> OsString {
    use std::os::windows::ffi::OsStringExt;

    let host: Vec<_> = "login.microsoftonline.us".encode_utf16().collect();
    OsString::from_wide(&[&host[..], &[0xD800]].concat())
}

/// The environment's authority is as good or bad as the program's, which goes before it.
#[test]
fn the_environment_names_an_authority() {
    const TEST: &str = "credential::bad_arguments::the_environment_names_an_authority";
    const VARIABLE: &str = "AZURE_AUTHORITY_HOST";
    let _stage = Stage::new();
    if is_rerun() {
        let built = SharedTokenCacheCredential::builder().build();
        let shown = built.map(|credential| format!("{credential:?}"));
        match (&*std::env::var("EXPECTED").unwrap(), shown) {
            ("error", Err(error)) => assert_eq!(error.kind(), ErrorKind::InvalidArgument),
            (host, Ok(shown)) if shown.contains(host) => {}
            (expected, shown) => panic!("{expected}: {shown:?}"),
        }
        let builder = SharedTokenCacheCredential::builder();
        let own = builder.authority("login.chinacloudapi.cn").build().unwrap();
        assert!(format!("{own:?}").contains("login.chinacloudapi.cn"));
        return;
    }
    for (value, expected) in [
        (
            OsString::from("https://login.microsoftonline.us/"),
            "login.microsoftonline.us",
        ),
        ("".into(), "login.microsoftonline.com"),
        ("http://login.microsoftonline.us".into(), "error"),
        (no_text(), "error"),
    ] {
        let mut command = this_binary();
        command.env(VARIABLE, value);
        command.env("EXPECTED", expected);
        rerun(command, TEST);
    }
}
