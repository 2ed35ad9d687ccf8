//! Which store the default options lead to, in a process with such an environment.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use shared_token_cache_credential::{
    ErrorKind, HyperTokenEndpoint, SharedTokenCacheCredential, TokenCachePersistenceOptions,
};
use test_support::{CacheBuilder, FakeAccount};

use super::{ARM, Stage, VAULT, ask};

/// What the process of its own asks: with which options, for which token.
const OPTIONS: &str = "TEST_OPTIONS";

/// Asks in a process of its own, and returns what that says.
async fn ask_elsewhere(stage: &Stage, options: &str, bus_address: &str) -> String {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args([
            "--exact",
            "choice::asker",
            "--nocapture",
            "--test-threads=1",
        ])
        .env("HOME", stage.desktop.home())
        .env("XDG_RUNTIME_DIR", stage.desktop.home().join("run"))
        .env("DBUS_SESSION_BUS_ADDRESS", bus_address)
        .env(OPTIONS, options)
        .env("TEST_AUTHORITY", stage.entra.authority())
        .env("TEST_ROOTS", stage.entra.root_pem());
    let output = tokio::task::spawn_blocking(move || command.output().unwrap());
    let output = output.await.unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let answer = said.lines().find_map(|line| line.strip_prefix("answer: "));
    answer
        .unwrap_or_else(|| panic!("{said}{}", String::from_utf8_lossy(&output.stderr)))
        .to_owned()
}

/// Where the process of its own begins. Before, it is that a home without a cache is a cache without
/// accounts.
#[allow(clippy::print_stdout, reason = "it reports by printing")]
#[tokio::test(flavor = "multi_thread")]
async fn asker() {
    let Ok(options) = std::env::var(OPTIONS) else {
        let stage = Stage::new().await;
        let answer = ask_elsewhere(&stage, "default", &stage.desktop.address()).await;
        assert_eq!(
            answer,
            format!(
                "the token cache msal.cache.nocae in the Secret Service is missing or holds no \
                 account with a refresh token for {}: sign in with a developer tool that keeps \
                 its token cache there",
                host(&stage)
            )
        );
        assert!(!stage.desktop.signal_file().exists());
        return;
    };
    let pem = std::env::var("TEST_ROOTS").unwrap();
    let endpoint = HyperTokenEndpoint::with_extra_root_certificates(pem.as_bytes()).unwrap();
    let mut builder = SharedTokenCacheCredential::builder()
        .authority(std::env::var("TEST_AUTHORITY").unwrap())
        .token_endpoint(endpoint.without_proxy());
    let explicit = TokenCachePersistenceOptions::default();
    builder = match &*options {
        "default" => builder,
        "explicit" => builder.cache_persistence_options(explicit),
        "plain" => builder.cache_persistence_options(explicit.with_allow_unencrypted_storage(true)),
        other => panic!("{other}"),
    };
    let credential = builder.build().unwrap();
    let answer = match ask(&credential, ARM).await {
        Ok(token) => {
            // What is redeemed goes where the cache is.
            ask(&credential, VAULT).await.unwrap();
            credential.close().await.unwrap();
            format!("a token of {} bytes", token.token().expose_secret().len())
        }
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::CredentialUnavailable);
            error.to_string()
        }
    };
    println!("\nanswer: {answer}");
}

/// Puts a cache in plain text in this person's home.
fn plain_text(stage: &Stage, person: &FakeAccount) {
    let path = stage.desktop.signal_file();
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, stage.cache_of(person)).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
}

/// The authority, as messages name it.
fn host(stage: &Stage) -> String {
    stage.entra.authority().replacen("https://", "", 1)
}

fn content(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

const NO_BUS: &str = "unix:path=/nonexistent/bus";
const VAULTS: &str = "vault.azure.net";

#[tokio::test(flavor = "multi_thread")]
async fn plain_text_is_used_and_written_where_there_is_no_keyring_or_no_item() {
    for has_bus in [false, true] {
        for options in ["default", "plain"] {
            let stage = Stage::new().await;
            plain_text(&stage, &stage.ada);
            let bus = if has_bus {
                stage.desktop.address()
            } else {
                NO_BUS.to_owned()
            };
            let answer = ask_elsewhere(&stage, options, &bus).await;
            assert!(answer.starts_with("a token of "), "{answer}");
            assert!(content(&stage.desktop.signal_file()).contains(VAULTS));
            assert_eq!(stage.desktop.item_count().await, 0);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn explicit_options_do_not_use_plain_text() {
    let stage = Stage::new().await;
    plain_text(&stage, &stage.ada);
    let before = content(&stage.desktop.signal_file());
    assert_eq!(
        ask_elsewhere(&stage, "explicit", NO_BUS).await,
        "the token cache cannot be used: msal.cache.nocae in the Secret Service cannot be read: \
         no D-Bus session answers; run this in the user's session, where \
         DBUS_SESSION_BUS_ADDRESS is set, or allow plain text with \
         TokenCachePersistenceOptions::with_allow_unencrypted_storage"
    );
    let path = stage.desktop.signal_file();
    assert_eq!(
        ask_elsewhere(&stage, "explicit", &stage.desktop.address()).await,
        format!(
            "the token cache msal.cache.nocae in the Secret Service (the plain text in {} is not \
             used) is missing or holds no account with a refresh token for {}: sign in with a \
             developer tool that keeps its token cache there",
            path.display(),
            host(&stage)
        )
    );
    assert_eq!(content(&path), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_item_wins_over_plain_text() {
    for options in ["default", "explicit", "plain"] {
        let stage = Stage::new().await;
        let bob = FakeAccount::new("bob@contoso.example");
        plain_text(&stage, &bob);
        let before = content(&stage.desktop.signal_file());
        stage.desktop.put(&stage.cache_of(&stage.ada), &[]).await;
        let answer = ask_elsewhere(&stage, options, &stage.desktop.address()).await;
        assert!(answer.starts_with("a token of "), "{answer}");
        let [(_, item)] = &stage.desktop.items().await[..] else {
            panic!("not one item")
        };
        assert!(item.contains(VAULTS) && item.contains(&stage.ada.username));
        assert_eq!(content(&stage.desktop.signal_file()), before);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_keyring_that_is_locked_is_not_passed_by() {
    let stage = Stage::new().await;
    plain_text(&stage, &stage.ada);
    stage.desktop.put(&stage.cache_of(&stage.ada), &[]).await;
    stage.desktop.lock().await;
    let answer = ask_elsewhere(&stage, "default", &stage.desktop.address()).await;
    assert!(answer.contains("the keyring is locked"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_of_plain_text_names_why_it_is_used() {
    let stage = Stage::new().await;
    let path = stage.desktop.signal_file();
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, CacheBuilder::new().to_json()).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    for (bus, because) in [
        (NO_BUS.to_owned(), "no D-Bus session answers"),
        (
            stage.desktop.address(),
            "there is no msal.cache.nocae in the Secret Service",
        ),
    ] {
        assert_eq!(
            ask_elsewhere(&stage, "default", &bus).await,
            format!(
                "the token cache {} (in plain text, because {because}) is missing or holds no \
                 account with a refresh token for {}: sign in with a developer tool that keeps \
                 its token cache there",
                path.display(),
                host(&stage)
            )
        );
    }
}
