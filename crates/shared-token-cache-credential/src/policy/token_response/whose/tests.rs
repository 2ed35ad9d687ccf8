use serde_json::{Value, json};
use test_support::FakeAccount;

use super::super::tests::{
    TENANT, ada, base64, id_token, read_of, read_with, read_with_at, stored, token, unusable,
};
use entra_token_endpoint::tenant::{PERSONAL_PASSTHROUGH_TENANT, PERSONAL_TENANT};

#[test]
fn an_answer_is_for_the_account_that_asked() {
    let info = |uid: Value, utid: Value| base64(&json!({ "uid": uid, "utid": utid }));
    let FakeAccount { uid, utid, .. } = ada();
    for good in [
        json!(null),
        json!(""),
        json!(base64(&json!({}))),
        json!(base64(&json!({ "other": 1 }))),
        json!(info(json!(uid), json!(utid))),
        json!(info(json!(uid.to_uppercase()), json!(utid))),
        json!(format!("{}=", info(json!(uid), json!(utid)))),
    ] {
        let answer = read_with(&json!({ "client_info": good }));
        assert!(answer.is_ok(), "{good}");
    }
    for bad in [
        json!(info(json!("eve"), json!(utid))),
        json!(info(json!(uid), json!(TENANT))),
        json!(info(json!(uid), json!(null))),
        json!(info(json!(null), json!(utid))),
        json!(info(json!(7), json!(utid))),
        json!("canary"),
        json!("{}"),
        json!(7),
        json!({ "uid": uid, "utid": utid }),
    ] {
        let text = unusable(read_with(&json!({ "client_info": bad })));
        assert!(text.contains("nothing was stored"), "{text}");
    }
}

/// Where nothing else says whose token it is.
#[test]
fn k7_an_id_token_of_another_person_of_the_home_tenant_is_another_accounts() {
    let FakeAccount { uid, utid, .. } = ada();
    let eve = FakeAccount::new("eve@contoso.example");
    assert_eq!(eve.utid, utid);
    let claims =
        |tid: &str, oid: &str| json!({ "tid": tid, "oid": oid, "preferred_username": "e" });
    let members = |claims: &Value| json!({ "id_token": id_token(claims) });
    for other in [
        claims(&utid, &eve.oid),
        claims(&utid.to_uppercase(), &eve.oid.to_uppercase()),
        // What else it says may be of any type.
        json!({ "tid": utid, "oid": eve.oid, "sub": 7, "preferred_username": {} }),
    ] {
        for tenant in ["organizations", "common", "contoso.example", &utid] {
            let text = unusable(read_with_at(tenant, &members(&other)));
            assert!(text.contains("is for another account"), "{text}");
        }
        let mut nobody = members(&other);
        nobody["client_info"] = json!(base64(&json!({})));
        unusable(read_with(&nobody));
        // Where client_info says whose it is, that decides.
        let mut named = members(&other);
        named["client_info"] = json!(ada().client_info());
        token(read_with(&named));
    }
    for ours in [
        claims(&utid, &uid),
        claims(&utid.to_uppercase(), &uid.to_uppercase()),
        // Neither of them proves anything by itself, nor do names of another kind.
        json!({ "tid": utid }),
        json!({ "oid": eve.oid }),
        json!({ "tid": utid, "sub": eve.oid }),
        claims(&utid, "somebody"),
        claims("not a guid / ../", &eve.oid),
    ] {
        token(read_with(&members(&ours)));
    }
    // A guest has another id in each tenant,
    token(read_with_at(TENANT, &members(&claims(TENANT, &eve.oid))));
    // and a personal account's is not its object id.
    let personal = FakeAccount::personal("ada@outlook.example");
    let body = super::super::tests::body_with(&members(&claims(PERSONAL_TENANT, &eve.oid)));
    token(read_of(&personal, "organizations", 200, body));
}

#[test]
fn the_realm_is_the_best_that_is_known() {
    let tid = |tid: &str| json!({ "id_token": id_token(&json!({ "tid": tid })) });
    let info = json!({ "client_info": ada().client_info() });
    let utid = &*ada().utid;
    for (tenant, members, realm) in [
        ("organizations", json!({}), "organizations"),
        ("organizations", info.clone(), utid),
        ("organizations", tid(utid), utid),
        ("organizations", tid(""), "organizations"),
        ("common", info.clone(), utid),
        ("contoso.example", info.clone(), "contoso.example"),
        ("contoso.example", tid(TENANT), TENANT),
        // A new one is written in lower case.
        ("contoso.example", tid(&utid.to_uppercase()), utid),
        (
            "contoso.example",
            tid("fabrikam.example"),
            "contoso.example",
        ),
        (TENANT, info, TENANT),
        (TENANT, tid(&TENANT.to_uppercase()), TENANT),
        // As the account writes it.
        ("organizations", tid(&utid.to_uppercase()), utid),
    ] {
        let answer = token(read_with_at(tenant, &members));
        assert_eq!(answer.realm(), realm, "{tenant} {members}");
    }
    let text = unusable(read_with_at(TENANT, &tid(utid)));
    assert!(
        text.contains("another tenant, and nothing was stored"),
        "{text}"
    );
}

/// What was asked for by a word for the home tenant must be of that, or no look-up finds it.
#[test]
fn k7_at_home_the_realm_is_one_that_is_looked_for() {
    let tid = |tid: &str| json!({ "id_token": id_token(&json!({ "tid": tid })) });
    let body = |members: &Value| super::super::tests::body_with(members);
    for word in ["organizations", "common"] {
        for other in [TENANT, "fabrikam.example", PERSONAL_TENANT] {
            let text = unusable(read_with_at(word, &tid(other)));
            assert!(
                text.contains(&format!("is for the tenant {other} instead")),
                "{text}"
            );
        }
        let personal = FakeAccount::personal("ada@outlook.example");
        for (members, realm) in [
            (tid(PERSONAL_TENANT), PERSONAL_TENANT),
            (
                tid(PERSONAL_PASSTHROUGH_TENANT),
                PERSONAL_PASSTHROUGH_TENANT,
            ),
            (
                tid(&PERSONAL_PASSTHROUGH_TENANT.to_uppercase()),
                PERSONAL_PASSTHROUGH_TENANT,
            ),
            (json!({}), "organizations"),
        ] {
            let answer = token(read_of(&personal, word, 200, body(&members)));
            assert_eq!(answer.realm(), realm, "{members}");
        }
        unusable(read_of(&personal, word, 200, body(&tid(TENANT))));
        // Of an account that names no tenant, the home is known by the word alone.
        let homeless = FakeAccount {
            utid: "a.b".to_owned(),
            ..ada()
        };
        for members in [
            tid(TENANT),
            json!({ "client_info": homeless.client_info() }),
        ] {
            let answer = token(read_of(&homeless, word, 200, body(&members)));
            assert_eq!(answer.realm(), word, "{members}");
        }
    }
}

#[test]
fn k7_a_tid_that_cannot_be_a_tenant_is_none() {
    for tid in [
        "not a guid / ../",
        "..",
        "\u{202E}",
        "a b",
        "a/b",
        "t\u{e9}nant",
        &"a".repeat(256),
    ] {
        let members = json!({ "id_token": id_token(&json!({ "tid": tid })) });
        for tenant in ["organizations", "contoso.example", TENANT] {
            let answer = token(read_with_at(tenant, &members));
            assert_eq!(answer.realm(), tenant, "{tid}");
        }
    }
    let number = json!({ "id_token": id_token(&json!({ "tid": 7 })) });
    assert_eq!(token(read_with(&number)).realm(), "organizations");
}

#[test]
fn an_id_token_that_cannot_be_read_costs_nothing() {
    for bad in [
        json!("canary"),
        json!("a.b.c"),
        json!("a..c"),
        json!(7),
        json!(""),
    ] {
        let answer = token(read_with(&json!({ "id_token": bad })));
        assert_eq!(stored(&answer)["IdToken"], json!(null), "{bad}");
    }
}

#[test]
fn names_come_from_the_id_token_as_far_as_it_has_them() {
    for (claims, id, name) in [
        (
            json!({ "oid": "o", "sub": "s", "preferred_username": "p", "upn": "u" }),
            "o",
            "p",
        ),
        (json!({ "sub": "s", "upn": "u" }), "s", "u"),
        (json!({}), &*ada().oid, "ada@contoso.example"),
    ] {
        let tid = json!(ada().utid);
        let mut claims = claims;
        claims["tid"] = tid;
        let answer = token(read_with(&json!({ "id_token": id_token(&claims) })));
        let cache = stored(&answer);
        let accounts = cache["Account"].as_object().unwrap();
        assert_eq!(accounts.len(), 1);
        let account = accounts.values().next().unwrap();
        assert_eq!(account["local_account_id"], id, "{claims}");
        assert_eq!(account["username"], name, "{claims}");
    }
}
