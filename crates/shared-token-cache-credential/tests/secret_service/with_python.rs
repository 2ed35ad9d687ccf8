//! One item together with Microsoft's Python packages, both ways.

use msal_token_cache::Freshness;
use serde_json::Value;
use test_support::FakeAccount;
use test_support::python_peer::PythonPeer;

use super::{CACHE, CLI, Stage, ask};

const OURS: &str = "https://ours.example/.default";

fn python(stage: &Stage) -> PythonPeer {
    PythonPeer::at(stage.desktop.home()).with_keyring(stage.desktop.address())
}

/// Lets Python sign somebody in at our Entra, with a refresh token that it knows.
fn sign_in(stage: &Stage, python: &PythonPeer) -> FakeAccount {
    let authority = stage.entra.authority();
    let host = authority.strip_prefix("https://").unwrap();
    let written = python.run(&["write", "--authority", host]);
    let written = &written["accounts"][0];
    let username = written["username"].as_str().unwrap();
    let id = written["home_account_id"].as_str().unwrap();
    let (uid, utid) = id.split_once('.').unwrap();
    let account = FakeAccount {
        oid: uid.to_owned(),
        uid: uid.to_owned(),
        utid: utid.to_owned(),
        ..FakeAccount::new(username)
    };
    let refresh_token = stage.entra.issue_refresh_token(&account, CLI, false);
    python.run(&[
        "write",
        "--authority",
        host,
        "--refresh-token",
        &refresh_token,
    ]);
    account
}

#[tokio::test(flavor = "multi_thread")]
async fn python_signs_in_we_redeem_and_python_reads_it_back() {
    let stage = Stage::new().await;
    let python = python(&stage);
    let ada = sign_in(&stage, &python);
    let [(path, _)] = &stage.desktop.items().await[..] else {
        panic!("not one item")
    };
    let before = python.run(&["dump"]);

    let credential = stage.credential(stage.store());
    let token = ask(&credential, OURS).await.unwrap();
    assert_eq!(stage.entra.request_count(), 1);
    credential.close().await.unwrap();

    // The same item, and nothing beside it.
    let [(replaced, content)] = &stage.desktop.items().await[..] else {
        panic!("not one item")
    };
    assert_eq!(replaced, path);
    assert!(content.contains(token.token().expose_secret()));
    assert_eq!(std::fs::read(stage.desktop.signal_file()).unwrap(), b"");

    let after = python.run(&["dump"]);
    let has_ours = |entries: &Value| {
        let tokens = entries["AccessToken"].as_array().unwrap();
        let secret = token.token().expose_secret();
        tokens.iter().any(|entry| entry["secret"] == secret)
    };
    assert!(!has_ours(&before) && has_ours(&after));
    let account = &after["Account"][0];
    assert_eq!(account["home_account_id"], ada.home_account_id());

    let shown = stage
        .desktop
        .output("secret-tool", &["search", "--all", "xdg:schema", CACHE]);
    for line in [
        "label = MSALCache",
        "schema = msal.cache.nocae",
        "attribute.MsalClientID = Microsoft.Developer.IdentityService",
        token.token().expose_secret(),
    ] {
        assert!(shown.contains(line), "{line}");
    }

    // What Python writes next, we see.
    python.run(&["write", "--first", "7", "--authority", "localhost"]);
    let cache = msal_token_cache::TokenCache::new(stage.store());
    assert_eq!(
        cache
            .snapshot_with_async(Freshness::Latest)
            .await
            .unwrap()
            .accounts()
            .count(),
        2
    );
    stage.log.assert_clean();
}

/// Who has never seen a keyring item makes the same as Python does.
#[tokio::test(flavor = "multi_thread")]
async fn an_item_that_we_make_is_the_one_that_python_opens() {
    let stage = Stage::new().await;
    let content = stage.cache_of(&stage.ada);
    let store = stage.store();
    tokio::task::spawn_blocking(move || {
        use msal_token_cache::Persistence as _;
        let _lock = store.lock().unwrap();
        store.save(content.as_bytes()).unwrap();
    })
    .await
    .unwrap();
    let python = python(&stage);
    let entries = python.run(&["dump"]);
    assert_eq!(entries["Account"][0]["username"], stage.ada.username);
    // It replaces that item, and makes no other.
    python.run(&["write", "--authority", "localhost"]);
    assert_eq!(stage.desktop.items().await.len(), 1);
}

/// The search asks for two attributes, and an item may have more of them.
#[tokio::test(flavor = "multi_thread")]
async fn of_several_items_we_use_the_one_that_python_loads_and_leave_the_others() {
    let stage = Stage::new().await;
    let python = python(&stage);
    for more in ["a", "b", "c", "d"] {
        let person = FakeAccount::new(&format!("{more}@contoso.example"));
        let path = stage
            .desktop
            .put(&stage.cache_of(&person), &[("more", more)])
            .await;
        stage.desktop.touch();
        let before = stage.desktop.items().await;
        let theirs = python.run(&["dump"])["Account"][0]["username"].clone();

        let cache = msal_token_cache::TokenCache::new(stage.store());
        let snapshot = cache.snapshot_with_async(Freshness::Latest).await.unwrap();
        let ours: Vec<_> = snapshot
            .accounts()
            .map(|account| account.username().unwrap().into_owned())
            .collect();
        assert_eq!(
            ours,
            [theirs.as_str().unwrap()],
            "{path:?} of {}",
            before.len()
        );

        let (id, host) = {
            let account = snapshot.accounts().next().unwrap();
            (
                account.home_account_id().to_owned(),
                account.environment().to_owned(),
            )
        };
        cache
            .modify_async(move |transaction| transaction.remove_account(&id, &host))
            .await
            .unwrap();
        let after = stage.desktop.items().await;
        let changed: Vec<_> = before.iter().filter(|item| !after.contains(item)).collect();
        let [(_, content)] = &changed[..] else {
            panic!("{} items changed", changed.len())
        };
        assert!(content.contains(theirs.as_str().unwrap()));
        assert_eq!(before.len(), after.len());
        // Python still loads the item that we have changed.
        assert_eq!(
            python.run(&["dump"])["Account"].as_array().unwrap().len(),
            0
        );
        // So that the next one is not hidden by an empty one, whichever is the first now.
        for (path, _) in &changed[..] {
            let service = stage.desktop.service().await;
            let item = service.get_item_by_path(path.clone()).await.unwrap();
            item.delete().await.unwrap();
        }
    }
}
