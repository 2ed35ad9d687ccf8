//! What an ID token brings: itself, and the account's name.

use serde_json::json;
use test_support::CacheBuilder;

use super::super::sample::{CLIENT, HOST, ada, bob, merged, redeemed, section, signed_in};
use super::{OTHER_CLIENT, OTHER_TENANT, identity};

#[test]
fn an_id_token_brings_account_and_id_token_up_to_date() {
    let before = signed_in()
        .with("family_id", json!("1"))
        .id_token(&ada(), HOST, CLIENT, &ada().utid, "old ID token")
        .with("unknown", json!(1))
        .id_token(&ada(), HOST, OTHER_CLIENT, &ada().utid, "another client's");
    let redemption = redeemed(&before).with_identity(identity(Some("ada@new.example")));
    let after = merged(&before, &redemption);

    let mut account = before.to_value()["Account"].clone();
    for entry in account.as_object_mut().unwrap().values_mut() {
        entry["username"] = json!("ada@new.example");
        entry["local_account_id"] = json!("the new local id");
    }
    assert_eq!(after["Account"], account);
    let secrets: Vec<_> = section(&after, "IdToken")
        .iter()
        .map(|entry| {
            (
                entry["secret"].as_str().unwrap(),
                entry.get("unknown").is_some(),
            )
        })
        .collect();
    assert_eq!(
        secrets,
        [("an ID token", true), ("another client's", false)]
    );
}

#[test]
fn without_an_id_token_neither_is_written() {
    let before = CacheBuilder::new().refresh_token(&ada(), HOST, CLIENT, "s", None);
    let after = merged(&before, &redeemed(&before));
    assert_eq!(after.get("Account"), None);
    assert_eq!(after.get("IdToken"), None);
}

#[test]
fn a_known_name_is_never_blanked() {
    for nameless in [identity(None), identity(Some(""))] {
        let before = signed_in();
        let after = merged(&before, &redeemed(&before).with_identity(nameless));
        let account = section(&after, "Account")[0];
        assert_eq!(account["username"], "ada@contoso.example");
        assert_eq!(account["local_account_id"], "the new local id");
    }

    // A guest's name in another tenant is not the name here.
    let before = CacheBuilder::new()
        .account(&ada(), HOST, OTHER_TENANT)
        .with("username", json!("ada_contoso#EXT#@other.example"))
        .signed_in(&ada(), HOST, CLIENT, "s");
    let after = merged(&before, &redeemed(&before).with_identity(identity(None)));
    let names: Vec<_> = section(&after, "Account")
        .iter()
        .map(|account| account["username"].as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        ["ada_contoso#EXT#@other.example", "ada@contoso.example"]
    );
}

#[test]
fn a_new_tenant_takes_name_and_source_from_the_accounts_other_entries() {
    let before = CacheBuilder::new()
        .refresh_token(&ada(), HOST, CLIENT, "s", None)
        .account(&bob(), HOST, &bob().utid)
        .with("account_source", json!("password"))
        .account(&ada(), "login.windows.net", OTHER_TENANT)
        .with("account_source", json!("authorization_code"));
    let after = merged(&before, &redeemed(&before).with_identity(identity(None)));
    let key = format!("{}-{HOST}-{}", ada().home_account_id(), ada().utid);
    assert_eq!(
        after["Account"][key],
        json!({
            "home_account_id": ada().home_account_id(),
            "environment": HOST,
            "realm": ada().utid,
            "local_account_id": "the new local id",
            "username": "ada@contoso.example",
            "authority_type": "MSSTS",
            "account_source": "authorization_code",
        })
    );
    assert_eq!(section(&after, "Account").len(), 3);
}

#[test]
fn of_several_known_names_the_newest_is_taken() {
    let mut before = CacheBuilder::new().refresh_token(&ada(), HOST, CLIENT, "s", None);
    for (realm, username) in [
        (OTHER_TENANT, "old"),
        ("organizations", "new"),
        ("common", ""),
    ] {
        before = before
            .account(&ada(), HOST, realm)
            .with("username", json!(username))
            .with("account_source", json!(username));
    }
    let after = merged(&before, &redeemed(&before).with_identity(identity(None)));
    let key = format!("{}-{HOST}-{}", ada().home_account_id(), ada().utid);
    assert_eq!(after["Account"][&key]["username"], "new");
    assert_eq!(after["Account"][&key]["account_source"], "new");
}

#[test]
fn an_account_without_a_known_name_has_an_empty_one() {
    let before = CacheBuilder::new().refresh_token(&ada(), HOST, CLIENT, "s", None);
    let after = merged(&before, &redeemed(&before).with_identity(identity(None)));
    let account = section(&after, "Account")[0];
    assert_eq!(account["username"], "");
    assert_eq!(account.get("account_source"), None);
}
