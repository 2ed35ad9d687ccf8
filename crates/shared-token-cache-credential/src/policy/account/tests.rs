use serde_json::{Value, json};
use test_support::{CacheBuilder, FakeAccount};

use super::*;
use crate::fixtures::{CLI, CLOUD, NOW, at, authority, snapshot};

const GUEST_TENANT: &str = "11111111-2222-3333-4444-555555555555";

fn ada() -> FakeAccount {
    FakeAccount::new("ada@contoso.example")
}

fn bob() -> FakeAccount {
    FakeAccount::new("bob@fabrikam.example")
}

fn both() -> CacheBuilder {
    joined_by(
        CacheBuilder::new().signed_in(&ada(), CLOUD, CLI, "a"),
        &bob(),
    )
}

/// As `signed_in`, but for what is known of the client: that is there already.
fn joined_by(cache: CacheBuilder, account: &FakeAccount) -> CacheBuilder {
    cache
        .account(account, CLOUD, &account.utid)
        .refresh_token(account, CLOUD, CLI, "b", None)
}

fn selected(
    cache: &CacheBuilder,
    username: &str,
    tenant_id: &str,
) -> Result<SelectedAccount, SelectError> {
    let [username, tenant_id] =
        [username, tenant_id].map(|text| Some(text.to_owned()).filter(|text| !text.is_empty()));
    let selector = AccountSelector::matching(username, tenant_id);
    select_in(cache, &selector)
}

fn select_in(
    cache: &CacheBuilder,
    selector: &AccountSelector,
) -> Result<SelectedAccount, SelectError> {
    let (snapshot, authority) = (snapshot(cache), authority());
    let clients = match &selector.0 {
        Rule::Filtered(_) => Clients::Family,
        Rule::Recorded(record) => Clients::Only(record.client_id().to_owned()),
    };
    let entries = CloudEntries::new(&snapshot, &authority, at(NOW));
    select(&entries, selector, &clients)
}

#[track_caller]
fn assert_is(selected: Result<SelectedAccount, SelectError>, account: &FakeAccount) {
    assert_eq!(
        selected.map(|selected| selected.home_account_id),
        Ok(account.home_account_id())
    );
}

#[test]
fn an_empty_text_selects_no_account() {
    let nameless = CacheBuilder::new()
        .signed_in(&ada(), CLOUD, CLI, "a")
        .account(&ada(), CLOUD, &ada().utid)
        .with("username", json!(""));
    let empty = || Some(String::new());
    for selector in [
        AccountSelector::matching(empty(), None),
        AccountSelector::matching(None, empty()),
    ] {
        assert_eq!(select_in(&nameless, &selector), Err(SelectError::NoMatch));
    }
    assert_is(
        select_in(&nameless, &AccountSelector::matching(None, None)),
        &ada(),
    );
}

#[test]
fn the_only_account_is_meant() {
    let cache = CacheBuilder::new().signed_in(&ada(), CLOUD, CLI, "a");
    let selected = selected(&cache, "", "").unwrap();
    assert_eq!(selected.username.as_deref(), Some("ada@contoso.example"));
    assert_eq!(selected.home_tenant(), Some(&*ada().utid));
}

#[test]
fn name_in_any_case_and_home_tenant_say_which() {
    assert_is(selected(&both(), "ADA@Contoso.example", ""), &ada());
    assert_is(selected(&both(), "", &bob().utid), &bob());
    assert_is(
        selected(&both(), "bob@fabrikam.example", &bob().utid),
        &bob(),
    );
    for (username, tenant_id) in [
        ("eve@contoso.example", ""),
        ("", GUEST_TENANT),
        ("ada@contoso.example", &*bob().utid),
        ("ada", ""),
    ] {
        let none = selected(&both(), username, tenant_id);
        assert_eq!(none, Err(SelectError::NoMatch), "{username} {tenant_id}");
    }
}

#[test]
fn k16_a_name_compares_by_ascii_case_only() {
    let zoe = FakeAccount::new("ZO\u{cb}@contoso.example");
    let kelvin = FakeAccount::new("\u{212a}im@contoso.example");
    let cache = joined_by(joined_by(both(), &zoe), &kelvin);
    assert_is(selected(&cache, "zo\u{cb}@CONTOSO.example", ""), &zoe);
    for name in ["zo\u{eb}@contoso.example", "kim@contoso.example"] {
        assert_eq!(
            selected(&cache, name, ""),
            Err(SelectError::NoMatch),
            "{name}"
        );
    }
}

#[test]
fn k16_a_home_tenant_and_the_entries_of_an_account_compare_without_case() {
    assert_is(selected(&both(), "", &bob().utid.to_uppercase()), &bob());
    let upper = FakeAccount {
        uid: ada().uid.to_uppercase(),
        utid: ada().utid.to_uppercase(),
        username: String::new(),
        ..ada()
    };
    // The account in one spelling, its token in another, and a second entry: one account.
    let cache = CacheBuilder::new()
        .account(&upper, "LOGIN.WINDOWS.NET", &upper.utid)
        .account(&ada(), CLOUD, GUEST_TENANT)
        .refresh_token(&ada(), "Login.MicrosoftOnline.com", CLI, "a", None);
    for tenant in ["", &*ada().utid, &*upper.utid] {
        assert_is(selected(&cache, "", tenant), &ada());
    }
}

/// An ID token of this tenant with this name.
fn id_token(tid: &str, member: &str, name: &str) -> String {
    let claims = json!({ "tid": tid, member: name }).to_string();
    let engine = base64::engine::general_purpose::URL_SAFE_NO_PAD;
    format!("e30.{}.c2ln", base64::Engine::encode(&engine, claims))
}

#[test]
fn k16_a_domain_is_the_tenant_that_an_id_token_at_home_names_it_for() {
    let ada = ada();
    let without = || both().with("username", json!("ada"));
    for (member, name) in [
        ("preferred_username", "ada@Contoso.Example"),
        ("upn", "somebody@contoso.example"),
    ] {
        let token = id_token(&ada.utid.to_uppercase(), member, name);
        let cache = without().id_token(&ada, "sts.windows.net", CLI, &ada.utid, &token);
        assert_is(selected(&cache, "", "contoso.EXAMPLE"), &ada);
        let other = selected(&cache, "", "fabrikam.example");
        assert_eq!(other, Err(SelectError::UnknownDomain), "{name}");
        // Here it is the name that is wrong.
        let misnamed = selected(&cache, "adda@contoso.example", "contoso.example");
        assert_eq!(misnamed, Err(SelectError::NoMatch), "{name}");
    }
    // The name may also be the account's.
    let nameless = id_token(&ada.utid, "oid", "o");
    let cache = both().id_token(&ada, CLOUD, CLI, &ada.utid, &nameless);
    assert_is(selected(&cache, "", "contoso.example"), &ada);
    // All accounts of the tenant are of it, whatever their names end in.
    let eve = FakeAccount {
        utid: ada.utid.clone(),
        ..FakeAccount::new("eve@contoso.onmicrosoft.example")
    };
    let several = selected(&joined_by(cache, &eve), "", "contoso.example");
    assert!(
        matches!(several, Err(SelectError::Several(_))),
        "{several:?}"
    );
}

#[test]
fn k16_no_domain_is_taken_from_what_does_not_say_so() {
    let (ada, personal) = (ada(), FakeAccount::personal("pat@contoso.example"));
    let name = "x@contoso.example";
    let good = id_token(&ada.utid, "upn", name);
    let as_guest = id_token(GUEST_TENANT, "upn", name);
    let of_personal = id_token(&personal.utid, "preferred_username", name);
    for (what, cache) in [
        ("no ID token", both()),
        (
            "as a guest",
            both().id_token(&bob(), CLOUD, CLI, GUEST_TENANT, &as_guest),
        ),
        (
            "of another cloud",
            both().id_token(&ada, "login.microsoftonline.us", CLI, &ada.utid, &good),
        ),
        (
            "not a token",
            both().id_token(&ada, CLOUD, CLI, &ada.utid, "a.b.c"),
        ),
        (
            "not usable",
            both().id_token(&ada, CLOUD, CLI, &ada.utid, &format!("{good}\n")),
        ),
        (
            "personal",
            joined_by(both(), &personal).id_token(
                &personal,
                CLOUD,
                CLI,
                &personal.utid,
                &of_personal,
            ),
        ),
    ] {
        let found = selected(&cache, "", "contoso.example");
        assert_eq!(found, Err(SelectError::UnknownDomain), "{what}");
    }
}

#[test]
fn several_accounts_are_listed() {
    let listed = |account: FakeAccount| (Some(account.username), Some(account.utid));
    assert_eq!(
        selected(&both(), "", ""),
        Err(SelectError::Several(vec![listed(ada()), listed(bob())]))
    );
}

#[test]
fn the_only_one_with_a_family_token_is_taken() {
    let family = |cache: CacheBuilder| cache.with("family_id", json!("1"));
    let bobs = family(both());
    assert_is(selected(&bobs, "", ""), &bob());
    // The name that was given comes first.
    assert_is(selected(&bobs, &ada().username, ""), &ada());
    let adas = family(joined_by(CacheBuilder::new(), &ada()));
    let of_both = family(joined_by(adas, &bob()));
    let several = selected(&of_both, "", "");
    assert!(
        matches!(several, Err(SelectError::Several(_))),
        "{several:?}"
    );
}

#[test]
fn entries_of_one_account_are_one_account() {
    let before = FakeAccount {
        username: "ada@old.example".to_owned(),
        ..ada()
    };
    let nameless = FakeAccount {
        username: String::new(),
        ..ada()
    };
    let cache = CacheBuilder::new()
        .account(&before, CLOUD, &ada().utid)
        .refresh_token(&ada(), CLOUD, CLI, "a", None)
        .account(&ada(), CLOUD, GUEST_TENANT)
        .account(&nameless, CLOUD, "organizations");
    for username in ["", "ada@old.example", "ada@contoso.example"] {
        let selected = selected(&cache, username, "").unwrap();
        assert_eq!(selected.username.as_deref(), Some("ada@contoso.example"));
    }
    // Where it is a guest it is not at home.
    assert_eq!(
        selected(&cache, "", GUEST_TENANT),
        Err(SelectError::NoMatch)
    );
}

#[test]
fn account_and_refresh_token_may_stand_under_aliases() {
    let cache = CacheBuilder::new()
        .account(&ada(), "login.windows.net", &ada().utid)
        .refresh_token(&ada(), "sts.windows.net", CLI, "a", None);
    assert_is(selected(&cache, "", ""), &ada());
}

#[test]
fn only_a_refresh_token_of_its_own_qualifies_an_account() {
    let with = |member: &str, value: Value| both().with(member, value);
    for (bobs_does_not, why) in [
        (with("user_assertion_hash", json!("x")), "on behalf of"),
        (with("ext", json!("x")), "ext"),
        (with("ext_cache_key", json!("x")), "extended key"),
        (with("expires_on", json!(NOW.to_string())), "expired"),
        (with("expires_on", json!(NOW)), "expired, as a number"),
        (
            with("environment", json!("login.microsoftonline.us")),
            "cloud",
        ),
        (with("home_account_id", json!("nobody.s")), "nobody's"),
        (with("secret", json!("")), "empty"),
        (with("secret", json!(7)), "malformed"),
        (both().without("client_id"), "no client"),
    ] {
        let selected = selected(&bobs_does_not, "", "").map(|selected| selected.home_account_id);
        assert_eq!(selected, Ok(ada().home_account_id()), "{why}");
    }
    for (bobs_does, why) in [
        (with("user_assertion_hash", json!("")), "empty"),
        (with("ext_cache_key", Value::Null), "null"),
        (with("expires_on", json!((NOW + 1).to_string())), "not yet"),
    ] {
        let several = selected(&bobs_does, "", "");
        assert!(matches!(several, Err(SelectError::Several(_))), "{why}");
    }
}

#[test]
fn without_an_account_there_is_none() {
    let no_account = CacheBuilder::new().refresh_token(&ada(), CLOUD, CLI, "a", None);
    for cache in [
        CacheBuilder::new(),
        no_account,
        CacheBuilder::new().account(&ada(), CLOUD, &ada().utid),
        CacheBuilder::new().raw("Account", "k", json!("not an object")),
    ] {
        let none = selected(&cache, &ada().username, "");
        assert_eq!(none, Err(SelectError::None), "{}", cache.to_json());
    }
}

#[test]
fn a_name_that_is_shown_has_no_control_characters() {
    let mallory = FakeAccount {
        username: "ada\u{1b}[31m\r\nroot".to_owned(),
        ..ada()
    };
    let cache = CacheBuilder::new().signed_in(&mallory, CLOUD, CLI, "a");
    let selected = selected(&cache, &mallory.username, "").unwrap();
    assert_eq!(selected.username.as_deref(), Some("ada [31m root"));
}

#[test]
fn a_home_tenant_follows_the_only_dot() {
    for (id, tenant) in [
        ("u.t", Some("t")),
        ("u", None),
        ("u.", None),
        ("u.t.x", None),
        (".t", Some("t")),
    ] {
        assert_eq!(home_tenant(id), tenant, "{id}");
    }
}

fn record(home_account_id: &str, username: &str) -> AccountSelector {
    let json = json!({
        "authority": CLOUD, "clientId": "recorded", "homeAccountId": home_account_id,
        "tenantId": GUEST_TENANT, "username": username, "version": "1.0",
    });
    AccountSelector::of_record(AuthenticationRecord::deserialize(&json.to_string()).unwrap())
}

#[test]
fn the_account_of_a_record_is_found_by_id_and_name_and_needs_no_refresh_token() {
    let id = ada().home_account_id();
    let cache = CacheBuilder::new()
        .account(&ada(), "login.windows.net", &ada().utid)
        .with("username", json!("Ada@Contoso.example"))
        .account(&bob(), CLOUD, &bob().utid);
    let selected = |cache: &CacheBuilder, whose| select_in(cache, &whose);
    for username in ["ada@contoso.example", ""] {
        let selected = selected(&cache, record(&id, username)).unwrap();
        assert_eq!(selected.home_account_id, id);
        assert_eq!(selected.username.as_deref(), Some("Ada@Contoso.example"));
        assert_eq!(selected.client_id.as_deref(), Some("recorded"));
    }
    let upper = selected(&cache, record(&id.to_uppercase(), "ada@contoso.example"));
    assert_eq!(
        upper.map(|selected| selected.home_account_id),
        Ok(id.clone())
    );
    for whose in [
        record(&id, "bob@fabrikam.example"),
        record(&id, "ad\u{e1}@contoso.example"),
        record(&bob().home_account_id(), "ada@contoso.example"),
        record("somebody.else", "ada@contoso.example"),
    ] {
        assert_eq!(selected(&cache, whose), Err(SelectError::NoMatch));
    }
    for (member, value) in [
        ("authority_type", json!("Other")),
        ("authority_type", json!(null)),
        ("environment", json!("login.microsoftonline.us")),
        ("username", json!(null)),
    ] {
        let cache = CacheBuilder::new()
            .account(&ada(), CLOUD, &ada().utid)
            .with(member, value);
        let whose = record(&id, "ada@contoso.example");
        assert_eq!(
            selected(&cache, whose),
            Err(SelectError::NoMatch),
            "{member}"
        );
    }
}

#[test]
fn whom_a_broker_signed_in_is_meant_where_nobody_else_can_be() {
    let of_broker = |cache: CacheBuilder, account: &FakeAccount| {
        cache
            .account(account, CLOUD, &account.utid)
            .with("account_source", json!("broker"))
    };
    let alone = of_broker(CacheBuilder::new(), &bob());
    assert_is(selected(&alone, "", ""), &bob());
    let beside = of_broker(
        CacheBuilder::new().signed_in(&ada(), CLOUD, CLI, "a"),
        &bob(),
    );
    assert_is(selected(&beside, "", ""), &ada());
    assert_is(selected(&beside, "bob@fabrikam.example", ""), &bob());
    let device_code = CacheBuilder::new()
        .account(&bob(), CLOUD, &bob().utid)
        .with("account_source", json!("device_code"));
    assert_eq!(selected(&device_code, "", ""), Err(SelectError::None));
}
