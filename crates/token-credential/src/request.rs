/// What a caller may ask of a token beyond its scopes.
///
/// ```
/// use token_credential::TokenRequestOptions;
///
/// let options = TokenRequestOptions::default().with_enable_cae(true);
/// assert!(options.enable_cae());
/// assert_eq!(options.claims(), None);
/// ```
#[derive(Clone, Debug, Default)]
pub struct TokenRequestOptions {
    claims: Option<String>,
    tenant_id: Option<String>,
    enable_cae: bool,
    force_refresh: bool,
}

impl TokenRequestOptions {
    /// Sets the claims of a challenge: the JSON text that the resource sent when it refused a
    /// token. A call with claims is never answered from a cache.
    pub fn with_claims(mut self, claims: impl Into<String>) -> Self {
        self.claims = Some(claims.into());
        self
    }

    /// Sets the tenant to ask; what it means is for the credential to say.
    pub fn with_tenant_id(mut self, tenant_id: impl Into<String>) -> Self {
        self.tenant_id = Some(tenant_id.into());
        self
    }

    /// Says whether the caller can handle Continuous Access Evaluation, that is: a token that may
    /// be refused before it expires, with a challenge.
    pub fn with_enable_cae(mut self, enable_cae: bool) -> Self {
        self.enable_cae = enable_cae;
        self
    }

    /// Asks for a new token although one is cached: after a change of roles, for example, which a
    /// cached token does not know of yet. It costs a request each time: not for every call.
    pub fn with_force_refresh(mut self, force_refresh: bool) -> Self {
        self.force_refresh = force_refresh;
        self
    }

    /// The claims of a challenge, as JSON text.
    pub fn claims(&self) -> Option<&str> {
        self.claims.as_deref()
    }

    /// The tenant to ask.
    pub fn tenant_id(&self) -> Option<&str> {
        self.tenant_id.as_deref()
    }

    /// Whether the caller can handle Continuous Access Evaluation.
    pub fn enable_cae(&self) -> bool {
        self.enable_cae
    }

    /// Whether a new token is asked for although one is cached.
    pub fn force_refresh(&self) -> bool {
        self.force_refresh
    }
}
