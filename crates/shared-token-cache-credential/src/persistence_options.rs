/// Which of the shared caches to use, and whether it may be in plain text.
///
/// The cache is in the platform's encrypted store: on Linux in the Secret Service, on
/// Windows in a file that the system encrypts, on macOS in the Keychain. A cache in plain
/// text serves where that is allowed and the encrypted store is not there or holds no cache of this
/// name. Without these options, for the default cache, it is allowed on Linux; with them the program
/// has to say so.
///
/// ```
/// use shared_token_cache_credential::TokenCachePersistenceOptions;
///
/// let options = TokenCachePersistenceOptions::default()
///     .with_name("my-tool.cache")
///     .with_allow_unencrypted_storage(true);
/// ```
#[derive(Clone, Debug)]
pub struct TokenCachePersistenceOptions {
    pub(crate) name: String,
    pub(crate) allow_unencrypted_storage: bool,
}

impl TokenCachePersistenceOptions {
    /// Sets the name of the cache; `msal.cache` by default. Tokens for callers that can handle
    /// Continuous Access Evaluation are in `<name>.cae`, the others in `<name>.nocae`.
    pub fn with_name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Says whether the cache may be in plain text where the platform's encrypted store is not
    /// there, or holds no such cache. It may not by default. On Windows and macOS that store is
    /// always there, so it makes no difference, as in the other SDKs.
    pub fn with_allow_unencrypted_storage(mut self, allow: bool) -> Self {
        self.allow_unencrypted_storage = allow;
        self
    }
}

impl Default for TokenCachePersistenceOptions {
    fn default() -> Self {
        Self {
            name: "msal.cache".to_owned(),
            allow_unencrypted_storage: false,
        }
    }
}
