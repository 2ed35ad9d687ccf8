//! What a program without a cache library would write: a typed parse of the sections that it needs,
//! with borrowed texts, and a look through them.

use std::collections::HashMap;

use serde::Deserialize;

/// The sections that it takes to find a token.
#[derive(Deserialize)]
pub struct Cache<'a> {
    #[serde(borrow, rename = "AccessToken")]
    access_tokens: HashMap<&'a str, AccessToken<'a>>,
    #[serde(borrow, rename = "RefreshToken")]
    refresh_tokens: HashMap<&'a str, RefreshToken<'a>>,
    #[serde(borrow, rename = "Account")]
    accounts: HashMap<&'a str, Account<'a>>,
}

#[derive(Deserialize)]
struct AccessToken<'a> {
    secret: &'a str,
    home_account_id: &'a str,
    environment: &'a str,
    client_id: &'a str,
    realm: &'a str,
    target: &'a str,
    expires_on: &'a str,
}

#[derive(Deserialize)]
struct RefreshToken<'a> {
    secret: &'a str,
    home_account_id: &'a str,
    environment: &'a str,
    client_id: &'a str,
}

#[derive(Deserialize)]
struct Account<'a> {
    home_account_id: &'a str,
    environment: &'a str,
    username: &'a str,
    realm: &'a str,
}

impl Cache<'_> {
    /// The token of this user for this scope.
    pub fn token(&self, username: &str, scope: &str) -> Option<String> {
        let account = self
            .accounts
            .values()
            .find(|account| account.username == username && !account.realm.is_empty())?;
        let refresh_token = self.refresh_tokens.values().find(|token| {
            token.home_account_id == account.home_account_id
                && token.environment == account.environment
                && !token.secret.is_empty()
        })?;
        let token = self.access_tokens.values().find(|token| {
            token.home_account_id == account.home_account_id
                && token.environment == account.environment
                && token.client_id == refresh_token.client_id
                && token.realm == account.realm
                && token.target == scope
        })?;
        token.expires_on.parse::<u64>().ok()?;
        Some(token.secret.to_owned())
    }
}
