//! Caches that cannot be used: the error says where and what next, and the file stays as it is.

use std::fs;
use std::path::{Path, PathBuf};
#[cfg(unix)]
use std::process::Command;

use msal_token_cache::{FilePersistence, TokenCache};
use shared_token_cache_credential::{
    Error, ErrorKind, SharedTokenCacheCredential, TokenCachePersistenceOptions, TokenRequestOptions,
};
use test_support::logs;

use super::home;
#[cfg(unix)]
use super::rerun::as_ordinary_user;
use super::rerun::{is_rerun, rerun, set_mode, this_binary};
use super::{ARM, PATIENCE, Stage, ask, text, token};

/// The text of the error for a cache that cannot be used.
#[track_caller]
fn unavailable(error: &Error, place: &Path, next: &str) {
    let text = text(error);
    assert_eq!(error.kind(), ErrorKind::CredentialUnavailable, "{text}");
    assert!(text.contains(&*place.to_string_lossy()), "{text}");
    assert!(text.contains(next), "{text}");
}

/// What stands in a folder.
fn listing(folder: &Path) -> Vec<(String, Option<Vec<u8>>)> {
    let mut listing: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            let name = entry.file_name().to_string_lossy().into_owned();
            let is_file = entry.file_type().unwrap().is_file();
            (name, is_file.then(|| fs::read(entry.path()).unwrap()))
        })
        .collect();
    listing.sort();
    listing
}

#[tokio::test]
async fn content_that_is_no_cache_is_left_as_it_is() {
    let stage = Stage::new();
    let secret = logs::canary("content");
    let torn = stage.cache_with_token(3600).to_json();
    let dpapi = [&b"\x01\0\0\0\xd0\x8c\x9d\xdf"[..], secret.as_bytes()].concat();
    let jwe = format!("eyJhbGciOiJkaXIifQ..aXY.{secret}.dGFn").into_bytes();
    for (content, next) in [
        (vec![], "sign in with a developer tool"),
        (b"{}".to_vec(), "sign in with a developer tool"),
        (
            br#"{"RefreshToken":[],"Account":7}"#.to_vec(),
            "sign in with",
        ),
        (jwe, "whose token cache can be read here"),
        (dpapi, "whose token cache can be read here"),
        (torn.as_bytes()[..torn.len() / 2].to_vec(), "sign in again"),
        (format!("[\"{secret}\"]").into_bytes(), "sign in again"),
        (format!("\"{secret}\"").into_bytes(), "sign in again"),
        (b"null".to_vec(), "sign in again"),
        (b"\0\0\0\0".to_vec(), "sign in again"),
        (vec![0xff; 40], "sign in again"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("msal.cache.nocae");
        fs::write(&path, &content).unwrap();
        set_mode(&path, 0o600);
        let before = listing(folder.path());
        let credential = stage.credential(FilePersistence::new(&path));
        for options in [TokenRequestOptions::default(), super::challenge()] {
            let error = super::ask_with(&credential, &options).await.unwrap_err();
            unavailable(&error, &path, next);
        }
        assert_eq!(listing(folder.path()), before);
    }
    assert_eq!(stage.entra.connections(), 0);
}

#[cfg(unix)]
#[tokio::test]
async fn what_is_no_file_is_not_waited_for() {
    let stage = Stage::new();
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name);
    fs::create_dir(place("folder")).unwrap();
    std::os::unix::fs::symlink(place("nowhere"), place("link")).unwrap();
    std::os::unix::net::UnixListener::bind(place("socket")).unwrap();
    let fifo = Command::new("mkfifo").arg(place("fifo")).status();
    assert!(fifo.expect("mkfifo is needed: install coreutils").success());
    let before = listing(folder.path());
    for name in ["folder", "link", "socket", "fifo"] {
        let credential = stage.credential(FilePersistence::new(place(name)));
        let error = ask(&credential).await.unwrap_err();
        unavailable(&error, &place(name), "make it a file that this user owns");
    }
    let missing = place("none/msal.cache.nocae");
    let credential = stage.credential(FilePersistence::new(&missing));
    let error = ask(&credential).await.unwrap_err();
    unavailable(&error, &missing, "is missing or holds no account");
    assert_eq!(listing(folder.path()), before);
    assert_eq!(stage.entra.connections(), 0);
}

#[tokio::test]
async fn a_cache_that_is_too_large_is_not_read() {
    let stage = Stage::new();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache");
    let mib = 1024 * 1024;
    let size = 16 * mib + 1;
    fs::File::create(&path).unwrap().set_len(size).unwrap();
    let limited = FilePersistence::new(&path).with_max_bytes(mib);
    for (store, limit) in [
        (FilePersistence::new(&path), "16777216 bytes"),
        (limited, "1048576 bytes"),
    ] {
        let error = ask(&stage.credential(store)).await.unwrap_err();
        unavailable(&error, &path, limit);
        unavailable(&error, &path, "with_max_bytes");
    }
    assert_eq!(fs::metadata(&path).unwrap().len(), size);
    assert_eq!(listing(folder.path()).len(), 1);
    assert_eq!(stage.entra.connections(), 0);
}

#[cfg(unix)]
#[test]
fn an_unreadable_cache_is_unavailable() {
    as_ordinary_user(
        "credential::bad_caches::an_unreadable_cache_is_unavailable",
        || {
            let stage = Stage::new();
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("cache");
            stage.cache_with_token(3600).write_to(&path);
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            let ask = || {
                let credential = stage.credential(FilePersistence::new(&path));
                runtime.block_on(async { ask(&credential).await })
            };
            for (file, closed, open) in [(&*path, 0, 0o600), (folder.path(), 0, 0o700)] {
                set_mode(file, closed);
                let error = ask().unwrap_err();
                set_mode(file, open);
                unavailable(&error, &path, "may read");
            }
            assert!(ask().is_ok());
            assert_eq!(listing(folder.path()).len(), 1);
            assert_eq!(stage.entra.connections(), 0);
        },
    );
}

/// The default cache, for which only the environment says where it is.
#[test]
fn the_home_folder_says_where_the_cache_is() {
    const TEST: &str = "credential::bad_caches::the_home_folder_says_where_the_cache_is";
    if is_rerun() {
        return look_into_the_home_folder();
    }
    let users = tempfile::tempdir().unwrap();
    fs::create_dir(users.path().join(".IdentityService")).unwrap();
    let stage = Stage::new();
    for name in [
        "msal.cache.nocae",
        "msal.cache.cae",
        "mine.nocae",
        "mine.cae",
    ] {
        let secret = logs::canary(name);
        let cache = stage.cache().access_token(&stage.ada, token(&secret, 3600));
        home::write(&home::path(users.path(), name), &cache);
    }
    let elsewhere = tempfile::tempdir().unwrap();
    for (folder, expected) in [
        (Some(users.path()), "found"),
        (Some(elsewhere.path()), "missing"),
        (None, "no home"),
        (Some(Path::new("")), "no home"),
        (Some(Path::new("relative")), "no home"),
    ] {
        let mut command = this_binary();
        home::clear_environment(&mut command);
        command.env("EXPECTED", expected);
        command.env("AUTHORITY", stage.entra.authority());
        if let Some(folder) = folder {
            command.env(home::VARIABLE, folder);
        }
        rerun(command, TEST);
    }
    assert_eq!(listing(elsewhere.path()), []);
    assert_eq!(stage.entra.connections(), 0);
}

fn in_home(name: &str) -> PathBuf {
    let folder = std::env::var(home::VARIABLE).unwrap();
    home::path(Path::new(&folder), name)
}

fn look_into_the_home_folder() {
    let stage = Stage::new();
    let expected = std::env::var("EXPECTED").unwrap();
    let named = TokenCachePersistenceOptions::default().with_name("mine");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    for (name, options) in [
        ("msal.cache", None),
        (
            "mine",
            Some(named.clone().with_allow_unencrypted_storage(true)),
        ),
    ] {
        let mut builder = SharedTokenCacheCredential::builder()
            .authority(std::env::var("AUTHORITY").unwrap())
            .clock(stage.clock.clone());
        if let Some(options) = options {
            builder = builder.cache_persistence_options(options);
        }
        let credential = builder.build().unwrap();
        for (suffix, enable_cae) in [("nocae", false), ("cae", true)] {
            let options = TokenRequestOptions::default().with_enable_cae(enable_cae);
            let asking = async {
                let asking = credential.get_token(&[ARM], &options);
                tokio::time::timeout(PATIENCE, asking).await.unwrap()
            };
            let token = runtime.block_on(asking);
            let shown = format!("{name}.{suffix}");
            match (&*expected, token) {
                ("found", Ok(token)) => {
                    let content = home::read(&in_home(&shown));
                    assert!(content.contains(token.token().expose_secret()));
                }
                ("missing", Err(error)) => {
                    unavailable(&error, &in_home(&shown), "sign in with a developer tool");
                }
                ("no home", Err(error)) => {
                    let next = format!("set {} to an absolute path", home::VARIABLE);
                    unavailable(&error, Path::new(&shown), &next);
                }
                (_, result) => panic!("{shown}: {result:?}"),
            }
        }
    }
    if cfg!(not(windows)) && expected != "no home" {
        plain_text_has_to_be_allowed(named);
    }
}

/// Where a choice was made.
fn plain_text_has_to_be_allowed(named: TokenCachePersistenceOptions) {
    let credential = SharedTokenCacheCredential::builder().cache_persistence_options(named);
    let options = TokenRequestOptions::default();
    let asking = credential.build().unwrap();
    let error = super::at_once(asking.get_token(&[ARM], &options)).unwrap_err();
    unavailable(&error, Path::new(""), "with_allow_unencrypted_storage");
}

/// Nothing is written where a section that has to be written is malformed.
#[tokio::test]
async fn a_malformed_section_is_not_written_over() {
    let stage = Stage::new();
    let cache = stage.cache().to_json();
    let cache = cache.replacen('{', r#"{"AccessToken": ["kept"], "#, 1);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache");
    fs::write(&path, &cache).unwrap();
    let store = TokenCache::new(FilePersistence::new(&path));
    let credential = stage.builder().token_cache(store).build().unwrap();
    let first = ask(&credential).await.unwrap();
    let second = ask(&credential).await.unwrap();
    assert_eq!(
        first.token().expose_secret(),
        second.token().expose_secret()
    );
    assert_eq!(stage.entra.request_count(), 1);
    assert_eq!(stage.warnings("the section AccessToken"), 1);
    assert_eq!(fs::read_to_string(&path).unwrap(), cache);
}
