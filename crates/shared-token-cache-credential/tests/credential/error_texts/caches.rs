//! Caches that cannot be used, and caches without the account that is meant.

use std::fs;
#[cfg(unix)]
use std::os::unix::fs::symlink;
use std::path::Path;
#[cfg(unix)]
use std::process::Command;

use msal_token_cache::{FilePersistence, TokenCache};
use serde_json::json;
use shared_token_cache_credential::ErrorKind::CredentialUnavailable;
use shared_token_cache_credential::{
    AuthenticationRecord, Error, SharedTokenCacheCredential, TokenCachePersistenceOptions,
    TokenRequestOptions,
};
use test_support::{CacheBuilder, FakeAccount, PanickingStore, logs};

use super::super::rerun::set_mode;
use super::super::{ARM, CLI, HOST, Stage, ask, at_once, holding};
use super::requests::run;
use super::{Provoked, Row, Surroundings};

pub(super) fn rows() -> Vec<Row> {
    [
        nowhere(),
        #[cfg(all(target_os = "linux", feature = "secret-service"))]
        no_keyring(),
        foreign_or_torn(),
        unreadable(),
        #[cfg(unix)]
        unreadable_on_unix(),
        #[cfg(unix)]
        no_files(),
        no_account(),
        no_refresh_token(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn unavailable<P: Into<Provoked>>(
    text: &'static str,
    place: &'static str,
    next: &'static str,
    provoke: impl Fn(&Stage) -> P + 'static,
) -> Row {
    Row::new(CredentialUnavailable, text, place, next, provoke)
}

/// What comes of the default cache.
fn of_options(options: Option<TokenCachePersistenceOptions>) -> Error {
    let mut builder = SharedTokenCacheCredential::builder();
    if let Some(options) = options {
        builder = builder.cache_persistence_options(options);
    }
    let credential = builder.build().unwrap();
    at_once(credential.get_token(&[ARM], &TokenRequestOptions::default())).unwrap_err()
}

/// Caches that cannot be looked for.
#[cfg(unix)]
fn nowhere() -> Vec<Row> {
    vec![
        unavailable(
            "the token cache msal.cache.nocae cannot be looked for, because there is no home \
             folder: set HOME to an absolute path, or give a cache with the builder's token_cache",
            "the token cache msal.cache.nocae",
            "set HOME to an absolute path, or give a cache with the builder's token_cache",
            |_| of_options(None),
        )
        .within(Surroundings::NoHome),
    ]
}

/// The default cache, without a keyring.
#[cfg(all(target_os = "linux", feature = "secret-service"))]
fn no_keyring() -> Vec<Row> {
    let rows = [
        unavailable(
            "the token cache cannot be used: mine.nocae in the Secret Service cannot be read: no \
             D-Bus session answers; run this in the user's session, where \
             DBUS_SESSION_BUS_ADDRESS is set, or allow plain text with \
             TokenCachePersistenceOptions::with_allow_unencrypted_storage",
            "mine.nocae in the Secret Service",
            "allow plain text with TokenCachePersistenceOptions::with_allow_unencrypted_storage",
            |_| {
                let options = TokenCachePersistenceOptions::default().with_name("mine");
                Provoked::from(of_options(Some(options))).with_cause()
            },
        ),
        unavailable(
            "the token cache {home}/.IdentityService/msal.cache.nocae (in plain text, because \
             no D-Bus session answers) is missing or holds no account with a refresh token for login.microsoftonline.com: sign in with a \
             developer tool that keeps its token cache there",
            "{home}/.IdentityService/msal.cache.nocae",
            "sign in with a developer tool that keeps its token cache there",
            |_| Provoked::from(of_options(None)).with("home", std::env::var("HOME").unwrap()),
        ),
    ];
    rows.map(|row| row.within(Surroundings::NoCache)).into()
}

#[cfg(windows)]
fn nowhere() -> Vec<Row> {
    vec![
        unavailable(
            "the token cache msal.cache.nocae cannot be looked for, because there is no folder for \
             it: set LOCALAPPDATA to an absolute path, or give a cache with the builder's token_cache",
            "the token cache msal.cache.nocae",
            "set LOCALAPPDATA to an absolute path, or give a cache with the builder's token_cache",
            |_| of_options(None),
        )
        .within(Surroundings::NoHome),
    ]
}

/// What comes of a cache at this path.
fn at_path(stage: &Stage, path: &Path) -> Provoked {
    let credential = stage.credential(FilePersistence::new(path));
    let error = run(ask(&credential)).unwrap_err();
    Provoked::from(error)
        .with("path", path.to_str().unwrap())
        .with_cause()
}

/// What comes of a file with this content.
fn of_content(stage: &Stage, content: impl AsRef<[u8]>) -> Provoked {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("msal.cache");
    fs::write(&path, content).unwrap();
    set_mode(&path, 0o600);
    at_path(stage, &path)
}

/// Content that is no cache of ours.
fn foreign_or_torn() -> Vec<Row> {
    let foreign = |text, content: fn(&str) -> Vec<u8>| {
        let next = "sign in with a developer tool whose token cache can be read here, or \
                    give another one with the builder's token_cache";
        unavailable(text, "{path}", next, move |stage| {
            of_content(stage, content(&logs::canary("foreign content")))
        })
    };
    let torn = |text, content: fn(&str) -> Vec<u8>| {
        let next = "sign in again with the tool that wrote it, or move it away";
        unavailable(text, "{path}", next, move |stage| {
            let whole = stage.cache_with_token(3600).to_json();
            of_content(stage, content(&whole))
        })
    };
    vec![
        foreign(
            "the token cache cannot be used: {path} holds a cache that the Azure SDK for Go \
             encrypted (JWE); it is left as it is; sign in with a developer tool whose \
             token cache can be read here, or give another one with the builder's token_cache",
            |secret| format!("eyJhbGciOiJkaXIifQ..aXY.{secret}.dGFn").into(),
        ),
        foreign(
            "the token cache cannot be used: {path} holds a cache that Windows encrypted for one \
             user (DPAPI); it is left as it is; sign in with a developer tool whose token \
             cache can be read here, or give another one with the builder's token_cache",
            |secret| [b"\x01\0\0\0\xd0\x8c\x9d\xdf", secret.as_bytes()].concat(),
        ),
        foreign(
            "the token cache cannot be used: {path} holds a cache that the Azure Developer CLI \
             encrypted (DPAPI); it is left as it is; sign in with a developer tool whose \
             token cache can be read here, or give another one with the builder's token_cache",
            |secret| format!(r#"{{"type":"CryptProtectData","data":"{secret}"}}"#).into(),
        ),
        torn(
            "the token cache cannot be used: {path} is not a token cache (not JSON at line 1, column 51); it is left as \
             it is: sign in again with the tool that wrote it, or move it away",
            |_| format!("{{\"a\":\"{}", logs::canary("torn content")).into(),
        ),
        torn(
            "the token cache cannot be used: {path} is not a token cache (not a JSON \
             object); it is left as it is: sign in again with the tool that wrote it, or move it \
             away",
            |whole| format!("[{whole}]").into(),
        ),
        torn(
            "the token cache cannot be used: {path} is not a token cache (not UTF-8 text); it is \
             left as it is: sign in again with the tool that wrote it, or move it away",
            |whole| [whole.as_bytes(), b"\xff"].concat(),
        ),
    ]
}

/// Files that cannot be read.
fn unreadable() -> Vec<Row> {
    vec![
        unavailable(
            "the token cache cannot be used: {path} is larger than 1024 bytes; it was not read \
             (FilePersistence::with_max_bytes sets the limit)",
            "{path}",
            "FilePersistence::with_max_bytes sets the limit",
            |stage| {
                let file = tempfile::NamedTempFile::new().unwrap();
                file.as_file().set_len(1025).unwrap();
                let store = FilePersistence::new(file.path()).with_max_bytes(1024);
                let error = run(ask(&stage.credential(store))).unwrap_err();
                Provoked::from(error).with("path", file.path().to_str().unwrap())
            },
        ),
        unavailable(
            "the token cache cannot be used: the runtime shut down before {path} was read or \
             written: call from within one that runs",
            "{path}",
            "call from within one that runs",
            |stage| {
                let file = tempfile::NamedTempFile::new().unwrap();
                fs::write(file.path(), "{").unwrap();
                let credential = stage.credential(FilePersistence::new(file.path()));
                let runtime = tokio::runtime::Runtime::new().unwrap();
                let handle = runtime.handle().clone();
                drop(runtime);
                let options = TokenRequestOptions::default();
                let error = handle.block_on(credential.get_token(&[ARM], &options));
                let path = file.path().to_str().unwrap();
                Provoked::from(error.unwrap_err()).with("path", path)
            },
        ),
        unavailable(
            "the token cache cannot be used: the store of a test panicked in `load`: correct this \
             implementation of Persistence, or use another store",
            "the store of a test",
            "correct this implementation of Persistence, or use another store",
            |stage| {
                let store = PanickingStore::new(holding(&stage.cache()), "load");
                run(ask(&stage.credential(store))).unwrap_err()
            },
        ),
    ]
}

/// The same, where files have modes and there is `/proc`.
#[cfg(unix)]
fn unreadable_on_unix() -> Vec<Row> {
    vec![
        // It has content, and says that it has none.
        unavailable(
            "the token cache cannot be used: {path} changed while it was read: try again",
            "{path}",
            "try again",
            |stage| at_path(stage, Path::new("/proc/self/status")),
        ),
        unavailable(
            "the token cache cannot be used: opening {path} failed: {cause}; make it a file that \
             this user owns and may read",
            "opening {path} failed: {cause}",
            "make it a file that this user owns and may read",
            |stage| {
                let file = tempfile::NamedTempFile::new().unwrap();
                set_mode(file.path(), 0);
                at_path(stage, file.path())
            },
        )
        .within(Surroundings::OrdinaryUser),
        unavailable(
            "the token cache cannot be used: opening {path} failed: {cause}; make it a file that \
             this user owns and may read",
            "opening {path} failed: {cause}",
            "make it a file that this user owns and may read",
            |stage| {
                let folder = tempfile::tempdir().unwrap();
                set_mode(folder.path(), 0);
                let provoked = at_path(stage, &folder.path().join("cache"));
                set_mode(folder.path(), 0o700);
                provoked
            },
        )
        .within(Surroundings::OrdinaryUser),
    ]
}

/// What stands there and is no file of one's own.
#[cfg(unix)]
fn no_files() -> Vec<Row> {
    let own = "make it a file that this user owns and may read";
    let put = "put the file itself there";
    let in_folder = |text, next, make: fn(&Path)| {
        unavailable(text, "{path}", next, move |stage| {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("cache");
            make(&path);
            at_path(stage, &path)
        })
    };
    vec![
        in_folder(
            "the token cache cannot be used: {path} is a folder, not a regular file; make it a \
             file that this user owns and may read",
            own,
            |path| fs::create_dir(path).unwrap(),
        ),
        in_folder(
            "the token cache cannot be used: {path} is a FIFO, not a regular file; make it a file \
             that this user owns and may read",
            own,
            |path| {
                let status = Command::new("mkfifo").arg(path).status();
                assert!(
                    status
                        .expect("mkfifo is needed: install coreutils")
                        .success()
                );
            },
        ),
        in_folder(
            "the token cache cannot be used: {path} is a symbolic link that is not followed, \
             because its target cannot be found; put the file itself there; make it a file that \
             this user owns and may read",
            put,
            |path| symlink("nowhere", path).unwrap(),
        ),
        in_folder(
            "the token cache cannot be used: {path} is a symbolic link that is not followed, \
             because its target is a link too; put the file itself there; make it a file that this \
             user owns and may read",
            put,
            |path| {
                symlink("nowhere", path.with_extension("link")).unwrap();
                symlink("cache.link", path).unwrap();
            },
        ),
        in_folder(
            "the token cache cannot be used: {path} is a symbolic link that is not followed, \
             because others can write to a folder on the way; put the file itself there; make it a \
             file that this user owns and may read",
            put,
            |path| {
                fs::write(path.with_extension("file"), "{}").unwrap();
                symlink("cache.file", path).unwrap();
                set_mode(path.parent().unwrap(), 0o777);
            },
        ),
        in_folder(
            "the token cache cannot be used: {path} is a symbolic link that is not followed, \
             because its target belongs to another user; put the file itself there; make it a file \
             that this user owns and may read",
            put,
            |path| symlink("/proc/1/status", path).unwrap(),
        )
        .within(Surroundings::OrdinaryUser),
        unavailable(
            "the token cache cannot be used: {path} belongs to another user; make it a file that \
             this user owns and may read",
            "{path} belongs to another user",
            own,
            |stage| at_path(stage, Path::new("/etc/passwd")),
        )
        .within(Surroundings::OrdinaryUser),
    ]
}

/// The tenant is meant by a domain name that no ID token has.
fn of_domain() -> Row {
    unavailable(
        "no account in the token cache memory matches tenant contoso.example, and no ID token \
         in it tells the tenant's ID: give the builder's tenant_id the ID, a GUID, or sign in \
         with that account",
        "the token cache memory matches tenant contoso.example",
        "give the builder's tenant_id the ID, a GUID, or sign in with that account",
        |stage| {
            let builder = stage.builder().tenant_id("contoso.example");
            let cache = TokenCache::new(holding(&stage.cache()));
            let credential = builder.token_cache(cache).build().unwrap();
            run(ask(&credential)).unwrap_err()
        },
    )
}

fn no_account() -> Vec<Row> {
    let none = "the token cache {path} is missing or holds no account with a refresh token for \
                {host}: sign in with a developer tool that keeps its token cache there";
    let sign_in = "sign in with a developer tool that keeps its token cache there";
    vec![
        unavailable(none, "{path}", sign_in, |stage| {
            let folder = tempfile::tempdir().unwrap();
            at_path(stage, &folder.path().join("msal.cache"))
        }),
        unavailable(none, "{path}", sign_in, |stage| of_content(stage, "")),
        unavailable(none, "{path}", sign_in, |stage| {
            of_content(stage, r#"{"Account": 7, "RefreshToken": []}"#)
        }),
        unavailable(
            "no account in the token cache memory matches username bob@contoso.example tenant \
             {tenant}: correct it, or sign in with that account",
            "the token cache memory matches username bob@contoso.example tenant {tenant}",
            "correct it, or sign in with that account",
            |stage| {
                let builder = stage.builder().username("bob@contoso.example");
                let builder = builder.tenant_id(&stage.ada.utid);
                let cache = TokenCache::new(holding(&stage.cache()));
                let credential = builder.token_cache(cache).build().unwrap();
                run(ask(&credential)).unwrap_err()
            },
        ),
        of_domain(),
        unavailable(
            "several accounts in the token cache memory match: ada@contoso.example (tenant \
             {tenant}), an account without a name (tenant unknown); say which with the builder's \
             username and tenant_id",
            "the token cache memory match",
            "say which with the builder's username and tenant_id",
            |stage| {
                let nobody = FakeAccount::new("nobody@contoso.example");
                let secret = logs::canary("refresh token");
                let cache = stage
                    .cache()
                    .account(&nobody, HOST, "")
                    .without("username")
                    .with("home_account_id", json!("nobody"))
                    .refresh_token(&nobody, HOST, CLI, &secret, None)
                    .with("home_account_id", json!("nobody"));
                run(ask(&stage.credential(holding(&cache)))).unwrap_err()
            },
        ),
        unavailable(
            "several accounts in the token cache memory match tenant {tenant}: \
             ada@contoso.example (tenant {tenant}), eve@contoso.example (tenant {tenant}); say \
             which with the builder's username and tenant_id",
            "the token cache memory match tenant {tenant}",
            "say which with the builder's username and tenant_id",
            |stage| {
                let eve = FakeAccount::new("eve@contoso.example");
                let secret = logs::canary("refresh token");
                let cache = stage.cache().signed_in(&eve, HOST, CLI, &secret);
                let builder = stage.builder().tenant_id(&eve.utid);
                let cache = TokenCache::new(holding(&cache));
                let credential = builder.token_cache(cache).build().unwrap();
                run(ask(&credential)).unwrap_err()
            },
        ),
        unavailable(
            "several accounts in the token cache memory match: {accounts} and 2 more; say which \
             with the builder's username and tenant_id",
            "several accounts in the token cache memory match: {accounts} and 2 more",
            "say which with the builder's username and tenant_id",
            |stage| {
                let names = (0..12).map(|n| format!("user{n:02}@contoso.example"));
                let accounts: Vec<_> = names.map(|name| FakeAccount::new(&name)).collect();
                let cache = accounts.iter().fold(CacheBuilder::new(), |cache, account| {
                    cache.signed_in(account, HOST, CLI, &logs::canary("refresh token"))
                });
                let listed = accounts.iter().take(10);
                let listed = listed.map(|a| format!("{} (tenant {})", a.username, a.utid));
                let listed: Vec<_> = listed.collect();
                let error = run(ask(&stage.credential(holding(&cache)))).unwrap_err();
                Provoked::from(error).with("accounts", listed.join(", "))
            },
        ),
        unavailable(
            "no account in the token cache memory matches the authentication record of \
             bob@fabrikam.example (u.t): correct it, or sign in with that account",
            "the token cache memory matches the authentication record of bob@fabrikam.example",
            "correct it, or sign in with that account",
            |stage| of_record(stage, "u.t", "bob@fabrikam.example", &stage.cache()),
        ),
    ]
}

/// Accounts without a refresh token that may be redeemed.
fn no_refresh_token() -> Vec<Row> {
    vec![
        unavailable(
            "ada@contoso.example in the token cache memory is of AD FS, which is not supported: \
             sign in with an account of Microsoft Entra",
            "ada@contoso.example in the token cache memory",
            "sign in with an account of Microsoft Entra",
            |stage| {
                let secret = logs::canary("refresh token");
                let cache = CacheBuilder::new()
                    .account(&stage.ada, HOST, "adfs")
                    .with("authority_type", json!("ADFS"))
                    .refresh_token(&stage.ada, HOST, CLI, &secret, None);
                run(ask(&stage.credential(holding(&cache)))).unwrap_err()
            },
        ),
        unavailable(
            "the token cache memory holds no refresh token of ada@contoso.example for {host}: sign \
             in again with a developer tool that keeps its token cache there",
            "the token cache memory holds no refresh token of ada@contoso.example for {host}",
            "sign in again with a developer tool that keeps its token cache there",
            |stage| {
                let cache = CacheBuilder::new().account(&stage.ada, HOST, &stage.ada.utid);
                let id = stage.ada.home_account_id();
                of_record(stage, &id, &stage.ada.username, &cache)
            },
        ),
        unavailable(
            "the token cache memory holds no refresh token of the account for {host}: sign in \
             again with a developer tool that keeps its token cache there",
            "the token cache memory holds no refresh token of the account for {host}",
            "sign in again with a developer tool that keeps its token cache there",
            |stage| {
                let cache = CacheBuilder::new().account(&stage.ada, HOST, &stage.ada.utid);
                let cache = cache.without("username");
                of_record(stage, &stage.ada.home_account_id(), "", &cache)
            },
        ),
    ]
}

/// What the owner of a record gets from this cache.
fn of_record(stage: &Stage, id: &str, username: &str, cache: &CacheBuilder) -> Error {
    let json = json!({
        "authority": stage.entra.authority(), "clientId": CLI, "homeAccountId": id,
        "tenantId": "organizations", "username": username, "version": "1.0",
    });
    let record = AuthenticationRecord::deserialize(&json.to_string()).unwrap();
    let builder = stage.builder().authentication_record(record);
    let cache = TokenCache::new(holding(cache));
    let credential = builder.token_cache(cache).build().unwrap();
    run(ask(&credential)).unwrap_err()
}
