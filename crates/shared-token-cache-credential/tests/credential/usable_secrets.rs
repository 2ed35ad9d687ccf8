//! What stands in the cache and cannot be sent is never handed out or sent, and hides nothing that
//! can.

use serde_json::json;
use shared_token_cache_credential::{AuthenticationRecord, ErrorKind, TokenRequestOptions};
use test_support::{CacheBuilder, logs};

use super::{ARM, CLI, HOST, NOW, Stage, ask, at_once, entries, holding, text, token};

/// Line breaks, NUL, DEL, blanks and what turns the direction of a text.
const BAD: [&str; 8] = [
    "\r\n", "\n", "\0", "\u{7f}", " ", "\t", "\u{202e}", "\u{e9}",
];

#[tokio::test]
async fn a_cached_token_that_no_header_can_carry_hides_no_good_refresh_token() {
    for bad in BAD {
        let stage = Stage::new();
        let cached = logs::canary("cached");
        for cached in [
            format!("{cached}{bad}x"),
            format!("{bad}{cached}"),
            bad.repeat(9),
        ] {
            let cache = stage.cache().access_token(&stage.ada, token(&cached, 3600));
            let store = holding(&cache);
            let before = stage.entra.request_count();
            let credential = stage.credential(store.clone());
            let redeemed = ask(&credential).await.unwrap();
            assert_ne!(redeemed.token().expose_secret(), cached, "{bad:?}");
            assert_eq!(stage.entra.request_count(), before + 1, "{bad:?}");
            // It made way: no other program meets two tokens for one thing.
            let [entry] = entries(&store, "AccessToken").try_into().unwrap();
            assert_eq!(entry["secret"], redeemed.token().expose_secret());
        }
    }
}

#[tokio::test]
async fn a_refresh_token_or_a_client_that_cannot_be_sent_hides_no_good_one() {
    for bad in BAD {
        let stage = Stage::new();
        let secret = logs::canary("bad refresh token");
        let newest = json!((NOW - 1).to_string());
        let family = stage.entra.issue_refresh_token(&stage.ada, "another", true);
        // Three that are newer fill no place.
        let mut cache = stage.cache();
        for number in 0..3 {
            let (client, secret) = (format!("c{number}"), format!("{secret}{number}{bad}"));
            cache = cache
                .refresh_token(&stage.ada, HOST, &client, &secret, Some("1"))
                .with("last_modification_time", newest.clone());
        }
        let cache = cache
            .refresh_token(
                &stage.ada,
                HOST,
                &format!("another{bad}"),
                &family,
                Some("1"),
            )
            .with("last_modification_time", newest)
            .app_metadata(HOST, &format!("a{bad}relative"), Some("1"));
        let store = holding(&cache);
        let credential = stage.credential(store.clone());
        ask(&credential).await.unwrap();
        let [request] = stage.entra.requests().try_into().unwrap();
        assert_eq!(request.field("client_id"), Some(CLI), "{bad:?}");
        assert_eq!(entries(&store, "RefreshToken").len(), 5, "{bad:?}");
    }
}

#[test]
fn an_account_with_nothing_but_unusable_tokens_has_none() {
    for bad in BAD {
        let stage = Stage::new();
        let secret = format!("{}{bad}", logs::canary("bad refresh token"));
        let cache = CacheBuilder::new().signed_in(&stage.ada, HOST, CLI, &secret);
        let credential = stage.credential(holding(&cache));
        let options = TokenRequestOptions::default();
        let asking = credential.get_token(&[ARM], &options);
        let error = at_once(asking).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::CredentialUnavailable, "{bad:?}");
        assert!(text(&error).contains("sign in"), "{error}");
    }
}

#[test]
fn a_records_client_that_cannot_be_sent_is_an_invalid_argument() {
    for bad in BAD.into_iter().chain([""]) {
        let client = if bad.is_empty() {
            String::new()
        } else {
            format!("c{bad}")
        };
        let json = json!({
            "authority": "localhost", "clientId": client, "homeAccountId": "u.t",
            "tenantId": "t", "username": "", "version": "1.0",
        });
        let record = AuthenticationRecord::deserialize(&json.to_string()).unwrap();
        let stage = Stage::new();
        let error = stage.builder().authentication_record(record).build();
        assert_eq!(
            error.unwrap_err().kind(),
            ErrorKind::InvalidArgument,
            "{bad:?}"
        );
    }
}
