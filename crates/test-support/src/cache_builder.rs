use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;

use serde::{Serialize, Serializer};
use serde_json::ser::PrettyFormatter;
use serde_json::{Value, json};

use crate::{FakeAccount, logs};

/// Any time in the past, where the time does not matter.
const SOME_TIME: u64 = 1_700_000_000;

/// Makes the text of an MSAL cache, byte for byte as the Python packages write it: their keys,
/// their members, their order and layout.
///
/// Entries and sections stand in the order of the calls. A key is composed from the entry's
/// members when the text is made, so changing a member changes the key as it would in MSAL.
///
/// ```
/// use serde_json::json;
/// use test_support::{AccessTokenSpec, CacheBuilder, FakeAccount};
///
/// let ada = FakeAccount::new("ada@contoso.example");
/// let cache = CacheBuilder::new()
///     .signed_in(&ada, "login.microsoftonline.com", "some-client", "a refresh token")
///     .access_token(&ada, AccessTokenSpec {
///         client_id: "some-client",
///         target: "https://management.azure.com/.default",
///         secret: "an access token",
///         expires_on: 1_700_003_600,
///         ..AccessTokenSpec::default()
///     })
///     .with("token_type", json!("pop"))
///     .to_json();
/// assert!(cache.contains("pop"));
/// ```
#[derive(Clone, Default)]
pub struct CacheBuilder {
    entries: Vec<Entry>,
}

#[derive(Clone)]
struct Entry {
    section: String,
    /// Where it is not the one that MSAL would compose.
    key: Option<String>,
    content: Content,
}

#[derive(Clone)]
enum Content {
    Members(Vec<(String, Value)>),
    Raw(Value),
}

/// An access token to put into a cache. `Default` fills in what a test does not care for.
#[derive(Clone, Copy)]
pub struct AccessTokenSpec<'a> {
    /// Default: `login.microsoftonline.com`.
    pub environment: &'a str,
    /// Default: that of Azure CLI.
    pub client_id: &'a str,
    /// Default: the account's home tenant.
    pub realm: Option<&'a str>,
    /// The scopes, separated by blanks. Empty by default.
    pub target: &'a str,
    /// Empty by default.
    pub secret: &'a str,
    /// In Unix seconds. Default: an hour before `expires_on`.
    pub cached_at: Option<u64>,
    /// In Unix seconds; the same in `extended_expires_on`.
    pub expires_on: u64,
}

impl Default for AccessTokenSpec<'_> {
    fn default() -> Self {
        Self {
            environment: "login.microsoftonline.com",
            client_id: "04b07795-8ddb-461a-bbee-02f9e1bf7b46",
            realm: None,
            target: "",
            secret: "",
            cached_at: None,
            expires_on: SOME_TIME,
        }
    }
}

impl CacheBuilder {
    /// A cache without entries.
    pub fn new() -> Self {
        Self::default()
    }

    /// A large cache: accounts `user0@tenant0.example` and so on, each signed in, with an ID token
    /// and so many access tokens of usual length for `https://resource0.example/.default` and so
    /// on, which expire at this time.
    pub fn many(accounts: usize, tokens_each: usize, expires_on: u64) -> Self {
        let spec = AccessTokenSpec {
            expires_on,
            ..AccessTokenSpec::default()
        };
        (0..accounts).fold(Self::new(), |cache, n| {
            let account = FakeAccount::new(&format!("user{n}@tenant{n}.example"));
            let secret = logs::canary_of_length("refresh token of a large cache", 1_100);
            let id_token = logs::canary_of_length("ID token of a large cache", 900);
            let cache = cache
                .signed_in(&account, spec.environment, spec.client_id, &secret)
                .id_token(
                    &account,
                    spec.environment,
                    spec.client_id,
                    &account.utid,
                    &id_token,
                );
            (0..tokens_each).fold(cache, |cache, n| {
                let secret = logs::canary_of_length("access token of a large cache", 1_750);
                let target = format!("https://resource{n}.example/.default");
                let (target, secret) = (target.as_str(), secret.as_str());
                cache.access_token(
                    &account,
                    AccessTokenSpec {
                        target,
                        secret,
                        ..spec
                    },
                )
            })
        })
    }

    /// What a sign-in at home leaves behind, less its tokens: account, refresh token and
    /// `AppMetadata`, of no family.
    pub fn signed_in(
        self,
        account: &FakeAccount,
        environment: &str,
        client_id: &str,
        refresh_token: &str,
    ) -> Self {
        self.account(account, environment, &account.utid)
            .refresh_token(account, environment, client_id, refresh_token, None)
            .app_metadata(environment, client_id, None)
    }

    /// Adds an account.
    pub fn account(self, account: &FakeAccount, environment: &str, realm: &str) -> Self {
        self.members(
            "Account",
            [
                ("home_account_id", json!(account.home_account_id())),
                ("environment", json!(environment)),
                ("realm", json!(realm)),
                ("local_account_id", json!(account.oid_in(realm))),
                ("username", json!(account.username)),
                ("authority_type", json!("MSSTS")),
            ],
        )
    }

    /// Adds a refresh token.
    pub fn refresh_token(
        self,
        account: &FakeAccount,
        environment: &str,
        client_id: &str,
        secret: &str,
        family_id: Option<&str>,
    ) -> Self {
        self.members(
            "RefreshToken",
            [
                ("credential_type", json!("RefreshToken")),
                ("secret", json!(secret)),
                ("home_account_id", json!(account.home_account_id())),
                ("environment", json!(environment)),
                ("client_id", json!(client_id)),
                ("target", json!("offline_access openid profile")),
                ("last_modification_time", json!(SOME_TIME.to_string())),
            ],
        )
        .with_family(family_id)
    }

    /// Adds an access token.
    pub fn access_token(self, account: &FakeAccount, token: AccessTokenSpec<'_>) -> Self {
        let cached_at = token
            .cached_at
            .unwrap_or_else(|| token.expires_on.saturating_sub(3_600));
        self.members(
            "AccessToken",
            [
                ("credential_type", json!("AccessToken")),
                ("secret", json!(token.secret)),
                ("home_account_id", json!(account.home_account_id())),
                ("environment", json!(token.environment)),
                ("client_id", json!(token.client_id)),
                ("target", json!(token.target)),
                ("realm", json!(token.realm.unwrap_or(&account.utid))),
                ("token_type", json!("Bearer")),
                ("cached_at", json!(cached_at.to_string())),
                ("expires_on", json!(token.expires_on.to_string())),
                ("extended_expires_on", json!(token.expires_on.to_string())),
            ],
        )
    }

    /// Adds an ID token.
    pub fn id_token(
        self,
        account: &FakeAccount,
        environment: &str,
        client_id: &str,
        realm: &str,
        secret: &str,
    ) -> Self {
        self.members(
            "IdToken",
            [
                ("credential_type", json!("IdToken")),
                ("secret", json!(secret)),
                ("home_account_id", json!(account.home_account_id())),
                ("environment", json!(environment)),
                ("realm", json!(realm)),
                ("client_id", json!(client_id)),
            ],
        )
    }

    /// Adds what is known of a client.
    pub fn app_metadata(self, environment: &str, client_id: &str, family_id: Option<&str>) -> Self {
        self.members(
            "AppMetadata",
            [
                ("client_id", json!(client_id)),
                ("environment", json!(environment)),
            ],
        )
        .with_family(family_id)
    }

    /// Adds anything under any key of any section.
    pub fn raw(mut self, section: &str, key: &str, entry: Value) -> Self {
        self.entries.push(Entry {
            section: section.to_owned(),
            key: Some(key.to_owned()),
            content: Content::Raw(entry),
        });
        self
    }

    /// Sets a member of the entry that was added last; a new one stands behind the others.
    pub fn with(mut self, member: &str, value: Value) -> Self {
        let members = self.last_members();
        match members.iter_mut().find(|(name, _)| name == member) {
            Some((_, old)) => *old = value,
            None => members.push((member.to_owned(), value)),
        }
        self
    }

    /// Removes a member of the entry that was added last.
    pub fn without(mut self, member: &str) -> Self {
        self.last_members().retain(|(name, _)| name != member);
        self
    }

    /// Files the entry that was added last under a key that MSAL would not choose.
    pub fn keyed(mut self, key: &str) -> Self {
        self.last().key = Some(key.to_owned());
        self
    }

    /// The text.
    ///
    /// # Panics
    ///
    /// When two entries of a section have one key.
    pub fn to_json(&self) -> String {
        let mut text = Vec::new();
        let layout = PrettyFormatter::with_indent(b"    ");
        let mut serializer = serde_json::Serializer::with_formatter(&mut text, layout);
        self.sections()
            .serialize(&mut serializer)
            .expect("JSON values can be written");
        escape_as_python(&String::from_utf8(text).expect("JSON is UTF-8"))
    }

    /// The same, parsed.
    pub fn to_value(&self) -> Value {
        serde_json::from_str(&self.to_json()).expect("what was written can be read")
    }

    /// Writes the text to a file, in place if it is there, with mode 0600 if it is not.
    pub fn write_to(&self, path: impl AsRef<Path>) {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        options
            .open(path)
            .and_then(|mut file| file.write_all(self.to_json().as_bytes()))
            .expect("the test's cache file can be written");
    }

    fn members<const N: usize>(mut self, section: &str, members: [(&str, Value); N]) -> Self {
        let members = members.map(|(name, value)| (name.to_owned(), value));
        self.entries.push(Entry {
            section: section.to_owned(),
            key: None,
            content: Content::Members(members.into()),
        });
        self
    }

    fn with_family(self, family_id: Option<&str>) -> Self {
        match family_id {
            Some(family_id) => self.with("family_id", json!(family_id)),
            None => self,
        }
    }

    fn last(&mut self) -> &mut Entry {
        self.entries.last_mut().expect("an entry was added before")
    }

    fn last_members(&mut self) -> &mut Vec<(String, Value)> {
        match &mut self.last().content {
            Content::Members(members) => members,
            Content::Raw(_) => panic!("the last entry is raw"),
        }
    }

    fn sections(&self) -> Ordered<&str, Ordered<String, &Content>> {
        let mut sections: Vec<(&str, Ordered<String, &Content>)> = Vec::new();
        let mut keys = BTreeSet::new();
        for entry in &self.entries {
            let section = entry.section.as_str();
            let key = entry.key();
            assert!(
                keys.insert((section, key.clone())),
                "two entries of {section} have the key {key}"
            );
            let item = (key, &entry.content);
            match sections.iter_mut().find(|(name, _)| *name == section) {
                Some((_, entries)) => entries.0.push(item),
                None => sections.push((section, Ordered(vec![item]))),
            }
        }
        Ordered(sections)
    }
}

impl Entry {
    fn key(&self) -> String {
        if let Some(key) = &self.key {
            return key.clone();
        }
        let [
            home_account_id,
            environment,
            client_id,
            realm,
            target,
            ext_cache_key,
        ] = [
            "home_account_id",
            "environment",
            "client_id",
            "realm",
            "target",
            "ext_cache_key",
        ]
        .map(|name| self.member(name));
        let owner = format!("{home_account_id}-{environment}");
        let key = match self.section.as_str() {
            "AccessToken" if ext_cache_key.is_empty() => {
                format!("{owner}-accesstoken-{client_id}-{realm}-{target}")
            }
            "AccessToken" => format!("{owner}-atext-{client_id}-{realm}-{target}-{ext_cache_key}"),
            "RefreshToken" => format!("{owner}-refreshtoken-{client_id}--{target}"),
            "IdToken" => format!("{owner}-idtoken-{client_id}-{realm}-"),
            "Account" => format!("{owner}-{realm}"),
            // The one key that keeps its case.
            "AppMetadata" => return format!("appmetadata-{environment}-{client_id}"),
            section => unreachable!("entries of {section} are raw and have their key"),
        };
        key.to_lowercase()
    }

    /// Missing and null count as empty.
    fn member(&self, wanted: &str) -> &str {
        let Content::Members(members) = &self.content else {
            return "";
        };
        members
            .iter()
            .find(|(name, _)| name == wanted)
            .and_then(|(_, value)| value.as_str())
            .unwrap_or_default()
    }
}

/// An object whose members keep their order.
struct Ordered<K, V>(Vec<(K, V)>);

impl<K: Serialize, V: Serialize> Serialize for Ordered<K, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

impl Serialize for Content {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Members(members) => {
                serializer.collect_map(members.iter().map(|(name, value)| (name, value)))
            }
            Self::Raw(value) => value.serialize(serializer),
        }
    }
}

/// Python escapes what is not printable ASCII. Outside strings JSON has only line breaks of that.
fn escape_as_python(json: &str) -> String {
    let mut escaped = String::with_capacity(json.len());
    for c in json.chars() {
        if c == '\n' || c == ' ' || c.is_ascii_graphic() {
            escaped.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                write!(escaped, "\\u{unit:04x}").expect("a String takes everything");
            }
        }
    }
    escaped
}
