//! Where the item is and where it is put, and from where the store may be called.

use std::time::Duration;

use msal_token_cache::{ErrorKind, Freshness, Persistence, TokenCache};
use tokio::runtime::{Builder, Runtime};

use super::{ARM, Stage, VAULT, ask};

/// A save, off the executor.
async fn save(store: impl Persistence + 'static, content: &str) -> msal_token_cache::Result<()> {
    let content = content.to_owned();
    tokio::task::spawn_blocking(move || {
        let _lock = store.lock()?;
        store.save(content.as_bytes()).map(drop)
    })
    .await
    .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn opening_and_reading_leave_nothing_behind() {
    let stage = Stage::new().await;
    let cache = TokenCache::new(stage.store());
    assert_eq!(
        cache
            .snapshot_with_async(Freshness::Latest)
            .await
            .unwrap()
            .accounts()
            .count(),
        0
    );
    assert!(cache.is_encrypted());
    assert_eq!(stage.desktop.item_count().await, 0);
    assert!(!stage.desktop.signal_file().exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_item_in_another_keyring_is_found_and_stays_there() {
    let stage = Stage::new().await;
    let other = stage.desktop.make_keyring("another", "its password").await;
    let content = stage.cache_of(&stage.ada);
    let path = stage.desktop.put_into(other.clone(), &content, &[]).await;
    assert!(path.starts_with(&format!("{other}/")), "{path}");
    let credential = stage.credential(stage.store());
    ask(&credential, ARM).await.unwrap();
    ask(&credential, VAULT).await.unwrap();
    assert_eq!(stage.entra.request_count(), 1);
    credential.close().await.unwrap();
    let [(still, content)] = &stage.desktop.items().await[..] else {
        panic!("not one item")
    };
    assert_eq!(still, &path);
    assert!(content.contains("vault.azure.net"));
}

/// A keyring without a password is one that gnome-keyring unlocks without a prompt. It keeps it as
/// text, and cannot read it again when a secret has several lines.
#[tokio::test(flavor = "multi_thread")]
async fn what_may_be_unlocked_is_read_and_written_and_survives_the_daemon() {
    let mut stage = Stage::new().await;
    let keyring = stage.desktop.make_keyring("without a password", "").await;
    let content = stage.cache_of(&stage.ada).replace('\n', "");
    stage.desktop.put_into(keyring.clone(), &content, &[]).await;
    stage.desktop.lock_keyring(&keyring).await;
    let error = TokenCache::new(stage.store())
        .snapshot_with_async(Freshness::Latest)
        .await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::KeyringLocked);

    let store = || stage.store().with_unlock_prompt(Duration::from_secs(3));
    let credential = stage.credential(store());
    ask(&credential, ARM).await.unwrap();
    stage.desktop.lock_keyring(&keyring).await;
    let token = ask(&credential, VAULT).await.unwrap();
    credential.close().await.unwrap();
    assert_eq!(stage.entra.request_count(), 1);
    let [(_, content)] = &stage.desktop.items().await[..] else {
        panic!("not one item")
    };
    assert!(content.contains(token.token().expose_secret()));

    stage.desktop.kill_keyring();
    stage.desktop.restart_keyring().await;
    let credential = stage.credential(stage.store().with_unlock_prompt(Duration::from_secs(3)));
    let again = ask(&credential, VAULT).await.unwrap();
    assert_eq!(again.token().expose_secret(), token.token().expose_secret());
    assert_eq!(stage.entra.request_count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_default_keyring_a_new_item_has_no_place() {
    let stage = Stage::new().await;
    stage.desktop.delete_default_keyring().await;
    let error = save(stage.store(), "{}").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(
        error.to_string(),
        "msal.cache.nocae in the Secret Service cannot be written: the Secret Service has no \
         default keyring; make one, with Seahorse for example"
    );
    assert!(!stage.desktop.signal_file().exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_keyring_is_not_written_to() {
    let stage = Stage::new().await;
    stage.desktop.lock().await;
    let error = save(stage.store(), "{}").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::KeyringLocked);
    let store = stage.store().with_unlock_prompt(Duration::from_secs(3));
    let error = save(store, "{}").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::KeyringLocked);
    assert!(error.to_string().contains("dismissed"), "{error}");
    stage.desktop.unlock().await;
    assert_eq!(stage.desktop.item_count().await, 0);
    save(stage.store(), "{}").await.unwrap();
    assert_eq!(stage.desktop.item_count().await, 1);
}

/// A token of which the server is asked cannot be kept in a locked keyring. It is served all the
/// same, and not asked for again.
#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_written_is_kept_in_memory() {
    let stage = Stage::new().await;
    stage.desktop.put(&stage.cache_of(&stage.ada), &[]).await;
    stage.desktop.touch();
    let credential = stage.credential(stage.store());
    ask(&credential, ARM).await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    ask(&credential, ARM).await.unwrap();
    stage.desktop.lock().await;
    let token = ask(&credential, VAULT).await.unwrap();
    for _ in 0..10 {
        let again = ask(&credential, VAULT).await.unwrap();
        assert_eq!(again.token().expose_secret(), token.token().expose_secret());
    }
    assert_eq!(stage.entra.request_count(), 1);
}

/// Runtimes of every kind, ended one after the other, and none at all.
#[test]
fn the_store_works_wherever_it_is_called_from() {
    let own = Runtime::new().unwrap();
    let stage = own.block_on(async {
        let stage = Stage::new().await;
        stage.desktop.put(&stage.cache_of(&stage.ada), &[]).await;
        stage
    });
    let cache = TokenCache::new(stage.store());
    let credential = stage.credential(stage.store());
    let look = |cache: &TokenCache| {
        stage.desktop.touch();
        assert_eq!(
            cache
                .snapshot_with(Freshness::Latest)
                .unwrap()
                .accounts()
                .count(),
            1
        );
    };
    let current_thread = || Builder::new_current_thread().enable_all().build().unwrap();
    let without_drivers = || Builder::new_current_thread().build().unwrap();
    for _ in 0..3 {
        // No runtime at all.
        look(&cache);
        for runtime in [Runtime::new().unwrap(), current_thread(), without_drivers()] {
            // On the executor: it blocks there, and says so, but it works.
            runtime.block_on(async { look(&cache) });
            // On its blocking pool, by hand and by the cache itself.
            let elsewhere = cache.clone();
            stage.desktop.touch();
            let reading = runtime
                .spawn_blocking(move || elsewhere.snapshot_with(Freshness::Latest).map(drop));
            runtime.block_on(reading).unwrap().unwrap();
            stage.desktop.touch();
            runtime
                .block_on(cache.snapshot_with_async(Freshness::Latest))
                .unwrap();
        }
        for runtime in [Runtime::new().unwrap(), current_thread()] {
            stage.desktop.touch();
            runtime.block_on(ask(&credential, ARM)).unwrap();
        }
    }
}
