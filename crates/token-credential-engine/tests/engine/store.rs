//! A store of which the test sets the content.

use std::sync::{Arc, Mutex};

use token_credential::{AccessTokenInfo, Secret};
use token_credential_engine::{Freshness, OwnedCall};

use crate::clock::at;

/// The part of a call under which a token is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) account: String,
    pub(crate) tenant: String,
    pub(crate) scopes: Vec<String>,
}

impl Key {
    pub(crate) fn new(account: &str, call: &OwnedCall) -> Self {
        Self {
            account: account.to_owned(),
            tenant: call.tenant().to_owned(),
            scopes: call.scope_set().to_vec(),
        }
    }

    /// Returns the key of a call for one scope and the usual tenant.
    pub(crate) fn of(account: &str, scope: &str) -> Self {
        Self {
            account: account.to_owned(),
            tenant: "home".to_owned(),
            scopes: vec![scope.to_owned()],
        }
    }
}

/// The content of a store. Two are equal if their versions are.
#[derive(Clone, Debug)]
pub(crate) struct Content {
    pub(crate) version: u64,
    pub(crate) account: Option<String>,
    pub(crate) tokens: Arc<Vec<(Key, AccessTokenInfo)>>,
}

impl PartialEq for Content {
    fn eq(&self, other: &Self) -> bool {
        self.version == other.version
    }
}

/// A store. A look that may be a tick old sees another content than the latest if the test says so.
#[derive(Debug)]
pub(crate) struct TestStore {
    pub(crate) name: &'static str,
    recent: Mutex<Content>,
    latest: Mutex<Content>,
}

impl TestStore {
    /// Makes a store in which "ada" has signed in.
    pub(crate) fn new(name: &'static str) -> Arc<Self> {
        let content = Content {
            version: 1,
            account: Some("ada".to_owned()),
            tokens: Arc::default(),
        };
        Arc::new(Self {
            name,
            recent: Mutex::new(content.clone()),
            latest: Mutex::new(content),
        })
    }

    pub(crate) fn content(&self, freshness: Freshness) -> Content {
        let content = match freshness {
            Freshness::Recent => &self.recent,
            Freshness::Latest => &self.latest,
        };
        content.lock().unwrap().clone()
    }

    /// Changes the content, and with it the version.
    pub(crate) fn change(&self, change: impl FnOnce(&mut Content)) {
        self.change_latest(change);
        *self.recent.lock().unwrap() = self.content(Freshness::Latest);
    }

    /// Changes the content for those who look at the latest.
    pub(crate) fn change_latest(&self, change: impl FnOnce(&mut Content)) {
        let mut latest = self.latest.lock().unwrap();
        latest.version += 1;
        change(&mut latest);
    }

    /// Stores a token.
    pub(crate) fn put(&self, key: Key, token: AccessTokenInfo) {
        self.change(|content| content.put(key, token));
    }
}

impl Content {
    pub(crate) fn put(&mut self, key: Key, token: AccessTokenInfo) {
        let mut tokens = self.tokens.to_vec();
        tokens.retain(|(other, _)| *other != key);
        tokens.push((key, token));
        self.tokens = Arc::new(tokens);
    }
}

/// Returns a token that expires this many seconds after the start.
pub(crate) fn token(text: &str, expires: u64) -> AccessTokenInfo {
    AccessTokenInfo::new(Secret::new(text), at(expires))
}
